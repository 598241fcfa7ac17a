"""One detector that keeps the contract, and many that break it in one way each, for the conformance kit to notice."""

from __future__ import annotations

import ctypes
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from facebench.detectors import Detections, DetectorInfo, Device, RGBImage
from facebench.detectors.probe_images import FACE, portrait
from facebench.detectors.runtimes.opencv import OpenCvDetector
from numpy.typing import NDArray

LANDMARKS = ((202, 101), (246, 104), (224, 127), (203, 140), (244, 141))
"""Eyes, nose and mouth corners in `portrait`, read off by eye."""

GREEDY = f"{__name__.rpartition('.')[0]}.greedy_package"

LATER: list[Callable[[], object]] = []
"""What asynchronous detectors have still to do; whoever waits in a test lets it happen."""


class Good(OpenCvDetector):
    """Looks for the one face that it knows."""

    info = DetectorInfo(
        name="good",
        family="template matching",
        package="opencv-contrib-python",
        licence="MIT",
        score_kind="probability",
        devices=("cpu",),
        landmarks=True,
        trained_on=("portrait",),
        reference="tests",
        operating_threshold=0.5,
        score_floor=0.1,
    )
    reference_scores: tuple[float, float] | None = (0.795, 0.172)

    def __init__(self, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        left, top, right, bottom = FACE
        self._face = portrait()[top:bottom, left:right]
        self._offsets = np.array(LANDMARKS, dtype=np.float32) - (left, top)

    def detect(self, image: RGBImage) -> Detections:
        if image.shape[0] < self._face.shape[0] or image.shape[1] < self._face.shape[1]:
            return Detections.empty(landmarks=True)
        likeness = cv2.matchTemplate(np.ascontiguousarray(image), self._face, cv2.TM_CCOEFF_NORMED)
        row, column = np.unravel_index(likeness.argmax(), likeness.shape)
        score = float(np.clip(likeness[row, column], 0, 1))
        if score < self.score_floor:
            return Detections.empty(landmarks=True)
        corner = np.array([column, row])
        box = np.concatenate([corner, corner + self._face.shape[1::-1]])
        return Detections.from_arrays([box], [score], [self._offsets + corner])


def changed(found: Detections, **arrays: NDArray[Any] | None) -> Detections:
    """A result of other arrays, checked as any result."""
    return Detections(**{"boxes": found.boxes, "scores": found.scores, "landmarks": found.landmarks} | arrays)


def forced(found: Detections, **arrays: object) -> Detections:
    """A result with arrays that it would not take."""
    for name, array in arrays.items():
        object.__setattr__(found, name, array)
    return found


# --- the answer is not a valid result


class ReturnsList(Good):
    def detect(self, image: RGBImage) -> Any:
        return super().detect(image).boxes.tolist()


class ReturnsNaN(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return forced(found, boxes=np.full_like(found.boxes, np.nan))


class ReturnsDoubles(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return forced(found, scores=found.scores.astype(np.float64))


class ReturnsWidthAndHeight(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, boxes=np.hstack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]]))


class FailsInTheDark(Good):
    """As a network does that divides by the brightest pixel."""

    def detect(self, image: RGBImage) -> Detections:
        if image.any():
            return super().detect(image)
        return forced(Detections.empty(landmarks=True), scores=np.full(1, np.nan, np.float32), boxes=np.zeros((1, 4)))


# --- the answer is wrong


class FindsNothing(Good):
    def detect(self, image: RGBImage) -> Detections:
        return Detections.empty(landmarks=True)


class SwapsAxes(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, boxes=found.boxes[:, [1, 0, 3, 2]])


class HalvesBoxes(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, boxes=found.boxes / 2)


class ScalesByTheWrongSide(Good):
    """Turns shares of the image into pixels with the height in both directions: right for a square only."""

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, boxes=found.boxes * np.float32([image.shape[0] / image.shape[1], 1] * 2))


class MirrorsLandmarks(Good):
    """Left and right as the person has them."""

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, landmarks=found.landmarks[:, [1, 0, 2, 4, 3]])


class PutsYBeforeX(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, landmarks=found.landmarks[:, :, ::-1])


class OmitsLandmarks(Good):
    def detect(self, image: RGBImage) -> Detections:
        return changed(super().detect(image), landmarks=None)


class HidesLandmarks(Good):
    info = replace(Good.info, landmarks=False)


class TakesBgr(Good):
    def detect(self, image: RGBImage) -> Detections:
        return super().detect(image[:, :, ::-1])


class TakesBgrAndDeclaresNothing(TakesBgr):
    reference_scores = None


class SeesTheMeanOfChannels(Good):
    """Its reference scores are true, and would be with the channels in any order."""

    reference_scores = (0.999, 0.998)

    def __init__(self, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self._face = self._mean(self._face)

    def detect(self, image: RGBImage) -> Detections:
        return super().detect(self._mean(image))

    @staticmethod
    def _mean(image: RGBImage) -> RGBImage:
        return np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)


class GoesBelowTheFloor(Good):
    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        worse = found.scores[:1] * 0 + self.score_floor / 2
        points = np.concatenate([found.landmarks, found.landmarks])
        return Detections.from_arrays(np.tile(found.boxes, (2, 1)), np.concatenate([found.scores, worse]), points)


class ScoresAboveOne(Good):
    reference_scores = (0.795 * 1.5, 0.172 * 1.5)

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, scores=found.scores * np.float32(1.5))


class ScoresThatItDenies(Good):
    info = replace(Good.info, score_kind="none")


class DropsWhatEqualsItsFloor(Good):
    """Finds something uncertain too, as libraries do that keep what scores more than their threshold."""

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        if len(found) == 0 or self.score_floor >= 0.3:
            return found
        points = np.concatenate([found.landmarks, found.landmarks])
        return Detections.from_arrays(np.tile(found.boxes, (2, 1)), [*found.scores, min(0.3, *found.scores)], points)


class WeighsInWhatLiesAboveItsFloor(Good):
    """As a network does whose boxes are means of all candidates."""

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        return changed(found, boxes=found.boxes + np.float32(self.score_floor))


# --- the answer depends on something else than the image


class AnswersByTurns(Good):
    _turn = 0

    def detect(self, image: RGBImage) -> Detections:
        self._turn ^= 1
        found = super().detect(image)
        return changed(found, boxes=found.boxes + np.float32(self._turn))


class RemembersTheLastSize(Good):
    """Wrong by a pixel for the first image of another size."""

    _size: tuple[int, ...] = ()

    def detect(self, image: RGBImage) -> Detections:
        same, self._size = image.shape == self._size, image.shape
        found = super().detect(image)
        return found if same else changed(found, boxes=found.boxes + np.float32(1))


# --- a batch is not its images one by one


class MixesUpABatch(Good):
    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [self.detect(image) for image in images[::-1]]


class MovesTheBoxesOfABatch(Good):
    """As one does that stretches all images to the size of the largest."""

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        found = [self.detect(image) for image in images]
        return [changed(one, boxes=one.boxes + np.float32(0.6)) for one in found]


class DropsTheLastOfABatch(Good):
    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        return [self.detect(image) for image in images[:-1]]


# --- the image is not taken as it is


class WritesIntoTheImage(Good):
    def detect(self, image: RGBImage) -> Detections:
        image[:3] = 0
        return super().detect(image)


class WritesIntoTheImageIfItMay(Good):
    def detect(self, image: RGBImage) -> Detections:
        if image.flags.writeable:
            image[:3] = 0
        return super().detect(image)


class NeedsAWritableBuffer(Good):
    """As C code does that takes a buffer without `const`."""

    def detect(self, image: RGBImage) -> Detections:
        contiguous = np.ascontiguousarray(image)
        (ctypes.c_uint8 * contiguous.size).from_buffer(contiguous)
        return super().detect(contiguous)


class IgnoresStrides(Good):
    """Reads the memory that a mirrored view looks at, and not the view."""

    def detect(self, image: RGBImage) -> Detections:
        if image.base is not None and image.base.shape == image.shape and image.strides[1] < 0:
            return super().detect(image.base)
        return super().detect(image)


class FailsOnOnePixel(Good):
    def detect(self, image: RGBImage) -> Detections:
        if image.size == 3:
            raise RuntimeError("image too small")
        return super().detect(image)


class FailsOnThinImages(Good):
    def detect(self, image: RGBImage) -> Detections:
        cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2))  # raises where that is 0
        return super().detect(image)


class FailsOnOddSizes(Good):
    def detect(self, image: RGBImage) -> Detections:
        if min(image.shape[:2]) > 1:
            image.reshape(image.shape[0], -1, 4)  # needs a width of whole fours
        return super().detect(image)


# --- what it says of itself is not true


class LiesAboutItsDevice(Good):
    def device_used(self) -> Device:
        return "cuda"


class FallsBackSilently(Good):
    info = replace(Good.info, devices=("cpu", "cuda"))


class DiesOnCuda(FallsBackSilently):
    def __init__(self, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None) -> None:
        if device == "cuda":
            raise RuntimeError("no kernel image is available")
        super().__init__(device=device, threads=threads, score_floor=score_floor)


class ClaimsCudaOnTheCpu(FallsBackSilently):
    """Asked where it runs, it says what it was told."""

    def device_used(self) -> Device:
        return self.device


class TellsOfMoreThreads(Good):
    def threads_used(self) -> int | None:
        return self.threads + 1


class TellsThreadsAsText(Good):
    def threads_used(self) -> Any:
        return "1"


class TellsMemoryThatIsNoNumber(Good):
    def device_memory_mb(self) -> float | None:
        return float("nan")


class TellsMemoryAsAFunction(Good):
    def device_memory_mb(self) -> Any:
        return lambda: 1.0


class HasATextAsThreshold(Good):
    def __init__(self, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self.operating_threshold: Any = "0.5"


class ImportsAPackageThatChangesOpenCv(Good):
    def __init__(self, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        sys.modules.pop(GREEDY, None)
        importlib.import_module(GREEDY)

    def threads_used(self) -> int | None:
        return None


class UsesASecondThread(Good):
    def __init__(self, *, device: Device = "cpu", threads: int = 1, score_floor: float | None = None) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self._second = ThreadPoolExecutor(1)

    def detect(self, image: RGBImage) -> Detections:
        beside = self._second.submit(super().detect, image)  # OpenCV lets go of the interpreter's lock
        found = super().detect(image)
        beside.result()
        return found

    def close(self) -> None:
        self._second.shutdown()


class BearsOneCloseOnly(Good):
    _closed = False

    def close(self) -> None:
        if self._closed:
            raise RuntimeError("closed already")
        self._closed = True


# --- it returns before it has finished


class RefinesItsBoxesLater(Good):
    """Hands out an array and fills in the exact boxes when the caller has it."""

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        memory = found.boxes + np.float32(1)
        LATER[:] = [lambda: np.copyto(memory, found.boxes)]
        return changed(found, boxes=memory[:])


class GoesOnWorking(Good):
    """Its answer is whole, and it prepares something for the next one that costs more than the call."""

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        LATER[:] = [self._prepare]
        return found

    @staticmethod
    def _prepare() -> None:
        began = time.thread_time()
        while time.thread_time() < began + 0.05:
            pass

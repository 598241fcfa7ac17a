"""Images resized before a detector sees them, boxes scaled back: the `size` of a protocol.

A size is `original`, `long=640` (the longer side becomes 640 px), `short=1600,max=2150` (the shorter side becomes 1600
px unless the longer one would pass 2150), or several of them joined by `+`: `original+long=320` shows the detector the
image and a copy of 320 px, and merges what it finds. Networks trained on crowds miss faces that fill the image; in the
small copy they find them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .base import Detections, Detector, Device, RGBImage
from .boxes import non_maximum_suppression
from .stages import StageClock

_SIZE = re.compile(r"original|long=(?P<long>[1-9]\d*)|short=(?P<short>[1-9]\d*)(,max=(?P<max>[1-9]\d*))?")
MERGE_IOU = 0.45
"""Of boxes of several copies that overlap more, the one with the lower score is dropped."""
SMALLEST_IN_COPY = 24
"""Pixels: side of the square as large as a box, from which on a smaller copy is believed; the first sees smaller faces
better. On the 130 images of the tables YuNet's exact hard AP is .9067 with this bound, .9017 without it, and .9048 at
the original size alone; bounds of 16 to 40 give .905 to .907."""


def check_size(size: str) -> None:
    """Raise UsageError where a size is written wrongly."""
    parts = size.split("+")
    if not all(_SIZE.fullmatch(part) for part in parts):
        raise UsageError(
            f"size {size!r}: expected original, long=PIXELS or short=PIXELS,max=PIXELS; several are joined by +, such "
            "as original+long=320"
        )
    if len(set(parts)) < len(parts):
        raise UsageError(f"size {size!r}: expected each part once")


def scale_for(size: str, height: int, width: int) -> float:
    """Return the factor by which a size of one part scales an image.

    >>> scale_for("long=640", 960, 1280)
    0.5
    """
    match = _SIZE.fullmatch(size)
    if match is None or size == "original":
        return 1.0
    if match["long"]:
        return int(match["long"]) / max(height, width)
    scale = int(match["short"]) / min(height, width)
    return min(scale, int(match["max"]) / max(height, width)) if match["max"] else scale


def sizes_seen(size: str, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Return height and width of each copy that a detector may see of an image: equal ones can be one batch.

    >>> sizes_seen("original+long=320", 480, 640)
    ((480, 640), (240, 320))
    """
    return tuple(_scaled_size(height, width, scale_for(part, height, width)) for part in size.split("+"))


def resized(detector: Detector, size: str) -> Detector:
    """Return the detector as it answers at a size: itself for "original".

    Raises:
        UsageError: the size is written wrongly.
    """
    return detector if size == "original" else ResizedDetector(detector, size)


class WrappedDetector(Detector):
    """A detector that holds another one and closes it with itself; a subclass says what `detect` makes of it.

    Args:
        detector: what to wrap, built already: there is nothing to load or to check. Card, device, threads, thresholds
            and clock are its own.
    """

    def __init__(self, detector: Detector) -> None:
        self.info = detector.info  # type: ignore[misc]
        self.device = detector.device
        self.threads = detector.threads
        self.operating_threshold = detector.operating_threshold
        self.score_floor = detector.score_floor
        # a third party's detector may do without the constructor of its base
        self.clock = getattr(detector, "clock", None) or StageClock()
        self._detector = detector

    def device_used(self) -> Device:
        """Ask the wrapped detector."""
        return self._detector.device_used()

    def threads_used(self) -> int | None:
        """Ask the wrapped detector."""
        return self._detector.threads_used()

    def device_memory_mb(self) -> float | None:
        """Ask the wrapped detector."""
        return self._detector.device_memory_mb()

    def precision_used(self) -> str | None:
        """Ask the wrapped detector."""
        return self._detector.precision_used()

    def batches(self) -> bool:
        """Ask the wrapped detector."""
        return self._detector.batches()

    def close(self) -> None:
        """Close the wrapped detector."""
        self._detector.close()


class ResizedDetector(WrappedDetector):
    """A detector that sees every image at a given size, or at several; its boxes are pixels of the image given.

    Images shrink by area averaging and grow bilinearly (OpenCV's INTER_AREA and INTER_LINEAR). The resizing is part
    of `detect`, so of its time. Of several sizes the first one always runs, a further one only where it is smaller
    than the first, for faces of at least `SMALLEST_IN_COPY` there; what all of them find is merged by greedy
    non-maximum suppression at an IoU of `MERGE_IOU`.

    Args:
        detector: what to wrap; it is closed with this one.
        size: as the module describes it.

    Raises:
        UsageError: the size is written wrongly.
    """

    def __init__(self, detector: Detector, size: str) -> None:
        check_size(size)
        super().__init__(detector)
        self._sizes = size.split("+")

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one image."""
        scales = self._scales(image)
        return _joined(scales, [_in_pixels(self._detector.detect(_shown(image, one)), image, one) for one in scales])

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Find the faces in several images: the copies of all of them are one batch of the wrapped detector."""
        scales = [self._scales(image) for image in images]
        copies = [(image, scale) for image, of in zip(images, scales, strict=True) for scale in of]
        answers = self._detector.detect_batch([_shown(*copy) for copy in copies])
        found = iter([_in_pixels(answer, *copy) for answer, copy in zip(answers, copies, strict=True)])
        return [_joined(of, [next(found) for _ in of]) for of in scales]

    def _scales(self, image: RGBImage) -> list[float]:
        """Return by which factors the wrapped detector sees an image."""
        height, width = image.shape[:2]
        first, *further = (scale_for(size, height, width) for size in self._sizes)
        return [first, *(scale for scale in further if scale < first)]


def _scaled_size(height: int, width: int, scale: float) -> tuple[int, int]:
    return max(1, round(height * scale)), max(1, round(width * scale))


def _shown(image: RGBImage, scale: float) -> RGBImage:
    """Return a copy of an image at a scale; itself where that has the same size."""
    import cv2

    height, width = _scaled_size(image.shape[0], image.shape[1], scale)
    if (height, width) == image.shape[:2]:
        return image
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=mode), dtype=np.uint8)


def _in_pixels(found: Detections, image: RGBImage, scale: float) -> Detections:
    """Return what was found in the copy at a scale in pixels of the image."""
    height, width = image.shape[:2]
    new_height, new_width = _scaled_size(height, width, scale)
    if (new_height, new_width) == (height, width):
        return found
    factor = np.array([width / new_width, height / new_height], dtype=np.float32)
    points = None if found.landmarks is None else found.landmarks * factor
    return Detections(found.boxes * np.tile(factor, 2), found.scores, points)


def _joined(scales: Sequence[float], found: Sequence[Detections]) -> Detections:
    """Return what all copies of an image show, the first of them whole."""
    if len(found) == 1:
        return found[0]
    copies = (_of_side(part, SMALLEST_IN_COPY / scale) for part, scale in zip(found[1:], scales[1:], strict=True))
    return _merged([found[0], *copies])


def _of_side(found: Detections, smallest: float) -> Detections:
    """Return those as large as a square of this side, pixels, or larger."""
    keep = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1) >= smallest**2
    points = None if found.landmarks is None else found.landmarks[keep]
    return Detections(found.boxes[keep], found.scores[keep], points)


def _merged(parts: list[Detections]) -> Detections:
    boxes = np.concatenate([part.boxes for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    keep = non_maximum_suppression(boxes, _above_zero(scores), MERGE_IOU)
    landmarks = [part.landmarks for part in parts if part.landmarks is not None]
    # an image without faces may come without landmarks from a detector that has them
    points = np.concatenate(landmarks)[keep] if sum(map(len, landmarks)) == len(boxes) and landmarks else None
    return Detections.from_arrays(boxes[keep], scores[keep], points)


def _above_zero(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ranks that order as the scores do; suppression asks for scores above 0, and margins are not."""
    return np.argsort(np.argsort(scores, kind="stable"), kind="stable").astype(np.float32) + 1

"""What a detector around another one hands on, and what it says for itself."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from facebench.detectors import Detections, Detector, DetectorInfo, RGBImage
from facebench.detectors.resized import ResizedDetector
from facebench.detectors.setting import ThresholdedDetector
from facebench.errors import UsageError


class Inner(Detector):
    """Answers everything otherwise than `Detector` does by default."""

    info = DetectorInfo("inner", "test", "tests", "MIT", "probability", ("cpu", "cuda"), False, (), "none", 0.6, 0.1)

    def __init__(self) -> None:
        super().__init__(device="cuda", threads=3, score_floor=0.2)
        self.closed = 0
        self.seen: list[tuple[int, ...]] = []

    def detect(self, image: RGBImage) -> Detections:
        self.seen.append(image.shape)
        return Detections.from_arrays([[10, 20, 30, 40], [0, 0, 8, 8]], [0.9, 0.3])

    def device_used(self) -> Any:
        return "cuda"

    def threads_used(self) -> int | None:
        return 7

    def device_memory_mb(self) -> float | None:
        return 12.5

    def close(self) -> None:
        self.closed += 1


WRAPPERS = [
    pytest.param(lambda inner: ResizedDetector(inner, "long=320"), 0.6, 0.2, id="resized"),
    pytest.param(lambda inner: ThresholdedDetector(inner, 0.5), 0.5, 0.5, id="cut off above its floor"),
    pytest.param(lambda inner: ThresholdedDetector(inner, 0.15), 0.15, 0.2, id="cut off below its floor"),
]


@pytest.mark.parametrize(("wrap", "threshold", "floor"), WRAPPERS)
def test_the_wrapped_detector_answers(wrap: Any, threshold: float, floor: float) -> None:
    inner = Inner()
    outer = wrap(inner)
    assert (outer.info, outer.clock) == (inner.info, inner.clock)
    assert (outer.device, outer.threads) == ("cuda", 3)
    assert (outer.device_used(), outer.threads_used(), outer.device_memory_mb()) == ("cuda", 7, 12.5)
    assert (outer.operating_threshold, outer.score_floor) == (threshold, floor)
    outer.close()
    assert inner.closed == 1


@pytest.mark.parametrize(
    ("size", "seen", "factor"),
    [("original", (480, 640, 3), 1), ("long=640", (480, 640, 3), 1), ("long=320", (240, 320, 3), 2)],
)
def test_boxes_come_back_in_pixels_of_the_image_given(size: str, seen: tuple[int, ...], factor: int) -> None:
    inner = Inner()
    found = ResizedDetector(inner, size).detect(np.zeros((480, 640, 3), np.uint8))
    assert inner.seen == [seen]
    np.testing.assert_allclose(found.boxes, factor * np.array([[10, 20, 30, 40], [0, 0, 8, 8]]))


def test_a_size_that_is_no_size_is_refused() -> None:
    with pytest.raises(UsageError, match="expected original"):
        ResizedDetector(Inner(), "640")


class SeesByWidth(Inner):
    """Answers by the width of what it is shown: width -> boxes with their scores."""

    answers: ClassVar[dict[int, list[tuple[list[float], float]]]] = {
        1000: [([100, 100, 160, 160], 0.6), ([400, 0, 440, 40], 0.9)],
        100: [([10, 10, 40, 40], 0.8), ([60, 0, 84, 24], 0.7), ([40, 0, 44, 4], 0.95), ([61, 1, 84, 24], 0.5)],
    }

    def detect(self, image: RGBImage) -> Detections:
        self.seen.append(image.shape)
        rows = self.answers[image.shape[1]]
        return Detections.from_arrays([box for box, _ in rows], [score for _, score in rows])


@pytest.mark.parametrize(
    ("size", "scores"),
    [
        ("original", [0.9, 0.6]),
        ("long=100", [0.95, 0.8, 0.7, 0.5]),
        # of the copy: not the face of 4 px there; not the one that overlaps a better one; both faces of 24 px and more
        ("original+long=100", [0.9, 0.8, 0.7, 0.6]),
        # a copy that is not smaller is not made
        ("original+long=2000", [0.9, 0.6]),
        ("long=100+original", [0.95, 0.8, 0.7, 0.5]),
    ],
)
def test_what_several_sizes_find_is_merged(size: str, scores: list[float]) -> None:
    found = ResizedDetector(SeesByWidth(), size).detect(np.zeros((500, 1000, 3), np.uint8))
    np.testing.assert_allclose(found.scores, scores)
    if size == "original+long=100":
        np.testing.assert_allclose(found.boxes[1], [100, 100, 400, 400])


@pytest.mark.parametrize("size", ["original+", "original+original", "long=320+long=320", "original + long=320", "+"])
def test_several_sizes_written_wrongly_are_refused(size: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        ResizedDetector(Inner(), size)


def test_margins_below_zero_and_landmarks_are_merged_too() -> None:
    class Margins(Inner):
        def detect(self, image: RGBImage) -> Detections:
            side = image.shape[1]
            points = np.full((2, 5, 2), side / 2)
            return Detections.from_arrays([[0, 0, side / 2, side / 2], [side / 2, 0, side, side / 2]], [-1, -2], points)

    found = ResizedDetector(Margins(), "original+long=100").detect(np.zeros((400, 400, 3), np.uint8))
    np.testing.assert_allclose(found.scores, [-1, -2])
    np.testing.assert_allclose(found.landmarks, np.full((2, 5, 2), 200))

"""What a detector around another one hands on, and what it says for itself."""

from __future__ import annotations

from typing import Any

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
def test_boxes_come_back_in_pixels_of_the_picture_given(size: str, seen: tuple[int, ...], factor: int) -> None:
    inner = Inner()
    found = ResizedDetector(inner, size).detect(np.zeros((480, 640, 3), np.uint8))
    assert inner.seen == [seen]
    np.testing.assert_allclose(found.boxes, factor * np.array([[10, 20, 30, 40], [0, 0, 8, 8]]))


def test_a_size_that_is_no_size_is_refused() -> None:
    with pytest.raises(UsageError, match="expected original"):
        ResizedDetector(Inner(), "640")

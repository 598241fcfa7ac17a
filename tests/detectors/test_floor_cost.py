"""Boxes and time at the score floor beside those at the threshold."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from facebench.detectors import Detections, Detector, DetectorInfo, resolve
from facebench.detectors.floor_cost import cost_of_floor

IMAGE = np.zeros((64, 64, 3), np.uint8)


class ManyLow(Detector):
    """So many boxes below the threshold as its parameter says, one above."""

    info = DetectorInfo("many", "test", "tests", "MIT", "probability", ("cpu",), False, (), "none", 0.5, 0.1)

    def __init__(self, *, low: int = 3, device="cpu", threads=1, score_floor=None) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self._scores = np.array([0.9] + [0.2] * low, np.float32)

    def detect(self, image):
        scores = self._scores[self._scores >= self.score_floor]
        return Detections(np.tile(np.array([0, 0, 9, 9], np.float32), (len(scores), 1)), scores)


class NoneLow(ManyLow):
    info = DetectorInfo("none", "test", "tests", "MIT", "probability", ("cpu",), False, (), "none", 0.5, 0.5)


def spec(name: str, low: int = 3):
    return resolve(f"{__name__}:{name}:low={low}")


@pytest.mark.parametrize(("low", "warned"), [(3, False), (999, False), (1000, True)])
def test_both_are_told_and_too_many_boxes_are_warned_of(low, warned):
    # the clock goes on by 1 ms at each look
    said = cost_of_floor(spec("ManyLow", low), IMAGE, clock=count(step=1_000_000).__next__)
    assert said.startswith(
        f"{low + 1:,} boxes in 1.0 ms from the score floor 0.1 on, 1 in 1.0 ms from the threshold 0.5 on"
    )
    assert ("Warning: more than 1,000 boxes" in said) is warned


def test_a_detector_without_boxes_below_its_threshold():
    assert cost_of_floor(spec("NoneLow"), IMAGE) == "nothing lies below its threshold"

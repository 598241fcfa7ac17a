"""When two answers to one image count as the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.detectors import Detections
from facebench.detectors.agreement import agree

FOUND = [([10, 10, 50, 50], 0.9), ([80, 10, 120, 60], 0.7), ([10, 80, 40, 110], 0.601)]


def detections(rows: list[tuple[list[float], float]]) -> Detections:
    return Detections.from_arrays([box for box, _ in rows], [score for _, score in rows])


@pytest.mark.parametrize(
    ("other", "threshold", "same"),
    [
        (FOUND, -math.inf, True),
        ([([10.4, 10, 50, 50.4], 0.9005), *FOUND[1:]], -math.inf, True),
        ([([10.6, 10, 50, 50], 0.9), *FOUND[1:]], -math.inf, False),
        ([([10, 10, 50, 50], 0.902), *FOUND[1:]], -math.inf, False),
        # scores that change places
        ([(FOUND[1][0], 0.9), (FOUND[0][0], 0.7), FOUND[2]], -math.inf, False),
        # one at the cut may be in one of them alone, one above it may not
        (FOUND[:2], 0.6005, True),
        (FOUND[:2], 0.5, False),
        ([*FOUND, ([200, 200, 240, 240], 0.6)], 0.6, True),
        ([*FOUND, ([200, 200, 240, 240], 0.65)], 0.6, False),
        ([], -math.inf, False),
    ],
)
def test_what_counts_as_the_same(other: list[tuple[list[float], float]], threshold: float, same: bool) -> None:
    assert agree(detections(FOUND), detections(other), threshold) is same
    assert agree(detections(other), detections(FOUND), threshold) is same


def test_boxes_that_change_places_by_nearly_equal_scores_agree() -> None:
    one = detections([([0, 0, 9, 9], 0.8), ([50, 50, 60, 60], 0.7999)])
    other = detections([([0, 0, 9, 9], 0.7999), ([50, 50, 60, 60], 0.8)])
    assert not np.array_equal(one.boxes, other.boxes)
    assert agree(one, other)


def test_two_empty_answers_agree() -> None:
    assert agree(Detections.empty(), Detections.empty())

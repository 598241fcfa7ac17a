from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from facebench.detectors.boxes import non_maximum_suppression, xywh_to_xyxy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


def iou(one: Box, two: Box) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    common = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two))
    return common / (areas - common)


def oracle(boxes: list[Box], scores: list[float], threshold: float, top_k: int = 0) -> list[int]:
    """Suppression as it is told: take the best box, drop what overlaps it by more, repeat."""
    left = sorted(range(len(boxes)), key=lambda index: -scores[index])  # stable: of equal scores, the first
    if top_k:
        left = left[:top_k]
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [index for index in left if iou(boxes[best], boxes[index]) <= threshold]
    return kept


def suppress(boxes: list[Box], scores: list[float], threshold: float, top_k: int = 0) -> list[int]:
    kept = non_maximum_suppression(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), threshold, top_k
    )
    assert kept.dtype == np.int64
    return kept.tolist()


FAR, NEAR = (100.0, 100.0, 110.0, 110.0), (1.0, 0.0, 11.0, 10.0)  # NEAR overlaps BASE with IoU 9/11
BASE, HALF = (0.0, 0.0, 10.0, 10.0), (0.0, 5.0, 10.0, 15.0)  # HALF overlaps BASE with IoU 1/3


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "top_k", "kept"),
    [
        pytest.param([], [], 0.5, 0, [], id="nothing"),
        pytest.param([BASE], [0.5], 0.5, 0, [0], id="one box"),
        pytest.param([BASE, FAR], [0.1, 0.9], 0.5, 0, [1, 0], id="apart: both, best first"),
        pytest.param([BASE, NEAR], [0.1, 0.9], 0.5, 0, [1], id="the better of two"),
        pytest.param([BASE, NEAR], [0.9, 0.9], 0.5, 0, [0], id="of equal scores, the first"),
        pytest.param([BASE, NEAR], [0.9, 0.8], 0.82, 0, [0, 1], id="overlap below the threshold"),
        pytest.param([BASE, NEAR], [0.9, 0.8], 0.81, 0, [0], id="overlap above the threshold"),
        pytest.param([BASE, BASE], [0.9, 0.8], 1.0, 0, [0, 1], id="threshold 1 drops nothing"),
        pytest.param([BASE, NEAR, HALF], [0.8, 0.9, 0.7], 0.3, 0, [1, 2], id="a dropped box drops no other"),
        pytest.param([BASE, HALF, FAR], [0.7, 0.8, 0.9], 0.9, 2, [2, 1], id="top_k before suppression"),
        pytest.param([BASE, NEAR, FAR], [0.9, 0.8, 0.7], 0.5, 2, [0], id="top_k counts dropped boxes too"),
        pytest.param([(-20.0, -20.0, -10.0, -10.0), BASE], [0.9, 0.8], 0.1, 0, [0, 1], id="negative coordinates"),
        pytest.param([(0.2, 0.2, 0.6, 0.6), (0.7, 0.7, 0.9, 0.9)], [0.9, 0.8], 0.1, 0, [0, 1], id="below a pixel"),
    ],
)
def test_suppression(boxes: list[Box], scores: list[float], threshold: float, top_k: int, kept: list[int]) -> None:
    assert suppress(boxes, scores, threshold, top_k) == kept
    assert oracle(boxes, scores, threshold, top_k) == kept


boxes_of_eighths = st.builds(
    lambda x, y, w, h: (x / 8, y / 8, (x + w) / 8, (y + h) / 8),
    *[st.integers(-400, 400)] * 2,
    *[st.integers(1, 800)] * 2,
)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(boxes_of_eighths, st.integers(1, 64)), max_size=12),
    threshold=st.floats(0, 1, width=32),
    top_k=st.integers(0, 6),
)
def test_suppression_equals_the_plain_loop(rows: list[tuple[Box, int]], threshold: float, top_k: int) -> None:
    boxes, scores = [row[0] for row in rows], [row[1] / 64 for row in rows]
    # eighths of pixels are exact in float32, but an overlap that equals the threshold may round to either side
    assume(all(abs(iou(one, two) - threshold) > 1e-6 for one in boxes for two in boxes))
    assert suppress(boxes, scores, threshold, top_k) == oracle(boxes, scores, threshold, top_k)


def test_suppression_leaves_its_input_alone() -> None:
    boxes, scores = np.array([BASE, NEAR], np.float32), np.array([0.5, 0.9], np.float32)
    boxes.setflags(write=False)
    scores.setflags(write=False)
    assert non_maximum_suppression(boxes, scores, 0.5).tolist() == [1]


@pytest.mark.parametrize(
    ("given_boxes", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param((), [], id="what OpenCV returns for nothing"),
        pytest.param([(1, 2, 3, 4)], [[1, 2, 4, 6]], id="one"),
        pytest.param([(-5, -6, 3, 4), (0.5, 0.25, 0, 0)], [[-5, -6, -2, -2], [0.5, 0.25, 0.5, 0.25]], id="two"),
        pytest.param(np.array([[1, 2, 3, 4]], np.int32), [[1, 2, 4, 6]], id="whole pixels"),
    ],
)
def test_xywh_to_xyxy(given_boxes: Any, expected: list[list[float]]) -> None:
    converted = xywh_to_xyxy(given_boxes)
    assert (converted.dtype, converted.shape) == (np.dtype(np.float32), (len(expected), 4))
    assert converted.tolist() == expected


@settings(deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 5), st.just(4)), elements=st.integers(-1000, 1000)))
def test_xywh_to_xyxy_keeps_corner_and_size(boxes: NDArray[np.float32]) -> None:
    before = boxes.copy()
    converted = xywh_to_xyxy(boxes)
    assert np.array_equal(converted[:, :2], boxes[:, :2])
    assert np.array_equal(converted[:, 2:] - converted[:, :2], boxes[:, 2:])
    assert np.array_equal(boxes, before)  # the caller's array is not written into

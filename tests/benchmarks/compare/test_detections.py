"""Same boxes or not, to the last bit, whatever the order; and how far apart where not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.compare.detections import detection_change

A, B, C = (0, 0, 10, 10, 0.9), (20, 0, 30, 10, 0.8), (50, 50, 90, 90, 0.7)


def table(rows: dict[str, list[tuple[float, ...]]], landmarks: float | None = None) -> pd.DataFrame:
    flat = [(name, *row) for name, found in rows.items() for row in found]
    frame = pd.DataFrame(flat, columns=["image_id", "x1", "y1", "x2", "y2", "score"])
    frame = frame.astype({name: np.float32 for name in frame.columns if name != "image_id"})
    return frame if landmarks is None else frame.assign(lx1=np.float32(landmarks))


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({}, {}),
        ({"p": []}, {}),
        ({"p": [A, B]}, {"p": [B, A]}),
        ({"p": [A, A]}, {"p": [A, A]}),
        ({"p": [(-0.0, 0, 10, 10, 0.9)]}, {"p": [A]}),
        ({"p": [A], "elsewhere": [B]}, {"p": [A]}),
    ],
    ids=["nothing at all", "no box", "another order", "a box twice", "minus zero", "an image that is not compared"],
)
def test_identical(base, head):
    change = detection_change(table(base), table(head), ["p", "q"])
    assert change.identical and (change.images, change.moved, change.base_only, change.head_only) == (2, 0, 0, 0)


def test_one_bit_of_one_score_is_a_difference():
    moved = (*A[:4], np.nextafter(np.float32(0.9), np.float32(1)))
    change = detection_change(table({"p": [A, B]}), table({"p": [moved, B]}), ["p"])
    assert (change.identical, change.differing, change.moved) == (False, 1, 1)
    assert 0 < change.largest_score_change < 1e-7 and change.largest_shift_px == 0


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        ([A], [], (0, 1, 0, 0.0)),
        ([], [A], (0, 0, 1, 0.0)),
        ([A, A], [A], (0, 1, 0, 0.0)),
        ([A, B], [B, C], (0, 1, 1, 0.0)),
        ([A, B], [(1, 0, 11, 10, 0.9), B], (1, 0, 0, 1.0)),
        ([A], [(8, 0, 18, 10, 0.9)], (0, 1, 1, 0.0)),
        # by order, A would be set against B's new place
        ([A, B], [(22, 0, 32, 10, 0.95), (0, 1, 10, 11, 0.5)], (2, 0, 0, 2.0)),
        ([(5, 5, 5, 5, 0.9)], [(5, 5, 5, 5, 0.8)], (0, 1, 1, 0.0)),
    ],
    ids=["lost", "gained", "one of two", "swapped", "moved", "moved too far", "each to its own", "without area"],
)
def test_boxes_lost_gained_and_moved(base, head, expected):
    change = detection_change(table({"p": base}), table({"p": head}), ["p"])
    assert (change.moved, change.base_only, change.head_only, change.largest_shift_px) == expected
    assert change.moved + change.base_only <= change.base_boxes == len(base)


def test_the_images_that_differ_most_come_first():
    base = {f"p{number}": [A, B, C][:number] for number in range(4)}
    change = detection_change(table(base), table({}), list(base))
    assert change.examples == ("p3", "p2", "p1")


def test_landmarks_are_told_apart_from_boxes():
    base = {"p": [A], "q": [B]}
    assert detection_change(table(base, 1.0), table(base, 1.0), ["p", "q"]).landmarks_differ == 0
    change = detection_change(table(base, 1.0), table(base, 2.0), ["p", "q"])
    assert change.identical and change.landmarks_differ == 2


def test_swapping_base_and_head_swaps_lost_and_gained():
    stream = np.random.default_rng(5)
    sides = []
    for _ in range(2):
        corners = stream.integers(0, 60, (30, 2))
        sides.append(table({"p": [(x, y, x + 20, y + 20, 0.5) for x, y in corners.tolist()]}))
    there, back = detection_change(*sides, ["p"]), detection_change(*sides[::-1], ["p"])
    assert (there.moved, there.base_only, there.head_only) == (back.moved, back.head_only, back.base_only)
    assert there.moved > 0 and there.base_only > 0

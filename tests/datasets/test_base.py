from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from facebench.datasets import Dataset, Faces, Sample
from facebench.datasets.base import crowd_regions
from facebench.errors import DataError

BOXES = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32)
GOOD: dict[str, Any] = {"boxes": BOXES, "ignore": np.zeros(2, bool)}


def test_no_face_is_valid() -> None:
    faces = Faces(np.zeros((0, 4), np.float32), np.zeros(0, bool), {"blur": np.zeros(0, np.int8)})
    assert len(faces) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": BOXES.astype(np.float64)},
        {"boxes": BOXES[:, :3]},
        {"boxes": np.array([[1, 2, np.nan, 4], [5, 6, 7, 8]], np.float32)},
        {"boxes": np.array([[1, 2, np.inf, 4], [5, 6, 7, 8]], np.float32)},
        {"ignore": np.zeros(3, bool)},
        {"ignore": np.zeros(2, np.int8)},
        {"attributes": {"blur": np.zeros(2, np.int64)}},
        {"attributes": {"blur": np.zeros(1, np.int8)}},
        {"emotions": np.zeros((2, 1), np.int8)},
        {"crowd": np.zeros(2, np.int8)},
        {"crowd": np.zeros(1, bool)},
    ],
)
def test_wrong_shapes_and_types(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="must be"):
        Faces(**(GOOD | change))


def test_a_crowd_region_is_to_be_ignored() -> None:
    one, other = np.array([True, False]), np.array([False, True])
    faces = Faces(BOXES, one, crowd=one)
    with pytest.raises(DataError, match="expected crowd to imply ignore"):
        Faces(BOXES, one, crowd=other)
    assert crowd_regions([Faces(**GOOD), Faces(BOXES, one, crowd=~one & one)]) is None
    regions = crowd_regions([Faces(**GOOD), faces])
    assert regions is not None and regions.tolist() == [False, False, True, False]


def test_values_are_frozen() -> None:
    faces = Faces(**GOOD)
    with pytest.raises(FrozenInstanceError):
        faces.boxes = BOXES  # type: ignore[misc]


@pytest.mark.parametrize(
    ("there", "total", "sentence"),
    [(0, 0, "0 images"), (1, 3226, "1 of 3,226 images"), (2, 2, "2 images"), (1200, 1200, "1,200 images")],
)
def test_coverage(there: int, total: int, sentence: str) -> None:
    sample = Sample("a", b"", Faces(**GOOD))
    dataset = Dataset("d", (sample,) * there, total, (), False, "", "", "")
    assert len(dataset) == there
    assert dataset.coverage == sentence


def test_a_data_set_and_a_sample_are_shown_in_a_line() -> None:
    """In a notebook what stands last is shown, and samples may hold megabytes."""
    sample = Sample("a/b.png", b"x" * 2_000_000, Faces(**GOOD))
    dataset = Dataset("scenes?count=1", (sample,) * 40, 130, (), True, "", "", "0")
    assert repr(sample) == "Sample('a/b.png', 2,000,000 bytes, 2 faces)"
    assert repr(dataset) == "Dataset('scenes?count=1', 40 of 130 images, 80 faces)"

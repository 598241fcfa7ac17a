"""The verdict on each detection, and parts of a matching."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from facebench.benchmarks.scoring import count, match
from facebench.benchmarks.scoring.verdicts import (
    first_half,
    select_detections,
    select_images,
    split_images,
    verdicts,
)
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE, images_with_ties
from hypothesis import given, settings
from hypothesis import strategies as st


def assert_judged_as_by_the_oracle(images: list[Image]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    verdict = verdicts(matches, counted)
    names = np.array(["dropped", "false alarm", "hit"])[2 * verdict.hit + verdict.false_alarm]
    got = [names[matches.image == i].tolist() for i in range(len(images))]
    assert got == [oracle.judge(image).verdicts for image in images]
    assert verdict.dropped.tolist() == (names == "dropped").tolist()


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(images: list[Image]) -> None:
    assert_judged_as_by_the_oracle(images)


@settings(max_examples=60, deadline=None)
@given(images_with_ties())
def test_random(images: list[Image]) -> None:
    assert_judged_as_by_the_oracle(images)


def assert_same_counts(images: list[Image], chosen: list[bool]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches, mask = select_images(match(faces, detections, scores), counted, np.array(chosen, dtype=np.bool_))
    alone = [image for image, taken in zip(images, chosen, strict=True) if taken]
    faces, detections, scores, counted = oracle.to_arrays(alone)
    expected = match(faces, detections, scores)
    for got, value in ((matches, expected), (count(matches, mask), count(expected, counted))):
        for name in {field.name for field in dataclasses.fields(got)} - {"detection"}:
            assert np.asarray(getattr(got, name)).tolist() == np.asarray(getattr(value, name)).tolist(), name


@settings(max_examples=60, deadline=None)
@given(images_with_ties(), st.integers(0, 15))
def test_chosen_images_count_as_if_alone(images: list[Image], bits: int) -> None:
    assert_same_counts(images, [bool(bits >> i & 1) for i in range(len(images))])


@pytest.mark.parametrize("taken", [True, False])
def test_all_and_none_of_the_images(taken: bool) -> None:
    for images in DEGENERATE.values():
        assert_same_counts(images, [taken] * len(images))


@settings(max_examples=60, deadline=None)
@given(images_with_ties(), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_a_split_is_one_choice_after_another(images: list[Image], labels: list[int]) -> None:
    """Parts without an image among them; to the last bit."""
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    part_of = np.array(labels[: len(images)], dtype=np.int64)
    parts = list(split_images(matches, counted, part_of, 3))
    for number, part in enumerate(parts):
        expected, mask = select_images(matches, counted, part_of == number)
        assert part.images.tolist() == np.flatnonzero(part_of == number).tolist()
        assert part.faces.tolist() == np.flatnonzero(np.isin(faces.image, part.images)).tolist()
        assert part.counted.tolist() == mask.tolist()
        for field in dataclasses.fields(expected):
            assert getattr(part.matches, field.name).tolist() == getattr(expected, field.name).tolist(), field.name
    assert len(parts) == 3


def test_left_out_detections_are_as_if_never_made() -> None:
    """Without the first of two detections on a face, the second is the hit."""
    box = (10.0, 10.0, 29.0, 29.0)
    faces, detections, scores, counted = oracle.to_arrays([Image([box], [True], [box, box], [0.9, 0.8])])
    matches = select_detections(match(faces, detections, scores), np.array([False, True]))
    assert matches.detection.tolist() == [1]
    assert verdicts(matches, counted).hit.tolist() == [True]


def test_masks_of_other_lengths_are_refused() -> None:
    faces, detections, scores, counted = oracle.to_arrays(DEGENERATE["ignored in one image"])
    matches = match(faces, detections, scores)
    with pytest.raises(UsageError, match=r"\(2,\) and \(1,\)"):
        select_images(matches, counted, np.array([True]))
    with pytest.raises(UsageError, match="expected masks of 2 faces and 2 images"):
        select_images(matches, counted[:1], np.array([True, False]))


@pytest.mark.parametrize(("images", "half"), [(0, 0), (1, 1), (2, 1), (5, 3), (130, 65)])
def test_half_of_the_images(images: int, half: int) -> None:
    chosen = first_half(images, seed=4)
    assert (len(chosen), int(chosen.sum())) == (images, half)
    assert chosen.tolist() == first_half(images, seed=4).tolist()


def test_another_seed_chooses_another_half() -> None:
    assert len({tuple(first_half(40, seed).tolist()) for seed in range(20)}) == 20

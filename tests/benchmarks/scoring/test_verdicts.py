"""The verdict on each detection, and parts of a matching."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from facebench.benchmarks.scoring import count, match
from facebench.benchmarks.scoring.verdicts import (
    first_half,
    select_detections,
    select_pictures,
    split_pictures,
    verdicts,
)
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Picture
from facebench.tests.support.scored_images import DEGENERATE, pictures_with_ties
from hypothesis import given, settings
from hypothesis import strategies as st


def assert_judged_as_by_the_oracle(pictures: list[Picture]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(pictures)
    matches = match(faces, detections, scores)
    verdict = verdicts(matches, counted)
    names = np.array(["dropped", "false alarm", "hit"])[2 * verdict.hit + verdict.false_alarm]
    got = [names[matches.picture == i].tolist() for i in range(len(pictures))]
    assert got == [oracle.judge(picture).verdicts for picture in pictures]
    assert verdict.dropped.tolist() == (names == "dropped").tolist()


@pytest.mark.parametrize("pictures", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(pictures: list[Picture]) -> None:
    assert_judged_as_by_the_oracle(pictures)


@settings(max_examples=60, deadline=None)
@given(pictures_with_ties())
def test_random(pictures: list[Picture]) -> None:
    assert_judged_as_by_the_oracle(pictures)


def assert_same_counts(pictures: list[Picture], chosen: list[bool]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(pictures)
    matches, mask = select_pictures(match(faces, detections, scores), counted, np.array(chosen, dtype=np.bool_))
    alone = [picture for picture, taken in zip(pictures, chosen, strict=True) if taken]
    faces, detections, scores, counted = oracle.to_arrays(alone)
    expected = match(faces, detections, scores)
    for got, value in ((matches, expected), (count(matches, mask), count(expected, counted))):
        for name in {field.name for field in dataclasses.fields(got)} - {"detection"}:
            assert np.asarray(getattr(got, name)).tolist() == np.asarray(getattr(value, name)).tolist(), name


@settings(max_examples=60, deadline=None)
@given(pictures_with_ties(), st.integers(0, 15))
def test_chosen_pictures_count_as_if_alone(pictures: list[Picture], bits: int) -> None:
    assert_same_counts(pictures, [bool(bits >> i & 1) for i in range(len(pictures))])


@pytest.mark.parametrize("taken", [True, False])
def test_all_and_none_of_the_pictures(taken: bool) -> None:
    for pictures in DEGENERATE.values():
        assert_same_counts(pictures, [taken] * len(pictures))


@settings(max_examples=60, deadline=None)
@given(pictures_with_ties(), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_a_split_is_one_choice_after_another(pictures: list[Picture], labels: list[int]) -> None:
    """Parts without a picture among them; to the last bit."""
    faces, detections, scores, counted = oracle.to_arrays(pictures)
    matches = match(faces, detections, scores)
    part_of = np.array(labels[: len(pictures)], dtype=np.int64)
    parts = list(split_pictures(matches, counted, part_of, 3))
    for number, part in enumerate(parts):
        expected, mask = select_pictures(matches, counted, part_of == number)
        assert part.pictures.tolist() == np.flatnonzero(part_of == number).tolist()
        assert part.faces.tolist() == np.flatnonzero(np.isin(faces.picture, part.pictures)).tolist()
        assert part.counted.tolist() == mask.tolist()
        for field in dataclasses.fields(expected):
            assert getattr(part.matches, field.name).tolist() == getattr(expected, field.name).tolist(), field.name
    assert len(parts) == 3


def test_left_out_detections_are_as_if_never_made() -> None:
    """Without the first of two detections on a face, the second is the hit."""
    box = (10.0, 10.0, 29.0, 29.0)
    faces, detections, scores, counted = oracle.to_arrays([Picture([box], [True], [box, box], [0.9, 0.8])])
    matches = select_detections(match(faces, detections, scores), np.array([False, True]))
    assert matches.detection.tolist() == [1]
    assert verdicts(matches, counted).hit.tolist() == [True]


def test_masks_of_other_lengths_are_refused() -> None:
    faces, detections, scores, counted = oracle.to_arrays(DEGENERATE["ignored in one picture"])
    matches = match(faces, detections, scores)
    with pytest.raises(UsageError, match=r"\(2,\) and \(1,\)"):
        select_pictures(matches, counted, np.array([True]))
    with pytest.raises(UsageError, match="expected masks of 2 faces and 2 pictures"):
        select_pictures(matches, counted[:1], np.array([True, False]))


@pytest.mark.parametrize(("pictures", "half"), [(0, 0), (1, 1), (2, 1), (5, 3), (130, 65)])
def test_half_of_the_pictures(pictures: int, half: int) -> None:
    chosen = first_half(pictures, seed=4)
    assert (len(chosen), int(chosen.sum())) == (pictures, half)
    assert chosen.tolist() == first_half(pictures, seed=4).tolist()


def test_another_seed_chooses_another_half() -> None:
    assert len({tuple(first_half(40, seed).tolist()) for seed in range(20)}) == 20

"""The verdict on each detection, and parts of a matching."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from facebench.benchmarks.scoring import Matches, count, match
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
from facebench.tests.support.scored_images import DEGENERATE, images_with_crowds, images_with_ties
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


@settings(max_examples=100, deadline=None)
@given(images_with_crowds())
def test_random_with_crowds(images: list[Image]) -> None:
    assert_judged_as_by_the_oracle(images)


IN_CROWD = {
    "any number": ([], [(10, 10, 19, 19), (30, 30, 39, 39), (10, 10, 19, 19)], ["dropped"] * 3),
    "half of it inside": ([], [(80, 10, 119, 19), (81, 10, 120, 19)], ["dropped", "false alarm"]),
    "a large box around it": ([], [(0, 0, 199, 199)], ["false alarm"]),
    "a counted face inside goes first": (
        [(10, 10, 29, 29)],
        [(10, 10, 29, 29), (11, 10, 29, 29)],
        ["hit", "dropped"],
    ),
}


@pytest.mark.parametrize(("faces", "found", "expected"), IN_CROWD.values(), ids=IN_CROWD)
def test_crowd_regions_by_hand(faces: list[oracle.Box], found: list[oracle.Box], expected: list[str]) -> None:
    """The region is 100 pixels wide and high, as under plus one."""
    region = (0.0, 0.0, 99.0, 99.0)
    scores = np.linspace(0.9, 0.1, len(found)).tolist()
    image = Image([*faces, region], [*(True for _ in faces), False], found, scores, [*(False for _ in faces), True])
    assert_judged_as_by_the_oracle([image])
    assert oracle.judge(image).verdicts == expected


def in_crowd(matches: Matches) -> list[float]:
    found: list[float] = (np.zeros(len(matches)) if matches.in_crowd is None else matches.in_crowd).tolist()
    return found


def assert_same_counts(images: list[Image], chosen: list[bool]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches, mask = select_images(match(faces, detections, scores), counted, np.array(chosen, dtype=np.bool_))
    alone = [image for image, taken in zip(images, chosen, strict=True) if taken]
    faces, detections, scores, counted = oracle.to_arrays(alone)
    expected = match(faces, detections, scores)
    assert in_crowd(matches) == in_crowd(expected)
    for got, value in ((matches, expected), (count(matches, mask), count(expected, counted))):
        for name in {field.name for field in dataclasses.fields(got)} - {"detection", "in_crowd"}:
            assert np.asarray(getattr(got, name)).tolist() == np.asarray(getattr(value, name)).tolist(), name


@settings(max_examples=60, deadline=None)
@given(st.one_of(images_with_ties(), images_with_crowds()), st.integers(0, 15))
def test_chosen_images_count_as_if_alone(images: list[Image], bits: int) -> None:
    assert_same_counts(images, [bool(bits >> i & 1) for i in range(len(images))])


@pytest.mark.parametrize("taken", [True, False])
def test_all_and_none_of_the_images(taken: bool) -> None:
    for images in DEGENERATE.values():
        assert_same_counts(images, [taken] * len(images))


@settings(max_examples=60, deadline=None)
@given(st.one_of(images_with_ties(), images_with_crowds()), st.lists(st.integers(0, 2), min_size=4, max_size=4))
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
            got, value = (np.asarray(getattr(one, field.name)).tolist() for one in (part.matches, expected))
            assert got == value, field.name
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

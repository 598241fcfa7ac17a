"""Kinds of errors and their cost in AP, worked out by hand, and the faces missed by group."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.resampling.errors import GroupMisses, misses_by_group
from facebench.benchmarks.scoring import Matches, exact_average_precision, match
from facebench.benchmarks.scoring.counting import count
from facebench.benchmarks.scoring.error_analysis import (
    KINDS,
    ErrorAnalysis,
    Kind,
    analyse_errors,
    classify_errors,
    fixed,
)
from facebench.benchmarks.scoring.verdicts import faces_not_hit, verdicts
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE, images_with_crowds, images_with_ties, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

A = (0.0, 0.0, 99.0, 99.0)
B = (1000.0, 0.0, 1099.0, 99.0)
C = (2000.0, 0.0, 2099.0, 99.0)
NOWHERE = (5000.0, 0.0, 5099.0, 99.0)


def part_of(face: oracle.Box, rows: int) -> oracle.Box:
    """Return the upper rows of a face of 100: IoU rows / 100 under the plus-one rule."""
    return (face[0], face[1], face[2], face[1] + rows - 1)


def matched(images: list[Image]) -> tuple[Matches, NDArray[np.bool_]]:
    faces, detections, scores, counted = oracle.to_arrays(images)
    return match(faces, detections, scores), counted


def average_precision(images: list[Image], *kinds: Kind) -> float:
    """Return exact AP as if no error of these kinds had been made."""
    return exact_average_precision(count(*fixed(*matched(images), kinds)))


def analysed(images: list[Image], score_threshold: float = -math.inf) -> ErrorAnalysis:
    return analyse_errors(*matched(images), score_threshold=score_threshold)


def image(boxes: list[oracle.Box], scores: list[float] | None = None, counted: list[bool] | None = None) -> list[Image]:
    """Return one image of the faces A, B and C, with detections by falling score."""
    falling = np.linspace(0.9, 0.1, len(boxes)).tolist()
    return [Image([A, B, C], counted or [True] * 3, boxes, falling if scores is None else scores)]


@pytest.mark.parametrize(
    ("images", "as_it_is", "numbers", "delta_ap"),
    [
        # All found, nothing else.
        (image([A, B, C]), 1.0, {}, {}),
        # Hit, second box on it, two hits: the envelope at the last two is 3/4.
        (image([A, A, B, C]), 1 / 3 + 2 / 3 * 3 / 4, {"duplicate": 1}, {"duplicate": 1 / 6}),
        # A false alarm far from all comes first: precision 1/2, 2/3, 3/4 and so 3/4 throughout.
        (image([NOWHERE, A, B, C]), 3 / 4, {"background": 1}, {"background": 1 / 4}),
        # A at IoU 0.4 first, B and C hit: precision 0, 1/2, 2/3. Moved, it is the hit of A.
        (image([part_of(A, 40), B, C]), 2 / 3 * 2 / 3, {"badly_placed": 1}, {"badly_placed": 1 - 4 / 9}),
        # The same, but A has a hit of its own: the box can only go.
        (image([part_of(A, 40), A, B, C]), 3 / 4, {"badly_placed": 1}, {"badly_placed": 1 / 4}),
        # Of two badly placed boxes on A the first is moved, the second goes. As it is: hits third and fourth, 2/4.
        (image([part_of(A, 20), part_of(A, 40), B, C]), 2 / 3 / 2, {"badly_placed": 2}, {"badly_placed": 2 / 3}),
        # Only the lower one can be moved up to IoU 1; its score stays: hit at rank 3 of 3.
        (image([B, C, part_of(A, 40)]), 2 / 3, {"badly_placed": 1}, {"badly_placed": 1 / 3}),
        # One face of three found: two thirds of recall are lost, and given back.
        (image([A]), 1 / 3, {"missed": 2}, {"missed": 2 / 3}),
        # A and B found after a false alarm, C missed: AP 2/3 · 2/3; without C in the denominator 2/3.
        (
            image([NOWHERE, A, B]),
            4 / 9,
            {"background": 1, "missed": 1},
            {"background": 2 / 3 - 4 / 9, "missed": 2 / 3 - 4 / 9},
        ),
        # C does not count: a box at IoU 0.4 of it is a false alarm, one at 0.6 is dropped.
        (
            image([part_of(C, 40), part_of(C, 60), A, B], counted=[True, True, False]),
            2 / 3,
            {"near_ignored": 1},
            {"near_ignored": 1 / 3},
        ),
        # IoU of 0.1 is badly placed, 0.09 is background.
        (
            image([A, B, part_of(C, 9), part_of(C, 10)]),
            2 / 3,
            {"background": 1, "badly_placed": 1},
            {"background": 0.0, "badly_placed": 1 / 3 * 3 / 4},
        ),
        # Nothing found at all: no face is left when missing is fixed.
        (image([]), 0.0, {"missed": 3}, {"missed": math.nan}),
        # Noise alone: the same.
        (image([NOWHERE]), 0.0, {"background": 1, "missed": 3}, {"missed": math.nan}),
    ],
)
def test_costs_by_hand(
    images: list[Image], as_it_is: float, numbers: dict[Kind, int], delta_ap: dict[Kind, float]
) -> None:
    analysis = analysed(images)
    assert average_precision(images) == pytest.approx(as_it_is)
    assert {kind: cost.count for kind, cost in analysis.kinds.items()} == {kind: numbers.get(kind, 0) for kind in KINDS}
    expected = {kind: delta_ap.get(kind, 0.0) for kind in KINDS}
    assert {kind: cost.delta_ap for kind, cost in analysis.kinds.items()} == pytest.approx(expected, nan_ok=True)


def test_counts_at_a_threshold_leave_out_what_a_user_does_not_see() -> None:
    """At 0.5: B is hit, A has a bad box, C is missed. Below lie a hit of C, a duplicate and noise."""
    images = image([B, part_of(A, 40), C, B, NOWHERE], [0.9, 0.5, 0.4, 0.3, 0.2])
    analysis = analysed(images, 0.5)
    assert {kind: (cost.count, cost.count_at_threshold) for kind, cost in analysis.kinds.items()} == {
        "duplicate": (1, 0),
        "badly_placed": (1, 1),
        "near_ignored": (0, 0),
        "background": (1, 0),
        "missed": (0, 1),
    }
    assert (analysis.unfound_at_threshold, analysis.faces) == (2, 3)


def test_false_alarms_on_images_without_faces_are_background() -> None:
    images = [Image([], [], [A], [0.9]), Image([A], [True], [A], [0.8])]
    assert analysed(images).kinds["background"].delta_ap == 0.5


def test_a_box_near_a_crowd_region_is_near_what_is_ignored() -> None:
    """B is a region. Of the boxes 60, 30 and 5 of 100 columns lie in it; the last but one is badly placed on A too."""
    boxes = [A, (1040.0, 0.0, 1139.0, 99.0), (1070.0, 0.0, 1169.0, 99.0), (1095.0, 0.0, 1194.0, 99.0)]
    images = [Image([A, B], [True, False], boxes, [0.9, 0.8, 0.7, 0.6], [False, True])]
    numbers = {kind: cost.count for kind, cost in analysed(images).kinds.items() if cost.count}
    assert numbers == {"near_ignored": 1, "background": 1}
    wide = (0.0, 0.0, 399.0, 99.0)
    images = [Image([A, wide], [True, False], [(60.0, 0.0, 159.0, 99.0)], [0.9], [False, True])]
    assert [kind for kind, cost in analysed(images).kinds.items() if cost.count] == ["missed"], "it is in the region"
    images = [Image([A, (140.0, 0.0, 399.0, 99.0)], [True, False], [(60.0, 0.0, 159.0, 99.0)], [0.9], [False, True])]
    assert [kind for kind, cost in analysed(images).kinds.items() if cost.count] == ["badly_placed"], (
        "the face goes first"
    )


@settings(max_examples=40, deadline=None)
@given(images_with_crowds())
def test_random_with_crowds(images: list[Image]) -> None:
    assert_errors_add_up(images)


def assert_errors_add_up(images: list[Image]) -> None:
    """Each false alarm has one kind, no fix lowers AP, and without errors AP is 1."""
    matches, counted = matched(images)
    errors, verdict = classify_errors(matches, counted), verdicts(matches, counted)
    owners = np.sum([errors.false_alarms[kind] for kind in KINDS if kind != "missed"], axis=0, dtype=np.int64)
    assert owners.tolist() == verdict.false_alarm.astype(int).tolist()
    assert errors.unfound.sum() + verdict.hit.sum() == counted.sum()
    assert not (errors.missed & ~errors.unfound).any()
    for cost in analysed(images).kinds.values():
        assert math.isnan(cost.delta_ap) or cost.delta_ap >= -1e-12
    found = counted.sum() > errors.missed.sum()
    assert average_precision(images, *KINDS) == pytest.approx(1.0 if found else math.nan, nan_ok=True)


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(images: list[Image]) -> None:
    assert_errors_add_up(images)


@settings(max_examples=80, deadline=None)
@given(st.one_of(images_with_ties(), st.integers(0, 2**32 - 1).map(scene)))
def test_errors_add_up(images: list[Image]) -> None:
    assert_errors_add_up(images)


def misses(
    matches: Matches, counted: NDArray[np.bool_], labels: NDArray[np.generic], score_threshold: float = -math.inf
) -> dict[str | int, GroupMisses]:
    hit = verdicts(matches, counted).hit & (matches.scores >= score_threshold)
    no_draws = np.empty((0, matches.images), dtype=np.int8)
    return misses_by_group(matches.face_offsets, counted, faces_not_hit(matches, counted, hit), labels, no_draws)


def test_missed_faces_by_group() -> None:
    """A and B are tiny, C is large, an ignored face is of a group of its own; B is found below the threshold alone."""
    images = [
        Image([A, B, C], [True] * 3, [C, B], [0.9, 0.2]),
        Image([A, B], [True, False], [A], [0.9]),
    ]
    matches, counted = matched(images)
    labels = np.array(["tiny", "tiny", "large", "tiny", "odd"])
    groups = misses(matches, counted, labels, 0.5)
    assert list(groups) == ["large", "odd", "tiny"]
    assert {name: (group.faces, group.unfound) for name, group in groups.items()} == {
        "large": (1, 0),
        "odd": (0, 0),
        "tiny": (3, 2),
    }
    assert groups["tiny"].share.value == pytest.approx(2 / 3)
    assert math.isnan(groups["odd"].share.value)
    assert misses(matches, counted, labels)["tiny"].unfound == 1


def test_groups_by_number_keep_their_order() -> None:
    matches, counted = matched(image([A]))
    groups = misses(matches, counted, np.array([2, 0, 10], dtype=np.int8))
    assert {name: group.unfound for name, group in groups.items()} == {0: 1, 2: 0, 10: 1}
    assert list(groups) == [0, 2, 10]


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_groups_add_up_to_all_faces(images: list[Image]) -> None:
    matches, counted = matched(images)
    groups = misses(matches, counted, np.arange(matches.faces) % 2).values()
    assert sum(group.faces for group in groups) == counted.sum()
    assert sum(group.unfound for group in groups) == classify_errors(matches, counted).unfound.sum()


def test_labels_must_be_one_a_face() -> None:
    matches, counted = matched(image([A]))
    with pytest.raises(UsageError, match=r"each of 3 faces, got labels of shape \(2,\)"):
        misses(matches, counted, np.array([1, 2]))

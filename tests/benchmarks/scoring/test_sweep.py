"""The threshold sweep, the end of the curve, and thresholds chosen for a target."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.scoring import (
    Counts,
    ImageBoxes,
    count,
    exact_average_precision,
    match,
    operating_point,
)
from facebench.benchmarks.scoring.sweep import curve_end, sweep
from facebench.benchmarks.scoring.thresholds import choose_threshold
from facebench.benchmarks.scoring.verdicts import first_half
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE, images_with_ties
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

FACE = (10.0, 10.0, 29.0, 29.0)
OTHER = (40.0, 10.0, 59.0, 29.0)
NOWHERE = (200.0, 200.0, 220.0, 220.0)


def counts_of(images: list[Image]) -> Counts:
    faces, detections, scores, counted = oracle.to_arrays(images)
    return count(match(faces, detections, scores), counted)


def curve(hits: list[int], false_alarms: list[int], faces: int, thresholds: list[float] | None = None) -> Counts:
    """Return counts with these steps between thresholds, on one image."""
    return Counts(
        thresholds=np.array(thresholds or np.linspace(1, 0.1, len(hits)), dtype=np.float64),
        hits=np.cumsum(hits, dtype=np.int64),
        false_alarms=np.cumsum(false_alarms, dtype=np.int64),
        false_alarms_on_empty=np.zeros(len(hits), dtype=np.int64),
        hit_iou=np.cumsum(hits, dtype=np.float64),
        faces=faces,
        images=1,
    )


def test_sweep_by_hand() -> None:
    """A hit, a false alarm, a hit among four faces in two images."""
    images = [
        Image([FACE, OTHER], [True] * 2, [FACE, NOWHERE], [0.9, 0.6]),
        Image([FACE, OTHER], [True] * 2, [FACE], [0.3]),
    ]
    swept = sweep(counts_of(images))
    assert swept.thresholds.tolist() == [0.9, 0.6, 0.3]
    assert swept.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert swept.recall.tolist() == [0.25, 0.25, 0.5]
    assert swept.f1.tolist() == pytest.approx([2 / 5, 2 / 6, 4 / 7])
    # F2 = 5 P R / (4 P + R)
    assert swept.f2.tolist() == pytest.approx([1.25 / 4.25, 0.625 / 2.25, (5 / 3) / (8 / 3 + 0.5)])
    assert swept.false_alarms_per_image.tolist() == [0, 0.5, 0.5]


def assert_sweep_is_the_operating_points(images: list[Image]) -> None:
    counts = counts_of(images)
    swept = sweep(counts)
    for i, threshold in enumerate(swept.thresholds):
        point = operating_point(counts, float(threshold))
        for name in ("hits", "false_alarms", "precision", "recall", "f1", "false_alarms_per_image"):
            assert getattr(swept, name)[i] == pytest.approx(getattr(point, name), nan_ok=True, abs=1e-15), name
    for rising in (swept.hits, swept.false_alarms, -swept.thresholds):
        assert (np.diff(rising) >= 0).all()
    if counts.faces:
        assert (np.diff(swept.recall) >= 0).all()


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_sweep_of_degenerate_input(images: list[Image]) -> None:
    assert_sweep_is_the_operating_points(images)


@settings(max_examples=60, deadline=None)
@given(images_with_ties())
def test_sweep_at_a_threshold_is_the_operating_point_and_recall_never_rises_with_it(images: list[Image]) -> None:
    assert_sweep_is_the_operating_points(images)


def test_end_of_a_curve_by_hand() -> None:
    """20 detections on 20 faces, of which the first 10 hit, then every other one: 15 hits.

    The lowest tenth is a false alarm and a hit, which adds 1/20 of recall at precision 15/20.
    """
    hits = [1] * 10 + [0, 1] * 5
    end = curve_end(curve(hits, [1 - hit for hit in hits], 20))
    assert (end.recall, end.precision, end.lowest_score) == (0.75, 0.75, 0.1)
    assert end.tail_average_precision == pytest.approx(1 / 20 * 15 / 20)
    expected = (10 + 11 / 12 + 12 / 14 + 13 / 16 + 14 / 18 + 15 / 20) / 20
    assert end.average_precision == pytest.approx(expected)
    assert end.average_precision_bound == pytest.approx(expected + 0.25 * 0.75)
    assert end.is_cut
    assert end.statement == (
        "the curve ends at recall 0.75 with precision 0.75, where the lowest-scored tenth still adds 0.037 of AP: "
        "scores below 0.1 were not returned, AP 0.706 is a lower bound (0.893 if all other faces followed at that "
        "precision)"
    )


@pytest.mark.parametrize(
    ("hits", "false_alarms", "faces", "cut"),
    [
        ([9] * 10, [1] * 10, 100, True),
        ([10] * 10, [0] * 10, 100, False),  # nothing left to find
        ([9] * 9 + [0], [1] * 9 + [10], 100, False),  # the last tenth finds nothing
        ([9] * 5 + [1, 0, 0, 0, 0], [1] * 5 + [100] * 5, 100, False),  # a long tail of noise
        ([50], [2], 100, True),  # all scores equal
        ([0, 0], [3, 3], 100, False),
    ],
)
def test_what_counts_as_a_cut_curve(hits: list[int], false_alarms: list[int], faces: int, cut: bool) -> None:
    end = curve_end(curve(hits, false_alarms, faces))
    assert end.is_cut is cut
    assert ("lower bound" in end.statement) is cut


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_end_of_degenerate_curves(images: list[Image]) -> None:
    counts = counts_of(images)
    end = curve_end(counts)
    undefined = counts.faces == 0 or counts.proposals[-1:].sum() == 0
    assert math.isnan(end.recall) is bool(undefined)
    assert (end.statement == "") is bool(undefined)
    assert not (undefined and end.is_cut)
    assert end.average_precision == pytest.approx(exact_average_precision(counts), nan_ok=True)


def noisy(rng: np.random.Generator, faces: int) -> tuple[Counts, Counts]:
    """Return the counts of a detector whose scores tell hits from noise with some overlap, whole and from 0.5 up."""
    hit = np.arange(4 * faces) < faces
    scores = 1 / (1 + np.exp(-rng.normal(np.where(hit, 1.0, -2.0), 1.2)))
    order = np.argsort(-scores)
    hit, scores = hit[order], scores[order]
    above = scores >= 0.5
    whole, cut = (
        curve(hit[part].tolist(), (~hit[part]).tolist(), faces, scores[part].tolist()) for part in (above | True, above)
    )
    return whole, cut


@pytest.mark.parametrize("seed", range(5))
def test_a_floor_of_one_half_is_noticed_and_the_bound_holds(seed: int) -> None:
    """Known fault: a floor of 0.5 costs points of AP without a word."""
    whole, cut = noisy(np.random.default_rng(seed), 2000)
    assert not curve_end(whole).is_cut
    end = curve_end(cut)
    assert end.is_cut
    assert end.average_precision + 0.02 < exact_average_precision(whole) < end.average_precision_bound


def scene(kinds: list[list[tuple[float, bool]]]) -> tuple[ImageBoxes, ImageBoxes, NDArray[np.float64]]:
    """Return images with three faces each and detections (score, whether it hits the next face)."""
    faces = [[(50.0 * i, 0, 50.0 * i + 20, 20) for i in range(3)]] * len(kinds)
    found, scores = [], []
    for kind, truth in zip(kinds, faces, strict=True):
        left = iter(truth)
        found.append([next(left) if hit else NOWHERE for _, hit in kind])
        scores += [score for score, _ in kind]
    return ImageBoxes.from_images(faces), ImageBoxes.from_images(found), np.array(scores)


SEED = 3
CHOOSING = first_half(4, SEED)
IN_CHOOSING = [(0.9, True), (0.8, True), (0.4, False), (0.2, True)]
IN_REPORTING = [(0.9, True), (0.85, False), (0.5, True), (0.1, False)]


def images_by_half(choosing: list[tuple[float, bool]], reporting: list[tuple[float, bool]]):
    faces, detections, scores = scene([choosing if first else reporting for first in CHOOSING])
    return match(faces, detections, scores), np.ones(len(faces), dtype=np.bool_)


@pytest.mark.parametrize(
    ("target", "threshold", "chosen", "got", "recall"),
    [
        ({"precision": 0.9}, 0.8, 1.0, 1 / 2, 1 / 3),
        ({"precision": 0.75}, 0.2, 3 / 4, 2 / 3, 2 / 3),  # lower precision at 0.4 does not matter
        ({"precision": 0.7}, 0.2, 3 / 4, 2 / 3, 2 / 3),
        ({"false_alarms_per_image": 0.5}, 0.8, 0.0, 1.0, 1 / 3),
        ({"false_alarms_per_image": 1.0}, 0.2, 1.0, 1.0, 2 / 3),
        ({"false_alarms_per_image": 0.0}, 0.8, 0.0, 1.0, 1 / 3),
    ],
)
def test_threshold_for_a_target(
    target: dict[str, float], threshold: float, chosen: float, got: float, recall: float
) -> None:
    choice = choose_threshold(*images_by_half(IN_CHOOSING, IN_REPORTING), **target, seed=SEED)
    assert choice.reached
    assert (choice.score_threshold, choice.choosing_images, choice.reporting_images) == (threshold, 2, 2)
    assert getattr(choice.chosen_on, choice.rate) == pytest.approx(chosen)
    assert choice.got == pytest.approx(got)
    assert choice.reported_on.recall == pytest.approx(recall)
    assert choice.at_floor is (threshold == 0.2)
    assert ("the lowest score returned already does" in choice.statement) is choice.at_floor
    assert f"threshold {threshold} gives" in choice.statement


@pytest.mark.parametrize(
    ("choosing", "target", "best", "statement"),
    [
        (
            [(0.9, False), (0.8, True), (0.7, True)],
            {"precision": 0.9},
            2 / 3,
            "precision of at least 0.9 is out of reach on the 2 images it was sought on: the best at any threshold "
            "is 0.667",
        ),
        (
            [(0.9, False), (0.8, True)],
            {"false_alarms_per_image": 0.1},
            1.0,
            "false alarms per image of at most 0.1 is out of reach on the 2 images it was sought on: the best at "
            "any threshold is 1",
        ),
        (
            [(0.9, False)],
            {"precision": 0.1},
            math.nan,
            "precision of at least 0.1 is out of reach on the 2 images it was sought on: no face was hit",
        ),
        (
            [],
            {"false_alarms_per_image": 5},
            math.nan,
            "false alarms per image of at most 5 is out of reach on the 2 images it was sought on: no face was hit",
        ),
    ],
)
def test_a_target_out_of_reach_gets_no_number(
    choosing: list[tuple[float, bool]], target: dict[str, float], best: float, statement: str
) -> None:
    choice = choose_threshold(*images_by_half(choosing, IN_REPORTING), **target, seed=SEED)
    assert not choice.reached
    assert (choice.chosen_on, choice.reported_on, choice.at_floor) == (None, None, False)
    assert math.isnan(choice.score_threshold)
    assert math.isnan(choice.got)
    assert choice.best_on_choosing_half == pytest.approx(best, nan_ok=True)
    assert choice.statement == statement


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=3))
def test_the_reporting_half_has_no_say(reporting: list[tuple[float, bool]]) -> None:
    choice = choose_threshold(*images_by_half(IN_CHOOSING, reporting), precision=0.9, seed=SEED)
    assert (choice.score_threshold, choice.best_on_choosing_half) == (0.8, 1.0)
    accepted = [hit for score, hit in reporting if score >= 0.8]
    assert choice.reported_on.hits == 2 * sum(accepted)
    assert choice.reported_on.false_alarms == 2 * (len(accepted) - sum(accepted))


def test_one_image_leaves_nothing_to_report_on() -> None:
    faces, detections, scores = scene([IN_CHOOSING])
    choice = choose_threshold(match(faces, detections, scores), np.ones(3, dtype=np.bool_), precision=0.9)
    assert (choice.reached, choice.score_threshold) == (True, 0.8)
    assert (choice.choosing_images, choice.reporting_images, choice.reported_on.images) == (1, 0, 0)
    assert math.isnan(choice.got)


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("target", [{"precision": 0.5}, {"false_alarms_per_image": 0.5}])
def test_choice_on_degenerate_input(images: list[Image], target: dict[str, float]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    choice = choose_threshold(match(faces, detections, scores), counted, **target)
    assert choice.choosing_images + choice.reporting_images == len(images)
    if choice.reached:
        value = getattr(choice.chosen_on, choice.rate)
        assert value >= 0.5 if choice.rate == "precision" else value <= 0.5
        assert choice.chosen_on.hits > 0
    else:
        assert math.isnan(choice.score_threshold)


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"precision": 0.9, "false_alarms_per_image": 0.1},
        {"precision": 0.0},
        {"precision": 1.1},
        {"precision": math.nan},
        {"false_alarms_per_image": -0.1},
        {"false_alarms_per_image": math.inf},
        {"false_alarms_per_image": math.nan},
    ],
)
def test_targets_that_are_refused(target: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        choose_threshold(*images_by_half(IN_CHOOSING, IN_REPORTING), **target)

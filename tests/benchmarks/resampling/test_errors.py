"""Intervals of errors, boxes, thresholds, curves and misses equal scoring the repeated images."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from facebench.benchmarks.resampling import average_precision as resampled_curves
from facebench.benchmarks.resampling import bands as resampled_sweep
from facebench.benchmarks.resampling import boxes as resampled_boxes
from facebench.benchmarks.resampling import statistics as resampling
from facebench.benchmarks.resampling.bands import SweepBands, sweep_bands
from facebench.benchmarks.resampling.bootstrap import Interval, draw_weights
from facebench.benchmarks.resampling.boxes import (
    box_habit,
    hit_overlap,
    weighted_quantiles,
)
from facebench.benchmarks.resampling.errors import misses_by_group, threshold_choice_interval
from facebench.benchmarks.scoring import ImageBoxes, Matches, count, exact_average_precision, match, operating_point
from facebench.benchmarks.scoring.localisation import box_bias
from facebench.benchmarks.scoring.sweep import sweep
from facebench.benchmarks.scoring.thresholds import ThresholdChoice, choose_threshold
from facebench.benchmarks.scoring.verdicts import faces_not_hit, first_half, verdicts
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.plain_ends import plain_ends  # noqa: F401
from facebench.tests.support.scored_images import DEGENERATE, A, B, images_with_ties, ones, repeat, scene, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

THRESHOLD = 0.4
BIAS = ("dx", "dy", "width_ratio", "height_ratio")
many = settings(max_examples=25, deadline=None)


class Scene(NamedTuple):
    faces: ImageBoxes
    boxes: ImageBoxes
    scores: NDArray[np.float64]
    counted: NDArray[np.bool_]
    matches: Matches
    labels: NDArray[np.str_]


def laid_out(images: list[Image]) -> Scene:
    faces, boxes, scores, counted = oracle.to_arrays(images)
    labels = np.where(faces.boxes[:, 2] - faces.boxes[:, 0] > 15, "large", "small")
    return Scene(faces, boxes, scores, counted, match(faces, boxes, scores), labels)


class Held(NamedTuple):
    """What is read off the real images and held in every draw."""

    choices: list[ThresholdChoice]
    thresholds: NDArray[np.float64]

    @classmethod
    def of(cls, images: list[Image]) -> Held:
        _, _, _, counted, matches, _ = laid_out(images)
        targets = ({"precision": 0.4}, {"false_alarms_per_image": 0.5})
        return cls(
            [choose_threshold(matches, counted, **target, seed=1) for target in targets],
            sweep(count(matches, counted)).thresholds,
        )


def resampled(images: list[Image], held: Held, weights: NDArray[np.integer]) -> dict[str, Interval]:
    """Every interval but the bands, by a name of its own."""
    faces, boxes, _, counted, matches, labels = laid_out(images)
    overlap = hit_overlap(matches, counted, weights, score_threshold=THRESHOLD)
    habit = box_habit(matches, faces, boxes, counted, weights, score_threshold=THRESHOLD)
    groups: dict[str, dict[Any, Interval]] = {
        "bias": {name: getattr(habit, name) for name in BIAS},
        "overlap": {"mean": overlap.mean, "median": overlap.median},
        "choice": {
            choice.rate: one
            for choice in held.choices
            if (one := threshold_choice_interval(choice, matches, counted, weights, seed=1)) is not None
        },
        "missed": {name: one.share for name, one in misses(matches, counted, labels, weights).items()},
    }
    return {f"{group} {name}": one for group, named in groups.items() for name, one in named.items()}


def misses(
    matches: Matches, counted: NDArray[np.bool_], labels: NDArray[np.generic], weights: NDArray[np.integer]
) -> dict[Any, Any]:
    return misses_by_group(matches.face_offsets, counted, unfound(matches, counted), labels, weights)


def unfound(matches: Matches, counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return faces_not_hit(matches, counted, verdicts(matches, counted).hit & (matches.scores >= THRESHOLD))


def copied(originals: list[Image], held: Held, weights: list[int]) -> dict[str, float]:
    """The same numbers by plain functions on the repeated images; groups and targets that vanish are left out."""
    faces, boxes, _, counted, matches, labels = laid_out(repeat(originals, weights))

    def exact_ap(some: Matches, counts: NDArray[np.bool_], iou: float = 0.5) -> float:
        return exact_average_precision(count(some, counts, iou_threshold=iou))

    bias = box_bias(matches, faces, boxes, counted, score_threshold=THRESHOLD)
    overlap = matches.plain_iou[verdicts(matches, counted).hit & (matches.scores >= THRESHOLD)]
    missed = unfound(matches, counted)
    return {
        **{f"bias {name}": getattr(bias, name) for name in BIAS},
        "overlap mean": float(overlap.mean()) if len(overlap) else math.nan,
        "overlap median": float(np.median(overlap)) if len(overlap) else math.nan,
        **{f"choice {choice.rate}": reported(originals, choice, weights) for choice in held.choices if choice.reached},
        **{
            f"missed {name}": float(missed[labels == name].sum() / some) if some else math.nan
            for name in np.unique(labels).tolist()
            for some in [counted[labels == name].sum()]
        },
    }


def reported(originals: list[Image], choice: ThresholdChoice, weights: list[int]) -> float:
    reports = (~first_half(len(originals), 1)).tolist()
    scene = laid_out(repeat(originals, [times * mine for times, mine in zip(weights, reports, strict=True)]))
    counts = count(scene.matches, scene.counted)
    point = operating_point(counts, choice.score_threshold)
    return float(getattr(point, choice.rate))


def assert_equal_to_repeating(images: list[Image], weights: list[int]) -> None:
    """Of one draw both ends of the interval are its value."""
    held = Held.of(images)
    draw = np.array([weights], dtype=np.int32).reshape(1, len(images))
    expected = copied(images, held, weights)
    got = resampled(images, held, draw)
    plain = copied(images, held, [1] * len(images))
    assert got.keys() == plain.keys()
    expected |= dict.fromkeys(got.keys() - expected.keys(), math.nan)
    for end in ("low", "high"):
        ends = {name: getattr(one, end) for name, one in got.items()}
        assert ends == pytest.approx(expected, abs=1e-12, rel=0, nan_ok=True)
    assert {name: one.value for name, one in got.items()} == pytest.approx(plain, abs=1e-12, rel=0, nan_ok=True)
    assert {name for name, one in got.items() if one.draws == 0} == {n for n, v in expected.items() if math.isnan(v)}
    assert_bands_equal_to_repeating(images, held, weights)


def assert_bands_equal_to_repeating(images: list[Image], held: Held, weights: list[int]) -> None:
    scene, copies = laid_out(images), laid_out(repeat(images, weights))
    draw = np.array([weights], dtype=np.int32).reshape(1, len(images))
    bands = sweep_bands(scene.matches, scene.counted, held.thresholds, draw)
    counts = count(copies.matches, copies.counted)
    points = [operating_point(counts, t) for t in held.thresholds]
    expected = {rate: [getattr(p, rate) for p in points] for rate in SweepBands._fields if rate != "f2"}
    rates = zip(expected["precision"], expected["recall"], points, strict=True)
    expected["f2"] = [f2(precision, recall, point.f1) for precision, recall, point in rates]
    for rate, band in bands._asdict().items():
        assert band.low.tolist() == pytest.approx(expected[rate], abs=1e-12, nan_ok=True), rate
        assert band.high.tolist() == pytest.approx(expected[rate], abs=1e-12, nan_ok=True), rate


def f2(precision: float, recall: float, f1: float) -> float:
    """By van Rijsbergen's formula; where that says nothing, as f1: 0 or nan."""
    if math.isnan(precision) or math.isnan(recall) or precision + recall == 0:
        return f1
    return 5 * precision * recall / (4 * precision + recall)


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("weight", [0, 1, 3])
def test_equal_weights(images: list[Image], weight: int) -> None:
    assert_equal_to_repeating(images, [weight] * len(images))


@many
@given(seeds, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_weight_is_a_number_of_copies(seed: int, weights: list[int]) -> None:
    images = scene(seed)
    assert_equal_to_repeating(images, weights[: len(images)])


@many
@given(images_with_ties(), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_a_weight_is_a_number_of_copies_with_ties_of_score(images: list[Image], weights: list[int]) -> None:
    assert_equal_to_repeating(images, weights[: len(images)])


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
def test_many_draws_are_the_draws_one_by_one(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size; the interval of two draws has the one at either end."""
    for module in (resampled_boxes, resampled_sweep):
        monkeypatch.setattr(module, "_NUMBERS_PER_BLOCK", block)
    images = [image for seed in range(8) for image in scene(seed)]
    rows = draw_weights(len(images), draws=12, seed=3)
    values = laid_out(images).boxes.boxes[:, 0]
    image = laid_out(images).boxes.image
    for level in (0.0, 0.05, 0.5, 0.75, 1.0):
        expected = [np.quantile(np.repeat(values, row[image]), level) for row in rows]
        assert weighted_quantiles(values, image, rows, level).tolist() == pytest.approx(expected)

    scene_ = laid_out(images)
    thresholds = sweep(count(scene_.matches, scene_.counted)).thresholds
    together = sweep_bands(scene_.matches, scene_.counted, thresholds, rows)
    alone = [sweep_bands(scene_.matches, scene_.counted, thresholds, row[None]) for row in rows]
    for rate, band in together._asdict().items():
        values = np.array([getattr(one, rate).low for one in alone])
        some = ~np.isnan(values).all(axis=0)
        assert some.sum() > 30
        assert band.low[some] == pytest.approx(np.nanquantile(values[:, some], 0.025, axis=0))
        assert band.high[some] == pytest.approx(np.nanquantile(values[:, some], 0.975, axis=0))


def test_several_quantiles_are_the_quantiles_one_by_one() -> None:
    images = [image for seed in range(8) for image in scene(seed)]
    weights = draw_weights(len(images), draws=12, seed=3)
    boxes = laid_out(images).boxes
    levels = (0.05, 0.5, 0.95)
    for values, image in ((boxes.boxes[:, 0], boxes.image), (np.empty(0), np.empty(0, np.int64))):
        together = weighted_quantiles(values, image, weights, levels)
        assert together.shape == (3, 12)
        for one, level in zip(together, levels, strict=True):
            assert np.array_equal(one, weighted_quantiles(values, image, weights, level), equal_nan=True)


@pytest.mark.parametrize("draws_a_block", [1, 7])
def test_a_block_of_draws_is_as_good_as_all_of_them(draws_a_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every interval in depth: equal, but for the rounding of what is not made of whole numbers."""
    images = [image for seed in range(8) for image in scene(seed)]
    held = Held.of(images)
    weights = draw_weights(len(images), draws=40)
    together = resampled(images, held, weights)
    monkeypatch.setattr(resampling, "NUMBERS_PER_BLOCK", draws_a_block * len(images))
    in_blocks = resampled(images, held, weights)
    assert {"missed large"} <= together.keys()
    for name, one in together.items():
        if name == "overlap mean":
            expected = pytest.approx((one.low, one.high), rel=1e-14, abs=0)
            assert (in_blocks[name].low, in_blocks[name].high) == expected, name
        else:
            assert in_blocks[name] == one, name


def test_the_same_seed_gives_the_same_intervals_around_the_values() -> None:
    images = [image for seed in range(12) for image in scene(seed)]
    held = Held.of(images)
    first, again, other = (
        resampled(images, held, draw_weights(len(images), draws=200, seed=seed)) for seed in (4, 4, 5)
    )
    assert first == again
    assert first != other
    assert {"choice precision", "missed large"} <= first.keys()
    for name, one in first.items():
        assert one.low < one.high, name
        assert one.low <= one.value <= one.high, name


@pytest.mark.parametrize("images", [DEGENERATE["no detections"], [Image([A], [True], [A], [0.9])]])
def test_no_draws(images: list[Image]) -> None:
    held = Held.of(images)
    for one in resampled(images, held, draw_weights(len(images), draws=0)).values():
        assert (math.isnan(one.low), math.isnan(one.high), one.draws) == (True, True, 0)


def test_a_habit_that_all_boxes_share_has_no_width() -> None:
    """Every box a tenth of the face to the right and half as high again about the same centre; 20 images."""
    boxes = [(x, 0.0, x + 20.0, 40.0) for x in range(0, 600, 30)]
    found = [(x1 + 2, -10.0, x2 + 2, 50.0) for x1, _, x2, _ in boxes]
    images = [Image([box], [True], [other], [0.9]) for box, other in zip(boxes, found, strict=True)]
    faces, detections, scores, counted = oracle.to_arrays(images)
    weights = draw_weights(20, draws=100)
    matches = match(faces, detections, scores)
    habit = box_habit(matches, faces, detections, counted, weights)
    for one, value in ((habit.dx, 0.1), (habit.dy, 0.0), (habit.width_ratio, 1.0), (habit.height_ratio, 1.5)):
        assert (one.value, one.low, one.high) == pytest.approx((value,) * 3, abs=1e-12)


def test_a_target_out_of_reach_has_no_interval() -> None:
    images = [Image([A], [True], [B], [0.9])] * 4
    faces, boxes, scores, counted = oracle.to_arrays(images)
    matches = match(faces, boxes, scores)
    choice = choose_threshold(matches, counted, precision=0.5)
    assert threshold_choice_interval(choice, matches, counted, draw_weights(4, draws=9)) is None


def by_name(scene: Scene, images: list[Image]) -> dict[str, Callable[[NDArray[np.integer]], object]]:
    held = Held.of(images)
    faces, boxes, _, counted, matches, labels = scene
    return {
        "habit": lambda w: box_habit(matches, faces, boxes, counted, w),
        "overlap": lambda w: hit_overlap(matches, counted, w),
        "choice": lambda w: threshold_choice_interval(held.choices[0], matches, counted, w),
        "bands": lambda w: sweep_bands(matches, counted, held.thresholds, w),
        "misses": lambda w: misses(matches, counted, labels, w),
    }


@pytest.mark.parametrize("name", by_name(laid_out([]), []))
def test_working_memory_does_not_grow_with_the_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bytes at most for each further weight, which is one itself; floats of all of them would be eight."""
    images = [Image([A, B], [True, True], [A], [0.9]), Image([A], [True], [B, A], [0.8, 0.6])] * 300
    few, many_ = (draw_weights(len(images), draws=draws) for draws in (100, 500))
    for module, constant in (
        (resampling, "NUMBERS_PER_BLOCK"),
        (resampled_boxes, "_NUMBERS_PER_BLOCK"),
        (resampled_curves, "_NUMBERS_PER_BLOCK"),
        (resampled_sweep, "_NUMBERS_PER_BLOCK"),
    ):
        monkeypatch.setattr(module, constant, 10 * len(images))
    function = by_name(laid_out(images), images)[name]
    function(few[:2])
    held = []
    for weights in (few, many_):
        tracemalloc.start()
        function(weights)
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert held[1] - held[0] < 2 * (many_.size - few.size)


@pytest.mark.parametrize("name", by_name(laid_out([]), []))
@pytest.mark.parametrize("wrong", [np.ones((2, 4), np.int32), np.ones(3, np.int32), np.ones((2, 3))])
def test_weights_that_are_refused(name: str, wrong: NDArray[np.integer]) -> None:
    images = [Image([A, B], [True, True], [A], [0.9])] * 3
    with pytest.raises(UsageError, match=r"whole numbers \(draws, 3\)"):
        by_name(laid_out(images), images)[name](wrong)


def test_rising_thresholds_are_refused() -> None:
    images = [Image([A], [True], [A, B], [0.9, 0.5])]
    scene = laid_out(images)
    with pytest.raises(UsageError, match="never rise"):
        sweep_bands(scene.matches, scene.counted, np.array([0.5, 0.9]), ones(images))

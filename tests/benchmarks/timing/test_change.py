"""The change of latency between two versions: its ratios, their intervals, the noise of the same code."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.benchmarks.timing.change import latency_change
from facebench.benchmarks.timing.latency_verdict import latency_verdict, needed_rounds
from facebench.errors import UsageError
from facebench.tests.support.timed_sides import SIDES, compared, measured
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

Times = NDArray[np.float64]


def one_level(levels: list[float], images: int = 8) -> Times:
    """Return rounds in which every image takes the same time, so that only rounds differ."""
    return np.exp(np.repeat(np.array(levels)[:, None], images, axis=1))


# degenerate


def test_no_common_image() -> None:
    change = latency_change(np.array([[1.0, np.nan]] * 2), np.array([[np.nan, 1.0]] * 2))
    assert (change.images, change.left_out, change.rounds, change.floor) == (0, 2, 2, None)
    assert math.isnan(change.median.ratio.value)
    assert latency_verdict(change, 0.05).outcome == "inconclusive"
    assert needed_rounds(change, 0.05) is None


def test_a_image_counts_where_every_round_measured_it() -> None:
    rng = np.random.default_rng(2)
    base, head, again = measured(rng, "again", rounds=3, images=9, offset=0.01, noise=0.02)
    whole = latency_change(base[:, 3:], head[:, 3:], again[:, 3:], paired=True)
    base[1, 0], head[2, 1], again[0, 2] = np.nan, np.nan, np.nan
    change = latency_change(base, head, again, paired=True)
    assert (change.images, change.left_out) == (6, 3)
    assert change.median.ratio == whole.median.ratio


@pytest.mark.parametrize("kind", SIDES)
def test_same_numbers_on_both_sides(kind: str) -> None:
    sides = [np.full((3, 7), 5.0)] * (3 if kind == "again" else 2)
    change = compared(sides, kind)
    assert (change.median.ratio.value, change.median.ratio.low, change.median.ratio.high, change.floor) == (
        1.0,
        1.0,
        1.0,
        0.0,
    )
    assert latency_verdict(change, 0.0).outcome == "pass"


@pytest.mark.parametrize("paired", [True, False])
def test_one_round_leaves_the_noise_of_processes_unknown(paired: bool) -> None:
    change = latency_change(np.full((1, 9), 10.0), np.full((1, 9), 13.0), paired=paired)
    assert (change.median.ratio.value, change.floor, change.median.round_freedom) == (pytest.approx(1.3), None, 0)
    verdict = latency_verdict(change, 0.05)
    assert verdict.outcome == "inconclusive"
    assert "measure with two rounds or more, or with --interleave" in verdict.reason


def test_a_side_of_one_round_scatters_as_the_other() -> None:
    base, head = one_level([0.0, 0.02, 0.01]), one_level([0.05])
    reference = stats.t.ppf(0.975, 2) * 0.01 * math.sqrt(1 / 3 + 1)
    change = latency_change(base, head)
    assert change.floor == pytest.approx(math.expm1(reference))
    assert change.rounds == 1
    assert latency_change(head, base).floor == pytest.approx(change.floor)


@pytest.mark.parametrize("slow", [1.1, 1.3, 2.0])
def test_one_round_and_its_repetition_cannot_fail(slow: float) -> None:
    """One slow process of head looks like slow code; the base against itself tells nothing of that."""
    base, head, again = (one_level([level]) for level in (0.0, math.log(slow), 0.001))
    change = latency_change(base, head, again, paired=True)
    assert change.floor is None and latency_verdict(change, 0.05).outcome == "inconclusive"


def test_the_floor_is_no_less_than_what_the_repetition_showed() -> None:
    """A side that is always measured last, and always slower, does not become equal by more rounds."""
    base = one_level([0.0] * 30)
    assert latency_change(base, base, base * 1.02, paired=True).floor == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("sides", "options", "message"),
    [
        ([np.ones(3), np.ones((1, 3))], {}, r"latency of base must be of shape \(rounds, images\)"),
        ([np.ones((1, 3)), np.ones((0, 3))], {}, "latency of head must be of shape"),
        ([np.ones((1, 3)), np.ones((1, 4))], {}, "must have the same images"),
        ([np.ones((2, 3)), np.ones((3, 3))], {"paired": True}, "must have the same rounds and images"),
        ([np.ones((2, 3))] * 3, {}, "an A/A measurement belongs to interleaved rounds"),
        ([np.ones((1, 2)), np.array([[1.0, 0.0]])], {}, r"head has 0\.0 at \(0, 1\)"),
        ([np.array([[np.inf]]), np.ones((1, 1))], {}, r"base has inf at \(0, 0\)"),
    ],
)
def test_wrong_input(sides: list[Times], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        latency_change(*sides, **options)


@pytest.mark.parametrize("limit", [-0.01, math.nan, math.inf])
def test_wrong_limit(limit: float) -> None:
    change = latency_change(np.ones((2, 6)), np.ones((2, 6)))
    for judge in (latency_verdict, needed_rounds):
        with pytest.raises(UsageError, match="max_slowdown must be a fraction of 0 or more"):
            judge(change, limit)


# parity


def ends(interval: Interval) -> tuple[float, float]:
    return math.log(interval.low), math.log(interval.high)


@pytest.mark.parametrize("rounds", [2, 3, 8])
def test_where_only_rounds_differ_the_interval_is_that_of_the_t_test(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    base, head = rng.normal(0, 0.01, rounds), rng.normal(0.05, 0.02, rounds)
    sides = one_level(base.tolist()), one_level(head.tolist())
    pairs, welch = stats.ttest_rel(head, base), stats.ttest_ind(head, base, equal_var=False)
    width = {test: np.ptp(test.confidence_interval(0.95)) for test in (pairs, welch)}
    for paired, test in ((True, min(width, key=lambda one: width[one])), (False, welch)):
        change = latency_change(*sides, paired=paired)
        limits = test.confidence_interval(0.95)
        assert ends(change.total.ratio) == pytest.approx((limits.low, limits.high))
        assert ends(change.median.ratio) == pytest.approx((limits.low, limits.high), abs=0.01 * width[test])
        for figure in (change.median, change.total):
            assert figure.round_freedom == pytest.approx(test.df)


def test_a_mood_of_the_machine_leaves_pairs_alone() -> None:
    """What makes whole rounds slow widens the interval of two runs of their own, and not that of pairs."""
    drift = np.linspace(0, 0.15, 5)
    noise = np.random.default_rng(3).normal(0, 0.002, (2, 5))
    base, head = (one_level((drift + one).tolist()) for one in noise)
    pairs, runs = (latency_change(base, head, paired=paired) for paired in (True, False))
    for here, there in ((pairs.median, runs.median), (pairs.total, runs.total)):
        assert np.ptp(ends(here.ratio)) < 0.1 * np.ptp(ends(there.ratio))


@pytest.mark.parametrize("images", [5, 40])
def test_where_only_images_differ_the_total_is_a_ratio_of_sums(images: int) -> None:
    """Against the usual variance of a ratio, on images of one size, where each counts as one."""
    rng = np.random.default_rng(images)
    base, more = np.full(images, 20.0), rng.permutation(np.linspace(0.9, 1.1, images)) * 1.1
    change = latency_change(np.tile(base, (2, 1)), np.tile(base * more, (2, 1)))
    assert change.total.ratio.value == pytest.approx(more.mean())
    error = more.std(ddof=1) / math.sqrt(images) / more.mean()
    low, high = ends(change.total.ratio)
    squares = (more - more.mean()) ** 2
    freedom = squares.sum() ** 2 / (squares**2).sum()
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, max(freedom, 3)) * error)
    assert change.p90 == pytest.approx(np.percentile(more, 90))


@pytest.mark.parametrize("rounds", [2, 3, 8])
def test_with_a_repetition_the_noise_is_that_of_a_linear_model(rounds: int) -> None:
    """Level of a process = round + (head or not): what is left over has 2R - 1 degrees of freedom."""
    rng = np.random.default_rng(rounds)
    levels = rng.normal(0, 0.01, (3, rounds)) + rng.normal(0, 0.1, rounds)
    design = np.hstack([np.tile(np.eye(rounds), (3, 1)), np.repeat([0.0, 1.0, 0.0], rounds)[:, None]])
    squares = np.linalg.lstsq(design, levels.ravel(), rcond=None)[1][0]
    change = latency_change(*(one_level(side.tolist()) for side in levels), paired=True)
    assert change.median.round_freedom == 3 * rounds - design.shape[1]
    assert change.median.round_error == pytest.approx(math.sqrt(squares / change.median.round_freedom * 2 / rounds))


def test_value_is_the_median_ratio_of_a_image() -> None:
    base = np.array([[10.0, 20.0, 30.0], [10.0, 20.0, 30.0]])
    head = np.array([[10.0, 22.0, 45.0], [10.0, 24.2, 45.0]])
    assert latency_change(base, head).median.ratio.value == pytest.approx(1.1 * math.sqrt(1.1))


# properties


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIDES), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99))
def test_unit_and_order_of_the_images_do_not_matter(kind: str, rounds: int, images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = measured(rng, kind, rounds=rounds, images=images, offset=0.01, noise=0.05, spread=0.1)
    change = compared(sides, kind)
    assert change.median.ratio.low <= change.median.ratio.value <= change.median.ratio.high
    order = rng.permutation(images)
    for other in ([side[:, order] for side in sides], [side * 1000 for side in sides]):
        again = compared(other, kind)
        assert ends(again.median.ratio) == pytest.approx(ends(change.median.ratio), rel=1e-6, abs=1e-9)
        assert (again.floor is None) == (change.floor is None)
        assert (again.floor or 0.0) == pytest.approx(change.floor or 0.0, rel=1e-6, abs=1e-9)


def test_what_makes_a_whole_round_slow_cancels_out_between_pairs() -> None:
    sides = measured(np.random.default_rng(1), "again", rounds=4, images=20, offset=0.01, noise=0.02)
    slow = np.array([[1.0], [3.0], [1.1], [0.7]])
    change, other = (compared(one, "again") for one in (sides, [side * slow for side in sides]))
    assert ends(other.median.ratio) == pytest.approx(ends(change.median.ratio))
    assert other.floor == pytest.approx(change.floor)
    assert latency_change(*[side * slow for side in sides[:2]]).median.ratio.high > 2 * change.median.ratio.high


def test_one_outlier_hardly_moves_anything() -> None:
    sides = measured(np.random.default_rng(1), "again", rounds=3, images=40, offset=0.01, noise=0.02)
    change = compared(sides, "again")
    sides[1][0, 5] *= 1000
    other = compared(sides, "again")
    assert ends(other.median.ratio) == pytest.approx(ends(change.median.ratio), abs=0.004)
    assert other.floor == pytest.approx(change.floor, rel=0.1)
    assert latency_verdict(other, 0.05).outcome != "fail"
    sides[1][0, 5] *= 1000
    assert compared(sides, "again") == other, "beyond three times the usual it makes no difference how far"


GRID = tuple(itertools.product((0.005, 0.02), (0.01, 0.05), (0.0, 0.1), (20, 130)))
"""Offset of a process, scatter of a call, spread of the ratio over images, images."""


def hits(kind: str, rounds: int, cell: tuple[float, float, float, int], times: int) -> NDArray[np.bool_]:
    """Say which of several intervals hold the true ratio."""
    offset, noise, spread, images = cell
    rng = np.random.default_rng([rounds, images, int(1000 * offset), int(1000 * noise), int(1000 * spread)])
    options = {"rounds": rounds, "images": images, "offset": offset, "noise": noise, "spread": spread}
    changes = [compared(measured(rng, kind, ratio=1.07, **options), kind) for _ in range(times)]
    return np.array([[one.ratio.low <= 1.07 <= one.ratio.high for one in (c.median, c.total)] for c in changes])


@pytest.mark.parametrize(("kind", "rounds"), list(itertools.product(SIDES, (3, 5, 8))))
def test_an_interval_holds_the_true_ratio_as_often_as_it_says(kind: str, rounds: int) -> None:
    """Over the whole grid; that of a single cell scatters too much for so few."""
    assert np.mean([hits(kind, rounds, cell, 30) for cell in GRID]) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rounds"), list(itertools.product(SIDES, (3, 5, 8))))
def test_an_interval_holds_the_true_ratio_where_rounds_are_all_that_matters(kind: str, rounds: int) -> None:
    """The cell with the least to spare: elsewhere the scatter of calls counts twice."""
    assert hits(kind, rounds, (0.02, 0.01, 0.0, 130), 1000).mean() >= 0.93


def test_drawing_rounds_again_would_be_far_too_narrow() -> None:
    """Why t: of three rounds, the bootstrap holds the truth in fewer than 85 of 100 cases."""
    rng = np.random.default_rng(6)
    inside = []
    for _ in range(200):
        base, head = measured(rng, "paired", rounds=3, images=130, offset=0.02, noise=0.01)
        levels = np.median(np.log(head / base), axis=1)
        low, high = np.quantile(rng.choice(levels, (400, 3)).mean(axis=1), [0.025, 0.975])
        inside.append(low <= 0 <= high)
    assert np.mean(inside) < 0.85


@pytest.mark.parametrize(("kind", "rounds"), list(itertools.product(SIDES, (3, 8))))
def test_the_same_code_stays_within_the_floor(kind: str, rounds: int) -> None:
    """The floor of one measurement, the ratio of the next."""
    rng = np.random.default_rng(rounds)
    options: dict[str, Any] = {"rounds": rounds, "images": 20, "offset": 0.01, "noise": 0.02}
    changes = [compared(measured(rng, kind, **options), kind) for _ in range(1000)]
    within = [
        abs(math.log(after.median.ratio.value)) <= math.log1p(before.floor or 0.0)
        for before, after in itertools.pairwise(changes)
    ]
    assert np.mean(within) >= 0.93

"""The change of latency between two versions, and the verdict on it."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.benchmarks.timing.change import (
    LatencyChange,
    latency_change,
    latency_verdict,
    needed_rounds,
)
from facebench.errors import UsageError
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

Times = NDArray[np.float64]
SIDES = ("paired", "again", "apart")


def measured(
    rng: np.random.Generator,
    kind: str,
    *,
    rounds: int,
    images: int,
    offset: float,
    noise: float,
    ratio: float = 1.0,
    spread: float = 0.0,
) -> list[Times]:
    """Simulate base, head and, for "again", base once more: (rounds, images) each.

    Images take from some 3 to 150 ms; a process has its own level, a call its own scatter, one in a hundred takes
    twice as long; the ratio differs between images; rounds that belong together share 3 % of the machine's mood.
    """
    level = rng.normal(3, 1, images)
    change = math.log(ratio) + rng.normal(0, spread, images)
    mood = rng.normal(0, 0.0 if kind == "apart" else 0.03, (rounds, 1))

    def side(extra: Times | float) -> Times:
        calls = rng.normal(0, noise, (rounds, images)) + math.log(2) * (rng.random((rounds, images)) < 0.01)
        times: Times = np.exp(level + extra + mood + rng.normal(0, offset, (rounds, 1)) + calls)
        return times

    return [side(0.0), side(change), *([side(0.0)] if kind == "again" else [])]


def compared(sides: list[Times], kind: str, **more: Any) -> LatencyChange:
    change: LatencyChange = latency_change(*sides, paired=kind != "apart", **more)
    return change


def one_level(levels: list[float], images: int = 8) -> Times:
    """Return rounds in which every image takes the same time, so that only rounds differ."""
    return np.exp(np.repeat(np.array(levels)[:, None], images, axis=1))


# degenerate


def test_no_common_image() -> None:
    change = latency_change(np.array([[1.0, np.nan]] * 2), np.array([[np.nan, 1.0]] * 2))
    assert (change.images, change.left_out, change.rounds, change.floor) == (0, 2, 2, None)
    assert math.isnan(change.ratio.value)
    assert latency_verdict(change, 0.05).outcome == "inconclusive"
    assert needed_rounds(change, 0.05) is None


def test_a_image_counts_where_every_round_measured_it() -> None:
    rng = np.random.default_rng(2)
    base, head, again = measured(rng, "again", rounds=3, images=9, offset=0.01, noise=0.02)
    whole = latency_change(base[:, 3:], head[:, 3:], again[:, 3:], paired=True)
    base[1, 0], head[2, 1], again[0, 2] = np.nan, np.nan, np.nan
    change = latency_change(base, head, again, paired=True)
    assert (change.images, change.left_out) == (6, 3)
    assert change.ratio == whole.ratio


@pytest.mark.parametrize("kind", SIDES)
def test_same_numbers_on_both_sides(kind: str) -> None:
    sides = [np.full((3, 7), 5.0)] * (3 if kind == "again" else 2)
    change = compared(sides, kind)
    assert (change.ratio.value, change.ratio.low, change.ratio.high, change.floor) == (1.0, 1.0, 1.0, 0.0)
    assert latency_verdict(change, 0.0).outcome == "pass"


@pytest.mark.parametrize("paired", [True, False])
def test_one_round_leaves_the_noise_of_processes_unknown(paired: bool) -> None:
    change = latency_change(np.full((1, 9), 10.0), np.full((1, 9), 13.0), paired=paired)
    assert (change.ratio.value, change.floor, change.round_freedom) == (pytest.approx(1.3), None, 0)
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


def test_a_floor_from_one_round_and_its_repetition() -> None:
    base, head, again = (one_level([level]) for level in (0.0, 0.1, 0.004))
    change = latency_change(base, head, again, paired=True)
    assert change.floor == pytest.approx(math.expm1(stats.t.ppf(0.975, 1) * 0.004))


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
    for paired, test in ((True, stats.ttest_rel(head, base)), (False, stats.ttest_ind(head, base, equal_var=False))):
        change = latency_change(*sides, paired=paired, draws=20_000)
        limits = test.confidence_interval(0.95)
        assert ends(change.ratio) == pytest.approx((limits.low, limits.high), rel=2e-3)
        assert change.round_freedom == pytest.approx(test.df)


@pytest.mark.parametrize("rounds", [2, 3, 8])
def test_with_a_repetition_the_noise_is_that_of_a_linear_model(rounds: int) -> None:
    """Level of a process = round + (head or not): what is left over has 2R - 1 degrees of freedom."""
    rng = np.random.default_rng(rounds)
    levels = rng.normal(0, 0.01, (3, rounds)) + rng.normal(0, 0.1, rounds)
    design = np.hstack([np.tile(np.eye(rounds), (3, 1)), np.repeat([0.0, 1.0, 0.0], rounds)[:, None]])
    squares = np.linalg.lstsq(design, levels.ravel(), rcond=None)[1][0]
    change = latency_change(*(one_level(side.tolist()) for side in levels), paired=True)
    assert change.round_freedom == 3 * rounds - design.shape[1]
    assert change.round_error == pytest.approx(math.sqrt(squares / change.round_freedom * 2 / rounds))


def test_value_is_the_median_ratio_of_a_image() -> None:
    base = np.array([[10.0, 20.0, 30.0], [10.0, 20.0, 30.0]])
    head = np.array([[10.0, 22.0, 45.0], [10.0, 24.2, 45.0]])
    assert latency_change(base, head).ratio.value == pytest.approx(1.1 * math.sqrt(1.1))


# properties


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(SIDES), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99))
def test_unit_and_order_of_the_images_do_not_matter(kind: str, rounds: int, images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = measured(rng, kind, rounds=rounds, images=images, offset=0.01, noise=0.05, spread=0.1)
    change = compared(sides, kind, draws=200)
    assert change.ratio.low <= change.ratio.value <= change.ratio.high
    order = rng.permutation(images)
    for other in ([side[:, order] for side in sides], [side * 1000 for side in sides]):
        again = compared(other, kind, draws=200)
        assert ends(again.ratio) == pytest.approx(ends(change.ratio), rel=1e-6, abs=1e-9)
        assert (again.floor is None) == (change.floor is None)
        assert (again.floor or 0.0) == pytest.approx(change.floor or 0.0, rel=1e-6, abs=1e-9)


def test_what_makes_a_whole_round_slow_cancels_out_between_pairs() -> None:
    sides = measured(np.random.default_rng(1), "again", rounds=4, images=20, offset=0.01, noise=0.02)
    slow = np.array([[1.0], [3.0], [1.1], [0.7]])
    change, other = (compared(one, "again") for one in (sides, [side * slow for side in sides]))
    assert ends(other.ratio) == pytest.approx(ends(change.ratio))
    assert other.floor == pytest.approx(change.floor)
    assert latency_change(*[side * slow for side in sides[:2]]).ratio.high > 2 * change.ratio.high


def test_one_outlier_hardly_moves_anything() -> None:
    sides = measured(np.random.default_rng(1), "again", rounds=3, images=40, offset=0.01, noise=0.02)
    change = compared(sides, "again")
    sides[1][0, 5] *= 1000
    other = compared(sides, "again")
    assert ends(other.ratio) == pytest.approx(ends(change.ratio), abs=0.004)
    assert other.floor == change.floor


GRID = tuple(itertools.product((0.005, 0.02), (0.01, 0.05), (0.0, 0.1), (20, 130)))
"""Offset of a process, scatter of a call, spread of the ratio over images, images."""


def hits(kind: str, rounds: int, cell: tuple[float, float, float, int], times: int) -> NDArray[np.bool_]:
    """Say which of several intervals hold the true ratio."""
    offset, noise, spread, images = cell
    rng = np.random.default_rng([rounds, images, int(1000 * offset), int(1000 * noise), int(1000 * spread)])
    options = {"rounds": rounds, "images": images, "offset": offset, "noise": noise, "spread": spread}
    ratios = [compared(measured(rng, kind, ratio=1.07, **options), kind, draws=400).ratio for _ in range(times)]
    return np.array([ratio.low <= 1.07 <= ratio.high for ratio in ratios])


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
    changes = [compared(measured(rng, kind, **options), kind, draws=2) for _ in range(1000)]
    within = [
        abs(math.log(after.ratio.value)) <= math.log1p(before.floor or 0.0)
        for before, after in itertools.pairwise(changes)
    ]
    assert np.mean(within) >= 0.93


# verdicts


def change_of(value: float, low: float, high: float, floor: float | None = 0.008, **more: Any) -> LatencyChange:
    fields = {"rounds": 4, "images": 50, "left_out": 0, "round_error": 0.0, "round_freedom": 7.0} | more
    return LatencyChange(Interval(value, low, high, 0.95, 2000), floor, **fields)


@pytest.mark.parametrize(
    ("change", "limit", "outcome"),
    [
        (change_of(1.103, 1.089, 1.117), 0.05, "fail"),
        (change_of(1.06, 1.0501, 1.07), 0.05, "fail"),
        (change_of(1.06, 1.05, 1.07), 0.05, "inconclusive"),
        (change_of(1.02, 0.99, 1.05), 0.05, "pass"),
        (change_of(1.02, 0.99, 1.0501), 0.05, "inconclusive"),
        (change_of(0.5, 0.4, 0.6), 0.0, "pass"),
        # slower for certain, but no more than the same code is by itself
        (change_of(1.02, 1.01, 1.03, floor=0.03), 0.0, "inconclusive"),
        (change_of(1.04, 1.031, 1.05, floor=0.03), 0.0, "fail"),
        # noise of processes not measured: never fails, passes with 5 % to spare
        (change_of(9.0, 8.9, 9.1, floor=None), 0.05, "inconclusive"),
        (change_of(1.02, 1.01, 1.03, floor=None), 0.05, "inconclusive"),
        (change_of(0.99, 0.98, 1.0, floor=None), 0.05, "pass"),
        (change_of(0.96, 0.955, 0.965, floor=None), 0.0, "inconclusive"),
        (change_of(0.9, 0.89, 0.91, floor=None), 0.0, "pass"),
        (change_of(1.5, 1.4, 1.6, images=5), 0.05, "inconclusive"),
        (change_of(1.5, 1.4, 1.6, images=6), 0.05, "fail"),
    ],
)
def test_verdict(change: LatencyChange, limit: float, outcome: str) -> None:
    assert latency_verdict(change, limit).outcome == outcome


@pytest.mark.parametrize(
    ("change", "reason", "needs"),
    [
        (
            change_of(1.103, 1.089, 1.117),
            "1.103 times the time (95 %: 1.089 to 1.117), limit 1.05, same-code noise 0.008",
            None,
        ),
        (
            change_of(0.94, 0.93, 0.95, floor=None),
            "0.940 times the time (95 %: 0.930 to 0.950), limit 1.05, same-code noise not measured; "
            "below the limit with 5 % to spare for it",
            None,
        ),
        (
            change_of(1.03, 0.99, 1.07, round_error=0.0165, round_freedom=7.0),
            "1.030 times the time (95 %: 0.990 to 1.070), limit 1.05, same-code noise 0.008; "
            "about 13 rounds would decide it",
            "rounds",
        ),
        (
            change_of(1.03, 0.99, 1.07),
            "1.030 times the time (95 %: 0.990 to 1.070), limit 1.05, same-code noise 0.008; "
            "more rounds would not decide it",
            "person",
        ),
        (
            change_of(1.2, 1.1, 1.3, images=2),
            "1.200 times the time (95 %: 1.100 to 1.300), limit 1.05, same-code noise 0.008; "
            "2 images are too few, use 6 or more",
            "images",
        ),
        (
            change_of(1.02, 1.01, 1.03, floor=None),
            "1.020 times the time (95 %: 1.010 to 1.030), limit 1.05, same-code noise not measured; "
            "measure with two rounds or more, or with --interleave",
            "rounds",
        ),
        (
            LatencyChange(Interval(*[math.nan] * 3, 0.95, 0), None, 3, 0, 8, math.nan, 0.0),
            "no image was measured in every round of both sides",
            "images",
        ),
    ],
)
def test_reason_and_what_would_decide(change: LatencyChange, reason: str, needs: str | None) -> None:
    verdict = latency_verdict(change, 0.05)
    assert (verdict.reason, verdict.needs) == (reason, needs)


@pytest.mark.parametrize(
    ("slowdown", "wanted", "at_least"),
    [(1.0, "pass", 54), (1.1, "fail", 54), (1.2, "fail", 60), (1.05, "inconclusive", 54)],
)
def test_power(slowdown: float, wanted: str, at_least: int) -> None:
    """Five interleaved rounds, processes that differ by 1 %: of 60 gates at a limit of 5 %."""
    rng = np.random.default_rng(8)
    options: dict[str, Any] = {"rounds": 5, "images": 130, "offset": 0.01, "noise": 0.03, "spread": 0.02}
    outcomes = [
        latency_verdict(compared(measured(rng, "again", ratio=slowdown, **options), "again", draws=400), 0.05).outcome
        for _ in range(60)
    ]
    assert outcomes.count(wanted) >= at_least
    assert outcomes.count("fail" if slowdown <= 1.05 else "pass") <= (0 if slowdown != 1.05 else 3)


def test_rounds_that_are_advised_decide() -> None:
    """Of gates left open at three rounds, most are closed by as many as were advised."""
    rng = np.random.default_rng(5)
    options: dict[str, Any] = {"images": 60, "offset": 0.015, "noise": 0.03, "ratio": 1.12}
    advised = []
    for _ in range(40):
        change = compared(measured(rng, "paired", rounds=3, **options), "paired", draws=400)
        if latency_verdict(change, 0.05).outcome == "inconclusive" and (rounds := needed_rounds(change, 0.05)):
            assert rounds > 3
            more = compared(measured(rng, "paired", rounds=rounds, **options), "paired", draws=400)
            advised.append(latency_verdict(more, 0.05).outcome)
    assert len(advised) >= 10
    assert advised.count("fail") >= 0.6 * len(advised)


@pytest.mark.parametrize(
    ("change", "rounds"),
    [
        (change_of(1.2, 1.19, 1.21), 4),
        (change_of(1.0, 0.99, 1.01), 4),
        (change_of(1.05, 1.0, 1.1, round_error=0.02), None),
        (change_of(1.2, 1.0, 1.4, floor=None), None),
        (change_of(1.2, 1.0, 1.4, images=5), None),
        (change_of(1.2, 0.0, math.inf, round_error=50.0, round_freedom=1.0), None),
    ],
)
def test_needed_rounds(change: LatencyChange, rounds: int | None) -> None:
    assert needed_rounds(change, 0.05) == rounds


def test_fewer_rounds_are_needed_for_a_larger_change() -> None:
    change = change_of(1.1, 1.1 * math.exp(-0.06), 1.1 * math.exp(0.06), round_error=0.02, round_freedom=3.0, rounds=3)
    ratios = [
        Interval(1.1 * more, change.ratio.low * more, change.ratio.high * more, 0.95, 2000)
        for more in (1.0, 1.01, 1.03, 1.1)
    ]
    needed = [needed_rounds(replace(change, ratio=ratio), 0.05) for ratio in ratios]
    assert None not in needed
    assert needed == sorted(needed, key=lambda rounds: -(rounds or 0))
    assert needed[0] != needed[-1]

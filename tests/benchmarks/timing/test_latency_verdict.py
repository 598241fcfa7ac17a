"""The verdict on a change of latency: what fails, what passes, what more rounds would decide."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.benchmarks.timing.change import LatencyChange, TimeRatio, latency_change
from facebench.benchmarks.timing.latency_verdict import latency_verdict, needed_rounds
from facebench.tests.support.timed_sides import compared, measured


def change_of(
    value: float,
    low: float,
    high: float,
    floor: float | None = 0.008,
    *,
    error: float = 0.0,
    freedom: float = 7.0,
    rounds: int = 4,
    images: int = 50,
) -> LatencyChange:
    """A change whose median and total are the same."""
    both = TimeRatio(Interval(value, low, high, 0.95, 2000), error, freedom)
    return LatencyChange(both, both, value, floor, rounds, images, 0)


def _words(value: str, low: str, high: str, noise: str) -> str:
    ratio = f"{value} (95 %: {low} to {high})"
    return f"p50 {ratio} times the time, total {ratio}, p90 {value}; limit 1.05, same-code noise {noise}"


WITHIN, AT, BEYOND, FAR = ((1.0, 0.99, 1.01), (1.04, 0.99, 1.09), (1.12, 1.06, 1.18), (1.5, 1.4, 1.6))


@pytest.mark.parametrize(
    ("median", "total", "outcome"),
    [
        (WITHIN, WITHIN, "pass"), (WITHIN, AT, "inconclusive"), (AT, WITHIN, "inconclusive"),
        (WITHIN, FAR, "fail"), (FAR, WITHIN, "fail"), (AT, BEYOND, "fail"), (BEYOND, AT, "fail"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False], ids=["noise known", "noise unknown"])
def test_the_worse_of_median_and_total_counts(
    median: tuple[float, float, float], total: tuple[float, float, float], outcome: str, known: bool
) -> None:
    change = replace(change_of(*median), total=change_of(*total).total)
    if not known:
        change, outcome = replace(change, floor=None), "inconclusive"
    assert latency_verdict(change, 0.05).outcome == outcome


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
            _words("1.103", "1.089", "1.117", "0.008"),
            None,
        ),
        (
            change_of(0.94, 0.93, 0.95, floor=None),
            _words("0.940", "0.930", "0.950", "not measured") + "; below the limit with 5 % to spare for it",
            None,
        ),
        (
            change_of(1.03, 0.99, 1.07, error=0.0165, freedom=7.0),
            _words("1.030", "0.990", "1.070", "0.008") + "; about 13 rounds would decide it",
            "rounds",
        ),
        (
            change_of(1.03, 0.99, 1.07),
            _words("1.030", "0.990", "1.070", "0.008") + "; more rounds would not decide it",
            "person",
        ),
        (
            change_of(1.2, 1.1, 1.3, images=2),
            _words("1.200", "1.100", "1.300", "0.008") + "; 2 images are too few, use 6 or more",
            "images",
        ),
        (
            change_of(1.02, 1.01, 1.03, floor=None),
            _words("1.020", "1.010", "1.030", "not measured") + "; "
            "measure with two rounds or more, or with --interleave",
            "rounds",
        ),
        (
            latency_change(np.array([[1.0, np.nan]]), np.array([[np.nan, 1.0]])),
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
        latency_verdict(compared(measured(rng, "again", ratio=slowdown, **options), "again"), 0.05).outcome
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
        change = compared(measured(rng, "paired", rounds=3, **options), "paired")
        if latency_verdict(change, 0.05).outcome == "inconclusive" and (rounds := needed_rounds(change, 0.05)):
            assert rounds > 3
            more = compared(measured(rng, "paired", rounds=rounds, **options), "paired")
            advised.append(latency_verdict(more, 0.05).outcome)
    assert len(advised) >= 10
    assert advised.count("fail") >= 0.6 * len(advised)


@pytest.mark.parametrize(
    ("change", "rounds"),
    [
        (change_of(1.2, 1.19, 1.21), 4),
        (change_of(1.0, 0.99, 1.01), 4),
        (change_of(1.05, 1.0, 1.1, error=0.02), None),
        (change_of(1.2, 1.0, 1.4, floor=None), None),
        (change_of(1.2, 1.0, 1.4, images=5), None),
        (change_of(1.2, 0.0, math.inf, error=50.0, freedom=1.0), None),
    ],
)
def test_needed_rounds(change: LatencyChange, rounds: int | None) -> None:
    assert needed_rounds(change, 0.05) == rounds


def test_fewer_rounds_are_needed_for_a_larger_change() -> None:
    needed = [
        needed_rounds(
            change_of(value, value * math.exp(-0.06), value * math.exp(0.06), error=0.02, freedom=3.0, rounds=3), 0.05
        )
        for value in (1.1, 1.111, 1.133, 1.21)
    ]
    assert None not in needed
    assert needed == sorted(needed, key=lambda rounds: -(rounds or 0))
    assert needed[0] != needed[-1]


def test_one_ratio_beyond_the_limit_decides_and_both_are_needed_within_it() -> None:
    wide = {"error": 0.02, "freedom": 3.0, "rounds": 3}
    near, far = change_of(1.0, 0.94, 1.06, **wide), change_of(1.2, 1.04, 1.38, **wide)
    undecidable = change_of(1.0, 0.9, 1.1)
    one, other = needed_rounds(near, 0.05), needed_rounds(far, 0.05)
    assert one and other and one != other
    assert needed_rounds(replace(near, total=far.total), 0.05) == other
    assert needed_rounds(replace(far, total=undecidable.total), 0.05) == other
    assert needed_rounds(replace(near, total=undecidable.total), 0.05) is None

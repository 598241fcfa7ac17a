"""Drift in the course of a measurement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.timing.drift import drift
from facebench.errors import UsageError
from numpy.typing import NDArray

Times = NDArray[np.float64]
N = 120


def noisy(shape: Times, seed: int = 0, noise: float = 0.03) -> Times:
    times: Times = 20.0 * shape * np.exp(np.random.default_rng(seed).normal(0, noise, len(shape)))
    return times


RAMP = np.linspace(1.0, 1.3, N)


@pytest.mark.parametrize("n", [0, 1, 17])
def test_too_few_samples(n: int) -> None:
    found = drift(np.full(n, 9.0), np.full(n, 1.0))
    assert (found.flagged, found.samples, found.outliers) == (False, n, n)
    assert math.isnan(found.change.value)
    assert found.text.startswith(f"{n} samples are too few to tell a drift: 18 are needed")


@pytest.mark.parametrize(
    ("shape", "change", "flagged"),
    [
        (np.ones(N), 1.0, False),
        (RAMP, 1.25 / 1.05, True),
        (RAMP[::-1], 1.05 / 1.25, True),
        (np.repeat([1.0, 1.2], N // 2), 1.2, True),
        (np.repeat([1.3, 1.0], [N // 2, N // 2]), 1 / 1.3, True),
        # certain, and below what is worth a flag
        (np.repeat([1.0, 1.03], N // 2), 1.03, False),
        (np.where(np.arange(N) == N - 1, 40.0, 1.0), 1.0, False),
        (np.where(np.arange(N) == 0, 40.0, 1.0), 1.0, False),
        # every third sample slow, at the beginning as at the end
        (np.where(np.arange(N) % 3 == 0, 5.0, 1.0), 1.0, False),
    ],
    ids=["steady", "ramp", "ramp down", "step", "step down", "small step", "late outlier", "early outlier", "regular"],
)
def test_shapes(shape: Times, change: float, flagged: bool) -> None:
    found = drift(noisy(shape, noise=0.01), np.full(N, 20.0))
    assert found.change.value == pytest.approx(change, rel=0.02)
    assert found.flagged is flagged
    assert found.text.startswith("not stationary" if flagged else "no drift above 5 % shown")


def test_without_noise_the_change_is_that_of_the_medians() -> None:
    times = np.linspace(10.0, 20.0, 30)
    found = drift(times, np.ones(30))
    assert found.change.value == pytest.approx(np.sqrt(times[24] * times[25]) / np.sqrt(times[4] * times[5]))


def test_large_images_at_the_end_are_no_drift() -> None:
    expected = np.linspace(5.0, 80.0, N)
    times = expected * np.exp(np.random.default_rng(1).normal(0, 0.02, N))
    assert not drift(times, expected).flagged
    assert drift(times, np.full(N, 40.0)).flagged


@pytest.mark.parametrize("noise", [0.03, 0.3])
@pytest.mark.parametrize("n", [18, 60, 300])
def test_false_flags(n: int, noise: float) -> None:
    flags = [drift(noisy(np.ones(n), seed, noise), np.full(n, 20.0), draws=200).flagged for seed in range(400)]
    assert np.mean(flags) <= 0.05


def test_power() -> None:
    shape = np.repeat([1.0, 1.15], 30)
    assert np.mean([drift(noisy(shape, seed), np.full(60, 20.0), draws=200).flagged for seed in range(100)]) >= 0.95


def test_outliers_are_counted_and_kept() -> None:
    times, expected = np.full(N, 20.0), np.full(N, 20.0)
    times[[3, 50, 70]] = 60.1
    times[4] = 60.0
    found = drift(times, expected)
    assert (found.outliers, found.samples, found.flagged) == (3, N, False)
    assert found.text.endswith("; 3 of 120 samples above 3 times the expected")
    assert times[3] == 60.1


def test_samples_without_an_expectation_are_left_out() -> None:
    times, expected = noisy(RAMP), np.full(N, 20.0)
    gaps = np.insert(expected, [0, 10, 100], np.nan)
    found, other = drift(times, expected), drift(np.insert(times, [0, 10, 100], 1e6), gaps)
    assert other == found
    assert drift([1.0], [math.nan]).samples == 0


def test_scale_of_the_expectation_does_not_matter_for_the_change() -> None:
    times = noisy(RAMP)
    found, other = drift(times, np.full(N, 20.0)), drift(times, np.full(N, 2.0))
    assert other.change.low == pytest.approx(found.change.low)
    assert other.outliers == N


@pytest.mark.parametrize(
    ("ms", "expected", "message"),
    [
        ([1.0], [1.0, 2.0], "two flat lists of one length"),
        ([[1.0]], [[1.0]], "two flat lists of one length"),
        ([1.0, math.nan], [1.0, 1.0], "samples must be finite and above 0 ms, got nan as sample 1"),
        ([0.0], [1.0], r"samples must be finite and above 0 ms, got 0\.0 as sample 0"),
        ([1.0], [-1.0], r"expected times must be finite and above 0 ms, got -1\.0 as sample 0"),
        ([1.0], [math.inf], "expected times must be finite and above 0 ms, got inf as sample 0"),
    ],
)
def test_wrong_input(ms: list[float], expected: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        drift(ms, expected)

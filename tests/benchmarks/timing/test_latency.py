from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.timing.latency import LatencySummary, summarise
from facebench.errors import UsageError


def test_no_samples() -> None:
    summary = summarise([])
    assert summary.n == 0
    assert summary.p99_ms is None
    assert all(
        math.isnan(value) for value in (summary.p50_ms, summary.p90_ms, summary.mean_ms, summary.images_per_second)
    )


def test_one_sample() -> None:
    assert summarise([4.0]) == LatencySummary(1, 4.0, 4.0, None, 4.0, 250.0, 4.0)


def test_unsorted_samples() -> None:
    """Known fault of other harnesses: a "median" taken from the middle of an unsorted list."""
    assert summarise([9.0, 1.0, 5.0, 3.0, 7.0]).p50_ms == 5.0
    samples = np.random.default_rng(1).permutation(np.arange(1.0, 1002.0))
    assert summarise(samples) == LatencySummary(1001, 501.0, 901.0, 991.0, 501.0, 1000 / 501, 1001.0)


def test_percentiles_are_linear_between_samples() -> None:
    summary = summarise([10.0, 20.0])
    assert (summary.p50_ms, summary.p90_ms) == (15.0, 19.0)


def test_one_outlier_moves_the_mean_and_not_the_median() -> None:
    summary = summarise([10.0] * 99 + [10_000.0])
    assert (summary.p50_ms, summary.p90_ms) == (10.0, 10.0)
    assert summary.mean_ms == pytest.approx(109.9)
    assert summary.images_per_second == pytest.approx(1000 / 109.9)


def test_p99_needs_ten_images_beyond_it() -> None:
    assert summarise([1.0] * 8000, 999).p99_ms is None
    assert summarise([1.0] * 8000, 1000).p99_ms == 1.0
    assert summarise([1.0] * 999).p99_ms is None
    assert summarise([1.0] * 1000).p99_ms == 1.0


def test_input_is_not_changed() -> None:
    samples = np.array([3.0, 1.0, 2.0])
    summarise(samples)
    assert samples.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([1.0, math.nan], "got nan as sample 1"),
        ([math.inf], "got inf as sample 0"),
        ([1.0, 2.0, 0.0], "got 0.0 as sample 2"),
        ([-3.0], "got -3.0 as sample 0"),
        ([[1.0], [2.0]], r"got shape \(2, 1\)"),
    ],
)
def test_impossible_samples_are_refused(samples: list[float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        summarise(samples)

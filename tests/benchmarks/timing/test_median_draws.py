"""Draws of a median against the sign test."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.benchmarks.timing.latency import median_draws
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats


def test_no_values() -> None:
    assert np.isnan(median_draws(np.array([]), draws=3)).all()


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0], [2.0] * 9])
def test_equal_values_leave_no_doubt(values: list[float]) -> None:
    assert (median_draws(np.array(values), draws=50) == 2.0).all()


@pytest.mark.parametrize("n", [6, 7, 8, 20, 131])
def test_limits_lie_between_those_of_the_sign_test(n: int) -> None:
    """SciPy's interval is the narrowest of two values that holds 95 %; one value further in holds less."""
    values = np.sort(np.random.default_rng(n).lognormal(size=n))
    reference = stats.quantile_test(values, p=0.5).confidence_interval(confidence_level=0.95)
    low, high = np.quantile(median_draws(values, draws=40_000), [0.025, 0.975])
    outer = np.searchsorted(values, [reference.low, reference.high])
    assert values[outer[0]] <= low <= values[outer[0] + 1]
    assert values[outer[1] - 1] <= high <= values[outer[1]]


@pytest.mark.parametrize("n", [8, 20])
def test_coverage_where_drawing_the_values_again_is_too_narrow(n: int) -> None:
    rng = np.random.default_rng(4)
    samples = rng.normal(size=(1500, n))
    again = np.array(
        [np.quantile(np.median(rng.choice(row, (300, n)), axis=1), [0.025, 0.975]) for row in samples[:700]]
    )
    assert np.mean((again[:, 0] <= 0) & (again[:, 1] >= 0)) < 0.94
    ends = np.array([np.quantile(median_draws(row, draws=400), [0.025, 0.975]) for row in samples])
    assert np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)) >= 0.94


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_nothing_lies_outside(values: list[float], random: object) -> None:
    draws = median_draws(np.array(values), draws=40)
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert draws.tolist() == median_draws(np.array(shuffled), draws=40).tolist()
    assert min(values) <= draws.min() <= draws.max() <= max(values)


def test_seed_names_the_draws() -> None:
    values = np.arange(30.0)
    first = median_draws(values, draws=20, seed=1)
    assert first.tolist() == median_draws(values, draws=40, seed=1)[:20].tolist()
    assert first.tolist() != median_draws(values, draws=20, seed=2).tolist()

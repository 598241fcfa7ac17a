"""Faults that well-known harnesses have had, each with a test by its name."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.benchmarks.timing.latency import LatencySummary, summarise
from hypothesis import given
from hypothesis import strategies as st

SAMPLES = st.lists(st.floats(0.01, 1e4), min_size=1, max_size=40)


@given(SAMPLES, st.data())
def test_median_over_unsorted_samples(samples: list[float], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(samples))
    expected = sorted(samples)
    middle = (expected[(len(expected) - 1) // 2] + expected[len(expected) // 2]) / 2
    summary, again = summarise(samples), summarise(shuffled)
    assert summary.p50_ms == pytest.approx(middle)
    assert (again.n, again.p50_ms, again.p90_ms, again.max_ms) == (
        summary.n, summary.p50_ms, summary.p90_ms, summary.max_ms
    )  # fmt: skip
    assert again.mean_ms == pytest.approx(summary.mean_ms)


@given(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=40), st.integers(0, 40))
def test_one_outlier(samples: list[float], place: int) -> None:
    """It is kept, and moves the median up by half a rank, however large it is."""
    ranked = sorted(samples)
    half, odd = divmod(len(ranked), 2)
    above = (ranked[half] + ranked[half + 1]) / 2 if odd else ranked[half]
    summary = summarise([*samples[:place], 1e6, *samples[place:]])
    assert summary.p50_ms == pytest.approx(above)
    assert (summary.n, summary.max_ms) == (len(samples) + 1, 1e6)


@pytest.mark.parametrize("order", [["int8", "fp32"], ["fp32", "int8"], ["int8", "fp32", "int8"]])
def test_an_accumulator_shared_between_cells(order: list[str]) -> None:
    """A harness kept one list for all rows, so that the int8 row held the samples of fp32 as well."""
    cells = {"fp32": np.array([40.0, 44.0, 42.0]), "int8": np.array([11.0, 10.0, 12.0, 13.0])}
    before = {name: samples.copy() for name, samples in cells.items()}
    summaries = [(name, summarise(cells[name])) for name in order]
    alone = {
        "fp32": LatencySummary(3, 42.0, pytest.approx(43.6), None, 42.0, pytest.approx(1000 / 42.0), 44.0),
        "int8": LatencySummary(4, 11.5, pytest.approx(12.7), None, 11.5, pytest.approx(1000 / 11.5), 13.0),
    }
    assert summaries == [(name, alone[name]) for name in order]
    assert all(cells[name].tolist() == before[name].tolist() for name in cells)

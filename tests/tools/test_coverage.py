"""Intervals hold the number of a population whose truth is known: the short form of tools/coverage."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.benchmarks.resampling.effective import Basis
from facebench.errors import ResultsError
from facebench.tests.support import runs
from facebench.tools.coverage import Coverage, Population, cover, made_up, of_run, table, ties

IMAGES, SAMPLES, DRAWS = 40, 80, 200
RATES = ("AP hard", "precision", "recall", "f1", "mean_iou", "difference A less B, AP hard")


@pytest.fixture(scope="module")
def population() -> Population:
    return made_up(1500, seed=3)


@pytest.fixture(scope="module")
def covered(population: Population) -> dict[str, Coverage]:
    return cover(population, IMAGES, SAMPLES, draws=DRAWS, seed=1)


@pytest.mark.slow
def test_intervals_hold_the_truth_of_the_population(covered: dict[str, Coverage]) -> None:
    """Of 80 samples 95 % intervals hold it in 71 or more with a chance of 99 %; these are of 40 images with crowds."""
    shares = {name: one.share for name, one in covered.items() if one.held}
    assert len(shares) >= 25
    assert {name: share for name, share in shares.items() if share < 0.85} == {}
    # the truth outside of every interval, or all of them endless, would pass unseen
    assert all(0 < np.median(covered[name].widths) < 0.6 for name in RATES)
    assert all(2 < np.median(covered[name].effective) <= IMAGES for name in RATES)


@pytest.mark.slow
def test_percentiles_alone_hold_it_less_often(
    population: Population, covered: dict[str, Coverage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Basis, "widen", lambda self, value, ends: ends)
    plain = cover(population, IMAGES, SAMPLES, draws=DRAWS, seed=1)
    of_plain, of_ours = (np.mean([found[name].share for name in RATES]) for found in (plain, covered))
    assert of_plain < of_ours - 0.02


@pytest.mark.slow
def test_equal_detectors_are_not_told_apart(population: Population) -> None:
    assert ties(population, IMAGES, 25, draws=DRAWS) <= 0.2


def test_the_table_has_a_row_for_each_number() -> None:
    found = {30: {"recall": Coverage(0.5, [True, False], [0.2, 0.4], [3.0, 5.0]), "AP": Coverage(0.7, [], [], [])}}
    assert table(found).splitlines()[2:] == ["| recall | 0.500 | 0.500, 0.300, 4.0 |", "| AP | 0.700 | – |"]


def test_a_run_without_a_finished_cell_is_refused(tmp_path) -> None:
    with pytest.raises(ResultsError, match="no finished cell"):
        of_run(runs.make_run(tmp_path).path)

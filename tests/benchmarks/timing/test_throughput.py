"""Throughput of batches: the numbers on a table that is worked out, and that intervals hold what they claim."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.store.checked_tables import check_batches
from facebench.benchmarks.timing.throughput import batch_rates, ratio_of_sums

Call = tuple[int, int, str, float]
"""Size, round, an image a letter, milliseconds."""


def table(calls: Sequence[Call]) -> pd.DataFrame:
    rows = [(name, size, number, call, ms) for call, (size, number, names, ms) in enumerate(calls) for name in names]
    found = pd.DataFrame(rows, columns=["image_id", "batch", "round", "call", "batch_ms"])
    check_batches(found)
    return found


ONE = [(1, 0, name, ms) for name, ms in zip("abcde", (10, 20, 30, 40, 100), strict=True)]
THREE = [(3, 0, "ace", 70.0), (3, 0, "bd", 50.0)]


def test_the_numbers_of_a_table() -> None:
    one, three = batch_rates(table([*THREE, *ONE]))
    assert (one.images, one.batches, one.full, one.gain) == (1, 5, 5, None)
    assert one.images_per_second.value == pytest.approx(25)
    assert (one.p50_ms, one.p99_ms) == (30, None)
    assert (three.images, three.batches, three.full) == (3, 2, 1)
    assert three.images_per_second.value == pytest.approx(5 / 0.12)
    assert three.gain is not None and three.gain.value == pytest.approx(200 / 120)
    # of the full ones alone
    assert three.p50_ms == 70


def test_rounds_are_taken_together_and_the_order_of_calls_does_not_matter() -> None:
    slower = [(size, 1, names, 3 * ms) for size, _, names, ms in [*ONE, *THREE]]
    one, three = batch_rates(table([*ONE, *THREE, *slower[::-1]]))
    assert one.images_per_second.value == pytest.approx(12.5)
    assert three.gain is not None and three.gain.value == pytest.approx(200 / 120)
    assert three.p50_ms == 140
    # as slow as they may be as a whole, batches gain the same
    assert one.images_per_second.high / one.images_per_second.low > 100
    assert three.gain.high == pytest.approx(
        batch_rates(table([*ONE, *THREE]))[1].gain.high  # type: ignore[union-attr]
    )


def test_one_batch_says_nothing_of_others_and_without_batches_of_one_there_is_no_gain() -> None:
    (rate,) = batch_rates(table([(4, 0, "abcd", 80.0)]))
    assert rate.gain is None
    assert rate.images_per_second.value == pytest.approx(50)
    assert math.isnan(rate.images_per_second.low) and math.isnan(rate.images_per_second.high)
    assert batch_rates(table([(1, 0, "a", 5.0)]).head(0)) == []


def test_a_99th_percentile_needs_a_thousand_different_batches() -> None:
    few = [(1, number, f"{chr(256 + place)}", 1.0 + place) for number in range(2) for place in range(999)]
    many = [(1, 0, f"{chr(256 + place)}", 1.0 + place) for place in range(1000)]
    assert [rate.p99_ms for rate in batch_rates(table(few))] == [None]
    assert [rate.p99_ms for rate in batch_rates(table(many))] == [pytest.approx(990.01)]


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ([(1, 0, "a", 0.0)], "took no time"),
        ([(1, 0, "a", math.nan)], "took no time"),
        ([(1, 0, "a", -1.0)], "got -1.0 in the column batch_ms"),
        ([(0, 0, "a", 1.0)], "has no image"),
        ([(1, -1, "a", 1.0)], "got -1 in the column round"),
    ],
)
def test_a_table_that_cannot_be_is_refused(calls: list[Call], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(calls)


def test_a_call_with_two_times_is_refused() -> None:
    twice = table([(2, 0, "ab", 5.0)])
    twice.loc[0, "batch_ms"] = 6.0
    with pytest.raises(ValueError, match="several sizes, rounds or times"):
        check_batches(twice)


def image_times(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if kind == "alike":
        return np.exp(rng.normal(0, 0.05, shape))
    # few sizes of images, of which a rare one takes six times as long as another
    return rng.choice([1, 0.7, 0.5, 0.2, 3], p=[0.5, 0.2, 0.15, 0.1, 0.05], size=shape)


@pytest.mark.parametrize("kind", ["alike", "unlike"])
@pytest.mark.parametrize(("batches", "rounds"), [(3, 1), (5, 3), (30, 1), (30, 3)])
def test_intervals_hold_what_other_images_and_processes_give(kind: str, batches: int, rounds: int) -> None:
    """Batches of four that take .2 and .8 of what their images take alone, in processes that differ by 1 %."""
    rng, size, runs = np.random.default_rng(batches * rounds), 4, 2000
    of_all = image_times(rng, (200_000, size), kind).sum(axis=1)
    true_rate, true_gain = size / (0.2 + 0.8 * of_all.mean()), of_all.mean() / (0.2 + 0.8 * of_all.mean())
    held = np.zeros(2)
    for _ in range(runs):
        images = image_times(rng, (batches, size), kind)
        process = np.exp(rng.normal(0, 0.01 * (rounds > 1), (rounds, 1)))
        noise = np.exp(rng.normal(0, 0.02, (rounds, batches)))
        together = (0.2 + 0.8 * images.sum(axis=1)) * process * noise
        alone = (images * np.exp(rng.normal(0, 0.02, (rounds, batches, size)))).sum(axis=2) * process
        rate = ratio_of_sums(np.full(together.shape, float(size)), together)
        gain = ratio_of_sums(alone, together)
        held += rate.low <= true_rate <= rate.high, gain.low <= true_gain <= gain.high
    assert (held / runs >= 0.9).all(), held / runs
    assert (held / runs < 1).all(), held / runs

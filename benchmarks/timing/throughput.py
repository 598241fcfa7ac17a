"""Calls of batches in, images per second out, with intervals that say what other images and processes would change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..resampling.bootstrap import CONFIDENCE, Interval
from .latency import summarise
from .round_noise import student_t


@dataclass(frozen=True, slots=True)
class BatchRate:
    """The throughput at one batch size.

    Attributes:
        images: in a full batch.
        images_per_second: images over the time of all batches, full or not.
        gain: the same over that of batches of one, on the same images: how many times as fast. None where there are
            none of one, and for them.
        p50_ms: median of the full batches; nan where none is.
        p99_ms: 99th percentile of them, None below 1,000 of different images.
        batches: of a round.
        full: how many of them are.
    """

    images: int
    images_per_second: Interval
    gain: Interval | None
    p50_ms: float
    p99_ms: float | None
    batches: int
    full: int


def batch_rates(table: pd.DataFrame) -> list[BatchRate]:
    """Return the throughput at each batch size, the smallest first.

    Args:
        table: as `RunFolder.batches` returns it.
    """
    calls = table.groupby("call")["image_id"]
    table = table.assign(first=calls.transform("first"), count=calls.transform("size"))
    table["share_s"] = table["batch_ms"] / table["count"] / 1000
    alone = _by_image(table[table["batch"] == 1])
    return [_rate(size, table[table["batch"] == size], alone) for size in sorted(table["batch"].unique().tolist())]


def _by_image(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds that each image had a share in: a row for each round, a column for each image."""
    return rows.pivot_table(index="round", columns="image_id", values="share_s")


def _rate(size: int, rows: pd.DataFrame, alone: pd.DataFrame) -> BatchRate:
    own = _by_image(rows)
    # a batch is the same images in every round, and has the name of the first
    number, names = pd.factorize(rows.drop_duplicates("image_id").set_index("image_id")["first"].reindex(own.columns))
    seconds = _by_batch(own, number)
    counts = np.broadcast_to(np.bincount(number).astype(np.float64), seconds.shape)
    gain = None
    if size > 1 and len(alone):
        gain = ratio_of_sums(_by_batch(alone.reindex(columns=own.columns), number), seconds)
    full = rows[rows["count"] == size].drop_duplicates("call")
    different = full["first"].nunique()
    latency = summarise(full["batch_ms"], different)
    rate = ratio_of_sums(counts, seconds)
    return BatchRate(size, rate, gain, latency.p50_ms, latency.p99_ms, len(names), different)


def _by_batch(by_image: pd.DataFrame, number: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the seconds of each batch (rounds, batches) from those of images, whose batches have these numbers."""
    return np.array([np.bincount(number, row) for row in by_image.to_numpy(np.float64)])


def ratio_of_sums(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Interval:
    """Return the ratio of two sums over units, with its interval.

    Units are drawn, as batches of images are, and so are rounds, each a process of its own. Of each the error of the
    log ratio is told by the scatter: over units that of part and whole about their ratio (the linearised ratio of a
    cluster sample, Cochran, Sampling Techniques 1977, 6.4), over rounds that of their log ratios. The errors add up,
    with the degrees of freedom of Welch (1947) for Student's t. One unit says nothing of others: the ends are nan. With
    one round the interval holds for its process alone.

    Where images are of very different cost, or batches few, it held the true ratio in 92 to 98 % of simulated runs.

    Args:
        part: float64 (rounds, units), above 0.
        whole: float64 (rounds, units), above 0.

    >>> found = ratio_of_sums(np.array([[1.0, 1.0, 1.0]]), np.array([[0.1, 0.1, 0.1]]))
    >>> round(found.value, 6), round(found.low, 6), round(found.high, 6)
    (10.0, 10.0, 10.0)
    """
    rounds, units = part.shape
    tops, bottoms = part.mean(axis=0), whole.mean(axis=0)
    value = float(tops.sum() / bottoms.sum())
    if units < 2:
        return Interval(value, math.nan, math.nan, CONFIDENCE, 0)
    off = tops / tops.sum() - bottoms / bottoms.sum()
    parts = [(float((off**2).sum()) * units / (units - 1), units - 1)]
    if rounds > 1:
        logs = np.log(part.sum(axis=1) / whole.sum(axis=1))
        parts.append((float(logs.var(ddof=1)) / rounds, rounds - 1))
    reach = _reach(parts)
    return Interval(value, value * math.exp(-reach), value * math.exp(reach), CONFIDENCE, 0)


def _reach(parts: Sequence[tuple[float, int]]) -> float:
    """Return half the width of an interval from variances and their degrees of freedom."""
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    return float(student_t(freedom)) * math.sqrt(variance)

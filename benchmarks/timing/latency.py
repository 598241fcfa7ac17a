"""Latency samples in, the figures of a report out, and where the median of all images may lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError
from ..resampling.bootstrap import uniform

IMAGES_FOR_P99 = 1000
"""A percentile p is worth printing from n >= 10 / (1 - p) images on: ten beyond it. Calling one again adds none."""


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Latency of one call an image.

    Percentiles are linear between neighbouring samples (NumPy's default, method 7 of Hyndman and Fan 1996).

    Attributes:
        n: samples.
        p50_ms: median, the primary figure; nan without samples, as p90_ms and mean_ms are.
        p90_ms: 90th percentile.
        p99_ms: 99th percentile, or None below 1,000 images, where one costly image would decide it.
        mean_ms: arithmetic mean.
        images_per_second: n images over the sum of the samples, one call after the other; nan without samples.
        max_ms: the slowest sample, nan without samples. No sample is left out, here or above.
    """

    n: int
    p50_ms: float
    p90_ms: float
    p99_ms: float | None
    mean_ms: float
    images_per_second: float
    max_ms: float


def summarise(samples_ms: ArrayLike, images: int | None = None) -> LatencySummary:
    """Summarise samples (n,) in milliseconds, in any order.

    Args:
        samples_ms: of each call.
        images: how many different ones were called; by default each call had its own.

    Raises:
        UsageError: on samples that are not a flat list of finite numbers above zero.

    >>> summarise([3.0, 1.0, 2.0]).p50_ms
    2.0
    """
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.ndim != 1:
        raise UsageError(f"latency samples must be a flat list, got shape {samples.shape}")
    wrong = ~(np.isfinite(samples) & (samples > 0))
    if bool(wrong.any()):
        index = int(np.argmax(wrong))
        raise UsageError(f"latency samples must be finite and above 0 ms, got {samples[index]} as sample {index}")
    if len(samples) == 0:
        return LatencySummary(0, math.nan, math.nan, None, math.nan, math.nan, math.nan)
    p50, p90, p99 = np.percentile(samples, [50, 90, 99]).tolist()
    mean = float(samples.mean())
    return LatencySummary(
        n=len(samples),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99 if (len(samples) if images is None else images) >= IMAGES_FOR_P99 else None,
        mean_ms=mean,
        images_per_second=1000.0 / mean,
        max_ms=float(samples.max()),
    )


def median_draws(values: NDArray[np.float64], *, draws: int, seed: int = 0) -> NDArray[np.float64]:
    """Draw medians that the values are compatible with: float64 (draws,); quantiles of them are confidence limits.

    How many of n values lie below the true median is binomial(n, 1/2), whatever their distribution: that is the sign
    test. A draw is such a number k, and a place between the k-th and the next value (Hettmansperger and Sheather 1986,
    with linear interpolation). Of many values this is what drawing them again gives (Efron 1979); of few, that is too
    narrow: a nominal 95 % interval of 8 values holds the median in about 91 % of the cases.

    The order of the values does not matter. The numbers are made of the raw stream of PCG64, which NumPy keeps the same
    in every release (NEP 19).

    Args:
        values: float64 (n,), finite; the draws are nan where there is none.
        draws: how many.
        seed: names the stream.

    >>> median_draws(np.array([3.0, 3.0, 3.0]), draws=2).tolist()
    [3.0, 3.0]
    """
    from scipy.special import bdtr

    n = len(values)
    if n == 0:
        return np.full(draws, np.nan)
    ranks = np.interp(
        uniform(np.random.PCG64(seed), draws), np.append(0.0, bdtr(np.arange(n + 1), n, 0.5)), np.arange(n + 2)
    )
    medians: NDArray[np.float64] = np.interp(ranks, np.arange(1, n + 1), np.sort(values))
    return medians

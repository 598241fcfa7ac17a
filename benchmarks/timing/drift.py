"""Whether a detector grew slower, or faster, while it was measured.

A processor grows hot, a neighbour wakes up, a cache fills: the samples of such a run are not samples of one thing, and
their median is the median of nothing in particular. What is found here is told beside the figures. No sample is dropped
for it: which ones were right cannot be known.

The last third of the samples is compared with the first, each over what its image is expected to take, so that large
images at the end are not taken for a slow end. The figure is the ratio of the two medians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import UsageError
from ..resampling.bootstrap import CONFIDENCE, Interval, percentile_interval
from .latency import median_draws

DRAWS = 2000

FEWEST_SAMPLES = 18
"""Six in a third: the fewest whose whole range holds a median in 95 of 100 cases."""

LARGEST_CHANGE = 0.05
"""A smaller change is not flagged even where it is certain: it moves a median by less than processes differ."""

OUTLIER_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Drift:
    """How latency changed in the course of a measurement.

    Attributes:
        change: of the last third over the first, as a factor: 1.0 is none, above is slower; nan below 18 samples.
        flagged: whether the change is above 5 % either way and its interval leaves 1 out.
        outliers: samples above three times what was expected. They are kept in every figure.
        samples: of which an expectation was known.
        text: what to print.
    """

    change: Interval
    flagged: bool
    outliers: int
    samples: int
    text: str


def drift(ms: ArrayLike, expected: ArrayLike, *, seed: int = 0, draws: int = DRAWS) -> Drift:
    """Compare the end of a measurement with its beginning.

    Neighbouring samples are taken to scatter on their own. Where they do not, as when another process works for some
    seconds now and then, a flag may tell of that instead of a lasting change: no less worth telling.

    Args:
        ms: float64 (n,), samples in the order they were measured.
        expected: float64 (n,), what each image takes, from the cost model or an earlier round; nan where it is not
            known, which leaves the sample out.
        seed: of the draws.
        draws: for the interval.

    Raises:
        UsageError: on lists that are not flat or of different length, samples that are not finite or not above 0,
            expectations not above 0.
    """
    times, usual = np.asarray(ms, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if times.ndim != 1 or times.shape != usual.shape:
        raise UsageError(f"drift needs two flat lists of one length, got shapes {times.shape} and {usual.shape}")
    for name, values, wrong in (
        ("samples", times, ~(np.isfinite(times) & (times > 0))),
        ("expected times", usual, ~(np.isnan(usual) | (np.isfinite(usual) & (usual > 0)))),
    ):
        if bool(wrong.any()):
            index = int(np.argmax(wrong))
            raise UsageError(f"{name} must be finite and above 0 ms, got {values[index]} as sample {index}")
    over = np.log((times / usual)[~np.isnan(usual)])
    samples = len(over)
    outliers = int((over > math.log(OUTLIER_FACTOR)).sum())
    if samples < FEWEST_SAMPLES:
        nothing = Interval(math.nan, math.nan, math.nan, CONFIDENCE, 0)
        text = f"{samples} samples are too few to tell a drift: {FEWEST_SAMPLES} are needed"
        return Drift(nothing, False, outliers, samples, text + _outliers(outliers, samples))
    first, last = over[: samples // 3], over[-(samples // 3) :]
    logs = median_draws(last, draws=draws, seed=seed) - median_draws(first, draws=draws, seed=seed + 1)
    inside = percentile_interval(float(np.median(last) - np.median(first)), logs)
    change = Interval(math.exp(inside.value), math.exp(inside.low), math.exp(inside.high), CONFIDENCE, inside.draws)
    flagged = not inside.low <= 0 <= inside.high and abs(inside.value) > math.log1p(LARGEST_CHANGE)
    # the interval is that of calls within these processes: others would differ by more, so it is not printed
    numbers = f"{change.value:.2f} times the time at the end"
    text = f"not stationary: {numbers}" if flagged else f"no drift above {100 * LARGEST_CHANGE:g} % shown: {numbers}"
    return Drift(change, flagged, outliers, samples, text + _outliers(outliers, samples))


def _outliers(outliers: int, samples: int) -> str:
    return f"; {outliers} of {samples} samples above {OUTLIER_FACTOR:g} times the expected" if outliers else ""

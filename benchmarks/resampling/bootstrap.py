"""Intervals by resampling images, and comparisons of detectors on the same resamples.

The images of a data set stand for all images of their kind. Drawing as many of them again, with repetition, shows
how far a score would move with other images (Efron 1979). What is drawn is an image with all its faces, never a
face: faces of one image are found or missed together. Images of one event are alike too; drawing whole events gives
the wider, more careful interval for what other *events* would do.

Intervals are percentile intervals. They are not widened for comparing many detectors at once, and they know nothing of
what resampling images cannot show: labels that are wrong, images that are not the user's.

Detectors are compared on the *same* draws: a resample of hard images is hard for both, so that their difference
scatters much less than each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .statistics import Ratio, Statistic, checked_weights, ratio, weighted_sums

CONFIDENCE = 0.95
DRAWS = 1000
_LARGE = 1 << 22
"""Bytes of weights from which they are not copied to put one more row before them."""
_RATIOS_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its percentile interval.

    Attributes:
        value: on the images as they are.
        low: lower end; nan where the number is undefined in every draw, as is `high`.
        high: upper end.
        confidence: share of the draws between low and high.
        draws: draws in which the number is defined. Much fewer than asked for, as when few images hold a face of the
            list, means that the interval says little.
    """

    value: float
    low: float
    high: float
    confidence: float
    draws: int

    @property
    def holds_zero(self) -> bool:
        """Whether zero is inside: for a difference, that neither side is shown to be better; true where undefined."""
        return not (self.low > 0 or self.high < 0)

    @property
    def reversed(self) -> Interval:
        """That of the difference the other way round."""
        # 0.0 - x instead of -x, which would make a negative zero
        return Interval(0.0 - self.value, 0.0 - self.high, 0.0 - self.low, self.confidence, self.draws)


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """A statistic on the images as they are and under each draw.

    Attributes:
        value: with all weights 1.
        samples: float64 (draws,); nan where undefined.
    """

    value: float
    samples: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """One detector less another on the same draws.

    Attributes:
        interval: of the difference.
        share_above: share of the draws in which the first is higher; equal ones count half.
    """

    interval: Interval
    share_above: float


@dataclass(frozen=True, slots=True)
class Gap:
    """The best group less the worst.

    Which groups these are is read off the values, not chosen again in each draw: the interval is that of these two. Of
    many groups the extremes are apart by chance alone, so a gap between the extremes of many small groups says little.

    Attributes:
        best: name of the group of the highest value.
        worst: name of that of the lowest.
        interval: of the difference.
    """

    best: str
    worst: str
    interval: Interval


def draw_weights(
    images: int, *, draws: int = DRAWS, seed: int = 0, clusters: Sequence[object] | None = None
) -> NDArray[np.int8]:
    """Say how often each image is drawn in each resample: int8 (draws, images).

    A row is multinomial: as many draws as there are images, with repetition. The numbers are made of the raw stream
    of PCG64, which NumPy keeps the same in every release (NEP 19), and so are the same in any process. A draw does not
    depend on how many follow. A byte holds any of them: that one of more than 127 images is drawn more often than 127
    times has a chance below 1 in 10^200.

    Args:
        images: how many there are.
        draws: how many resamples.
        seed: names the stream.
        clusters: one label an image, such as its event: whole clusters are drawn, as many as there are. The number of
            images then differs between draws.

    Returns:
        Read-only unless there are clusters.

    Raises:
        UsageError: on a negative number, or labels of another length.

    >>> draw_weights(4, draws=2, seed=7).sum(axis=1).tolist()
    [4, 4]
    >>> draw_weights(4, draws=1, seed=1, clusters=["a", "a", "b", "b"]).tolist()
    [[0, 0, 2, 2]]
    """
    if images < 0 or draws < 0 or seed < 0:
        raise UsageError(f"images, draws and seed must not be negative, got {images}, {draws} and {seed}")
    if clusters is not None:
        if len(clusters) != images:
            raise UsageError(f"expected a cluster for each of {images} images, got {len(clusters)}")
        number = {label: i for i, label in enumerate(dict.fromkeys(clusters))}
        of_image = np.array([number[label] for label in clusters], dtype=np.int64)
        return draw_weights(len(number), draws=draws, seed=seed)[:, of_image]
    return _draw(images, draws, seed)


@lru_cache(maxsize=1)
def _draw(images: int, draws: int, seed: int) -> NDArray[np.int8]:
    """Make the weights, which a report asks for again and again: read-only."""
    stream = np.random.PCG64(seed)
    weights = np.zeros((draws, images), dtype=np.int8)
    for draw in range(draws if images else 0):
        weights[draw] = np.bincount((uniform(stream, images) * images).astype(np.int64), minlength=images)
    weights.setflags(write=False)
    return weights


def uniform(stream: np.random.BitGenerator, draws: int) -> NDArray[np.float64]:
    """Draw numbers from [0, 1) off the raw stream: float64 (draws,), as `Generator.random` makes them of 53 bits."""
    return np.asarray((stream.random_raw(draws) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def resample(statistic: Statistic, weights: NDArray[np.integer]) -> Resampled:
    """Compute a statistic on the images as they are and under each draw of `draw_weights`."""
    weights = checked_weights(weights, statistic.images)
    once = np.ones((1, statistic.images), weights.dtype)
    if weights.nbytes > _LARGE:
        return Resampled(float(statistic(once)[0]), statistic(weights))
    values = statistic(np.concatenate([once, weights]))
    return Resampled(float(values[0]), values[1:])


def resample_ratios(ratios: Sequence[Ratio], weights: NDArray[np.integer]) -> list[Resampled]:
    """Do what `resample` does with each, in one look at the weights for many of them."""
    found = []
    for first in range(0, len(ratios), _RATIOS_TOGETHER):
        some = ratios[first : first + _RATIOS_TOGETHER]
        table = np.column_stack([values for one in some for values in (one.part, one.whole)])
        (drawn,) = weighted_sums(weights, table)
        sums = np.concatenate([table.sum(axis=0, keepdims=True), drawn])
        values = np.array([ratio(part, whole) for part, whole in zip(sums.T[::2], sums.T[1::2], strict=True)])
        found += [Resampled(float(one[0]), one[1:]) for one in values]
    return found


def percentile_interval(value: float, samples: NDArray[np.float64]) -> Interval:
    """Return the interval that leaves out the same share of the samples at either end.

    It follows the scatter without a model of its shape. It is not corrected for bias (BCa would be, at the price of
    scoring once without each image); AP over hundreds of images has little.

    Args:
        value: on the images as they are.
        samples: float64 (draws,); nan ones are left out and not counted in `draws`.

    >>> found = percentile_interval(50.0, np.arange(201.0))
    >>> round(found.low), round(found.high), found.draws
    (5, 195, 201)
    """
    rising = np.sort(samples[~np.isnan(samples)])
    low, high = math.nan, math.nan
    if len(rising):
        tail = (1.0 - CONFIDENCE) / 2
        # the reflected argument keeps the interval of -x the reflection of that of x
        low, high = _quantile(rising, tail), -_quantile(-rising[::-1], tail)
    return Interval(value, low, high, CONFIDENCE, len(rising))


def _quantile(rising: NDArray[np.float64], share: float) -> float:
    """Return `numpy.quantile` of sorted values, the same to the last bit in a small part of its time."""
    place = share * (len(rising) - 1)
    below = int(place)
    part = place - below
    low, high = float(rising[below]), float(rising[min(below + 1, len(rising) - 1)])
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def interval(resampled: Resampled) -> Interval:
    """Return the percentile interval of a resampled statistic; see `percentile_interval`."""
    return percentile_interval(resampled.value, resampled.samples)


def paired_difference(a: Resampled, b: Resampled) -> Difference:
    """Compare two detectors, or two settings, on the same draws.

    Raises:
        UsageError: where the numbers of draws differ; that they are the same draws is the caller's word.
    """
    if a.samples.shape != b.samples.shape:
        raise UsageError(f"a paired comparison needs the same draws, got {len(a.samples)} and {len(b.samples)}")
    samples = a.samples - b.samples
    defined = samples[~np.isnan(samples)]
    above = float(np.mean((defined > 0) + 0.5 * (defined == 0))) if len(defined) else math.nan
    return Difference(percentile_interval(a.value - b.value, samples), above)


def first_shares(detectors: Mapping[str, Resampled]) -> dict[str, float]:
    """Return the share of draws in which each detector has the highest value; those that tie share a draw.

    Draws in which no detector is defined are left out; without any other all shares are nan.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    if len({one.samples.shape for one in detectors.values()}) > 1:
        raise UsageError("ranking on resamples needs the same draws for every detector")
    if not detectors:
        return {}
    samples = np.array([one.samples for one in detectors.values()])
    samples = samples[:, ~np.isnan(samples).all(axis=0)]
    if samples.shape[1] == 0:
        return dict.fromkeys(detectors, math.nan)
    samples = np.where(np.isnan(samples), -np.inf, samples)
    first = samples == samples.max(axis=0)
    shares = (first / first.sum(axis=0)).mean(axis=1)
    return dict(zip(detectors, shares.tolist(), strict=True))


def tied_with_best(detectors: Mapping[str, Resampled]) -> tuple[str, ...]:
    """Return the detector of the highest value, and all whose paired difference from it has zero inside its interval.

    Best first, then by falling value. Detectors without a value are left out. To be tied is not to be equal: it says
    that they are not significantly different.
    """
    ranked = sorted((name for name in detectors if not math.isnan(detectors[name].value)), key=_falling(detectors))
    return tuple(
        name
        for name in ranked
        if name == ranked[0] or paired_difference(detectors[ranked[0]], detectors[name]).interval.holds_zero
    )


def gap(groups: Mapping[str, Resampled]) -> Gap | None:
    """Return the difference between the best and the worst group with its interval; None with fewer than two groups.

    Args:
        groups: one statistic on the same draws for each group, best the recall at the operating threshold: false alarms
            belong to no group, so that precision and AP of groups of different size cannot be compared.
    """
    ranked = sorted((name for name in groups if not math.isnan(groups[name].value)), key=_falling(groups))
    if len(ranked) < 2:
        return None
    best, worst = ranked[0], ranked[-1]
    return Gap(best, worst, paired_difference(groups[best], groups[worst]).interval)


def _falling(values: Mapping[str, Resampled]) -> Callable[[str], float]:
    return lambda name: -values[name].value

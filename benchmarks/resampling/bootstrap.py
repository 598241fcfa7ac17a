"""Intervals by resampling images, and comparisons of detectors on the same resamples.

The images of a data set stand for all images of their kind. Drawing as many of them again, with repetition, shows
how far a score would move with other images (Efron 1979). What is drawn is an image with all its faces, never a
face: faces of one image are found or missed together. Images of one event are alike too; drawing whole events gives
the wider, more careful interval for what other *events* would do.

Intervals are percentile intervals, widened where a number rests on few images, see `effective`. Each holds for itself;
`ranking` compares many at once. They know nothing of what resampling images cannot show: labels that are wrong, images
that are not the user's.

Detectors are compared on the *same* draws: a resample of hard images is hard for both, so that their difference
scatters much less than each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from . import effective
from .effective import Basis, by_unit, effective_mass, effective_number
from .statistics import Ratio, Statistic, checked_weights, ratio, weighted_sums

CONFIDENCE = effective.CONFIDENCE
DRAWS = 1000
_LARGE = 1 << 22
"""Bytes of weights from which they are not copied to put one more row before them."""
_RATIOS_TOGETHER = 16


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its interval.

    Attributes:
        value: on the images as they are.
        low: lower end; nan where the number is undefined in every draw, as is `high`.
        high: upper end.
        confidence: chance that such an interval holds the number of all images of the kind.
        draws: draws in which the number is defined. Much fewer than asked for, as when few images hold a face of the
            list, means that the interval says little.
        effective: images, or events, that the number rests on, see `effective_number`; nan where nothing was widened.
    """

    value: float
    low: float
    high: float
    confidence: float
    draws: int
    effective: float = math.nan

    @property
    def holds_zero(self) -> bool:
        """Whether zero is inside: for a difference, that neither side is shown to be better; true where undefined."""
        return not (self.low > 0 or self.high < 0)

    @property
    def reversed(self) -> Interval:
        """That of the difference the other way round."""
        # 0.0 - x instead of -x, which would make a negative zero
        ends = 0.0 - self.value, 0.0 - self.high, 0.0 - self.low
        return Interval(*ends, self.confidence, self.draws, self.effective)


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """A statistic on the images as they are and under each draw.

    Attributes:
        value: with all weights 1.
        samples: float64 (draws,); nan where undefined.
        influence: float64 (units,): how the value moves when an image, or an event, counts more.
        mass: effective number of units by what each weighs; nan where what was not seen puts no bound on the value.
        limits: ends of the range of the value.
    """

    value: float
    samples: NDArray[np.float64]
    influence: NDArray[np.float64]
    mass: float = math.nan
    limits: tuple[float, float] = (-math.inf, math.inf)

    @property
    def basis(self) -> Basis:
        """What the value rests on."""
        return Basis(len(self.influence), float(effective_number(self.influence)), self.mass, self.limits)

    def less(self, other: Resampled) -> Resampled:
        """Return the difference on the same draws; images that were not seen may be for either side.

        Raises:
            UsageError: where the numbers of draws differ; that they are the same draws is the caller's word.
        """
        if self.samples.shape != other.samples.shape:
            raise UsageError(
                f"a paired comparison needs the same draws, got {len(self.samples)} and {len(other.samples)}"
            )
        of_shares = self.limits == other.limits == (0.0, 1.0)
        return Resampled(
            self.value - other.value,
            self.samples - other.samples,
            self.influence - other.influence,
            mass=len(self.influence) if of_shares else math.nan,
            limits=(-1.0, 1.0) if of_shares else (-math.inf, math.inf),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """One detector less another on the same draws.

    Attributes:
        interval: of the difference.
        share_above: share of the draws in which the first is higher; equal ones count half.
    """

    interval: Interval
    share_above: float


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
        return _resampled(statistic, float(statistic(once)[0]), statistic(weights), weights)
    values = statistic(np.concatenate([once, weights]))
    return _resampled(statistic, float(values[0]), values[1:], weights)


def _resampled(
    statistic: Statistic, value: float, samples: NDArray[np.float64], weights: NDArray[np.integer]
) -> Resampled:
    mass = float(effective_mass(by_unit(statistic.mass, weights)))
    return Resampled(value, samples, by_unit(statistic.influence(), weights), mass, statistic.limits)


def resample_ratios(ratios: Sequence[Ratio], weights: NDArray[np.integer]) -> list[Resampled]:
    """Do what `resample` does with each, in one look at the weights for many of them."""
    found = []
    for first in range(0, len(ratios), _RATIOS_TOGETHER):
        some = ratios[first : first + _RATIOS_TOGETHER]
        table = np.column_stack([values for one in some for values in (one.part, one.whole)])
        (of_draws,) = weighted_sums(weights, table)
        sums = np.concatenate([table.sum(axis=0, keepdims=True), of_draws])
        values = np.array([ratio(part, whole) for part, whole in zip(sums.T[::2], sums.T[1::2], strict=True)])
        found += [_resampled(one, float(drawn[0]), drawn[1:], weights) for one, drawn in zip(some, values, strict=True)]
    return found


def percentile_interval(value: float, samples: NDArray[np.float64], basis: Basis | None = None) -> Interval:
    """Return the interval that leaves out the same share of the samples at either end.

    It follows the scatter without a model of its shape, and is not corrected for bias.

    Args:
        value: on the images as they are.
        samples: float64 (draws,); nan ones are left out and not counted in `draws`.
        basis: what the value rests on, by which the ends are widened; without one they are left.

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
    if basis is None:
        return Interval(value, low, high, CONFIDENCE, len(rising))
    low, high = basis.widen(value, np.array([low, high])).tolist()
    return Interval(value, low, high, CONFIDENCE, len(rising), float(np.asarray(basis.effective)))


def _quantile(rising: NDArray[np.float64], share: float) -> float:
    """Return `numpy.quantile` of sorted values, the same to the last bit in a small part of its time."""
    place = share * (len(rising) - 1)
    below = int(place)
    part = place - below
    low, high = float(rising[below]), float(rising[min(below + 1, len(rising) - 1)])
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def interval(resampled: Resampled) -> Interval:
    """Return the interval of a resampled statistic, widened where it rests on few images."""
    return percentile_interval(resampled.value, resampled.samples, resampled.basis)


def paired_difference(a: Resampled, b: Resampled) -> Difference:
    """Compare two detectors, or two settings, on the same draws.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    difference = a.less(b)
    samples = difference.samples
    defined = samples[~np.isnan(samples)]
    above = float(np.mean((defined > 0) + 0.5 * (defined == 0))) if len(defined) else math.nan
    return Difference(interval(difference), above)

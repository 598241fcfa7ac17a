"""How many images a number really rests on, and how much wider its interval must be when these are few.

A few crowded images hold most faces of a photo collection, so a rate over faces rests on much fewer images than there
are. The influence of an image says how the number moves when the image counts a little more (the infinitesimal
jackknife, Efron 2014, "Estimation and accuracy after model selection"). From the influences d follows the effective
number k = (Σ d²)² / Σ d⁴, which is the number of images where all matter alike, and near 1 where one decides.

With few effective images a percentile interval is too narrow, since the sample that misses the crowd is easy and looks
certain. Both its ends are moved away from the value by t(.975, k / 2) / z(.975), with at least 1.5 degrees of freedom,
and by no more than 1 + 80 / n of n images, or 1 + 14 / m where their faces lie on as many as m alike, the larger of
both. Below k = 3 an interval also reaches as far as images that were not seen could move the number, see `seen_share`:
a share by the m images that carry its faces, a difference of two shares by all n.

That is a rule found by simulation on samples of WIDER FACE, not a theorem: an interval misses mostly for a crowd that
is not in the sample, which more images make rare. What it holds is shown by `python -m facebench.tools.coverage`.
"""

from __future__ import annotations

import math
import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
FEW = 3.0
"""Effective images below which the bound by unseen images is held too."""
_LEAST_FREEDOM = 1.5
_OF_IMAGES, _OF_MASS = 80.0, 14.0
_DRAWS_THAT_TELL = 32
"""Images that so many draws take equally often are drawn together: by chance it happens to two in 10^16."""
_last: list[tuple[weakref.ref[NDArray[np.integer]], NDArray[np.int64] | None]] = []
"""The weights looked at last, which are asked for again and again, and their units."""


def by_unit(influence: NDArray[np.float64], weights: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sum what belongs to images that are always drawn together, such as those of an event.

    Args:
        influence: float64 (images,) or (images, k).
        weights: int (draws, images), from `draw_weights`.

    Returns:
        float64 (units,) or (units, k); the influence itself where each image is drawn for itself.
    """
    unit = units_of(weights)
    if unit is None:
        return influence
    found = np.zeros((int(unit.max(initial=-1)) + 1, *influence.shape[1:]))
    np.add.at(found, unit, influence)
    return found


def units_of(weights: NDArray[np.integer]) -> NDArray[np.int64] | None:
    """Return the number of the unit with which each image is drawn: int64 (images,); None where each is its own."""
    for known, unit in _last:
        if known() is weights:
            return unit
    draws = weights[:_DRAWS_THAT_TELL]
    unit = None
    if len(draws) == _DRAWS_THAT_TELL:
        # two columns that differ have the same sum with a chance of 2^-64
        factors = np.random.PCG64(0).random_raw(len(draws)) | np.uint64(1)
        sums = factors @ draws.astype(np.uint64)
        kinds, unit = np.unique(sums, return_inverse=True)
        unit = None if len(kinds) == weights.shape[1] else unit.astype(np.int64)
    _last[:] = [(weakref.ref(weights), unit)]
    return unit


def effective_number(influence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (Σ d²)² / Σ d⁴ of influences (units, …) along the first axis: float64 (…); 0 where none matters.

    >>> float(effective_number(np.array([1.0, -1.0, 1.0, -1.0]))), float(effective_number(np.array([5.0, 0.0, 0.0])))
    (4.0, 1.0)
    """
    largest = np.abs(influence).max(axis=0, initial=0.0)
    squares = (influence / np.where(largest > 0, largest, 1.0)) ** 2
    fourth = (squares**2).sum(axis=0)
    return np.asarray(squares.sum(axis=0) ** 2 / np.where(fourth > 0, fourth, 1.0))


def effective_mass(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (Σ m)² / Σ m² of what units (units, …) weigh: float64 (…); 0 without any.

    >>> float(effective_mass(np.array([10.0, 10.0, 0.0])))
    2.0
    """
    squares = (mass**2).sum(axis=0)
    return np.asarray(mass.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1.0))


def widening(effective: ArrayLike, units: int, mass: ArrayLike = math.inf) -> NDArray[np.float64]:
    """Return how many times as far from the value the ends of a percentile interval must lie; see the module.

    Args:
        effective: number of images, or units, that the number rests on.
        units: how many there are; a draw of so many scatters by (units - 1) / units too little.
        mass: number of them by what they weigh, such as their faces.

    >>> widening([math.inf, 8.0, 1.0], 130).round(3).tolist(), float(widening(1.0, 130, 10.0).round(3))
    ([1.004, 1.422, 1.622], 2.409)
    """
    from scipy.special import stdtrit

    freedom = np.clip(np.asarray(effective, dtype=np.float64) / 2, _LEAST_FREEDOM, 1e9)
    most = np.maximum(_OF_IMAGES / max(units, 1), _OF_MASS / np.maximum(np.asarray(mass, dtype=np.float64), 1e-3))
    stretch = np.minimum(stdtrit(freedom, (1.0 + CONFIDENCE) / 2) / usual_limit(), 1.0 + most)
    return np.asarray(stretch * math.sqrt(units / (units - 1) if units > 1 else 1.0))


def usual_limit() -> float:
    """Return how many standard errors a 95 % interval of a normal number reaches to either side: 1.96."""
    from scipy.special import ndtri

    return float(ndtri((1.0 + CONFIDENCE) / 2))


def seen_share(mass: ArrayLike, chance: float = (1.0 - CONFIDENCE) / 2) -> NDArray[np.float64]:
    """Return which share of all images is at least like the images seen, but for a small chance: chance^(1/k).

    An exact binomial bound: of k images that are all alike nothing tells that there are no others, but others cannot
    be many: at a chance of .05 about 3 / k (the rule of three, Hanley and Lippman-Hand 1983). It is the reason why 3
    found of 3 is not certainty.

    Args:
        mass: k, effective number of images by what each weighs in the number, such as its faces.
        chance: that more of all images are unlike them.

    >>> round(1 - float(seen_share(300, 0.05)), 4), float(seen_share(0))
    (0.0099, 0.0)
    """
    return np.asarray(chance ** (1.0 / np.maximum(np.asarray(mass, dtype=np.float64), 1e-3)))


class Basis(NamedTuple):
    """What a number rests on; each a number, or an array of the same shape for many numbers.

    Attributes:
        units: images, or events, that are drawn.
        effective: number of them by influence.
        mass: number of them by what they weigh; nan where images that were not seen put no bound on the number.
        limits: ends of the range of the number.
    """

    units: int
    effective: ArrayLike
    mass: ArrayLike = math.nan
    limits: tuple[float, float] = (-math.inf, math.inf)

    def widen(self, value: ArrayLike, ends: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move the ends of a percentile interval to where few effective images put them.

        Args:
            value: (…) on the images as they are.
            ends: float64 (2, …).

        Returns:
            float64 (2, …), within the limits.
        """
        value = np.asarray(value, dtype=np.float64)
        effective, mass = np.asarray(self.effective), np.asarray(self.mass)
        weighs = np.where(np.isnan(mass), math.inf, mass)
        more = np.abs(ends - value) * (widening(effective, self.units, weighs) - 1.0)
        low, high = ends[0] - more[0], ends[1] + more[1]
        bound = (effective < FEW) & ~np.isnan(mass)
        if not bound.any():
            return np.asarray(np.clip((low, high), *self.limits), dtype=np.float64)
        seen = seen_share(np.where(bound, mass, 1.0))
        lowest, highest = max(self.limits[0], -1.0), np.minimum(self.limits[1], np.maximum(value, 1.0))
        low = np.where(bound, np.minimum(low, value * seen + (1.0 - seen) * lowest), low)
        high = np.where(bound, np.maximum(high, value * seen + (1.0 - seen) * highest), high)
        return np.asarray(np.clip(np.stack([low, high]), *self.limits), dtype=np.float64)

"""Percentile bands over resampled images for the rates of a threshold sweep; the plain rates are in `sweep`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from .bootstrap import percentile_interval
from .effective import CONFIDENCE, Basis, by_unit, effective_mass, effective_number
from .statistics import blocks_of_draws, checked_weights, faces_per_image, weighted_sums

_NUMBERS_PER_BLOCK = 1 << 18
"""Thresholds times draws computed together: 2 MB an array."""


class Band(NamedTuple):
    """Ends of the interval at each threshold, float64 (m,) each, nan where the rate is undefined in every draw."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


class SweepBands(NamedTuple):
    """Bands of the rates of a `Sweep`, by their names there.

    Each threshold has a band of its own: that the whole curve lies within has a lower chance than the confidence.
    """

    precision: Band
    recall: Band
    f1: Band
    f2: Band
    false_alarms_per_image: Band


def sweep_bands(
    matches: Matches,
    counted: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    weights: NDArray[np.integer],
) -> SweepBands:
    """Return the bands of the rates at the thresholds of a `Sweep`.

    The cost is that of ten percentiles a threshold, about 0.1 ms with a thousand draws: thin a long sweep first.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        thresholds: float64 (m,), never rising; a detection is accepted when its score is at least the threshold.
        weights: int (draws, images).

    Raises:
        UsageError: on rising thresholds.
    """
    if not bool((thresholds[1:] <= thresholds[:-1]).all()):
        raise UsageError("thresholds must never rise, as those of a sweep; sort them, highest first")
    checked_weights(weights, matches.images)
    judged = verdicts(matches, counted)
    proposal = judged.hit | judged.false_alarm
    hit_table, proposal_table = (_accepted(matches, thresholds, chosen) for chosen in (judged.hit, proposal))
    each = np.ones(matches.images)
    of_images = faces_per_image(matches.face_offsets, counted).astype(np.float64)
    drawn = _Running(*weighted_sums(weights, of_images, each))
    plain = _Running(of_images, each)
    bands = np.empty((len(SweepBands._fields), 2, len(thresholds)))
    rows = max(1, _NUMBERS_PER_BLOCK // max(len(weights), matches.images, 1))
    for start in range(0, len(thresholds), rows):
        some = slice(start, start + rows)
        rates = drawn.rates(_weighted(hit_table[some], weights), _weighted(proposal_table[some], weights))
        here = plain.rates(hit_table[some].toarray(), proposal_table[some].toarray())
        for place, ((part, whole), of_image) in enumerate(zip(rates, here, strict=True)):
            # false alarms an image have no upper end
            limits = (0.0, math.inf if place == len(bands) - 1 else 1.0)
            value, basis = _basis(*of_image, weights, limits)
            bands[place][:, some] = basis.widen(value, _percentiles(_rate(part, whole)))
    return SweepBands(*(Band(low, high) for low, high in bands))


class _Running:
    """Counts at falling thresholds, block by block, for each draw or for each image.

    Args:
        faces: float64 (n,), of the draw or the image, that count.
        images: float64 (n,).
    """

    def __init__(self, faces: NDArray[np.float64], images: NDArray[np.float64]) -> None:
        self._faces, self._images = faces, images
        self._hits, self._proposals = np.zeros(len(faces)), np.zeros(len(faces))

    def rates(
        self, hits: NDArray[np.float64], proposals: NDArray[np.float64]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return numerator and denominator of each rate of `SweepBands`, (m, n) each.

        Args:
            hits: float64 (m, n), accepted at each threshold of the block and not before.
            proposals: float64 (m, n), likewise.
        """
        hits = self._hits + np.cumsum(hits, axis=0)
        proposals = self._proposals + np.cumsum(proposals, axis=0)
        self._hits, self._proposals = hits[-1], proposals[-1]
        faces, images = (np.broadcast_to(one, hits.shape) for one in (self._faces, self._images))
        return [
            (hits, proposals),
            (hits, faces),
            (2 * hits, proposals + faces),
            (5 * hits, proposals + 4 * faces),
            (proposals - hits, images),
        ]


def _basis(
    part: NDArray[np.float64], whole: NDArray[np.float64], weights: NDArray[np.integer], limits: tuple[float, float]
) -> tuple[NDArray[np.float64], Basis]:
    """Return a rate at each threshold, float64 (m,), and what it rests on, for what images add to it, (m, images)."""
    value = _rate(part.sum(axis=1), whole.sum(axis=1))
    influence = by_unit((part - np.nan_to_num(value)[:, None] * whole).T, weights)
    mass = effective_mass(by_unit(whole.T, weights))
    return value, Basis(len(influence), effective_number(influence), mass, limits)


def _weighted(table: Any, weights: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return what a sparse (m, images) sums up to under each draw: float64 (m, draws)."""
    sums = np.empty((table.shape[0], len(weights)))
    for some in blocks_of_draws(weights):
        sums[:, some] = table @ np.ascontiguousarray(weights[some].T, dtype=np.float64)
    return sums


def _rate(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    rate: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return rate


def _percentiles(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of `percentile_interval` of each row: float64 (2, rows), for samples of (rows, draws)."""
    ends = np.full((2, len(samples)), np.nan)
    whole = ~np.isnan(samples).any(axis=1) & (samples.shape[1] > 0)
    for row in np.flatnonzero(~whole):
        one = percentile_interval(np.nan, samples[row])
        ends[:, row] = one.low, one.high
    if whole.any():
        tail = (1.0 - CONFIDENCE) / 2
        ends[:, whole] = np.quantile(samples[whole], [tail, 1.0 - tail], axis=1)
    return ends


def _accepted(matches: Matches, thresholds: NDArray[np.float64], chosen: NDArray[np.bool_]) -> Any:
    """Count the chosen detections of each image accepted at a threshold and not before: sparse (m, images)."""
    from scipy.sparse import csr_array

    row = np.searchsorted(-thresholds, -matches.scores[chosen])
    some = row < len(thresholds)
    row, column = row[some], matches.image[chosen][some]
    return csr_array((np.ones(len(row)), (row, column)), shape=(len(thresholds), matches.images))

"""Percentile bands over resampled images for the rates of a threshold sweep; the plain rates are in `sweep`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from .bootstrap import CONFIDENCE, percentile_interval
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
    faces, images = weighted_sums(weights, faces_per_image(matches.face_offsets, counted), each)
    hits_before, proposals_before = np.zeros(len(weights)), np.zeros(len(weights))
    bands = np.empty((len(SweepBands._fields), 2, len(thresholds)))
    rows = max(1, _NUMBERS_PER_BLOCK // max(len(weights), 1))
    for start in range(0, len(thresholds), rows):
        some = slice(start, start + rows)
        hits = hits_before + np.cumsum(_weighted(hit_table[some], weights), axis=0)
        proposals = proposals_before + np.cumsum(_weighted(proposal_table[some], weights), axis=0)
        hits_before, proposals_before = hits[-1], proposals[-1]
        fractions = (
            (hits, proposals),
            (hits, faces),
            (2 * hits, proposals + faces),
            (5 * hits, proposals + 4 * faces),
            (proposals - hits, images),
        )
        for band, (part, whole) in zip(bands, fractions, strict=True):
            band[:, some] = _percentiles(_rate(part, whole))
    return SweepBands(*(Band(low, high) for low, high in bands))


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

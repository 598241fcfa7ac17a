"""Intervals over resampled pictures for how far scores are from being probabilities; see `calibration`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..scoring.calibration import calibration
from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from .bootstrap import Interval, percentile_interval
from .order import Rows
from .statistics import blocks_of_draws, checked_weights, ratio, weighted_sums


def calibration_intervals(
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    score_kind: str,
    score_floor: float = 0.0,
    bins: int = 10,
    iou_threshold: float = 0.5,
) -> Mapping[str, Interval]:
    """Return the intervals of the numbers of `calibration`.

    "expected_error" and "maximum_error" are over bins of equal width, "equal_count_error" is the expected error over
    bins of equal count, whose edges follow each draw's own scores; "brier" has no bins.

    Expected and maximum error are made of distances: the scatter that makes them positive without any fault is added
    once more by drawing, so their intervals lie high, and a lower end can exceed the value where detections are few.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures).
        score_kind: as for `calibration`, which refuses the same.
        score_floor: lowest score judged.
        bins: of the curve.
        iou_threshold: of a hit.
    """
    checked_weights(weights, matches.pictures)
    plain = calibration(
        matches, counted, score_kind=score_kind, score_floor=score_floor, bins=bins, iou_threshold=iou_threshold
    )
    judged = verdicts(matches, counted, iou_threshold=iou_threshold)
    rising = np.flatnonzero(~judged.dropped & (matches.scores >= score_floor))[::-1]
    scores, picture, right = matches.scores[rising], matches.picture[rising], judged.hit[rising].astype(np.float64)
    place = np.clip(np.searchsorted(plain.equal_width.edges[:-1], scores, side="right") - 1, 0, bins - 1)
    # Of a bin's share of the mean, |mean score - hit share| · count / all, the count cancels.
    excess, number = (_by_picture_and_bin(matches.pictures, bins, picture, place, v) for v in (scores - right, None))
    square = np.bincount(picture, (scores - right) ** 2, matches.pictures).astype(np.float64)
    distance, held, squares = weighted_sums(weights, excess, number, square)
    distance = np.abs(distance)
    worst = np.divide(distance, held, out=np.full(held.shape, -np.inf), where=held > 0).max(axis=1)
    total = held.sum(axis=1)
    even = _equal_count_distance(scores, scores - right, picture, weights, bins)
    return {
        "expected_error": percentile_interval(plain.equal_width.expected_error, ratio(distance.sum(axis=1), total)),
        "maximum_error": percentile_interval(plain.equal_width.maximum_error, np.where(total > 0, worst, np.nan)),
        "equal_count_error": percentile_interval(plain.equal_count.expected_error, ratio(even, total)),
        "brier": percentile_interval(plain.brier, ratio(squares, total)),
    }


def _by_picture_and_bin(
    pictures: int, bins: int, picture: NDArray[np.int64], place: NDArray[np.int64], values: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Sum values, or count where None: float64 (pictures, bins)."""
    summed = np.bincount(picture * bins + place, values, pictures * bins)
    return summed.astype(np.float64).reshape(pictures, bins)


def _equal_count_distance(
    scores: NDArray[np.float64],
    excess: NDArray[np.float64],
    picture: NDArray[np.int64],
    weights: NDArray[np.integer],
    bins: int,
) -> NDArray[np.float64]:
    """Return the sum over bins of |sum of score - right| for bins as even as each draw's ties allow: float64 (draws,).

    A bin starts at the first of the detections that share the score at its place. Where two places share a score, the
    first of the two bins is empty and adds nothing.

    Args:
        scores: float64 (n,), never falling.
        excess: float64 (n,): score less 1 for a hit, less 0 for a false alarm.
        picture: int64 (n,).
        weights: int (draws, pictures).
        bins: at most so many.
    """
    if len(scores) == 0:
        return np.zeros(len(weights))
    rows, rows_of_excess = (Rows(picture, weights.shape[1], values) for values in (None, excess))
    distance = np.empty(len(weights))
    for block in blocks_of_draws(weights, rows.numbers):
        copies, summed = (some.under(weights[block]) for some in (rows, rows_of_excess))
        place = np.arange(bins) * copies.total[:, None].astype(np.int64) // bins
        first_of_score = np.searchsorted(scores, scores[copies.at(place)], side="left")
        # Rows before the first bin are not drawn.
        limits = np.hstack([summed.before(first_of_score), summed.total[:, None]])
        distance[block] = np.abs(np.diff(limits, axis=1)).sum(axis=1)
    return distance

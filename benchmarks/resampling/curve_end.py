"""Intervals over resampled pictures for where the precision-recall curve ends; see `CurveEnd`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from .average_precision import ExactAP
from .bootstrap import Interval, Resampled, interval, resample
from .order import Rows, RunningSum
from .statistics import blocks_of_draws, checked_weights, faces_per_picture, ratio, weighted_sums


def curve_end_intervals(
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    average_precision: Resampled | None = None,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> Mapping[str, Interval]:
    """Return the intervals of the numbers of `curve_end`, by their names there.

    The lowest score has none: of a minimum, resampling shows nothing but the few lowest values. Which proposals are the
    lowest-scored tenth, and where they crowd, is found anew in each draw.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures).
        average_precision: exact AP under these draws, where it is known already.
        iou_threshold: of a hit.
        count_empty_pictures: let false alarms on pictures without any annotated face count.
    """
    checked_weights(weights, matches.pictures)
    end = _CurveEnd(matches, counted, iou_threshold=iou_threshold, count_empty_pictures=count_empty_pictures)
    once = np.ones((1, matches.pictures), dtype=np.int8)
    ap = average_precision or resample(end.exact_ap, weights)
    plain, drawn = end(once, np.array([ap.value])), end(weights, ap.samples)
    return {name: interval(Resampled(float(plain[name][0]), drawn[name])) for name in plain}


class _CurveEnd:
    """`curve_end` of weighted pictures; nan where no face counts or nothing is proposed."""

    def __init__(
        self, matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float, count_empty_pictures: bool
    ) -> None:
        judged = verdicts(matches, counted, iou_threshold=iou_threshold)
        proposal = judged.hit | judged.false_alarm
        if not count_empty_pictures:
            proposal &= (np.diff(matches.face_offsets) > 0)[matches.picture]
        picture, hit = matches.picture[proposal], judged.hit[proposal].astype(np.float64)
        self._scores = matches.scores[proposal]
        self._copies, self._hits = (Rows(picture, matches.pictures, values) for values in (None, hit))
        self._faces = faces_per_picture(matches.face_offsets, counted).astype(np.float64)
        self._lowest = np.full(matches.pictures, np.inf)
        np.minimum.at(self._lowest, matches.picture, matches.scores)
        self.exact_ap = ExactAP(
            matches, counted, iou_threshold=iou_threshold, count_empty_pictures=count_empty_pictures
        )

    def __call__(
        self, weights: NDArray[np.integer], average_precision: NDArray[np.float64]
    ) -> Mapping[str, NDArray[np.float64]]:
        """Return each number under each draw, float64 (draws,), of which `average_precision` is given."""
        blocks = blocks_of_draws(weights, self._copies.numbers)
        parts = [self._of_block(weights[some], average_precision[some]) for some in blocks]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _of_block(
        self, weights: NDArray[np.integer], average_precision: NDArray[np.float64]
    ) -> Mapping[str, NDArray[np.float64]]:
        copies, hits = self._copies.under(weights), self._hits.under(weights)
        (faces,) = weighted_sums(weights, self._faces)
        total = copies.total
        ends = (total > 0) & (faces > 0)
        recall, precision = ratio(hits.total, faces), ratio(hits.total, total)

        first_of_tail = self._first_of_score(copies, total - np.ceil(total / 10))
        before_tail = copies.before(first_of_tail)[:, 0]
        tail_precision = ratio(hits.total - hits.before(first_of_tail)[:, 0], total - before_tail)
        tail_average_precision = average_precision - self.exact_ap.of_highest(weights, before_tail)
        found = {
            "recall": recall,
            "precision": precision,
            "tail_precision": tail_precision,
            "tail_average_precision": tail_average_precision,
            "crowding": ratio(total - copies.before(self._first_of_crowd(copies, weights))[:, 0], total),
            "average_precision_bound": average_precision + (1 - recall) * precision,
        }
        found = {name: np.where(ends, values, np.nan) for name, values in found.items()}
        return found | {"average_precision": average_precision}

    def _first_of_score(self, copies: RunningSum, place: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the first row of those that share the score of the row at a place: int64 (draws, 1)."""
        if len(self._scores) == 0:
            return np.zeros((len(place), 1), dtype=np.int64)
        row = copies.at(place[:, None].astype(np.int64))
        return np.searchsorted(-self._scores, -self._scores[row], side="left").astype(np.int64)

    def _first_of_crowd(self, copies: RunningSum, weights: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the first row in the lowest tenth of the way from the lowest score to the median: int64 (draws, 1)."""
        middle = self._first_of_score(copies, np.maximum(np.ceil(copies.total / 2) - 1, 0))
        if len(self._scores) == 0:
            return middle
        drawn = (weights > 0) & np.isfinite(self._lowest)
        lowest = np.where(drawn, self._lowest, np.inf).min(axis=1, initial=np.inf)[:, None]
        lowest = np.where(np.isfinite(lowest), lowest, 0.0)  # of a draw without any detection
        median = self._scores[middle]
        return np.searchsorted(-self._scores, -(lowest + (median - lowest) / 10), side="left").astype(np.int64)

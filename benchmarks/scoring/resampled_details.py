"""Intervals over resampled pictures for what is said in depth: error kinds, calibration, thresholds, misses.

Each function takes the draws of `draw_weights` and returns what its plain function returns, as intervals. All but the
kinds of error are ratios of sums over pictures; an error is fixed within its picture, so that what is left is one more
curve to weigh. The boxes themselves are in `resampled_boxes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .bootstrap import CONFIDENCE, Interval, interval, paired_difference, percentile_interval, resample
from .calibration import calibration
from .error_analysis import KINDS, Kind, fixed
from .matching import Matches
from .missed_faces import misses_by_group
from .resampled_curves import ExactAP
from .resampling import Ratio, checked_weights, faces_per_picture, operating_ratios, ratio
from .thresholds import ThresholdChoice
from .verdicts import faces_not_hit, first_half, verdicts

_NUMBERS_PER_BLOCK = 1 << 18
"""Thresholds times draws computed together: 2 MB an array."""


class SweepBands(NamedTuple):
    """Percentile bands of the curves of a sweep, float64 (m,) each, nan where the rate is undefined in every draw.

    Each threshold has a band of its own: that the whole curve lies within has a lower chance than the confidence.
    """

    precision_low: NDArray[np.float64]
    precision_high: NDArray[np.float64]
    recall_low: NDArray[np.float64]
    recall_high: NDArray[np.float64]


def error_cost_intervals(
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> Mapping[Kind, Interval]:
    """Return the interval of `ErrorCost.delta_ap` for each kind.

    AP with a kind fixed and AP as it is come from the same draws, so a kind that does not occur costs 0 in all of them.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures).
        iou_threshold: of a hit.
        count_empty_pictures: let false alarms on pictures without any annotated face count.
    """

    def exact_ap(some: Matches, faces: NDArray[np.bool_]) -> ExactAP:
        return ExactAP(some, faces, iou_threshold=iou_threshold, count_empty_pictures=count_empty_pictures)

    as_it_is = resample(exact_ap(matches, counted), weights)
    return {
        kind: paired_difference(
            resample(exact_ap(*fixed(matches, counted, (kind,), iou_threshold=iou_threshold)), weights), as_it_is
        ).interval
        for kind in KINDS
    }


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
    """Return the intervals of "expected_error", over bins of equal width, and "brier" of `calibration`.

    The expected error is a mean of distances: the scatter that makes it positive without any fault is added once more
    by drawing, so the interval lies high, and its lower end can exceed the value where detections are few.

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
    some = ~judged.dropped & (matches.scores >= score_floor)
    scores, picture, right = matches.scores[some], matches.picture[some], judged.hit[some].astype(np.float64)
    place = np.clip(np.searchsorted(plain.equal_width.edges[:-1], scores, side="right") - 1, 0, bins - 1)
    # Of a bin's share of the mean, |mean score - hit share| · count / all, the count cancels.
    excess: NDArray[np.float64] = np.zeros((matches.pictures, bins))
    np.add.at(excess, (picture, place), scores - right)
    square = np.bincount(picture, (scores - right) ** 2, matches.pictures).astype(np.float64)
    total = (weights @ np.bincount(picture, minlength=matches.pictures)).astype(np.float64)
    return {
        "expected_error": percentile_interval(
            plain.equal_width.expected_error, ratio(np.abs(weights @ excess).sum(axis=1), total)
        ),
        "brier": percentile_interval(plain.brier, ratio(weights @ square, total)),
    }


def threshold_choice_interval(
    choice: ThresholdChoice,
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    seed: int = 0,
    count_empty_pictures: bool = True,
) -> Interval | None:
    """Return the interval of `ThresholdChoice.got`, the rate on the half that reports; None where none was chosen.

    The threshold is held: this is what it gives on other pictures, not what another choice would have been.

    Args:
        choice: from `choose_threshold`.
        matches: the same as for the choice, as are `counted`, `seed` and `count_empty_pictures`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures), of all pictures; those of the choosing half are passed over.
        seed: of the split.
        count_empty_pictures: let pictures without any annotated face count, with their false alarms.
    """
    checked_weights(weights, matches.pictures)
    if choice.reported_on is None:
        return None
    whole = operating_ratios(matches, counted, choice.score_threshold, count_empty_pictures=count_empty_pictures)
    reporting = ~first_half(matches.pictures, seed)
    rate = whole[choice.rate]
    return interval(resample(Ratio(rate.part * reporting, rate.whole * reporting), weights))


def sweep_bands(
    matches: Matches,
    counted: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    weights: NDArray[np.integer],
    *,
    confidence: float = CONFIDENCE,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> SweepBands:
    """Return the bands of precision and recall at the thresholds of a `Sweep`.

    The cost is that of two percentiles a threshold, about 0.2 ms with a thousand draws: thin a long sweep first.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        thresholds: float64 (m,), never rising; a detection is accepted when its score is at least the threshold.
        weights: int (draws, pictures).
        confidence: above 0 and below 1.
        iou_threshold: of a hit.
        count_empty_pictures: let false alarms on pictures without any annotated face count.

    Raises:
        UsageError: on rising thresholds.
    """
    if not bool((thresholds[1:] <= thresholds[:-1]).all()):
        raise UsageError("thresholds must never rise, as those of a sweep; sort them, highest first")
    checked_weights(weights, matches.pictures)
    judged = verdicts(matches, counted, iou_threshold=iou_threshold)
    proposal = judged.hit | judged.false_alarm
    if not count_empty_pictures:
        proposal &= (np.diff(matches.face_offsets) > 0)[matches.picture]
    hit_table, proposal_table = (_accepted(matches, thresholds, chosen) for chosen in (judged.hit, proposal))
    columns = np.ascontiguousarray(weights.T, dtype=np.float64)
    faces = faces_per_picture(matches.face_offsets, counted) @ columns
    hits_before, proposals_before = np.zeros(len(weights)), np.zeros(len(weights))
    bands = np.empty((4, len(thresholds)))
    rows = max(1, _NUMBERS_PER_BLOCK // max(len(weights), 1))
    for start in range(0, len(thresholds), rows):
        hits = hits_before + np.cumsum(hit_table[start : start + rows] @ columns, axis=0)
        proposals = proposals_before + np.cumsum(proposal_table[start : start + rows] @ columns, axis=0)
        hits_before, proposals_before = hits[-1], proposals[-1]
        for row in range(len(hits)):
            precision = percentile_interval(math.nan, ratio(hits[row], proposals[row]), confidence)
            recall = percentile_interval(math.nan, ratio(hits[row], faces), confidence)
            bands[:, start + row] = precision.low, precision.high, recall.low, recall.high
    return SweepBands(*bands)


def miss_share_intervals(
    matches: Matches,
    counted: NDArray[np.bool_],
    labels: NDArray[np.generic],
    weights: NDArray[np.integer],
    *,
    score_threshold: float = -math.inf,
    iou_threshold: float = 0.5,
) -> Mapping[str | int, Interval]:
    """Return the interval of `GroupMisses.share` for each label of `misses_by_group`, whose arguments these are.

    Groups come from the same draws. `Interval.draws` falls where few pictures hold a face of the group.
    """
    groups = misses_by_group(
        matches, counted, labels, score_threshold=score_threshold, iou_threshold=iou_threshold
    )  # refuses labels that do not fit
    hit = verdicts(matches, counted, iou_threshold=iou_threshold).hit & (matches.scores >= score_threshold)
    unfound = faces_not_hit(matches, counted, hit)

    def share(group: NDArray[np.bool_]) -> Ratio:
        part, whole = (faces_per_picture(matches.face_offsets, mask & group) for mask in (unfound, counted))
        return Ratio(part.astype(np.float64), whole.astype(np.float64))

    return {name: interval(resample(share(np.asarray(labels == name)), weights)) for name in groups}


def _accepted(matches: Matches, thresholds: NDArray[np.float64], chosen: NDArray[np.bool_]) -> Any:
    """Count the chosen detections of each picture accepted at a threshold and not before: sparse (m, pictures)."""
    from scipy.sparse import csr_array

    row = np.searchsorted(-thresholds, -matches.scores[chosen])
    some = row < len(thresholds)
    row, column = row[some], matches.picture[chosen][some]
    return csr_array((np.ones(len(row)), (row, column)), shape=(len(thresholds), matches.pictures))

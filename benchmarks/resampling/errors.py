"""Intervals over resampled pictures for what is said in depth: error kinds, chosen thresholds, misses.

Each function takes the draws of `draw_weights` and returns what its plain function returns, as intervals. All but the
kinds of error are ratios of sums over pictures; an error is fixed within its picture, so that what is left is one more
curve to weigh. Beside this are `resampled_boxes`, `resampled_calibration`, `resampled_curve_end` and `resampled_sweep`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..scoring.error_analysis import KINDS, Kind, fixed
from ..scoring.matching import Matches
from ..scoring.missed_faces import misses_by_group
from ..scoring.thresholds import ThresholdChoice
from ..scoring.verdicts import faces_not_hit, first_half, verdicts
from .average_precision import ExactAP
from .bootstrap import Interval, Resampled, interval, paired_difference, resample
from .statistics import Ratio, checked_weights, faces_per_picture, operating_ratios


def error_cost_intervals(
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    average_precision: Resampled | None = None,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> Mapping[Kind, Interval]:
    """Return the interval of `ErrorCost.delta_ap` for each kind.

    AP with a kind fixed and AP as it is come from the same draws, so a kind that does not occur costs 0 in all of them.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures).
        average_precision: exact AP as it is under these draws, where it is known already.
        iou_threshold: of a hit.
        count_empty_pictures: let false alarms on pictures without any annotated face count.
    """

    def exact_ap(some: Matches, faces: NDArray[np.bool_]) -> ExactAP:
        return ExactAP(some, faces, iou_threshold=iou_threshold, count_empty_pictures=count_empty_pictures)

    checked_weights(weights, matches.pictures)
    as_it_is = average_precision or resample(exact_ap(matches, counted), weights)
    return {
        kind: paired_difference(
            resample(exact_ap(*fixed(matches, counted, (kind,), iou_threshold=iou_threshold)), weights), as_it_is
        ).interval
        for kind in KINDS
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

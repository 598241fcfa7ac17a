"""What each kind of error costs in average precision, which faces are missed, and what a chosen threshold gives.

Each number lies with its interval over resampled images, for draws of `draw_weights`. All but the costs are ratios of
sums over images; an error is fixed within its image, so that what is left is one more curve to weigh.

Costs are after TIDE, whose kinds of errors are in `error_analysis`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.error_analysis import KINDS, Kind, classify_errors, fixed
from ..scoring.matching import Matches
from ..scoring.thresholds import ThresholdChoice
from ..scoring.verdicts import first_half, select_detections
from .average_precision import ExactAP
from .bootstrap import Interval, Resampled, interval, paired_difference, resample, resample_ratios
from .statistics import Ratio, checked_weights, operating_ratios, share_of_faces


@dataclass(frozen=True, slots=True)
class ErrorCost:
    """How often one kind of error occurs and what it costs.

    Attributes:
        count: over all detections of any score.
        count_at_threshold: as a user sees it, with the detections at or above the score threshold alone.
        delta_ap: exact AP with this kind fixed less exact AP as it is, over the whole curve; nan where either is
            undefined. The five do not add up to 1 - AP: fixing one kind changes what the others cost.
    """

    count: int
    count_at_threshold: int
    delta_ap: Interval


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """The errors of one detector on one list of faces.

    Attributes:
        kinds: a cost for each of `KINDS`.
        unfound_at_threshold: counted faces without a hit among the detections at or above the score threshold.
        faces: faces that count.
    """

    kinds: Mapping[Kind, ErrorCost]
    unfound_at_threshold: int
    faces: int


def analyse_errors(
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    score_threshold: float = -math.inf,
    average_precision: Resampled | None = None,
) -> ErrorAnalysis:
    """Count the errors of each kind and say what each costs in exact AP.

    AP with a kind fixed and AP as it is come from the same draws, so a kind that does not occur costs 0 in all of them.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, images).
        score_threshold: lowest score accepted in the counts at threshold, of float32 scores a float32 value, as `score`
            makes of it; AP is over all scores.
        average_precision: exact AP as it is under these draws, where it is known already.
    """
    checked_weights(weights, matches.images)
    errors = classify_errors(matches, counted)
    seen = classify_errors(select_detections(matches, matches.scores >= score_threshold), counted)
    as_it_is = average_precision or resample(ExactAP(matches, counted), weights)

    def delta_ap(kind: Kind) -> Interval:
        return paired_difference(resample(ExactAP(*fixed(matches, counted, (kind,))), weights), as_it_is).interval

    return ErrorAnalysis(
        kinds={kind: ErrorCost(errors.number(kind), seen.number(kind), delta_ap(kind)) for kind in KINDS},
        unfound_at_threshold=int(seen.unfound.sum()),
        faces=int(counted.sum()),
    )


def threshold_choice_interval(
    choice: ThresholdChoice,
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    seed: int = 0,
) -> Interval | None:
    """Return the interval of `ThresholdChoice.got`, the rate on the half that reports; None where none was chosen.

    The threshold is held: this is what it gives on other images, not what another choice would have been.

    Args:
        choice: from `choose_threshold`.
        matches: the same as for the choice, as are `counted` and `seed`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, images), of all images; those of the choosing half are passed over.
        seed: of the split.
    """
    checked_weights(weights, matches.images)
    if choice.reported_on is None:
        return None
    rate = operating_ratios(matches, counted, choice.score_threshold)[choice.rate]
    reporting = ~first_half(matches.images, seed)
    return interval(resample(Ratio(rate.part * reporting, rate.whole * reporting), weights))


@dataclass(frozen=True, slots=True)
class GroupMisses:
    """The faces of one group that were not found.

    Attributes:
        faces: counted faces of the group.
        unfound: those without a hit.
        share: unfound / faces; nan for a group without counted faces. `Interval.draws` falls where few images hold a
            face of the group.
    """

    faces: int
    unfound: int
    share: Interval


def misses_by_group(
    face_offsets: NDArray[np.int64],
    counted: NDArray[np.bool_],
    unfound: NDArray[np.bool_],
    labels: NDArray[np.generic],
    weights: NDArray[np.integer],
) -> dict[str | int, GroupMisses]:
    """Break the faces not found down by a label, such as size bin, blur or occlusion.

    Args:
        face_offsets: as in `Matches`.
        counted: bool (faces,): the faces of the list.
        unfound: bool (faces,): those of them that were not found, as from `faces_not_hit`.
        labels: (faces,), whole numbers or strings.
        weights: int (draws, images).

    Returns:
        Label -> misses, in the order of the labels, those of ignored faces alone among them.

    Raises:
        UsageError: where there is not one label a face.
    """
    checked_weights(weights, len(face_offsets) - 1)
    if labels.shape != counted.shape:
        raise UsageError(f"expected a label for each of {len(counted)} faces, got labels of shape {labels.shape}")
    groups = {name: np.asarray(labels == name) & counted for name in np.unique(labels).tolist()}
    shares = resample_ratios([share_of_faces(face_offsets, unfound, group) for group in groups.values()], weights)
    return {
        name: GroupMisses(int(group.sum()), int((unfound & group).sum()), interval(share))
        for (name, group), share in zip(groups.items(), shares, strict=True)
    }

"""Which faces are missed, and what a chosen threshold gives, each with its interval over resampled images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.matching import Matches
from ..scoring.thresholds import ThresholdChoice
from ..scoring.verdicts import first_half
from .bootstrap import Interval, interval, resample, resample_ratios
from .statistics import Ratio, checked_weights, operating_ratios, share_of_faces


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

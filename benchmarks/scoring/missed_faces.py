"""Which faces are not found: by size, blur, occlusion or any other label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .matching import Matches
from .verdicts import faces_not_hit, verdicts


@dataclass(frozen=True, slots=True)
class GroupMisses:
    """The faces of one group that were not found.

    Attributes:
        faces: counted faces of the group.
        unfound: those without a hit.
    """

    faces: int
    unfound: int

    @property
    def share(self) -> float:
        """Unfound / faces; nan for a group without counted faces."""
        return self.unfound / self.faces if self.faces else math.nan


def misses_by_group(
    matches: Matches,
    counted: NDArray[np.bool_],
    labels: NDArray[np.generic],
    *,
    score_threshold: float = -math.inf,
    iou_threshold: float = 0.5,
) -> dict[str | int, GroupMisses]:
    """Break the faces not found down by a label, such as size bin, blur or occlusion.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        labels: (faces,), whole numbers or strings.
        score_threshold: lowest score accepted; of float32 scores a float32 value, as `score` makes of it.
        iou_threshold: of a hit.

    Returns:
        Label -> misses, in the order of the labels, those of ignored faces alone among them.

    Raises:
        UsageError: where there is not one label a face.
    """
    if labels.shape != (matches.faces,):
        raise UsageError(f"expected a label for each of {matches.faces} faces, got labels of shape {labels.shape}")
    hit = verdicts(matches, counted, iou_threshold=iou_threshold).hit & (matches.scores >= score_threshold)
    unfound = faces_not_hit(matches, counted, hit)
    names, group = np.unique(labels, return_inverse=True)
    faces, without_hit = (np.bincount(group[mask], minlength=len(names)).tolist() for mask in (counted, unfound))
    return {name: GroupMisses(*numbers) for name, *numbers in zip(names.tolist(), faces, without_hit, strict=True)}

"""What each kind of error costs in average precision.

After TIDE (Bolya, Foley, Hays, Hoffman: A General Toolbox for Identifying Object Detection Errors, ECCV 2020), with one
class and with ignored faces: fix one kind of error, measure AP again, and the difference is what that kind costs. As in
TIDE every error has one owner, so a face with a badly placed box on it is a matter of placing, not of missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .counting import count
from .matching import Matches
from .verdicts import faces_not_hit, select_detections, verdicts
from .wider_protocol import exact_average_precision

Kind = Literal["duplicate", "badly_placed", "near_ignored", "background", "missed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BACKGROUND_IOU = 0.1
"""Below this IoU a false alarm has nothing to do with a face (TIDE, section 2.2)."""


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
    delta_ap: float


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """The errors of one detector on one list of faces.

    Attributes:
        average_precision: exact AP as it is.
        kinds: a cost for each of `KINDS`.
            duplicate: a false alarm with IoU of at least 0.5 with a counted face that has its hit. Fixed: taken away.
            badly_placed: its best face counts, at IoU from 0.1 to below 0.5. Fixed: moved onto that face if nothing
            else hits it (of several the highest-scored), else taken away.
            near_ignored: its best face does not count, at IoU from 0.1 to below 0.5. Fixed: taken away.
            background: IoU below 0.1 with every face. Fixed: taken away.
            missed: a counted face without a hit and without a badly placed box. Fixed: no longer asked for.
        unfound: all counted faces without a hit, the missed ones and those with a badly placed box.
        unfound_at_threshold: the same among detections at or above the threshold.
        faces: faces that count.
        score_threshold: of the counts at threshold.
    """

    average_precision: float
    kinds: Mapping[Kind, ErrorCost]
    unfound: int
    unfound_at_threshold: int
    faces: int
    score_threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """The kind of every error, one owner each.

    Attributes:
        false_alarms: kind -> bool (n,) over the detections in the order of the matches; "missed" is not among them.
        missed: bool (faces,): the faces that count, have no hit and no badly placed box.
        unfound: bool (faces,): the faces that count and have no hit.
    """

    false_alarms: Mapping[Kind, NDArray[np.bool_]]
    missed: NDArray[np.bool_]
    unfound: NDArray[np.bool_]

    def number(self, kind: Kind) -> int:
        """Return how many errors are of a kind."""
        return int((self.missed if kind == "missed" else self.false_alarms[kind]).sum())


def classify_errors(matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float = 0.5) -> Errors:
    """Name the kind of every false alarm and of every face not found.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        iou_threshold: of a hit, above `BACKGROUND_IOU` and at most 1, against the IoU with the plus-one rule.

    Raises:
        UsageError: on a mask that does not fit, or a threshold out of range.
    """
    if not iou_threshold > BACKGROUND_IOU:
        raise UsageError(f"iou_threshold must be above {BACKGROUND_IOU}, where background begins, got {iou_threshold}")
    verdict = verdicts(matches, counted, iou_threshold=iou_threshold)
    # The last place serves best_face -1, no face.
    on_counted = np.append(counted, False)[matches.best_face]
    near = matches.iou >= BACKGROUND_IOU
    on_face = matches.iou >= iou_threshold
    unfound = faces_not_hit(matches, counted, verdict.hit)
    badly_placed = verdict.false_alarm & near & ~on_face & on_counted
    missed = unfound.copy()
    missed[matches.best_face[badly_placed]] = False
    return Errors(
        false_alarms={
            "duplicate": verdict.false_alarm & on_face,
            "badly_placed": badly_placed,
            "near_ignored": verdict.false_alarm & near & ~on_counted,
            "background": verdict.false_alarm & ~near,
        },
        missed=missed,
        unfound=unfound,
    )


def fixed_average_precision(
    matches: Matches,
    counted: NDArray[np.bool_],
    kinds: Iterable[Kind],
    *,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> float:
    """Return exact AP as if no error of these kinds had been made; with all of `KINDS` it is 1.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        kinds: to fix, together.
        iou_threshold: of a hit.
        count_empty_pictures: let false alarms on pictures without any annotated face count.

    Returns:
        In [0, 1]; nan where no face is left to be found, as when all are missed and that is fixed.
    """
    counts = count(*fixed(matches, counted, kinds, iou_threshold=iou_threshold), iou_threshold=iou_threshold)
    return exact_average_precision(counts, count_empty_pictures=count_empty_pictures)


def fixed(
    matches: Matches, counted: NDArray[np.bool_], kinds: Iterable[Kind], *, iou_threshold: float = 0.5
) -> tuple[Matches, NDArray[np.bool_]]:
    """Return the matches and the mask of counted faces as if no error of these kinds had been made.

    What is fixed in a picture depends on that picture alone, so pictures may be weighed afterwards.
    """
    errors = classify_errors(matches, counted, iou_threshold=iou_threshold)
    kinds = set(kinds)
    removed = np.zeros(len(matches), dtype=np.bool_)
    for kind in kinds - {"missed"}:
        removed |= errors.false_alarms[kind]
    if "badly_placed" in kinds:
        candidates = np.flatnonzero(errors.false_alarms["badly_placed"])
        candidates = candidates[errors.unfound[matches.best_face[candidates]]]
        _, first = np.unique(matches.best_face[candidates], return_index=True)
        moved = candidates[first]
        removed[moved] = False
        overlap = matches.iou.copy()
        overlap[moved] = 1.0
        matches = replace(matches, iou=overlap)
    if "missed" in kinds:
        counted = counted & ~errors.missed
    return select_detections(matches, ~removed), counted


def analyse_errors(
    matches: Matches,
    counted: NDArray[np.bool_],
    *,
    score_threshold: float = -math.inf,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> ErrorAnalysis:
    """Count the errors of each kind and say what each costs in exact AP.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        score_threshold: lowest score accepted in the counts at threshold, of float32 scores a float32 value, as `score`
            makes of it; AP is over all scores.
        iou_threshold: of a hit.
        count_empty_pictures: let false alarms on pictures without any annotated face count in AP.
    """
    errors = classify_errors(matches, counted, iou_threshold=iou_threshold)
    accepted = select_detections(matches, matches.scores >= score_threshold)
    seen = classify_errors(accepted, counted, iou_threshold=iou_threshold)

    def with_fixed(*kinds: Kind) -> float:
        return fixed_average_precision(
            matches, counted, kinds, iou_threshold=iou_threshold, count_empty_pictures=count_empty_pictures
        )

    average_precision = with_fixed()

    return ErrorAnalysis(
        average_precision=average_precision,
        kinds={
            kind: ErrorCost(errors.number(kind), seen.number(kind), with_fixed(kind) - average_precision)
            for kind in KINDS
        },
        unfound=int(errors.unfound.sum()),
        unfound_at_threshold=int(seen.unfound.sum()),
        faces=int(counted.sum()),
        score_threshold=score_threshold,
    )

"""The kind of each error, and what would be left without those of a kind.

After TIDE (Bolya, Foley, Hays, Hoffman: A General Toolbox for Identifying Object Detection Errors, ECCV 2020), with one
class and with ignored faces: fix one kind of error, measure AP again, and the difference is what that kind costs. As in
TIDE every error has one owner, so a face with a badly placed box on it is a matter of placing, not of missing.

- duplicate: a false alarm with IoU of at least 0.5 with a counted face that has its hit. Fixed: taken away.
- badly_placed: its best face counts, at IoU from 0.1 to below 0.5. Fixed: moved onto that face if nothing else hits it
  (of several the highest-scored), else taken away.
- near_ignored: its best face does not count, at IoU from 0.1 to below 0.5, or so much of it is in a crowd region.
  Fixed: taken away.
- background: IoU below 0.1 with every face, and less than 0.1 of it in a crowd region. Fixed: taken away.
- missed: a counted face without a hit and without a badly placed box. Fixed: no longer asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .counting import count
from .matching import Matches
from .verdicts import faces_not_hit, select_detections, verdicts
from .wider_protocol import exact_average_precision

Kind = Literal["duplicate", "badly_placed", "near_ignored", "background", "missed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HIT_IOU = 0.5
BACKGROUND_IOU = 0.1
"""Below this IoU a false alarm has nothing to do with a face (TIDE, section 2.2)."""


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


def classify_errors(matches: Matches, counted: NDArray[np.bool_]) -> Errors:
    """Name the kind of every false alarm and of every face not found.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.

    Raises:
        UsageError: on a mask that does not fit.
    """
    verdict = verdicts(matches, counted)
    # The last place serves best_face -1, no face.
    on_counted = np.append(counted, False)[matches.best_face]
    near = matches.iou >= BACKGROUND_IOU
    on_face = matches.iou >= HIT_IOU
    unfound = faces_not_hit(matches, counted, verdict.hit)
    badly_placed = verdict.false_alarm & near & ~on_face & on_counted
    if matches.in_crowd is not None:
        near = near | (matches.in_crowd >= BACKGROUND_IOU)
    missed = unfound.copy()
    missed[matches.best_face[badly_placed]] = False
    return Errors(
        false_alarms={
            "duplicate": verdict.false_alarm & on_face,
            "badly_placed": badly_placed,
            "near_ignored": verdict.false_alarm & near & ~on_face & ~badly_placed,
            "background": verdict.false_alarm & ~near,
        },
        missed=missed,
        unfound=unfound,
    )


def fixed(matches: Matches, counted: NDArray[np.bool_], kinds: Iterable[Kind]) -> tuple[Matches, NDArray[np.bool_]]:
    """Return the matches and the mask of counted faces as if no error of these kinds had been made.

    What is fixed in an image depends on that image alone, so images may be weighed afterwards.
    """
    errors = classify_errors(matches, counted)
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


@dataclass(frozen=True, slots=True)
class ErrorCost:
    """How often one kind of error occurs and what it costs.

    Attributes:
        count: over all detections of any score.
        count_at_threshold: as a user sees it, with the detections at or above the score threshold alone.
        delta_ap: exact AP with this kind fixed less exact AP as it is, over the whole curve; nan where either is
            undefined. The five do not add up to 1 - AP: fixing one kind changes what the others cost. It has no
            interval: rare kinds are on so few images that none held what it claimed.
    """

    count: int
    count_at_threshold: int
    delta_ap: float


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
    matches: Matches, counted: NDArray[np.bool_], *, score_threshold: float = -math.inf
) -> ErrorAnalysis:
    """Count the errors of each kind and say what each costs in exact AP.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        score_threshold: lowest score accepted in the counts at threshold, of float32 scores a float32 value, as `score`
            makes of it; AP is over all scores.
    """
    errors = classify_errors(matches, counted)
    seen = classify_errors(select_detections(matches, matches.scores >= score_threshold), counted)
    as_it_is = exact_average_precision(count(matches, counted))

    def cost(kind: Kind) -> ErrorCost:
        better = exact_average_precision(count(*fixed(matches, counted, (kind,))))
        return ErrorCost(errors.number(kind), seen.number(kind), better - as_it_is)

    return ErrorAnalysis({kind: cost(kind) for kind in KINDS}, int(seen.unfound.sum()), int(counted.sum()))

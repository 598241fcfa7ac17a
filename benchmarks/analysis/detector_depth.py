"""One detector in depth: intervals, slices, operating points, box habits, error kinds, misses, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ...datasets.manage.statistics import HEIGHTS_PX, in_bins
from ..resampling.average_precision import CocoAP
from ..resampling.bands import SweepBands, sweep_bands
from ..resampling.bootstrap import Interval, Resampled, interval
from ..resampling.boxes import BoxHabit, HitOverlap, box_habit, hit_overlap
from ..resampling.effective import by_unit, effective_mass
from ..resampling.errors import GroupMisses, misses_by_group, threshold_choice_interval
from ..resampling.ranking import Gap
from ..scoring import count
from ..scoring.calibration import Calibration, calibration
from ..scoring.coco import Overlaps, coco_overlaps
from ..scoring.error_analysis import ErrorAnalysis, analyse_errors
from ..scoring.localisation import UnbiasedPrecision, unbiased_average_precision
from ..scoring.slices import HEIGHT
from ..scoring.sweep import CurveEnd, Sweep, curve_end, sweep
from ..scoring.thresholds import ThresholdChoice, choose_threshold
from ..scoring.verdicts import faces_not_hit, verdicts
from .intervals import exact_draws, row_intervals
from .slice_scores import SliceScore, SliceScorer
from .table import Row, Summary

_WANTED_PRECISION = 0.95
_WANTED_FALSE_ALARMS = 0.1
_SWEEP_POINTS = 160
_COCO_DRAWS = 200
"""COCO's rule is ten matchings, read at 101 recalls: a thousand draws would cost more than all other APs together."""


@dataclass(frozen=True, slots=True)
class ListIntervals:
    """Average precision on one list, each with its interval over resampled images.

    Attributes:
        exact: every distinct score a threshold, IoU 0.5.
        official: as the official WIDER FACE evaluation.
        coco: mean over IoU .50:.05:.95, 101 recall points, no cap on detections.
        coco50: at IoU .50.
        coco75: at IoU .75.
    """

    exact: Interval
    official: Interval
    coco: Interval
    coco50: Interval
    coco75: Interval


@dataclass(frozen=True, slots=True)
class CellAnalysis:
    """One detector, in depth; all but `lists` and `operating` on the primary list.

    Attributes:
        lists: list name, or "overall" -> average precisions.
        operating: precision, recall, f1, false_alarms_per_image, mean_iou at the operating threshold, over all faces
            that are not ignored.
        slices: in the order of `standard_slices`, then events, then perceived demographics where labels are given.
        gaps: perceived label -> best less worst group, in recall at the operating threshold.
        sweep: rates over thresholds, thinned to what a curve of precision over recall shows.
        bands: of the rates at the thresholds of the sweep, each separately.
        curve_end: where and how the precision-recall curve ends.
        choices: thresholds for a wanted precision and a wanted false-alarm rate, chosen on one half, reported on the
            other, each with the interval of what it gives there; None where none was chosen.
        overlap: IoU of hits at the operating threshold.
        habit: how boxes differ from the annotation's.
        unbiased: IoU of a hit -> exact AP before and after that habit is taken out.
        errors: what each kind of error costs in AP.
        misses: attribute -> group -> faces and how many were not found at the operating threshold.
        calibration: None where scores do not claim to be probabilities, or leave their range.
    """

    lists: Mapping[str, ListIntervals]
    operating: Mapping[str, Interval]
    slices: Sequence[SliceScore]
    gaps: Mapping[str, Gap]
    sweep: Sweep
    bands: SweepBands
    curve_end: CurveEnd
    choices: Sequence[tuple[ThresholdChoice, Interval | None]]
    overlap: HitOverlap
    habit: BoxHabit
    unbiased: Mapping[float, UnbiasedPrecision]
    errors: ErrorAnalysis
    misses: Mapping[str, Mapping[str | int, GroupMisses]]
    calibration: Calibration | None


class CellScorer:
    """Scores one cell in depth: matched once, then counted for everything.

    Args:
        summary: of the run.
        row: of the cell.
        weights: int (draws, images).
        as_summary: whether these are the draws of the summary, so that what it holds need not be resampled again.
    """

    def __init__(self, summary: Summary, row: Row, weights: NDArray[np.integer], *, as_summary: bool) -> None:
        truth, found = summary.reader.truth, summary.reader.matched(row.cell)
        self._truth = truth
        self._row = row
        self._weights = weights
        self._counted = truth.masks[summary.primary]
        self._primary = summary.primary
        self._boxes, self._scores = found.boxes, found.scores
        self._matches, self._threshold = found.matches, found.threshold
        hit = verdicts(self._matches, self._counted).hit & (self._matches.scores >= self._threshold)
        self._unfound = faces_not_hit(self._matches, self._counted, hit)
        if as_summary and row.exact_draws:
            self._exact, self._known = row.exact_draws, row.intervals
        else:
            self._exact = exact_draws(self._matches, truth.masks, weights)
            self._known = row_intervals(self._matches, truth.masks, self._threshold, None, weights, self._exact)

    def analysis(self) -> tuple[CellAnalysis, Resampled]:
        """Return the analysis, and the resampled exact AP on the primary list."""
        truth, boxes, weights = self._truth, self._boxes, self._weights
        matches, counted, threshold = self._matches, self._counted, self._threshold
        primary = self._exact[self._primary]
        counts = count(matches, counted)
        thinned = _thinned(sweep(counts))
        slices = SliceScorer(truth, matches, counted, self._unfound, weights)
        overlaps = coco_overlaps(truth.faces, boxes, self._scores)
        choices = (
            choose_threshold(matches, counted, precision=_WANTED_PRECISION),
            choose_threshold(matches, counted, false_alarms_per_image=_WANTED_FALSE_ALARMS),
        )
        found = CellAnalysis(
            lists={name: self._list(name, mask, overlaps) for name, mask in truth.masks.items()},
            operating=self._known.operating,
            slices=slices.scores(),
            gaps=slices.gaps(),
            sweep=thinned,
            bands=sweep_bands(matches, counted, thinned.thresholds, weights),
            curve_end=curve_end(counts),
            choices=[(one, threshold_choice_interval(one, matches, counted, weights)) for one in choices],
            overlap=hit_overlap(matches, counted, weights, score_threshold=threshold),
            habit=box_habit(matches, truth.faces, boxes, counted, weights, score_threshold=threshold),
            unbiased=unbiased_average_precision(matches, truth.faces, boxes, counted, score_threshold=threshold),
            errors=analyse_errors(matches, counted, score_threshold=threshold),
            misses={
                name: misses_by_group(matches.face_offsets, counted, self._unfound, labels, weights)
                for name, labels in self._miss_labels().items()
            },
            calibration=self._calibration(),
        )
        return found, primary

    def _list(self, name: str, counted: NDArray[np.bool_], overlaps: Overlaps) -> ListIntervals:
        fewer = self._weights[:_COCO_DRAWS]
        statistic = CocoAP(overlaps, counted)
        found = statistic.by_threshold(np.insert(fewer, 0, 1, axis=0))
        plain, drawn, moved = found[:, 0], found[:, 1:], by_unit(statistic.influences().T, fewer).T
        mass = float(effective_mass(by_unit(statistic.mass, fewer)))
        coco, coco50, coco75 = (
            interval(
                Resampled(
                    value=float(plain[some].mean()),
                    samples=drawn[some].mean(axis=0),
                    influence=moved[some].mean(axis=0),
                    mass=mass,
                    limits=statistic.limits,
                )
            )
            for some in (slice(None), slice(0, 1), slice(5, 6))
        )
        return ListIntervals(self._known.exact[name], self._known.official[name], coco, coco50, coco75)

    def _miss_labels(self) -> dict[str, NDArray[np.generic]]:
        truth = self._truth
        heights = in_bins(truth.faces.boxes[:, 3] - truth.faces.boxes[:, 1], HEIGHTS_PX)
        return {HEIGHT: heights, **{name: truth.labels(name) for name in ("blur", "occlusion") if name in truth.table}}

    def _calibration(self) -> Calibration | None:
        """Return it where the scores are what it can judge."""
        kind = self._row.cell.info.score_kind
        if kind != "probability" or not len(self._scores) or self._scores.min() < 0 or self._scores.max() > 1:
            return None
        floor = min(max(self._row.cell.score_floor, 0.0), 1.0)
        return calibration(self._matches, self._counted, score_kind=kind, score_floor=floor)


def _thinned(whole: Sweep) -> Sweep:
    """Keep thresholds evenly spaced along the curve of precision over recall; both ends, best F1 and F2 among them.

    Evenly among the scores would leave corners where it matters: most scores of a detector with a low floor are those
    of its last false alarms.
    """
    recall, precision = np.nan_to_num(whole.recall), np.nan_to_num(whole.precision)
    along = np.cumsum(np.hypot(np.diff(recall, prepend=recall[:1]), np.diff(precision, prepend=precision[:1])))
    if len(along) <= _SWEEP_POINTS:
        return whole
    kept = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], _SWEEP_POINTS)))
    best = [int(np.nan_to_num(rates).argmax()) for rates in (whole.f1, whole.f2)]
    kept = np.union1d(kept, [0, *best, len(along) - 1])
    return Sweep(*(getattr(whole, one.name)[kept] for one in fields(whole)))

"""One detector in depth: intervals, slices, operating points, box habits, error kinds, misses, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...datasets.manage.statistics import HEIGHTS_PX
from ...datasets.sets.demographics import LABELS as PERCEIVED
from ..resampling.average_precision import CocoAP, ExactAP
from ..resampling.bands import SweepBands, sweep_bands
from ..resampling.bootstrap import (
    Gap,
    Interval,
    Resampled,
    gap,
    interval,
    resample,
)
from ..resampling.boxes import OverlapIntervals, box_bias_intervals, overlap_intervals, unbiased_intervals
from ..resampling.calibration import calibration_intervals
from ..resampling.curve_end import curve_end_intervals
from ..resampling.errors import error_cost_intervals, miss_share_intervals, threshold_choice_interval
from ..resampling.official import OfficialAP
from ..resampling.statistics import Ratio, faces_per_picture, operating_ratios
from ..scoring import PictureBoxes, count, match
from ..scoring.calibration import Calibration, calibration
from ..scoring.coco import Overlaps, coco_overlaps
from ..scoring.error_analysis import ErrorAnalysis, Kind, analyse_errors
from ..scoring.localisation import (
    BoxBias,
    HitOverlap,
    UnbiasedPrecision,
    box_bias,
    hit_overlap,
    unbiased_average_precision,
)
from ..scoring.matching import Matches
from ..scoring.missed_faces import GroupMisses, misses_by_group
from ..scoring.slices import (
    HEIGHT,
    LABELS,
    Slice,
    event_parts,
    label_slices,
    slice_matches,
    slice_weights,
    standard_slices,
)
from ..scoring.sweep import CurveEnd, Sweep, curve_end, sweep
from ..scoring.thresholds import ThresholdChoice, choose_threshold
from ..scoring.verdicts import faces_not_hit, verdicts
from ..store.truth import by_picture
from .intervals import OFFICIAL_DRAWS, exact_draws
from .table import Row, Summary, event_of

_WANTED_PRECISION = 0.95
_WANTED_FALSE_ALARMS = 0.1
_SWEEP_POINTS = 160
_COCO_DRAWS = 200
"""COCO's rule is ten matchings, read at 101 recalls: a thousand draws would cost more than all other APs together."""


@dataclass(frozen=True, slots=True)
class ListIntervals:
    """Average precision on one list, each with its interval over resampled pictures.

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
class SliceScore:
    """One detector on one slice.

    Attributes:
        group: such as "height in px".
        name: such as "16–32".
        faces: that count.
        pictures: that hold one of these faces. Of one picture every draw is the same: no width, and no meaning.
        exact: exact AP.
        recall: at the operating threshold.
    """

    group: str
    name: str
    faces: int
    pictures: int
    exact: Interval
    recall: Interval


@dataclass(frozen=True, slots=True)
class DetailIntervals:
    """Intervals of the numbers of `CellAnalysis` that carry none themselves, from the same draws.

    Attributes:
        errors: kind -> what mending it would bring.
        bias: dx, dy, width_ratio, height_ratio.
        overlap: mean IoU of hits, quantiles, shares of hits at and above each level and in each bar of the histogram.
        unbiased: before, after, gain of `CellAnalysis.unbiased`; the two fits are held.
        unbiased75: the same of `CellAnalysis.unbiased75`.
        choices: of each chosen threshold, what it gives on the other half; None where none was chosen.
        bands: of the rates at the thresholds of the sweep, each for itself.
        curve_end: the numbers of `CellAnalysis.curve_end` by name, but its lowest score.
        misses: attribute -> group -> share of faces not found.
        calibration: "expected_error", "maximum_error", "equal_count_error" and "brier"; empty where there is no
            calibration.
    """

    errors: Mapping[Kind, Interval]
    bias: Mapping[str, Interval]
    overlap: OverlapIntervals
    unbiased: Mapping[str, Interval]
    unbiased75: Mapping[str, Interval]
    choices: Sequence[Interval | None]
    bands: SweepBands
    curve_end: Mapping[str, Interval]
    misses: Mapping[str, Mapping[str | int, Interval]]
    calibration: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class CellAnalysis:
    """One detector, in depth; all but `lists` and `operating` on the primary list.

    Attributes:
        lists: list name, or "overall" -> average precisions.
        operating: precision, recall, f1, false_alarms_per_picture, mean_iou at the operating threshold, over all faces
            that are not ignored.
        slices: in the order of `standard_slices`, then events, then perceived demographics where labels are given.
        gaps: perceived label -> best less worst group, in recall at the operating threshold.
        sweep: rates over thresholds, thinned to what a curve of precision over recall shows.
        curve_end: where and how the precision-recall curve ends.
        thresholds: for a wanted precision and a wanted false-alarm rate, chosen on one half, reported on the other.
        overlap: IoU of hits at the operating threshold.
        bias: how boxes differ from the annotation's.
        unbiased: exact AP before and after that habit is taken out.
        unbiased75: the same at IoU .75.
        errors: what each kind of error costs in AP.
        misses: attribute -> group -> faces and how many were not found at the operating threshold.
        calibration: None where scores do not claim to be probabilities, or leave their range.
    """

    lists: Mapping[str, ListIntervals]
    operating: Mapping[str, Interval]
    slices: Sequence[SliceScore]
    gaps: Mapping[str, Gap]
    sweep: Sweep
    curve_end: CurveEnd
    thresholds: Sequence[ThresholdChoice]
    overlap: HitOverlap
    bias: BoxBias
    unbiased: UnbiasedPrecision
    unbiased75: UnbiasedPrecision
    errors: ErrorAnalysis
    misses: Mapping[str, Mapping[str | int, GroupMisses]]
    calibration: Calibration | None
    intervals: DetailIntervals


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The annotation of the pictures that were scored."""

    image_ids: Sequence[str]
    image_sizes: NDArray[np.int64]
    faces: PictureBoxes
    table: pd.DataFrame
    masks: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, summary: Summary) -> Truth:
        """Read it from the run."""
        run = summary.run
        return cls.of_tables(run.pictures(), run.faces(), run.document["dataset"]["lists"])

    @classmethod
    def of_tables(cls, pictures: pd.DataFrame, faces: pd.DataFrame, lists: Sequence[str]) -> Truth:
        """Lay out what pictures.parquet and faces.parquet hold; the pictures are those that could be decoded."""
        decoded = pictures[pictures["verdict"] == "ok"]
        usable = decoded["image_id"].tolist()
        boxes, table = by_picture(faces, usable)
        sizes = decoded[["width", "height"]].to_numpy(dtype=np.int64)
        masks = {name: table[name].to_numpy() > 0 for name in lists}
        return cls(usable, sizes, boxes, table, {**masks, "overall": ~table["ignore"].to_numpy(dtype=bool)})

    def labels(self, name: str) -> NDArray[np.int64]:
        """Return an attribute of all faces: int64 (faces,)."""
        return self.table[name].to_numpy(dtype=np.int64)


class CellWork:
    """Scores one cell in depth: matched once, then counted for everything.

    Args:
        summary: of the run.
        truth: of the run.
        row: of the cell.
        weights: int (draws, pictures).
        as_summary: whether these are the draws of the summary, so that what it holds need not be resampled again.
    """

    def __init__(
        self, summary: Summary, truth: Truth, row: Row, weights: NDArray[np.integer], *, as_summary: bool
    ) -> None:
        self._truth = truth
        self._row = row
        self._weights = weights
        self._counted = truth.masks[summary.primary]
        self._primary = summary.primary
        boxes, found = by_picture(summary.run.detections(row.cell), truth.image_ids)
        self._boxes = boxes
        self._scores = found["score"].to_numpy()
        self._matches: Matches = match(truth.faces, boxes, self._scores)
        # rounded as the scores are, so that a float32 score of 0.7 reaches a threshold of 0.7
        self._threshold = float(self._scores.dtype.type(row.cell["start"]["operating_threshold"]))
        hit = verdicts(self._matches, self._counted).hit & (self._matches.scores >= self._threshold)
        self._is_found = self._counted & ~faces_not_hit(self._matches, self._counted, hit)
        if as_summary and row.exact_draws:
            self._exact, self._official = row.exact_draws, row.intervals.official
        else:
            self._exact = exact_draws(self._matches, truth.masks, weights)
            self._official = {
                name: interval(resample(OfficialAP(self._matches, mask), weights[:OFFICIAL_DRAWS]))
                for name, mask in truth.masks.items()
            }

    def analysis(self) -> tuple[CellAnalysis, Resampled]:
        """Return the analysis, and the resampled exact AP on the primary list."""
        matches, counted, threshold = self._matches, self._counted, self._threshold
        primary = self._exact[self._primary]
        counts = count(matches, counted)
        operating = operating_ratios(matches, self._truth.masks["overall"], threshold)
        unbiased, unbiased75 = (
            unbiased_average_precision(
                self._truth.faces, self._boxes, self._scores, counted, score_threshold=threshold, iou_threshold=iou
            )
            for iou in (0.5, 0.75)
        )
        thinned = _thinned(sweep(counts))
        choices = [
            choose_threshold(matches, counted, precision=_WANTED_PRECISION),
            choose_threshold(matches, counted, false_alarms_per_picture=_WANTED_FALSE_ALARMS),
        ]
        groups = self._demographic_slices()
        overlaps = coco_overlaps(self._truth.faces, self._boxes, self._scores)
        found = CellAnalysis(
            lists={name: self._list(name, mask, overlaps) for name, mask in self._truth.masks.items()},
            operating={name: interval(resample(ratio, self._weights)) for name, ratio in operating.items()},
            slices=[
                *(self._slice(part) for part in self._slices()),
                *self._events(),
                *(self._slice(part) for parts in groups.values() for part in parts),
            ],
            gaps={name: found for name, parts in groups.items() if (found := self._gap(parts)) is not None},
            sweep=thinned,
            curve_end=curve_end(counts),
            thresholds=choices,
            overlap=hit_overlap(matches, counted, score_threshold=threshold),
            bias=box_bias(matches, self._truth.faces, self._boxes, counted, score_threshold=threshold),
            unbiased=unbiased,
            unbiased75=unbiased75,
            errors=analyse_errors(matches, counted, score_threshold=threshold),
            misses=self._misses(),
            calibration=self._calibration(),
            intervals=self._intervals(primary, thinned, choices, unbiased, unbiased75),
        )
        return found, primary

    def _intervals(
        self,
        primary: Resampled,
        thinned: Sweep,
        choices: Sequence[ThresholdChoice],
        unbiased: UnbiasedPrecision,
        unbiased75: UnbiasedPrecision,
    ) -> DetailIntervals:
        matches, counted, weights, threshold = self._matches, self._counted, self._weights, self._threshold
        claim = self._claim()
        faces, boxes = self._truth.faces, self._boxes
        at50, at75 = (
            unbiased_intervals(one, faces, boxes, self._scores, counted, weights, average_precision=known)
            for one, known in ((unbiased, primary), (unbiased75, None))
        )
        return DetailIntervals(
            errors=error_cost_intervals(matches, counted, weights, average_precision=primary),
            bias=box_bias_intervals(matches, faces, boxes, counted, weights, score_threshold=threshold),
            overlap=overlap_intervals(matches, counted, weights, score_threshold=threshold),
            unbiased=at50,
            unbiased75=at75,
            choices=[threshold_choice_interval(choice, matches, counted, weights) for choice in choices],
            bands=sweep_bands(matches, counted, thinned.thresholds, weights),
            curve_end=curve_end_intervals(matches, counted, weights, average_precision=primary),
            misses={
                name: miss_share_intervals(matches, counted, values, weights, score_threshold=threshold)
                for name, values in self._miss_labels().items()
            },
            calibration={}
            if claim is None
            else calibration_intervals(matches, counted, weights, score_kind=claim[0], score_floor=claim[1]),
        )

    def _list(self, name: str, counted: NDArray[np.bool_], overlaps: Overlaps) -> ListIntervals:
        fewer = self._weights[:_COCO_DRAWS]
        found = CocoAP(overlaps, counted).by_threshold(np.insert(fewer, 0, 1, axis=0))
        plain, drawn = found[:, 0], found[:, 1:]
        coco, coco50, coco75 = (
            interval(Resampled(float(plain[some].mean()), drawn[some].mean(axis=0)))
            for some in (slice(None), slice(0, 1), slice(5, 6))
        )
        return ListIntervals(
            exact=interval(self._exact[name]),
            official=self._official[name],
            coco=coco,
            coco50=coco50,
            coco75=coco75,
        )

    def _slices(self) -> tuple[Slice, ...]:
        truth = self._truth
        attributes = {name: truth.labels(name) for name in LABELS if name in truth.table}
        return standard_slices(truth.faces, self._counted, truth.image_sizes, attributes=attributes)

    def _slice(self, part: Slice) -> SliceScore:
        inside = np.repeat(part.pictures, np.diff(self._matches.face_offsets))
        weights = slice_weights(part, self._weights)
        return self._scored(part.group, part.name, *slice_matches(self._matches, part), inside, weights)

    def _events(self) -> Iterator[SliceScore]:
        events = [event_of(name) for name in self._truth.image_ids]
        if any(events):
            for name, part in event_parts(self._matches, self._counted, events):
                weights = np.ascontiguousarray(self._weights[:, part.pictures])
                yield self._scored("event", name, part.matches, part.counted, part.faces, weights)

    def _scored(
        self,
        group: str,
        name: str,
        matches: Matches,
        counted: NDArray[np.bool_],
        inside: NDArray[np.bool_] | NDArray[np.int64],
        weights: NDArray[np.integer],
    ) -> SliceScore:
        """Score a slice; `inside` says which faces of all are those of `matches`.

        Which box hits a face does not depend on slices.
        """
        recall = _recall(matches.face_offsets, self._is_found[inside], counted)
        return SliceScore(
            group=group,
            name=name,
            faces=int(np.count_nonzero(counted)),
            pictures=int(np.count_nonzero(recall.whole)),
            exact=interval(resample(ExactAP(matches, counted), weights)),
            recall=interval(resample(recall, weights)),
        )

    def _demographic_slices(self) -> dict[str, tuple[Slice, ...]]:
        truth = self._truth
        return {
            column.replace("_", " "): label_slices(
                truth.faces, self._counted, column.replace("_", " "), truth.labels(column), values
            )
            for column, values in PERCEIVED.items()
            if column in truth.table
        }

    def _gap(self, parts: Sequence[Slice]) -> Gap | None:
        offsets = self._matches.face_offsets
        return gap({part.name: resample(_recall(offsets, self._is_found, part.faces), self._weights) for part in parts})

    def _misses(self) -> dict[str, dict[str | int, GroupMisses]]:
        return {
            name: misses_by_group(self._matches, self._counted, values, score_threshold=self._threshold)
            for name, values in self._miss_labels().items()
        }

    def _miss_labels(self) -> dict[str, NDArray[np.generic]]:
        truth = self._truth
        heights = truth.faces.boxes[:, 3] - truth.faces.boxes[:, 1]
        lowest = [low for low, _ in HEIGHTS_PX.values()]
        bins = np.array(list(HEIGHTS_PX))[np.digitize(heights, lowest) - 1]
        return {HEIGHT: bins, **{name: truth.labels(name) for name in ("blur", "occlusion") if name in truth.table}}

    def _calibration(self) -> Calibration | None:
        claim = self._claim()
        if claim is None:
            return None
        return calibration(self._matches, self._counted, score_kind=claim[0], score_floor=claim[1])

    def _claim(self) -> tuple[str, float] | None:
        """Return score kind and floor where the scores are what calibration can judge."""
        kind = str(self._row.cell["info"]["score_kind"])
        if kind != "probability" or not len(self._scores) or self._scores.min() < 0 or self._scores.max() > 1:
            return None
        return kind, min(max(float(self._row.cell["start"]["score_floor"]), 0.0), 1.0)


def _recall(offsets: NDArray[np.int64], found: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Ratio:
    """Return the share of the counted faces that are found; offsets as in `PictureBoxes`."""
    part, whole = (faces_per_picture(offsets, mask).astype(np.float64) for mask in (found & counted, counted))
    return Ratio(part, whole)


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

"""One detector in depth, as text: what lies behind its row of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....benchmarks.analysis.depth import Analysis, CellAnalysis
from ....benchmarks.analysis.table import Row, Summary
from ....benchmarks.resampling.bands import Band
from ....benchmarks.resampling.bootstrap import CONFIDENCE, Interval
from ....benchmarks.resampling.boxes import BoxHabit
from ....benchmarks.resampling.errors import GroupMisses
from ....benchmarks.scoring.slices import LABELS
from ....datasets.manage.statistics import HEIGHTS_PX
from ...figures.curves import ReliabilityDot, reliability_dots
from ...figures.detectors import ERRORS
from ...values.numbers import (
    number_of,
    plain,
    row_label,
    share,
    signed,
    threshold,
    with_interval,
)
from ..base import Page, Section

ORDER = 130
_WIDTH, _HEIGHT = ("width", "left", "right"), ("height", "above", "below")
_RATES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_alarms_per_image": "false alarms per image",
    "mean_iou": "mean IoU of hits",
}


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One kind of error: what it is, how often in all, how often at the threshold, what fixing it would add."""

    name: str
    count: str
    at_threshold: str
    gain: str


@dataclass(frozen=True, slots=True)
class MissLine:
    """One group of faces: which, how many, how many of them not found, their share."""

    group: str
    faces: str
    missed: str
    share: str


@dataclass(frozen=True, slots=True)
class InDepth:
    """What stands in a detector's fold.

    Attributes:
        label: see `row_label`.
        headline: AP and recall in one line.
        threshold: of the operating point.
        operating: rate, value with its interval.
        curve: where and how the curve ends.
        is_cut: a score floor ends it.
        choices: thresholds for a target and those of the best F1 and F2, one sentence each.
        habit: how boxes differ from the annotation's, and what taking that out adds, one sentence each.
        errors: kinds of error, costliest first.
        misses: the faces not found at the threshold, by group.
        unfound: the same in one line.
        calibration: a sentence; why there is none, where scores do not claim to be probabilities.
        reliability: the dots of the curve; empty where there is none.
    """

    label: str
    headline: str
    threshold: str
    operating: Sequence[tuple[str, str]]
    curve: str
    is_cut: bool
    choices: Sequence[str]
    habit: Sequence[str]
    errors: Sequence[ErrorLine]
    misses: Sequence[tuple[str, Sequence[MissLine]]]
    unfound: str
    calibration: str
    reliability: Sequence[ReliabilityDot]


def section(page: Page) -> Section | None:
    """Lay out each detector in depth; None where none has a result."""
    detectors = in_depth(page.summary, page.analysis)
    return Section("depth", "in_depth.html.j2", {"detectors": detectors}, "each detector") if detectors else None


def in_depth(summary: Summary, analysis: Analysis) -> list[InDepth]:
    """Describe every finished detector, in the order of the table."""
    return [
        _describe(row, summary.primary, found)
        for row in summary.rows
        if (found := analysis.cells.get(row.cell.key)) is not None
    ]


def _describe(row: Row, primary: str, found: CellAnalysis) -> InDepth:
    at_threshold = threshold(row).replace(" ", "\u00a0")
    errors = found.errors
    return InDepth(
        label=row_label(row),
        headline=(
            f"AP {primary} {with_interval(found.lists[primary].exact)}; recall of all faces "
            f"{with_interval(found.operating['recall'])} at {at_threshold}"
        ),
        threshold=at_threshold,
        operating=[(title, _rate(found, name)) for name, title in _RATES.items()],
        curve=_sentence(found.curve_end.statement) or "There is no curve: no face counts, or there is no box.",
        is_cut=found.curve_end.is_cut,
        choices=[
            *(_sentence(choice.statement) + _choice_interval(ends) for choice, ends in found.choices),
            *_best_thresholds(found),
        ],
        habit=_habit(found),
        errors=[
            ErrorLine(
                ERRORS[kind],
                f"{cost.count:,}",
                f"{cost.count_at_threshold:,}",
                signed(cost.delta_ap),
            )
            for kind, cost in sorted(errors.kinds.items(), key=lambda item: _dearest(item[1].delta_ap))
        ],
        misses=[(name, lines) for name, groups in found.misses.items() if (lines := _misses(name, groups))],
        unfound=f"{errors.unfound_at_threshold:,} of {number_of(errors.faces, 'face')} not found at {at_threshold}",
        calibration=_calibration(row, found),
        reliability=reliability_dots(found.calibration) if found.calibration else [],
    )


def _rate(found: CellAnalysis, name: str) -> str:
    rate = found.operating[name]
    return with_interval(rate) if name != "false_alarms_per_image" else _plain_with_interval(rate)


def _best_thresholds(found: CellAnalysis) -> list[str]:
    """Say where F1 and F2 are best, and what else is true there."""
    sweep, bands = found.sweep, found.bands

    def at(name: str, place: int) -> Interval:
        band: Band = getattr(bands, name)
        value, low, high = (float(rates[place]) for rates in (getattr(sweep, name), band.low, band.high))
        return Interval(value, low, high, CONFIDENCE, 0)

    return [
        f"Best {title} on these images: {with_interval(at(name, best))} at a score of at least "
        f"{sweep.thresholds[best]:.4g}, with {_plain_with_interval(at('false_alarms_per_image', best))} false alarms "
        f"an image. Chosen and measured on the same images, so a little too good."
        for name, title in (("f1", "F1"), ("f2", "F2, recall weighing twice,"))
        if np.isfinite(rates := getattr(sweep, name)).any()
        for best in [int(np.nanargmax(rates))]
    ]


def _habit(found: CellAnalysis) -> list[str]:
    habit = found.habit
    if not habit.hits:
        return ["No hit to learn it from."]
    sentences = [
        f"Boxes are {_plain_with_interval(habit.width_ratio)} times as wide and "
        f"{_plain_with_interval(habit.height_ratio)} times as high as annotated, the centre {_offset(habit)} (medians "
        f"over {number_of(habit.hits, 'hit')})."
    ]
    before_after = [
        f"AP{100 * iou:.0f} {share(change.before)} → {share(change.after)} ({signed(change.gain)})"
        for iou, change in found.unbiased.items()
        if math.isfinite(change.after)
    ]
    if before_after:
        sentences.append(
            f"With that taken out, learnt on one half of the images and applied to the other: exact "
            f"{', '.join(before_after)}."
        )
    overlap = found.overlap
    if overlap.hits:
        sentences.append(
            f"IoU of hits at the threshold: mean {with_interval(overlap.mean, 2)}, median "
            f"{with_interval(overlap.median, 2)}, nine of ten between {share(overlap.p05, 2)} and "
            f"{share(overlap.p95, 2)}."
        )
    return sentences


def _offset(habit: BoxHabit) -> str:
    """Say where the centre lies; ends below 0 lie on the other side."""
    parts = []
    for by, (of, before, after) in ((habit.dx, _WIDTH), (habit.dy, _HEIGHT)):
        side, limits = (after, (by.low, by.high)) if by.value >= 0 else (before, (-by.high, -by.low))
        low, high = (plain(round(100 * limit, 1) + 0.0, 1) for limit in limits)  # no minus before a zero
        bracket = f" ({low} to {high})" if math.isfinite(limits[0]) else ""
        parts.append(f"{plain(100 * abs(by.value), 1)} %{bracket} of the {of} {side}")
    return " and ".join(parts)


def _plain_with_interval(interval: Interval) -> str:
    ends = f" ({plain(interval.low)}–{plain(interval.high)})" if math.isfinite(interval.low) else ""
    return plain(interval.value) + ends


def _choice_interval(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.low):
        return ""
    return f" On other images of the second half: {plain(interval.low)} to {plain(interval.high)}."


def _misses(name: str, groups: Mapping[str | int, GroupMisses]) -> list[MissLine]:
    names: dict[str | int, str] = {height: height for height in HEIGHTS_PX}
    if name in LABELS:
        names = dict(enumerate(LABELS[name]))
    ordered = [key for key in names if key in groups] + [key for key in groups if key not in names]
    return [
        MissLine(str(names.get(key, key)), f"{one.faces:,}", f"{one.unfound:,}", with_interval(one.share, 2))
        for key in ordered
        if (one := groups[key]).faces
    ]


def _calibration(row: Row, found: CellAnalysis) -> str:
    if found.calibration is not None:
        return _sentence(found.calibration.statement)
    kind = row.cell.info.score_kind
    if kind == "probability":
        return "No score from 0 to 1 to judge."
    return f"Scores of the kind “{kind}” do not claim to be probabilities, so they cannot be wrong about it."


def _sentence(statement: str) -> str:
    return f"{statement[:1].upper()}{statement[1:]}." if statement else ""


def _dearest(gain: float) -> float:
    return -gain if math.isfinite(gain) else math.inf

"""One detector in depth, as text: what lies behind its row of the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..benchmarks.analysis import Analysis, CellAnalysis
from ..benchmarks.scoring.bootstrap import Interval
from ..benchmarks.scoring.error_analysis import Kind
from ..benchmarks.scoring.localisation import BoxBias
from ..benchmarks.scoring.missed_faces import GroupMisses
from ..benchmarks.scoring.slices import HEIGHTS_PX, LABELS
from ..benchmarks.summary import Row, Summary
from .curves import ReliabilityDot, reliability_dots
from .gallery import threshold
from .numbers import between, between_signed, number_of, plain, row_label, share, signed, with_interval

_ERRORS: dict[Kind, str] = {
    "missed": "face missed, no box near it",
    "badly_placed": "box badly placed on a face (IoU .1 to .5)",
    "background": "box on no face",
    "duplicate": "second box on a face",
    "near_ignored": "box near a face that does not count",
}
_RATES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_alarms_per_picture": "false alarms a picture",
    "mean_iou": "mean IoU of hits",
}


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One kind of error: what it is, how often in all, how often at the threshold, what fixing it would bring."""

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
        choices: thresholds for a wish, a sentence each.
        habit: how boxes differ from the annotation's, and what taking that out brings, a sentence each.
        errors: kinds of error, dearest first.
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


def in_depth(summary: Summary, analysis: Analysis) -> list[InDepth]:
    """Describe every finished detector, in the order of the table."""
    return [
        _describe(row, summary.primary, found)
        for row in summary.rows
        if (found := analysis.cells.get(str(row.cell["key"]))) is not None
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
            _sentence(choice.statement) + _choice_interval(ends)
            for choice, ends in zip(found.thresholds, found.intervals.choices, strict=True)
        ],
        habit=_habit(found),
        errors=[
            ErrorLine(
                _ERRORS[kind],
                f"{cost.count:,}",
                f"{cost.count_at_threshold:,}",
                _signed_with_interval(found.intervals.errors[kind]),
            )
            for kind, cost in sorted(errors.kinds.items(), key=lambda item: _dearest(item[1].delta_ap))
        ],
        misses=[
            (name, lines)
            for name, groups in found.misses.items()
            if (lines := _misses(name, groups, found.intervals.misses[name]))
        ],
        unfound=f"{errors.unfound_at_threshold:,} of {number_of(errors.faces, 'face')} not found at {at_threshold}",
        calibration=_calibration(row, found),
        reliability=reliability_dots(found.calibration.equal_width) if found.calibration else [],
    )


def _rate(found: CellAnalysis, name: str) -> str:
    rate = found.operating[name]
    if name != "false_alarms_per_picture":
        return with_interval(rate)
    ends = f" ({plain(rate.low)}–{plain(rate.high)})" if math.isfinite(rate.low) else ""
    return plain(rate.value) + ends


def _habit(found: CellAnalysis) -> list[str]:
    bias, ends = found.bias, found.intervals
    if not bias.hits:
        return ["No hit to learn it from."]
    sentences = [
        f"Boxes are {_times(ends.bias['width_ratio'])} times as wide and {_times(ends.bias['height_ratio'])} times as "
        f"high as annotated, the centre {_offset(bias)} (medians over {number_of(bias.hits, 'hit')})."
    ]
    before_after = [
        f"AP{level} {share(change.before)} → {share(change.after)} ({_signed_with_interval(limits['gain'])})"
        for level, change, limits in (
            ("50", found.unbiased, ends.unbiased),
            ("75", found.unbiased75, ends.unbiased75),
        )
        if math.isfinite(change.after)
    ]
    if before_after:
        sentences.append(
            f"With that taken out, learnt on one half of the pictures and applied to the other: exact "
            f"{', '.join(before_after)}."
        )
    overlap = found.overlap
    if overlap.hits:
        sentences.append(
            f"IoU of hits at the threshold: mean {with_interval(ends.overlap.mean, 2)}, median "
            f"{with_interval(ends.overlap.quantiles[2], 2)}, nine of ten between "
            f"{share(overlap.quantiles[0], 2)} and {share(overlap.quantiles[-1], 2)}."
        )
    return sentences


def _offset(bias: BoxBias) -> str:
    """Say where the centre lies.

    >>> _offset(BoxBias(0.012, -0.034, 0.0, 0.0, 5)), _offset(BoxBias(0.0, 0.0, 0.0, 0.0, 5))
    ('1 % of the width right and 3 % of the height above', 'in place')
    """
    parts = [
        f"{abs(round(100 * by))} % of the {of} {after if by > 0 else before}"
        for by, of, before, after in ((bias.dx, "width", "left", "right"), (bias.dy, "height", "above", "below"))
        if round(100 * by)
    ]
    return " and ".join(parts) or "in place"


def _signed_with_interval(interval: Interval) -> str:
    ends = between_signed(interval)
    return signed(interval.value) + (f" ({ends})" if ends else "")


def _times(interval: Interval) -> str:
    ends = f" ({plain(interval.low)}–{plain(interval.high)})" if math.isfinite(interval.low) else ""
    return plain(interval.value) + ends


def _choice_interval(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.low):
        return ""
    return f" On other pictures of the second half: {plain(interval.low)} to {plain(interval.high)}."


def _misses(
    name: str, groups: Mapping[str | int, GroupMisses], intervals: Mapping[str | int, Interval]
) -> list[MissLine]:
    names: dict[str | int, str] = {height: height for height in HEIGHTS_PX}
    if name in LABELS:
        names = dict(enumerate(LABELS[name]))
    ordered = [key for key in names if key in groups] + [key for key in groups if key not in names]
    return [
        MissLine(str(names.get(key, key)), f"{one.faces:,}", f"{one.unfound:,}", with_interval(intervals[key], 2))
        for key in ordered
        if (one := groups[key]).faces
    ]


def _calibration(row: Row, found: CellAnalysis) -> str:
    if found.calibration is not None:
        ends = found.intervals.calibration["expected_error"]
        return f"{_sentence(found.calibration.statement)} The expected error's interval is {between(ends, 3)}."
    kind = row.cell["info"]["score_kind"]
    if kind == "probability":
        return "No score from 0 to 1 to judge."
    return f"Scores of the kind “{kind}” do not claim to be probabilities, so they cannot be wrong about it."


def _sentence(statement: str) -> str:
    return f"{statement[:1].upper()}{statement[1:]}." if statement else ""


def _dearest(gain: float) -> float:
    return -gain if math.isfinite(gain) else math.inf

"""The classification report as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...benchmarks.resampling.bootstrap import Interval
from .classification import ClassificationReport
from .evaluation import TITLES, Evaluation, notes


def text_table(evaluations: Sequence[Evaluation]) -> str:
    """Return the report as text: one row per data set and classifier, then per class, then the confusion matrices."""
    parts = [_overall(evaluations)]
    for one in evaluations:
        for name, report in one.reports.items():
            title = f"{one.classifier}, {TITLES[name]}"
            parts += [f"{title}, by class", _per_class(report), f"{title}, answered (per cent of the row)"]
            parts.append(_confusion(report))
    return "\n\n".join([*parts, *notes(name for one in evaluations for name in one.reports)])


def _overall(evaluations: Sequence[Evaluation]) -> str:
    head = ["data set", "classifier", "n", "accuracy", "balanced", "macro-F1", "ECE", "mean precision", "less accuracy"]
    rows = [
        [
            TITLES[name],
            one.classifier,
            f"{report.images:,}",
            *map(percent, (report.accuracy, report.balanced_accuracy, report.macro_f1)),
            f"{100 * report.calibration_error:.1f}",
            percent(one.mean_precision[name].mean),
            percent(one.mean_precision[name].less_accuracy, sign="+"),
        ]
        for name in TITLES
        for one in evaluations
        for report in ([one.reports[name]] if name in one.reports else [])
    ]
    return aligned([head, *rows], words=2)


def _per_class(report: ClassificationReport) -> str:
    shown = report.confusion.sum(axis=1)
    rows = [
        [name, f"{shown[place]:,}", *(percent(values[place]) for values in (report.precision, report.recall))]
        for place, name in enumerate(report.classes)
    ]
    return aligned([["emotion", "shown", "precision", "recall"], *rows])


def _confusion(report: ClassificationReport) -> str:
    counts, shares = report.confusion, report.confusion_rows
    rows = [
        [name, *(f"{count:,} ({100 * share:.0f})" for count, share in zip(counts[i], shares[i], strict=True))]
        for i, name in enumerate(report.classes)
    ]
    return aligned([["shown", *report.classes], *rows])


def percent(interval: Interval, sign: str = "") -> str:
    """Return a share in per cent with its interval, a dash where there is none."""
    if not math.isfinite(interval.value):
        return "–"
    numbers = [f"{100 * number:{sign}.1f}" for number in (interval.value, interval.low, interval.high)]
    return f"{numbers[0]} ({numbers[1]} to {numbers[2]})"


def aligned(rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Lay rows out in columns, the first ones to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.ljust(width) if place < words else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)

"""Every detector against every other, on the same draws of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...benchmarks.analysis.depth import Analysis
from ...benchmarks.analysis.table import Summary
from ...benchmarks.resampling.bootstrap import Interval
from .numbers import NONE, between_signed, row_label, signed

Verdict = Literal["better", "worse", "unclear", "none"]
MARKS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "unclear": "≈", "none": ""}
WORDS: dict[Verdict, str] = {"better": "clearly better", "worse": "clearly worse", "unclear": "cannot tell", "none": ""}


@dataclass(frozen=True, slots=True)
class Versus:
    """One detector less another.

    Attributes:
        text: the difference.
        verdict: what its interval says; "none" where there is no difference to speak of.
        mark: the same as a sign, for those who do not see the colour.
        words: the same with the interval, as a sentence.
    """

    text: str
    verdict: Verdict
    mark: str
    words: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the matrix.

    Attributes:
        label: see `row_label`.
        first: share of the draws in which the detector is first.
        versus: against each detector in the order of the rows; None against itself.
    """

    label: str
    first: str
    versus: Sequence[Versus | None]


def standings(summary: Summary, analysis: Analysis) -> list[Standing]:
    """Return the matrix in the order of the table; empty with fewer than two finished detectors."""
    rows = [(row.cell.key, row_label(row)) for row in summary.rows if row.cell.key in analysis.cells]
    if len(rows) < 2:
        return []
    return [
        Standing(
            label,
            f"{share:.0%}" if math.isfinite(share := analysis.first[key]) else NONE,
            [
                None if key == other else versus(label, other_label, difference(analysis, key, other))
                for other, other_label in rows
            ],
        )
        for key, label in rows
    ]


def difference(analysis: Analysis, first: str, second: str) -> Interval:
    """Return the difference in exact AP on the primary list, `first` less `second`, whichever way it is stored."""
    if (first, second) in analysis.differences:
        return analysis.differences[first, second].interval
    found = analysis.differences[second, first].interval
    # 0.0 - x instead of -x, which would make a negative zero
    return Interval(0.0 - found.value, 0.0 - found.high, 0.0 - found.low, found.confidence, found.draws)


def versus(label: str, other: str, found: Interval) -> Versus:
    """Say what a difference of two detectors, the first less the other, shows."""
    ends = between_signed(found)
    if not ends or not math.isfinite(found.value):
        return Versus(NONE, "none", "", f"{label} less {other}: no difference can be computed")
    verdict: Verdict = "unclear" if found.holds_zero else "better" if found.low > 0 else "worse"
    text = signed(found.value)
    words = f"{label} less {other}: {text}, 95 % interval {ends}: {WORDS[verdict]}"
    return Versus(text, verdict, MARKS[verdict], words)

"""Other runs beside the one that a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...benchmarks.compare.runs import Comparison
from ..text.comparison import ComparisonRow, rows, scope, summary_line, titles
from .base import Page, Section

ORDER = 160


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """Another run, the head, set against the run of the report, the base.

    Attributes:
        name: its folder, as it was given.
        summary: what is the same and what is not, in a sentence.
        titles: headings of the table.
        rows: one a pair of cells, then those without a partner.
        notes: what a reader must know beside the numbers.
        scope: what was compared, on what, and how the intervals were made.
    """

    name: str
    summary: str
    titles: Sequence[str]
    rows: Sequence[ComparisonRow]
    notes: Sequence[str]
    scope: str


def section(page: Page) -> Section | None:
    """Set other runs against this one; None where there is none."""
    compared = compared_runs(page.comparisons)
    return Section("compared", "other_runs.html.j2", {"compared_runs": compared}, "other runs") if compared else None


def compared_runs(comparisons: Sequence[Comparison]) -> list[ComparedRun]:
    """Put comparisons into words; `base` of each is the run of the report."""
    return [
        ComparedRun(one.head, summary_line(one), titles(one), rows(one), one.notes, scope(one)) for one in comparisons
    ]

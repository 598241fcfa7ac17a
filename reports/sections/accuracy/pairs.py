"""Every detector against every other."""

from __future__ import annotations

from ...values.numbers import row_label
from ...values.standings import MARKS, WORDS, standings
from ..base import Page, Section

ORDER = 60


def section(page: Page) -> Section | None:
    """Lay out the paired differences; None where there are not two to compare."""
    analysis = page.analysis
    keys = {row.cell.key: row_label(row) for row in page.summary.rows if row.cell.key in analysis.cells}
    differences = {pair: found.interval for pair, found in analysis.differences.items()}
    found = standings(keys, analysis.first, differences)
    values = {"standings": found, "marks": MARKS, "verdicts": WORDS, "analysis": analysis}
    return Section("pairs", "pairs.html.j2", values, "every pair") if found else None

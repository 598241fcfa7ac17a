"""Every detector against every other."""

from __future__ import annotations

from ...values.standings import MARKS, WORDS, standings
from ..base import Page, Section

ORDER = 60


def section(page: Page) -> Section | None:
    """Lay out the paired differences; None where there are not two to compare."""
    found = standings(page.summary, page.analysis)
    values = {"standings": found, "marks": MARKS, "verdicts": WORDS, "analysis": page.analysis}
    return Section("pairs", "pairs.html.j2", values, "every pair") if found else None

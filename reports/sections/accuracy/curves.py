"""Precision against recall."""

from __future__ import annotations

from ...figures.curves import curves, precision_against_recall
from ...figures.svg import wide_and_narrow
from ..base import Page, Section

ORDER = 70


def section(page: Page) -> Section | None:
    """Draw every curve; None where there is none."""
    ends = curves(page.summary, page.analysis)
    if not ends:
        return None
    figures = wide_and_narrow(lambda width: precision_against_recall(ends, page.summary.primary, width))
    return Section("curves", "curves.html.j2", {"figures": figures}, "precision and recall")

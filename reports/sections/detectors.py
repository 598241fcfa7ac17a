"""The card of each detector: package, licence, training data, parameters, source."""

from __future__ import annotations

from ..values.numbers import threshold
from .base import Page, Section

ORDER = 180


def section(page: Page) -> Section | None:
    """Show every card; None where no detector was run."""
    return Section("detectors", "detectors.html.j2", {"threshold": threshold}) if page.summary.rows else None

"""AP by every protocol."""

from __future__ import annotations

from ...values.grids import protocols
from ..base import Page, Section

ORDER = 80


def section(page: Page) -> Section | None:
    """Lay out AP by five rules of counting; None where no detector has a result."""
    if not page.analysis.cells:
        return None
    return Section("protocols", "protocols.html.j2", {"grid": protocols(page.summary, page.analysis)}, "protocols")

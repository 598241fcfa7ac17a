"""Whether scores are probabilities."""

from __future__ import annotations

from ...values.detail_grids import calibration_grid
from ..base import Page, Section

ORDER = 110


def section(page: Page) -> Section | None:
    """Lay out calibration; None where no score claims to be a probability."""
    grid = calibration_grid(page.summary, page.analysis)
    return Section("calibration", "calibration.html.j2", {"grid": grid}, "calibration") if grid.rows else None

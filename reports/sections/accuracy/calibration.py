"""Whether scores are probabilities."""

from __future__ import annotations

from ...figures.detectors import calibration_figure
from ...figures.svg import wide_and_narrow
from ...values.detail_grids import calibration_grid
from ..base import Page, Section

ORDER = 110


def section(page: Page) -> Section | None:
    """Lay out calibration; None where no score claims to be a probability."""
    grid, figure = calibration_grid(page.summary, page.analysis), calibration_figure(page.summary, page.analysis)
    values = {"grid": grid, "figure": (figure, wide_and_narrow(figure.svg)) if figure else None}
    return Section("calibration", "calibration.html.j2", values, "calibration") if grid.rows else None

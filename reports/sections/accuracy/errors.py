"""What errors cost."""

from __future__ import annotations

from ...figures.detectors import error_figure
from ...figures.svg import wide_and_narrow
from ...values.detail_grids import error_grid
from ..base import Page, Section

ORDER = 100


def section(page: Page) -> Section | None:
    """Lay out what each kind of error costs; None where no detector has a result."""
    grid, figure = error_grid(page.summary, page.analysis), error_figure(page.summary, page.analysis)
    values = {"grid": grid, "figure": (figure, wide_and_narrow(figure.svg)) if figure else None}
    return Section("errors", "errors.html.j2", values, "errors") if grid.rows else None

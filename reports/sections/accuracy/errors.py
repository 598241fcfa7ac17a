"""What errors cost."""

from __future__ import annotations

from ....benchmarks.analysis.depth import Analysis
from ....benchmarks.analysis.table import Summary
from ...figures.detectors import ERRORS, error_figure
from ...figures.svg import wide_and_narrow
from ...values.grids import Grid, GridCell, Heading, analysed
from ...values.numbers import signed
from ..base import Page, Section

ORDER = 100


def section(page: Page) -> Section | None:
    """Lay out what each kind of error costs; None where no detector has a result."""
    grid, figure = error_grid(page.summary, page.analysis), error_figure(page.summary, page.analysis)
    values = {"grid": grid, "figure": (figure, wide_and_narrow(figure.svg)) if figure else None}
    return Section("errors", "errors.html.j2", values, "errors") if grid.rows else None


def error_grid(summary: Summary, analysis: Analysis) -> Grid:
    """Return what fixing each kind of error would add in exact AP, a row for each detector."""
    rows = []
    for label, cell in analysed(summary, analysis):
        gains = [cell.errors.kinds[kind].delta_ap for kind in ERRORS]
        rows.append((Heading(label), [GridCell(signed(gain)) for gain in gains]))
    headings = [Heading(title) for title in ERRORS.values()]
    return Grid("detector", [("exact AP gained where fixed", headings)], rows)

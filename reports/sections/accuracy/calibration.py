"""Whether scores are probabilities."""

from __future__ import annotations

from ....benchmarks.analysis.depth import Analysis
from ....benchmarks.analysis.table import Summary
from ...values.grids import Grid, GridCell, Heading, analysed
from ...values.numbers import share
from ..base import Page, Section

ORDER = 110


def section(page: Page) -> Section | None:
    """Lay out calibration; None where no score claims to be a probability."""
    grid = calibration_grid(page.summary, page.analysis)
    return Section("calibration", "calibration.html.j2", {"grid": grid}, "calibration") if grid.rows else None


def calibration_grid(summary: Summary, analysis: Analysis) -> Grid:
    """Return how far scores are from being probabilities, a row for each detector whose scores claim to be."""
    return Grid(
        "detector",
        [("difference between score and share of hits", [Heading("ECE"), Heading("Brier score")])],
        [
            (Heading(label), [GridCell(share(found.expected_error)), GridCell(share(found.brier))])
            for label, cell in analysed(summary, analysis)
            if (found := cell.calibration) is not None
        ],
    )

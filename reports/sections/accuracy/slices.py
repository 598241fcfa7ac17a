"""Recall and AP by kind of face and image."""

from __future__ import annotations

from typing import Literal

from ...figures.detectors import slice_figure
from ...figures.svg import wide_and_narrow
from ...values.grids import FEW_FACES, FEW_IMAGES, event_grid, slice_grid
from ..base import Page, Section

ORDER = 90
BOTH: tuple[Literal["recall"], Literal["exact"]] = ("recall", "exact")


def section(page: Page) -> Section | None:
    """Lay out both numbers by kind of face and by event; None where no detector has a result."""
    summary, analysis = page.summary, page.analysis
    if not analysis.cells:
        return None
    drawn = {name: slice_figure(summary, analysis, name) for name in BOTH}
    values = {
        "slices": {name: slice_grid(summary, analysis, name) for name in BOTH},
        "events": {name: event_grid(summary, analysis, name) for name in BOTH},
        "figures": {name: (figure, wide_and_narrow(figure.svg)) if figure else None for name, figure in drawn.items()},
        "few_faces": FEW_FACES,
        "few_images": FEW_IMAGES,
    }
    return Section("slices", "slices.html.j2", values, "kinds of faces")

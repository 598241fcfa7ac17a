"""Recall by perceived group."""

from __future__ import annotations

from ....benchmarks.scoring.slices import DEMOGRAPHICS_CAVEAT
from ...values.grids import FEW_FACES, FEW_IMAGES, perceived_grid
from ..base import Page, Section

ORDER = 120


def section(page: Page) -> Section | None:
    """Lay out recall by perceived group; None where the annotation says none."""
    grid = perceived_grid(page.summary, page.analysis)
    if not grid.groups:
        return None
    values = {"grid": grid, "caveat": DEMOGRAPHICS_CAVEAT, "few_faces": FEW_FACES, "few_images": FEW_IMAGES}
    return Section("perceived", "perceived.html.j2", values, "perceived groups")

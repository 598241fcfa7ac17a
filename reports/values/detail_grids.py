"""Tables over all detectors of what stands one by one in their folds: what errors cost, and calibration."""

from __future__ import annotations

from ...benchmarks.analysis.depth import Analysis
from ...benchmarks.analysis.table import Summary
from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.scoring.error_analysis import Kind
from .grids import Grid, GridCell, Heading, analysed
from .numbers import between_signed, share, signed

ERRORS: dict[Kind, str] = {
    "missed": "missed faces",
    "badly_placed": "badly placed boxes",
    "background": "boxes on no face",
    "duplicate": "second boxes",
    "near_ignored": "boxes near an ignored face",
}
"""Kinds of error, in the words of a heading."""


def error_grid(summary: Summary, analysis: Analysis) -> Grid:
    """Return what mending each kind of error would bring in exact AP, a row for each detector."""
    return Grid(
        "detector",
        [("exact AP gained where mended", [Heading(title) for title in ERRORS.values()])],
        [
            (Heading(label), [_gain(cell.errors.kinds[kind].delta_ap) for kind in ERRORS])
            for label, cell in analysed(summary, analysis)
        ],
    )


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


def _gain(gain: Interval) -> GridCell:
    return GridCell(signed(gain.value), between_signed(gain))

"""Tables over all detectors of what stands one by one in their folds: what errors cost, and calibration."""

from __future__ import annotations

import math

from ...benchmarks.analysis.depth import Analysis
from ...benchmarks.analysis.table import Summary
from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.scoring.error_analysis import Kind
from .grids import Grid, GridCell, Heading, analysed
from .numbers import between, between_signed, share, signed

ERRORS: dict[Kind, str] = {
    "missed": "missed faces",
    "badly_placed": "badly placed boxes",
    "background": "boxes on no face",
    "duplicate": "second boxes",
    "near_ignored": "boxes near an ignored face",
}
"""Kinds of error, in the words of a heading."""
CALIBRATION = {
    "expected_error": "ECE, equal widths",
    "equal_count_error": "ECE, equal counts",
    "maximum_error": "worst bin",
    "brier": "Brier score",
}
"""Numbers of `DetailIntervals.calibration`, in the words of a heading."""


def error_grid(summary: Summary, analysis: Analysis) -> Grid:
    """Return what mending each kind of error would bring in exact AP, a row for each detector."""
    return Grid(
        "detector",
        [("exact AP gained where mended", [Heading(title) for title in ERRORS.values()])],
        [
            (Heading(label), [_gain(cell.intervals.errors[kind]) for kind in ERRORS])
            for label, cell in analysed(summary, analysis)
        ],
    )


def calibration_grid(summary: Summary, analysis: Analysis) -> Grid:
    """Return how far scores are from being probabilities, a row for each detector whose scores claim to be."""
    return Grid(
        "detector",
        [("difference between score and share of hits", [Heading(title) for title in CALIBRATION.values()])],
        [
            (Heading(label), [_error(cell.intervals.calibration[name]) for name in CALIBRATION])
            for label, cell in analysed(summary, analysis)
            if cell.intervals.calibration
        ],
    )


def _gain(gain: Interval) -> GridCell:
    return GridCell(signed(gain.value), between_signed(gain))


def _error(error: Interval) -> GridCell:
    return GridCell(share(error.value), between(error, 3) if math.isfinite(error.value) else "")

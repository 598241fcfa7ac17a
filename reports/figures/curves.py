"""Curves: precision against recall of all detectors, and how far scores are from being probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.analysis.depth import Analysis
from ...benchmarks.analysis.table import Summary
from ...benchmarks.resampling.bands import Band, SweepBands
from ...benchmarks.scoring.calibration import Calibration
from ..values.numbers import row_label
from .labels import Rect, label_points
from .pareto import COLOURS
from .svg import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_WITH_BAND = 3
"""Curves, from the first on, that are drawn with their band: more than a few hide each other."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision against recall of one detector.

    Attributes:
        label: see `row_label`.
        recall: never falling.
        precision: at each recall.
        is_cut: the detector's own score floor ends it.
        band: outline of its band, recall and precision of each corner: along the low ends of both intervals at each
            threshold, back along their high ends. Empty where there is none.
    """

    label: str
    recall: Sequence[float]
    precision: Sequence[float]
    is_cut: bool
    band: Sequence[tuple[float, float]] = ()


def curves(summary: Summary, analysis: Analysis) -> list[Curve]:
    """Return the curves on the primary list that have a point, best detector first."""
    found = []
    for row in summary.rows:
        cell = analysis.cells.get(row.cell.key)
        if cell is None:
            continue
        some = np.isfinite(cell.sweep.recall) & np.isfinite(cell.sweep.precision)
        if some.any():
            recall, precision = cell.sweep.recall[some].tolist(), cell.sweep.precision[some].tolist()
            band = _outline(cell.bands, some)
            found.append(Curve(row_label(row), recall, precision, cell.curve_end.is_cut, band))
    return found


def _outline(bands: SweepBands, some: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return the corners of the band, see `Curve`, at some of the thresholds, bool (m,)."""
    low, high = (np.column_stack([getattr(bands.recall, end), getattr(bands.precision, end)]) for end in Band._fields)
    some = some & np.isfinite(low).all(axis=1)
    return [(recall, precision) for recall, precision in np.concatenate([low[some], high[some][::-1]]).tolist()]


def precision_against_recall(drawn: Sequence[Curve], list_name: str, width_px: int = 900) -> str:
    """Draw the curves, each with a mark where it ends: filled where nothing cuts it, hollow where a floor does.

    The first few lie on their bands.

    Args:
        drawn: at least one.
        list_name: of the faces that count.
        width_px: width of the drawing; from 600 on names stand beside the ends, below that in a legend.

    Returns:
        SVG text, the same for the same curves.
    """
    import seaborn as sns

    palette = sns.color_palette("colorblind")
    direct = width_px >= 600
    banded = [curve for curve in drawn[:_WITH_BAND] if curve.band]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, curve in enumerate(drawn):
            colour = palette[COLOURS[place % len(COLOURS)]]
            dash = _DASHES[place // len(COLOURS) % len(_DASHES)]
            ends: dict[str, Any] = {
                "marker": "o",
                "markevery": [len(curve.recall) - 1],
                "markerfacecolor": "none" if curve.is_cut else colour,
            }
            if curve in banded:
                axes.fill(*zip(*curve.band, strict=True), color=colour, alpha=0.16, lw=0, zorder=1)
            axes.plot(curve.recall, curve.precision, color=colour, ls=dash, lw=1.7, label=curve.label, **ends)
        axes.set_xlim(-0.01, min(1.02, max(curve.recall[-1] for curve in drawn) + 0.1))
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel(f"recall, {list_name}")
        axes.set_ylabel("precision")
        sns.despine(ax=axes)
        if banded:
            axes.set_title(_band_note([curve.label for curve in banded], direct), fontsize=11, loc="left")
        if direct:
            pieces = [piece for curve in drawn for piece in _pieces(curve)]
            label_points(
                figure,
                axes,
                [curve.label for curve in drawn],
                [(curve.recall[-1], curve.precision[-1]) for curve in drawn],
                pieces,
            )
        else:
            figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=11, handlelength=3)

    legend_px = 0 if direct else 17 * len(drawn)
    return draw(
        paint,
        width_px=width_px,
        height_px=max(340, width_px * 0.58) + legend_px,
        title=f"Precision against recall ({list_name}) of {len(drawn)} detectors",
    )


def _band_note(labels: Sequence[str], is_wide: bool) -> str:
    """Say what the pale areas are; on a narrow drawing in two lines."""
    whose = "of the curve" if len(labels) == 1 else f"of the first {len(labels)}"
    return f"pale: 95 % intervals at each threshold{' ' if is_wide else chr(10)}{whose}, low ends to high ends"


def _pieces(curve: Curve, step: int = 4) -> list[Rect]:
    """Return boxes around pieces of a curve, for names to keep off."""
    corners = list(zip(curve.recall, curve.precision, strict=True))[::-step]
    return [(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)) for (x1, y1), (x2, y2) in pairwise(reversed(corners))]


@dataclass(frozen=True, slots=True)
class ReliabilityDot:
    """One bin of a reliability curve: where its dot stands, in a drawing of 100 × 100, y downwards."""

    x: float
    y: float
    radius: float
    text: str


def reliability_dots(found: Calibration) -> list[ReliabilityDot]:
    """Return a dot for each bin that holds detections, the larger the more it holds."""
    largest = max(int(found.count.max(initial=0)), 1)
    rows = zip(found.mean_score.tolist(), found.hit_share.tolist(), found.count.tolist(), strict=True)
    return [
        ReliabilityDot(
            round(100 * score, 1),
            round(100 - 100 * hits, 1),
            round(1.5 + 3.5 * math.sqrt(count / largest), 1),
            f"{count:,} detections scored {score:.2f} on average: {hits:.2f} are hits",
        )
        for score, hits, count in rows
        if count
    ]

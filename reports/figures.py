"""Figures of a report as SVG text, made with seaborn and without any global state.

The SVG is meant to stand inside an HTML page: what is drawn in ink follows the page's text colour, so one figure serves
light and dark, and no style attribute is left, so a strict content security policy lets it pass.
"""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..benchmarks.summary import Row, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"
"""Stands for the page's text colour until the SVG is finished."""
_MARKERS = "osD^vPXphd<>"
_MARKER_PX = 7.0

Rect = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the drawing, y upwards."""


@dataclass(frozen=True, slots=True)
class Point:
    """One detector in the accuracy-latency plane.

    Attributes:
        label: see `row_label`.
        family: the kind of method.
        p50_ms: median latency.
        p90_ms: 90th percentile.
        ap: exact AP on the run's primary list.
    """

    label: str
    family: str
    p50_ms: float
    p90_ms: float
    ap: float


def row_label(row: Row) -> str:
    """Name a row: the spec, with device and threads where they are not one CPU thread."""
    cell = row.cell
    parts = [str(cell["spec"])]
    if cell["device"] != "cpu":
        parts.append(str(cell["device"]))
    if cell["threads"] != 1:
        parts.append(f"{cell['threads']} threads")
    return ", ".join(parts)


def points(summary: Summary) -> list[Point]:
    """Return the rows that can be drawn: finished, with an AP and a latency, best first."""
    found = []
    for row in summary.rows:
        ap = row.exact_ap(summary.primary)
        if row.latency is not None and math.isfinite(ap) and math.isfinite(row.latency.p50_ms):
            family = str(row.cell["info"]["family"])
            found.append(Point(row_label(row), family, row.latency.p50_ms, row.latency.p90_ms, ap))
    return found


def pareto_front(candidates: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in p50 and AP at once, fastest first; of equal ones the first."""
    front: list[Point] = []
    for point in sorted(candidates, key=lambda point: (point.p50_ms, -point.ap)):
        if not front or point.ap > front[-1].ap:
            front.append(point)
    return front


def accuracy_against_latency(summary: Summary, width_px: int = 900) -> str:
    """Draw exact AP on the primary list against p50, with a bar to p90 and the Pareto front.

    Args:
        summary: a scored run with at least one point.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same summary.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure

    drawn = points(summary)
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "facebench",
        "font.family": "DejaVu Sans",
        "font.size": 12,
        "axes.facecolor": "none",
        "axes.linewidth": 0.8,
        "grid.alpha": 0.15,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), _INK
        ),
    }
    with sns.axes_style("whitegrid"), mpl.rc_context(style):
        figure = Figure(figsize=(width_px / 72, max(400, width_px * 0.56) / 72), dpi=72, facecolor="none")
        axes = figure.subplots()
        _scale(axes, drawn)
        axes.set_xlabel("p50 of one detect call, ms (log scale; bar to p90)")
        axes.set_ylabel(f"exact AP, {summary.primary}")
        _draw_points(axes, drawn)
        sns.despine(ax=axes)
        rows = 1 + (len({point.family for point in drawn}) + 2) // max(1, width_px // 230)
        figure.subplots_adjust(left=62 / width_px, right=1 - 8 / width_px, top=0.985, bottom=(56 + 20 * rows) / (72 * figure.get_figheight()))
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, -52 / (72 * figure.get_figheight())), ncol=max(1, width_px // 230), frameon=False,
            borderaxespad=0, fontsize=11,
        )
        _label_points(figure, axes, drawn)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return for_page(buffer.getvalue(), f"Exact AP ({summary.primary}) of {len(drawn)} detectors against their p50 latency")



"""The figure that a comparison turns on: accuracy against latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..benchmarks.summary import Row, Summary
from .labels import MARKER_PX, label_points
from .numbers import row_label
from .svg import INK, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vPXphd<>"


@dataclass(frozen=True, slots=True)
class Point:
    """One detector in the accuracy-latency plane.

    Attributes:
        label: see `row_label`.
        family: the kind of method.
        p50_ms: median latency.
        p90_ms: 90th percentile.
        ap: exact AP on the run's primary list.
        low: lower end of its interval; nan where there is none.
        high: upper end.
    """

    label: str
    family: str
    p50_ms: float
    p90_ms: float
    ap: float
    low: float = math.nan
    high: float = math.nan


def points(summary: Summary) -> list[Point]:
    """Return the rows that can be drawn: finished, with an AP and a latency, best first."""
    return [found for row in summary.rows if (found := _point(row, summary.primary)) is not None]


def _point(row: Row, list_name: str) -> Point | None:
    ap = row.exact_ap(list_name)
    if row.latency is None or not math.isfinite(ap) or not math.isfinite(row.latency.p50_ms):
        return None
    ends = row.intervals.exact.get(list_name)
    low, high = (ends.low, ends.high) if ends else (math.nan, math.nan)
    family = str(row.cell["info"]["family"])
    return Point(row_label(row), family, row.latency.p50_ms, row.latency.p90_ms, ap, low, high)


def pareto_front(candidates: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in p50 and AP at once, fastest first; of equal ones the first."""
    front: list[Point] = []
    for point in sorted(candidates, key=lambda point: (point.p50_ms, -point.ap)):
        if not front or point.ap > front[-1].ap:
            front.append(point)
    return front


def accuracy_against_latency(summary: Summary, width_px: int = 900) -> str:
    """Draw exact AP on the primary list against p50, with its interval, a bar to p90 and the Pareto front.

    Args:
        summary: a scored run with at least one point.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same summary.
    """
    import seaborn as sns

    drawn = points(summary)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_points(axes, drawn)
        axes.set_xlabel("p50 of one detect call, ms")
        axes.set_ylabel(f"exact AP, {summary.primary}")
        sns.despine(ax=axes)
        figure.legend(loc="outside lower left", ncols=max(1, width_px // 180), frameon=False, fontsize=11)
        label_points(
            figure,
            axes,
            [point.label for point in drawn],
            [(point.p50_ms, point.ap) for point in drawn],
            [bar for point in drawn for bar in _bars(point)],
        )

    return draw(
        paint,
        width_px=width_px,
        height_px=max(430, width_px * 0.58),
        title=f"Exact AP ({summary.primary}) against p50 latency of {len(drawn)} detectors",
    )


def _bars(point: Point) -> list[tuple[float, float, float, float]]:
    """Return the bar to p90 and that of the interval, each from lower left to upper right."""
    bars = [(point.p50_ms, point.ap, point.p90_ms, point.ap)]
    if math.isfinite(point.low):
        bars.append((point.p50_ms, point.low, point.p50_ms, point.high))
    return bars


def _draw_points(axes: Axes, drawn: Sequence[Point]) -> None:
    import seaborn as sns
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    speed, ap = [point.p50_ms for point in drawn], [point.ap for point in drawn]
    slowest = max(max(point.p50_ms, point.p90_ms) for point in drawn)
    ends = [end for point in drawn for end in (point.ap, point.low, point.high) if math.isfinite(end)]
    axes.set_xscale("log")
    axes.set_xlim(min(speed) / 1.6, slowest * 1.6)
    axes.set_ylim(max(-0.03, min(ends) - 0.05), min(1.03, max(ends) + 0.05))
    roomy = axes.bbox.width / math.log10(slowest * 2.56 / min(speed)) > 200
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if roomy else (1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    front = pareto_front(drawn)
    steps = [(point.p50_ms, point.ap) for point in front] + [(slowest * 1.6, front[-1].ap)]
    families = sorted({point.family for point in drawn})
    palette = dict(zip(families, sns.color_palette("colorblind", len(families)), strict=True))
    to_p90: dict[str, Any] = {"lw": 1.5, "alpha": 0.7}
    of_ap: dict[str, Any] = {"color": INK, "alpha": 0.35}
    for point in drawn:
        looks = {"color": palette[point.family], **to_p90}, {"lw": 1, **of_ap}
        for (x1, y1, x2, y2), look in zip(_bars(point), looks, strict=False):
            axes.plot([x1, x2], [y1, y2], zorder=2, **look)
    sns.scatterplot(
        x=speed,
        y=ap,
        hue=(names := [point.family for point in drawn]),
        style=names,
        hue_order=families,
        style_order=families,
        palette=palette,
        markers={family: _MARKERS[place % len(_MARKERS)] for place, family in enumerate(families)},
        s=MARKER_PX**2 * 1.6,
        edgecolor=INK,
        linewidth=0.7,
        ax=axes,
        zorder=3,
    )
    axes.plot([], [], color=INK, label="across: p50 to p90", **to_p90)
    axes.plot([], [], label="upright: 95 % interval", marker="|", ls="none", ms=12, **of_ap)
    steps_x, steps_y = zip(*steps, strict=True)
    dashed: dict[str, Any] = {"color": INK, "alpha": 0.5, "lw": 1.2, "ls": (0, (4, 3))}
    axes.plot(steps_x, steps_y, drawstyle="steps-post", zorder=1, label="Pareto front", **dashed)
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()

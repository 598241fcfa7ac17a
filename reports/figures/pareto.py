"""The figure that a comparison turns on: accuracy against latency.

Where a run holds one detector at several sizes or numbers of threads, its points are joined: they are one curve, along
which a user may choose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...benchmarks.analysis.table import Row, Summary
from ...benchmarks.store.records import StoredCell
from ..values.numbers import row_label
from .labels import MARKER_PX, Rect, label_points
from .svg import INK, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vPXphd<>"
COLOURS = (0, 1, 2, 3, 4, 5, 9, 7)
"""Places in seaborn's colour-blind palette; its pink and yellow vanish on white."""


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
        sweep: the detector of which this is one of several operating points; empty where it is the only one.
        setting: what tells it from the others of its sweep: size, threads or both.
        p50_low: lower end of the interval of p50_ms; nan where there is none.
        p50_high: upper end.
    """

    label: str
    family: str
    p50_ms: float
    p90_ms: float
    ap: float
    low: float = math.nan
    high: float = math.nan
    sweep: str = ""
    setting: str = ""
    p50_low: float = math.nan
    p50_high: float = math.nan


def points(summary: Summary) -> list[Point]:
    """Return the rows that can be drawn: finished, with an AP and a latency, best first."""
    drawn = [row for row in summary.rows if _is_drawn(row, summary.primary)]
    groups: dict[tuple[object, ...], list[StoredCell]] = {}
    for row in drawn:
        groups.setdefault(_swept(row.cell), []).append(row.cell)
    return [_point(row, summary.primary, groups[_swept(row.cell)]) for row in drawn]


def _is_drawn(row: Row, list_name: str) -> bool:
    latency = row.latency
    return latency is not None and math.isfinite(latency.p50_ms) and math.isfinite(row.exact_ap(list_name))


def _swept(cell: StoredCell) -> tuple[object, ...]:
    """Return what the operating points of one sweep share: all but size and threads."""
    return cell.spec, cell.device, cell.protocol.score_floor, cell.machine


def _point(row: Row, list_name: str, group: Sequence[StoredCell]) -> Point:
    assert row.latency is not None, "only measured rows are drawn"
    ends, calls = row.intervals.exact.get(list_name), row.intervals.latency.get("p50_ms")
    several = len(group) > 1
    return Point(
        row_label(row),
        row.cell.info.family,
        row.latency.p50_ms,
        row.latency.p90_ms,
        row.exact_ap(list_name),
        *((ends.low, ends.high) if ends else (math.nan, math.nan)),
        sweep=_sweep_name(row.cell) if several else "",
        setting=_setting(row.cell, group) if several else "",
        p50_low=calls.low if calls else math.nan,
        p50_high=calls.high if calls else math.nan,
    )


def _sweep_name(cell: StoredCell) -> str:
    return cell.spec + ("" if cell.device == "cpu" else f", {cell.device}")


def _setting(cell: StoredCell, group: Sequence[StoredCell]) -> str:
    """Say what sets a cell apart from the others of its sweep, such as "640 px, 2 threads"."""
    size, threads = cell.protocol.size, cell.threads
    side = size.removeprefix("long=")
    parts = [f"{side} px" if side.isdecimal() else size] if len({one.protocol.size for one in group}) > 1 else []
    parts += [f"{threads} thread{'s' * (threads != 1)}"] if len({one.threads for one in group}) > 1 else []
    return ", ".join(parts)


def sweeps(drawn: Sequence[Point]) -> dict[str, list[Point]]:
    """Return the operating points of each detector that has several, fastest first; detectors in the order given."""
    found: dict[str, list[Point]] = {}
    for point in drawn:
        if point.sweep:
            found.setdefault(point.sweep, []).append(point)
    return {name: sorted(of, key=lambda point: point.p50_ms) for name, of in found.items()}


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
    names = {id(point): point.label for point in drawn}
    for name, of in sweeps(drawn).items():
        # the name stands once, at the slow end of the line
        names |= {id(point): point.setting for point in of[:-1]} | {id(of[-1]): f"{name}\n{of[-1].setting}"}

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
            [names[id(point)] for point in drawn],
            [(point.p50_ms, point.ap) for point in drawn],
            [*(bar for point in drawn for bar in _bars(point)), *_pieces(drawn)],
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


def _pieces(drawn: Sequence[Point], parts: int = 8) -> Iterator[Rect]:
    """Return thin boxes along the lines of the sweeps, for names to keep off."""
    for of in sweeps(drawn).values():
        for a, b in pairwise(of):
            steps = [
                (a.p50_ms * (b.p50_ms / a.p50_ms) ** (i / parts), a.ap + (b.ap - a.ap) * i / parts)
                for i in range(parts + 1)
            ]
            yield from ((x1, min(y1, y2), x2, max(y1, y2)) for (x1, y1), (x2, y2) in pairwise(steps))


def family_colours(families: Iterable[str]) -> dict[str, Any]:
    """Return a colour for each kind of method, the same in every figure of a report."""
    import seaborn as sns

    palette = sns.color_palette("colorblind")
    return {name: palette[COLOURS[place % len(COLOURS)]] for place, name in enumerate(sorted(set(families)))}


def scale_ms(axes: Axes, low_ms: float, high_ms: float) -> None:
    """Make the axis across a logarithmic one of milliseconds with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(low_ms, high_ms)
    roomy = axes.bbox.width / math.log10(high_ms / low_ms) > 200
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if roomy else (1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _draw_points(axes: Axes, drawn: Sequence[Point]) -> None:
    import seaborn as sns

    speed, ap = [point.p50_ms for point in drawn], [point.ap for point in drawn]
    slowest = max(max(point.p50_ms, point.p90_ms) for point in drawn)
    ends = [end for point in drawn for end in (point.ap, point.low, point.high) if math.isfinite(end)]
    scale_ms(axes, min(speed) / 1.6, slowest * 1.6)
    axes.set_ylim(max(-0.03, min(ends) - 0.05), min(1.03, max(ends) + 0.05))
    front = pareto_front(drawn)
    steps = [(point.p50_ms, point.ap) for point in front] + [(slowest * 1.6, front[-1].ap)]
    families = sorted({point.family for point in drawn})
    palette = family_colours(families)
    to_p90: dict[str, Any] = {"lw": 1.5, "alpha": 0.7}
    of_ap: dict[str, Any] = {"color": INK, "alpha": 0.35}
    for point in drawn:
        looks = {"color": palette[point.family], **to_p90}, {"lw": 1, **of_ap}
        for (x1, y1, x2, y2), look in zip(_bars(point), looks, strict=False):
            axes.plot([x1, x2], [y1, y2], zorder=2, **look)
    for of in sweeps(drawn).values():
        axes.plot([p.p50_ms for p in of], [p.ap for p in of], color=palette[of[0].family], lw=1, zorder=1.5)
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

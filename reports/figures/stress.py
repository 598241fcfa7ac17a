"""Average precision against the severity of each degradation: small multiples, a panel a kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.stress.scores import StressRow, StressScores
from .labels import folded
from .pareto import COLOURS
from .svg import INK, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_MARKERS = "osD^vPXp"
_PANEL_PX = 190
_LINE_PX = 18
_LETTERS = 40
_WITH_BAND = 3
"""Detectors, from the most robust on, that lie on their band: more than a few hide each other."""


def average_precision_by_severity(scores: StressScores, width_px: int = 900) -> str:
    """Draw exact AP against severity for each kind, 0 being the images as they are, with the intervals as bands.

    Args:
        scores: with at least one row and one degradation.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same scores.
    """
    import seaborn as sns

    kinds = list(dict.fromkeys(one.kind for one in scores.degradations))
    across = min(len(kinds), 4 if width_px > 600 else 2)
    down = math.ceil(len(kinds) / across)
    names = [folded(row.label, _LETTERS) for row in scores.rows]
    columns = max(1, width_px // 300)
    legend_px = _LINE_PX * (1 + sum(1 + name.count("\n") for name in names) / columns)
    ends = [end for row in scores.rows for one in _intervals(row) for end in (one.value, one.high)]
    top = min(1.02, max((end for end in ends if math.isfinite(end)), default=1.0) * 1.06 + 0.01)

    def paint(figure: Figure) -> None:
        palette = sns.color_palette("colorblind")
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel().tolist()
        for axes, kind in zip(panels, kinds, strict=False):
            for place, row in enumerate(scores.rows):
                look = {
                    "color": palette[COLOURS[place % len(COLOURS)]],
                    "ls": _DASHES[place // len(COLOURS) % len(_DASHES)],
                    "marker": _MARKERS[place % len(_MARKERS)],
                }
                label = names[place] if axes is panels[0] else None
                _draw_line(axes, row, kind, look, label=label, band=place < _WITH_BAND)
            axes.set_title(kind, fontsize=12, loc="left")
            axes.set_xlim(-0.2, 5.2)
            axes.set_ylim(0, top)
            axes.set_xticks(range(6))
            axes.tick_params(labelbottom=True)
            sns.despine(ax=axes)
        for axes in panels[len(kinds) :]:
            axes.set_visible(False)
        for axes in panels[(down - 1) * across : len(kinds)]:
            axes.set_xlabel("severity", fontsize=12, color=INK)  # a label of the figure would lie on the legend
        figure.supylabel(f"exact AP, {scores.list_name}", fontsize=12, color=INK)
        figure.legend(loc="outside lower left", ncols=columns, frameon=False, fontsize=11, handlelength=3)

    return draw(
        paint,
        width_px=width_px,
        height_px=_PANEL_PX * down + legend_px + 30,
        title=f"Exact AP ({scores.list_name}) against the severity of {', '.join(kinds)}; {len(scores.rows)} detectors",
    )


def _draw_line(axes: Axes, row: StressRow, kind: str, look: dict[str, Any], *, label: str | None, band: bool) -> None:
    points = [
        (0, row.clean),
        *((one.degradation.severity, one.ap) for one in row.points if one.degradation.kind == kind),
    ]
    places = [place for place, _ in points]
    if band:
        low, high = [one.low for _, one in points], [one.high for _, one in points]
        axes.fill_between(places, low, high, color=look["color"], alpha=0.16, lw=0, zorder=1)
    axes.plot(places, [one.value for _, one in points], lw=1.7, ms=4, label=label, zorder=2, **look)


def _intervals(row: StressRow) -> list[Interval]:
    return [row.clean, *(point.ap for point in row.points)]

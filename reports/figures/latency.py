"""The latencies of every detector as a strip of dots: how far they spread says more than two percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.analysis.table import Summary
from ..values.numbers import row_label
from .labels import folded
from .pareto import family_colours, scale_ms
from .svg import INK, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 150
"""Of a detector at most: a whole data set would make a figure of many megabytes."""
_GOLDEN = 0.6180339887498949
_ROW_PX = 40
_STRIP, _LINE = 0.68, 0.34
"""Heights of a strip and of a line of its name, in rows."""
_LETTER_PX = 7
_P90: dict[str, Any] = {
    "ls": "none",
    "marker": "d",
    "ms": 7,
    "markerfacecolor": "none",
    "markeredgecolor": INK,
    "markeredgewidth": 1.3,
}


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """The calls of one detector.

    Attributes:
        label: see `row_label`.
        family: the kind of method.
        ms: float64 (n,), rising, at most `DOTS`: the fastest, the slowest, and calls at even ranks between them.
        p50_ms: median of all calls.
        p90_ms: 90th percentile.
        calls: how many there are.
    """

    label: str
    family: str
    ms: NDArray[np.float64]
    p50_ms: float
    p90_ms: float
    calls: int


def strips(summary: Summary) -> list[Strip]:
    """Return the strip of each detector that was timed, the fastest first.

    Raises:
        ResultsError: a table of timings is missing or damaged.
    """
    found = []
    for row in summary.rows:
        if row.latency is None or row.calls is None or not row.latency.n:
            continue
        calls = np.sort(row.calls.detect_ms)
        family = row.cell.info.family
        latency = row.latency
        found.append(Strip(row_label(row), family, thinned(calls), latency.p50_ms, latency.p90_ms, len(calls)))
    return sorted(found, key=lambda strip: strip.p50_ms)


def thinned(rising: NDArray[np.float64], most: int = DOTS) -> NDArray[np.float64]:
    """Return at most `most` of the values (n,), at even ranks, the first and the last among them.

    >>> thinned(np.arange(9.0), 3).tolist()
    [0.0, 4.0, 8.0]
    """
    if len(rising) <= most:
        return rising
    return rising[np.linspace(0, len(rising) - 1, most).round().astype(np.int64)]


def latency_strips(drawn: Sequence[Strip], width_px: int = 900) -> str:
    """Draw the strips below each other on one logarithmic axis, each with its median and its 90th percentile.

    Args:
        drawn: at least one.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same strips.
    """
    import seaborn as sns

    names = [folded(strip.label, width_px // _LETTER_PX) for strip in drawn]
    lines = [name.count("\n") + 1 for name in names]
    # each below its name, which is below the strip before
    places = [0.45 - at for at in accumulate(_STRIP + _LINE * count for count in lines)]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        colours = family_colours(strip.family for strip in drawn)
        for strip, name, y in zip(drawn, names, places, strict=True):
            _draw_strip(axes, strip, y, colours[strip.family])
            label = axes.text(0.0, y + 0.23, name, transform=axes.get_yaxis_transform(), fontsize=11, va="bottom")
            label.set_in_layout(False)  # a long name would squeeze the axes
        fastest, slowest = min(strip.ms[0] for strip in drawn), max(strip.ms[-1] for strip in drawn)
        scale_ms(axes, fastest / 1.3, slowest * 1.3)
        axes.set_ylim(places[-1] - 0.4, 0)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("one detect call, ms")
        sns.despine(ax=axes, left=True)
        axes.plot([], [], marker="|", ls="none", ms=12, mew=2, color=INK, label="p50")
        axes.plot([], [], **_P90, label="p90")
        for family, colour in colours.items():
            axes.plot([], [], marker="o", ls="none", ms=5, color=colour, label=family)
        figure.legend(loc="outside lower left", ncols=max(1, width_px // 180), frameon=False, fontsize=11)

    return draw(
        paint,
        width_px=width_px,
        height_px=90 - _ROW_PX * places[-1] + 17 * (len({strip.family for strip in drawn}) * 180 // width_px),
        title=f"Latency of every call of {len(drawn)} detectors",
    )


def _draw_strip(axes: Axes, strip: Strip, y: float, colour: object) -> None:
    # steps of the golden ratio scatter neighbours evenly, without a random number
    offsets = (np.arange(len(strip.ms)) * _GOLDEN % 1 - 0.5) * 0.3
    axes.plot(strip.ms, y + offsets, ls="none", marker="o", ms=3.6, mew=0, color=colour, alpha=0.7, zorder=2)
    axes.plot([strip.p50_ms] * 2, [y - 0.19, y + 0.19], color=INK, lw=2, zorder=3)
    axes.plot([strip.p90_ms], [y], **_P90, zorder=3)

"""Small multiples of dots with whiskers: one row per detector, a panel a question, every number with its interval.

A row takes any number of detectors without a colour for each, which lines cannot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.resampling.bootstrap import Interval
from .labels import folded
from .pareto import COLOURS
from .svg import INK, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ROWS = 24
"""More would make a figure of several screens; the table beneath it holds the rest."""
Scale = Literal["share", "linear", "symlog"]
_MARKERS = "osD^vPX"
_LETTER_PX, _LINE_PX = 6.1, 12
_DOT_PX, _ROW_PX, _ROW_GAP_PX = 8, 19, 7
_TITLE_PX, _ENTRY_PX, _AXIS_PX, _GAP_PX = 15, 15, 24, 20
_SMALL = 10
_SYMLOG_EVEN = 0.6
"""Of a symlog scale: the width from 0 to 1, as a share of that from 1 to 10."""


@dataclass(frozen=True, slots=True)
class Dots:
    """One number of every detector.

    Attributes:
        name: what sets it apart from the others of its panel; empty where it is the only one.
        values: an interval for each row, in the order of the rows; where the value is not finite nothing is drawn.
        few: of so few faces that it says little: drawn hollow.
    """

    name: str
    values: Sequence[Interval]
    few: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One question.

    Attributes:
        title: one line or several.
        dots: at least one, distinguished by colour, mark and height within the row.
    """

    title: str
    dots: Sequence[Dots]


def dot_rows(
    names: Sequence[str],
    panels: Sequence[Panel],
    *,
    title: str,
    columns: int,
    scale: Scale = "share",
    width_px: int = 900,
) -> str:
    """Draw the panels side by side and below each other, all on one scale, the names of the rows at the left.

    Args:
        names: of the rows, the first at the top, at least one; see `MOST_ROWS`.
        panels: at least one, each with a value for every name.
        title: what is read out instead of the drawing.
        columns: panels side by side.
        scale: "share" from 0 to 1; "linear" as far as the numbers reach; "symlog" from 0 on, even up to 1 and
            logarithmic above.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same arguments.
    """
    widest_px = 190 if width_px >= 600 else 128
    rows = [_in_lines(name, int(widest_px / _LETTER_PX)) for name in names]
    left = min(widest_px, max(len(line) for row in rows for line in row.split("\n")) * _LETTER_PX) + 12
    panel_px = (width_px - left - 14 - _GAP_PX * (columns - 1)) / columns
    axis = _axis(panels, scale, panel_px)
    canvas = _Canvas()
    top = 2.0
    for place in range(0, len(panels), columns):
        line = panels[place : place + columns]
        heights = _heights(line, rows)
        head_px = max(map(_head_px, line))
        for column, panel in enumerate(line):
            _put(canvas, panel, axis, left + column * (panel_px + _GAP_PX), top, panel_px, head_px, heights)
        for name, middle in zip(rows, _middles(heights), strict=True):
            canvas.write(left - 8, top + head_px + middle, name, ha="right", va="center")
        top += head_px + sum(heights) + _AXIS_PX + 6

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width_px)
        axes.set_ylim(top, 0)
        canvas.paint(axes)

    return draw(paint, width_px=width_px, height_px=top, title=title, layout=None)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The scale that all panels share: a value's place from 0, the left end, to 1; and the values named below."""

    place: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ticks: Sequence[float]


@dataclass(slots=True)
class _Canvas:
    """What is drawn, gathered by its looks, in pixels, y downwards.

    One axes with a few long paths takes a tenth of the time of an axes for each panel.
    """

    bands: list[tuple[float, float, float, float]] = field(default_factory=list)
    strokes: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    dots: dict[tuple[int, bool], list[NDArray[np.float64]]] = field(default_factory=dict)
    texts: list[tuple[float, float, str, dict[str, Any]]] = field(default_factory=list)

    def write(self, x: float, y: float, text: str, **looks: Any) -> None:
        self.texts.append((x, y, text, {"fontsize": _SMALL} | looks))

    def stroke(self, kind: str, x1: Any, y1: Any, x2: Any, y2: Any) -> None:
        """Add lines from (x1, y1) to (x2, y2), numbers or arrays (n,)."""
        x1, y1, x2, y2, gap = np.broadcast_arrays(*map(np.atleast_1d, (x1, y1, x2, y2, np.nan)))
        lines = np.stack([np.stack([x1, x2, gap], axis=1), np.stack([y1, y2, gap], axis=1)], axis=-1)
        self.strokes.setdefault(kind, []).append(lines.reshape(-1, 2))

    def dot(self, place: int, few: bool, x: Any, y: Any) -> None:
        """Add the dots of the series at a place, arrays (n,)."""
        self.dots.setdefault((place, few), []).append(np.column_stack([x, y]))

    def paint(self, axes: Axes) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        bands = Path.make_compound_path(*(Path([(a, b), (c, b), (c, d), (a, d), (a, b)]) for a, b, c, d in self.bands))
        axes.add_patch(PathPatch(bands, facecolor=INK, alpha=0.045, lw=0, zorder=0))
        for kind, lines in self.strokes.items():
            axes.plot(*np.concatenate(lines).T, **_LINES.get(kind) or _whisker(int(kind)))
        for (place, few), points in self.dots.items():
            axes.plot(*np.concatenate(points).T, **_mark(place, few))
        for x, y, text, looks in self.texts:
            axes.text(x, y, text, **looks)


_LINES: dict[str, dict[str, Any]] = {
    "grid": {"color": INK, "alpha": 0.15, "lw": 0.8, "zorder": 1},
    "axis": {"color": INK, "lw": 0.8, "zorder": 1},
}


def _whisker(place: int) -> dict[str, Any]:
    return {"color": _colour(place), "lw": 1.4, "alpha": 0.85, "zorder": 2, "solid_capstyle": "butt"}


def _mark(place: int, few: bool) -> dict[str, Any]:
    colour = _colour(place)
    return {
        "ls": "none",
        "marker": _MARKERS[place % len(_MARKERS)],
        "ms": 5.5,
        "mew": 1.2,
        "markeredgecolor": colour,
        "markerfacecolor": "none" if few else colour,
        "zorder": 3,
    }


def _colour(place: int) -> Any:
    import seaborn as sns

    return sns.color_palette("colorblind")[COLOURS[place % len(COLOURS)]]


def _in_lines(name: str, letters: int) -> str:
    """Fold a name, and cut what is still longer than a line may be."""
    lines = folded(name, letters).split("\n")
    return "\n".join(line[at : at + letters] for line in lines for at in range(0, max(len(line), 1), letters))


def _head_px(panel: Panel) -> int:
    named = sum(bool(dots.name) for dots in panel.dots)
    return _TITLE_PX * (panel.title.count("\n") + 1) + _ENTRY_PX * named + 5


def _heights(panels: Sequence[Panel], rows: Sequence[str]) -> list[int]:
    """Return the height of each row: room for its dots and for its name."""
    room = max(_ROW_PX, _DOT_PX * max(len(panel.dots) for panel in panels) + _ROW_GAP_PX)
    return [max(room, _LINE_PX * (row.count("\n") + 1) + 4) for row in rows]


def _middles(heights: Sequence[float]) -> NDArray[np.float64]:
    """Return the middle of each row, pixels from the top of the first."""
    return np.array([end - height / 2 for end, height in zip(accumulate(heights), heights, strict=True)])


def _put(
    canvas: _Canvas,
    panel: Panel,
    axis: _Axis,
    left: float,
    top: float,
    panel_px: float,
    head_px: float,
    heights: Sequence[float],
) -> None:
    """Put a panel whose head begins at (left, top) on the canvas."""
    _put_head(canvas, panel, left, top + 12)
    above, below = top + head_px, top + head_px + sum(heights)
    for end, height in list(zip(accumulate(heights), heights, strict=True))[::2]:
        canvas.bands.append((left, above + end - height, left + panel_px, above + end))
    ticks = left + panel_px * axis.place(np.array(axis.ticks))
    canvas.stroke("grid", ticks, above, ticks, below)
    canvas.stroke("axis", left, below, left + panel_px, below)
    for value, x in zip(axis.ticks, ticks.tolist(), strict=True):
        canvas.write(x, below + 15, _tick(value), ha="center", va="baseline")
    middles = above + _middles(heights)
    for place, dots in enumerate(panel.dots):
        y = middles + _DOT_PX * (place - (len(panel.dots) - 1) / 2)
        numbers = np.array([(one.value, one.low, one.high) for one in dots.values], np.float64)
        x = left + panel_px * axis.place(numbers)
        known, with_ends = np.isfinite(x[:, 0]), np.isfinite(x).all(axis=1)
        canvas.stroke(str(place), x[with_ends, 1], y[with_ends], x[with_ends, 2], y[with_ends])
        canvas.dot(place, dots.few, x[known, 0], y[known])


def _put_head(canvas: _Canvas, panel: Panel, left: float, baseline: float) -> None:
    """Write title and legend, from the baseline of the first line down."""
    for line in panel.title.split("\n"):
        canvas.write(left, baseline, line, ha="left", va="baseline", fontsize=11)
        baseline += _TITLE_PX
    for place, dots in enumerate(panel.dots):
        if dots.name:
            canvas.dot(place, dots.few, [left + 5.0], [baseline - 4])
            canvas.write(left + 14, baseline, dots.name + (" †" if dots.few else ""), ha="left", va="baseline")
            baseline += _ENTRY_PX


def _axis(panels: Sequence[Panel], scale: Scale, panel_px: float) -> _Axis:
    """Return the scale that all panels share."""
    numbers = [one for panel in panels for dots in panel.dots for one in dots.values if math.isfinite(one.value)]
    ends = [end for one in numbers for end in (one.value, one.low, one.high) if math.isfinite(end)]
    lowest, highest = min(ends, default=0.0), max(ends, default=1.0)
    if scale == "share":
        return _even(-0.03, 1.03, [0, 0.25, 0.5, 0.75, 1] if panel_px > 130 else [0, 0.5, 1])
    if scale == "linear":
        from matplotlib.ticker import MaxNLocator

        lowest = min(lowest, 0.0)
        highest = max(highest, lowest + 1e-3)
        room = 0.04 * (highest - lowest)
        ticks = MaxNLocator(max(2, int(panel_px / 42)), steps=[1, 2, 2.5, 5, 10]).tick_values(lowest, highest)
        inside = [float(tick) for tick in ticks if lowest - room <= tick <= highest + room]
        return _even(lowest - room, highest + room, inside)
    powers = range(math.floor(math.log10(max(highest, 1.0))) + 1)
    step = 1 if panel_px > 34 * (len(powers) + 1) else 2
    right = float(_symlog(np.array(1.4 * max(highest, 1.0))))
    return _Axis(
        lambda values: (_symlog(values) + 0.1) / (right + 0.1), [0.0, *(10.0**power for power in powers[::step])]
    )


def _even(low: float, high: float, ticks: Iterable[float]) -> _Axis:
    return _Axis(lambda values: (values - low) / (high - low), list(ticks))


def _symlog(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a measure that is even up to 1 and logarithmic above."""
    return np.where(values <= 1, values * _SYMLOG_EVEN, _SYMLOG_EVEN + np.log10(np.maximum(values, 1.0)))


def _tick(value: float) -> str:
    """Write a value below an axis.

    >>> _tick(0.25), _tick(-0.5), _tick(10000.0), _tick(10.5)
    ('.25', '−.5', '10,000', '10.5')
    """
    text = f"{abs(value):,g}"
    return ("−" if value < 0 else "") + (text[1:] if text.startswith("0.") else text)

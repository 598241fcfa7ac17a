"""The two figures of the emotion stage: where the faces go with each detector, and how the classifier answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..values.numbers import NONE, share
from .svg import INK, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = ("right", "lost by the crop", "lost by a miss", "the classifier's own errors")
# blue, orange and vermilion of Okabe and Ito, distinguished by all; the last one stays behind
_COLOURS = ("#0072b2", "#e69f00", "#d55e00", "#8a929b")
_ON_COLOUR = ("#ffffff", "#000000", "#000000", "#000000")
_BAR_PX = 50
_CELL_PX = 46


@dataclass(frozen=True, slots=True)
class BarParts:
    """One bar.

    Attributes:
        label: name of the detector.
        faces: all labelled faces.
        oracle_right: of them, right on the annotated boxes.
        parts: faces in each of `PARTS`, which add up to `faces`.
    """

    label: str
    faces: int
    oracle_right: int
    parts: tuple[int, int, int, int]


def what_is_lost(bars: Sequence[BarParts], width_px: int = 900) -> str:
    """Draw one bar per detector: right, lost by the crop, lost by a miss, and wrong on the annotated box too.

    Args:
        bars: at least one, best first.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same bars.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, bar in enumerate(bars):
            _draw_bar(axes, bar, -place, width_px)
        oracle = bars[0].oracle_right / max(1, bars[0].faces)
        axes.axvline(oracle, color=INK, lw=1.2, ls=(0, (4, 3)), label=f"annotated boxes: {share(oracle)}")
        axes.set_xlim(0, 1)
        axes.set_ylim(0.4 - len(bars), 0.75)
        axes.set_yticks([])
        axes.set_xlabel("share of all labelled faces")
        axes.grid(visible=False)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside upper left", ncols=5 if width_px > 600 else 1, frameon=False, fontsize=11)

    return draw(
        paint,
        width_px=width_px,
        height_px=_BAR_PX * len(bars) + (110 if width_px > 600 else 190),
        title=f"What becomes of all faces with each of {len(bars)} detectors: "
        + "; ".join(_in_words(bar) for bar in bars),
    )


def _draw_bar(axes: Axes, bar: BarParts, y: float, width_px: int) -> None:
    shares = [part / max(1, bar.faces) for part in bar.parts]
    left = 0.0
    for place, (part, colour, ink) in enumerate(zip(shares, _COLOURS, _ON_COLOUR, strict=True)):
        axes.barh(y, part, 0.46, left, color=colour, linewidth=0, label=PARTS[place] if y == 0 else None)
        if part * width_px > 40:
            axes.text(left + part / 2, y, share(part), ha="center", va="center", color=ink, fontsize=11)
        left += part
    axes.text(0, y + 0.3, bar.label, ha="left", va="bottom", fontsize=12)


def _in_words(bar: BarParts) -> str:
    shares = ", ".join(f"{share(part / max(1, bar.faces))} {name}" for part, name in zip(bar.parts, PARTS, strict=True))
    return f"{bar.label} {shares}"


def confusion_matrix(names: Sequence[str], counts: Sequence[Sequence[int]], title: str, width_px: int = 900) -> str:
    """Draw a confusion matrix: shares of the rows as colour, counts and per cent as text.

    Args:
        names: of the classes, c of them.
        counts: (c, c); rows are what is shown, columns what was answered.
        title: what is read out before the numbers.
        width_px: width of the place; the drawing is no wider than it need be.

    Returns:
        SVG text, the same for the same numbers.
    """
    matrix = np.asarray(counts, np.int64)
    rows = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    c = len(names)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xlim(0, c)
        axes.set_ylim(c, 0)
        for i in range(c):
            for j in range(c):
                axes.fill_between([j, j + 1], i, i + 1, color=_COLOURS[0], alpha=0.05 + 0.55 * rows[i, j], linewidth=0)
                axes.text(j + 0.5, i + 0.42, f"{matrix[i, j]:,}", ha="center", va="center", fontsize=11)
                per_cent = f"{100 * rows[i, j]:.0f} %" if matrix[i].any() else NONE
                axes.text(j + 0.5, i + 0.76, per_cent, ha="center", va="center", fontsize=8)
        places = [place + 0.5 for place in range(c)]
        axes.set_xticks(places, names, rotation=45, ha="right")
        axes.set_yticks(places, names)
        axes.tick_params(length=0)
        axes.set_xlabel("answered")
        axes.set_ylabel("shown")
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    return draw(
        paint,
        width_px=width_px,
        height_px=_CELL_PX * c + 100,
        title=f"Confusion matrix, {title}. " + "; ".join(_row_in_words(names, row, i) for i, row in enumerate(rows)),
    )


def _row_in_words(names: Sequence[str], row: Sequence[float], shown: int) -> str:
    if not any(row):
        return f"{names[shown]}: never shown"
    likely = int(np.argmax(row))
    most = "" if likely == shown else f", most often called {names[likely]}"
    return f"{names[shown]}: {100 * row[shown]:.0f} % right{most}"

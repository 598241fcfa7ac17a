"""Names beside the points of a figure, none over another."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .svg import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKER_PX = 7.0

Rect = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the drawing, y upwards."""


def label_points(
    figure: Figure,
    axes: Axes,
    names: Sequence[str],
    positions: Sequence[tuple[float, float]],
    keep_off: Sequence[Rect] = (),
) -> None:
    """Write each point's name beside it, with a thin line where it had to move away.

    Args:
        figure: whose layout is settled by this.
        axes: of the figure.
        names: long ones are folded.
        positions: x, y of each point, as data.
        keep_off: x1, y1, x2, y2 of what names must not cover, as data.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    renderer = canvas.get_renderer()
    labels = [_fold(name) for name in names]
    texts = [axes.text(0, 0, label, fontsize=11, transform=None) for label in labels]
    extents = [text.get_window_extent(renderer) for text in texts]
    for text in texts:
        text.remove()

    def to_px(x: float, y: float) -> tuple[float, float]:
        across, up = axes.transData.transform((x, y))
        return float(across), float(up)

    anchors = [to_px(*position) for position in positions]
    bars = [(*to_px(x1, y1), *to_px(x2, y2)) for x1, y1, x2, y2 in keep_off]
    box = axes.get_window_extent(renderer)
    frame = (box.x0, box.y0, box.x1, box.y1)
    placed = place_labels(anchors, [(extent.width, extent.height) for extent in extents], bars, frame)
    for label, anchor, (left, bottom, right, top) in zip(labels, anchors, placed, strict=True):
        nearest = min(max(anchor[0], left), right), min(max(anchor[1], bottom), top)
        away = math.dist(anchor, nearest) > 2 * MARKER_PX
        axes.annotate(
            label,
            anchor,
            xytext=(left, (bottom + top) / 2),
            xycoords="figure pixels",
            textcoords="figure pixels",
            va="center",
            fontsize=11,
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 4}
            if away
            else None,
        )


def place_labels(
    anchors: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], bars: Sequence[Rect], frame: Rect
) -> list[Rect]:
    """Find a place for every label, as near to its point as it can be without covering anything.

    Greedy: the points in the order given, for each the places around it from near to far, the first free one. Where
    none is free, the one that covers least.

    Args:
        anchors: x, y of each point, pixels.
        sizes: width, height of each label, pixels.
        bars: boxes that labels keep off, such as the bars to p90, or thin pieces of a curve.
        frame: the box in which labels stay.
    """
    half = MARKER_PX
    taken: list[Rect] = [(x - half, y - half, x + half, y + half) for x, y in anchors]
    taken += [(x1 - 2, y1 - 2, x2 + 2, y2 + 2) for x1, y1, x2, y2 in bars]
    placed = []
    for anchor, size in zip(anchors, sizes, strict=True):
        places = list(_places(anchor, size))
        whole = np.array([(right - left) * (top - bottom) for left, bottom, right, top in places])
        covered = _overlaps(places, taken) + 10 * (whole - _overlaps(places, [frame]))
        best = places[int(covered.argmin())]
        placed.append(best)
        taken.append(best)
    return placed


def folded(label: str, letters: int) -> str:
    r"""Break a name after colons and commas, so that no line is longer than `letters` where that can be.

    >>> folded("haar:scale_factor=1.05,min_size=9", 24)
    'haar:scale_factor=1.05,\nmin_size=9'
    """
    lines = [""]
    for part in re.split(r"(?<=[:,])", label):
        if lines[-1] and len(lines[-1]) + len(part) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)


def _places(anchor: tuple[float, float], size: tuple[float, float]) -> Iterator[Rect]:
    x, y = anchor
    width, height = size
    for distance in (MARKER_PX + 2, 18, 30, 44, 60, 80, 105):
        for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            left = x + (distance * right if right > 0 else -width / 2 if right == 0 else -distance - width)
            bottom = y + (distance * up if up > 0 else -height / 2 if up == 0 else -distance - height)
            yield left, bottom, left + width, bottom + height


def _overlaps(places: Sequence[Rect], others: Sequence[Rect]) -> NDArray[np.float64]:
    """Return how much of each place the others cover, square pixels."""
    left, bottom, right, top = np.array(places).T[:, :, None]
    x1, y1, x2, y2 = np.array(others).T
    across, up = np.minimum(right, x2) - np.maximum(left, x1), np.minimum(top, y2) - np.maximum(bottom, y1)
    covered: NDArray[np.float64] = (across.clip(0) * up.clip(0)).sum(axis=1)
    return covered


def _fold(label: str) -> str:
    """Break a long name after the detector and after each parameter."""
    return label if len(label) <= 22 else label.replace(":", ":\n", 1).replace(",", ",\n")

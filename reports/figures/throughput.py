"""Images per second over the batch size, a line for each detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...benchmarks.analysis.table import Summary
from ...benchmarks.timing.throughput import BatchRate
from ..values.numbers import row_label
from .labels import Rect, label_points
from .pareto import COLOURS
from .svg import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_ASIDE = 0.2
"""How far apart the first and the last line stand at a batch size, where twice as large a one is 1."""


@dataclass(frozen=True, slots=True)
class RateLine:
    """The throughput of one detector.

    Attributes:
        label: see `row_label`.
        together: whether it runs images together; else its marks are hollow.
        rates: at least one, the smallest batches first.
    """

    label: str
    together: bool
    rates: Sequence[BatchRate]


def rate_lines(summary: Summary) -> list[RateLine]:
    """Return the line of each detector that has a time in batches, in the order of the rows."""
    return [
        RateLine(row_label(row), row.cell.batching.together, row.batches)
        for row in summary.rows
        if row.batches and row.cell.batching
    ]


def throughput(drawn: Sequence[RateLine], width_px: int = 900) -> str:
    """Draw the lines on two logarithmic axes, each number with its interval.

    Args:
        drawn: at least one.
        width_px: width of the drawing; from 600 on names stand beside the ends, below that in a legend.

    Returns:
        SVG text, the same for the same lines.
    """
    import seaborn as sns
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    palette, direct = sns.color_palette("colorblind"), width_px >= 600
    sizes = sorted({rate.images for line in drawn for rate in line.rates})
    values = [rate.images_per_second.value for line in drawn for rate in line.rates]
    corners = [_corners(line, (place + 0.5) / len(drawn) - 0.5) for place, line in enumerate(drawn)]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlim(sizes[0] / 1.15, sizes[-1] * (2.2 if direct else 1.15))
        # an interval of few batches may be as wide as the page: it is cut where the numbers are long past
        axes.set_ylim(min(values) / 2, max(values) * 2)
        for place, line in enumerate(drawn):
            colour = palette[COLOURS[place % len(COLOURS)]]
            look: dict[str, Any] = {"color": colour, "ls": _DASHES[place // len(COLOURS) % len(_DASHES)]}
            marks: dict[str, Any] = {"marker": "o", "markerfacecolor": colour if line.together else "none"}
            at = [across for across, _ in corners[place]]
            rates = [rate.images_per_second for rate in line.rates]
            axes.plot(at, [rate.value for rate in rates], lw=1.7, label=line.label, **look, **marks)
            for size, rate in zip(at, rates, strict=True):
                if math.isfinite(rate.low):
                    axes.plot([size, size], [rate.low, rate.high], color=colour, lw=1, alpha=0.5, zorder=1)
        axes.set_xlabel("images in a full batch")
        axes.set_ylabel("images/s")
        sns.despine(ax=axes)
        if direct:
            ends, pieces = [of[-1] for of in corners], [piece for of in corners for piece in _pieces(of)]
            label_points(figure, axes, [line.label for line in drawn], ends, pieces)
        else:
            figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=11, handlelength=3)

    return draw(
        paint,
        width_px=width_px,
        height_px=max(340, width_px * 0.5) + (0 if direct else 17 * len(drawn)),
        title=f"Images per second over the batch size of {len(drawn)} detectors",
    )


def _corners(line: RateLine, aside: float) -> list[tuple[float, float]]:
    """Return where the marks of a line stand: beside those of the others, so that no interval hides another."""
    return [(rate.images * 2 ** (_ASIDE * aside), rate.images_per_second.value) for rate in line.rates]


def _pieces(corners: Sequence[tuple[float, float]]) -> list[Rect]:
    """Return boxes around the pieces of a line, for names to keep off."""
    return [(x1, min(y1, y2), x2, max(y1, y2)) for (x1, y1), (x2, y2) in pairwise(corners)]

"""The figures of one row per detector: by kind of face, what errors cost, and the cost of a call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...benchmarks.analysis.depth import Analysis, SliceScore
from ...benchmarks.analysis.table import Summary
from ...benchmarks.resampling.bootstrap import CONFIDENCE, Interval
from ...benchmarks.scoring.error_analysis import Kind
from ...benchmarks.scoring.slices import HEIGHT, SHARE
from ..values.grids import Metric, analysed, is_few
from ..values.numbers import number_of, row_label
from .dots import MOST_ROWS, Dots, Panel, Scale, dot_rows

SLICE_GROUPS = (HEIGHT, SHARE, "blur", "occlusion", "pose", "illumination")
"""The kinds of faces that are drawn; the tables hold more."""
ERRORS: dict[Kind, str] = {
    "missed": "missed faces",
    "badly_placed": "badly placed boxes",
    "background": "boxes on no face",
    "duplicate": "second boxes",
    "near_ignored": "boxes near an ignored face",
}
"""Kinds of error, in the words of a heading."""
_COSTS = {"base_ms": "whatever the image", "per_megapixel_ms": "a megapixel", "per_face_ms": "a face found"}


@dataclass(frozen=True, slots=True)
class RowFigure:
    """A figure that can be drawn at any width.

    Attributes:
        names: of the rows.
        panels: see `dot_rows`.
        title: what is read out instead.
        columns: panels side by side on a wide page and on a narrow one.
        scale: see `dot_rows`.
        left_out: rows beyond the last one drawn.
    """

    names: Sequence[str]
    panels: Sequence[Panel]
    title: str
    columns: tuple[int, int]
    scale: Scale
    left_out: int = 0

    @property
    def few(self) -> bool:
        """Whether a number is of few faces."""
        return any(dots.few for panel in self.panels for dots in panel.dots)

    def svg(self, width_px: int) -> str:
        """Draw the figure, narrow below 600 pixels."""
        columns = self.columns[width_px < 600]
        return dot_rows(self.names, self.panels, title=self.title, columns=columns, scale=self.scale, width_px=width_px)


def slice_figure(summary: Summary, analysis: Analysis, metric: Metric) -> RowFigure | None:
    """Return recall by kind of face, kinds beside each other; or exact AP, a panel a kind, as it compares down alone.

    Returns:
        None where no face counts or no detector finished.
    """
    found = analysed(summary, analysis)
    parts = found[0][1].slices if found else []
    groups: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        if part.group in SLICE_GROUPS and part.faces:
            groups.setdefault(part.group, []).append(place)
    if not groups:
        return None

    def dots(place: int, name: str) -> Dots:
        values = [getattr(cell.slices[place], metric) for _, cell in found[:MOST_ROWS]]
        return Dots(name, values, is_few(parts[place]))

    panels = [
        Panel(f"by {group}", [dots(place, _with_faces(parts[place])) for place in places])
        for group, places in groups.items()
    ]
    columns = (len(panels) if len(panels) <= 5 else 3, 2)
    if metric == "exact":
        panels = [
            Panel(f"{group}\n{parts[place].name}\n({parts[place].faces:,}{_dagger(parts[place])})", [dots(place, "")])
            for group, places in groups.items()
            for place in places
        ]
        columns = (min(7, len(panels)), 2)
    what = "Recall at the operating threshold" if metric == "recall" else f"Exact AP ({summary.primary})"
    by = ", ".join(groups)
    return _figure([label for label, _ in found], panels, f"{what} by {by}", columns, "share")


def error_figure(summary: Summary, analysis: Analysis) -> RowFigure | None:
    """Return what each kind of error costs in AP, a panel a kind; None where no detector finished."""
    found = analysed(summary, analysis)
    if not found:
        return None
    shown = found[:MOST_ROWS]
    panels = [
        Panel(_in_two_lines(title), [Dots("", [_alone(cell.errors.kinds[kind].delta_ap) for _, cell in shown])])
        for kind, title in ERRORS.items()
    ]
    what = f"What each kind of error costs in exact AP ({summary.primary})"
    return _figure([label for label, _ in found], panels, what, (len(panels), 2), "linear")


def _alone(value: float) -> Interval:
    """Return a number that has no interval."""
    return Interval(value, math.nan, math.nan, CONFIDENCE, 0)


def cost_figure(summary: Summary) -> RowFigure | None:
    """Return the terms of the cost model, a panel a term; None where nothing was timed."""
    timed = [(row_label(row), row.timing) for row in summary.rows if row.timing is not None]
    panels = [
        Panel(f"{title}, ms", [Dots("", [getattr(timing.cost, name) for _, timing in timed[:MOST_ROWS]])])
        for name, title in _COSTS.items()
    ]
    if not timed:
        return None
    return _figure([label for label, _ in timed], panels, "Cost of a call by the cost model", (3, 1), "symlog")


def _figure(
    labels: Sequence[str], panels: Sequence[Panel], what: str, columns: tuple[int, int], scale: Scale
) -> RowFigure:
    drawn = labels[:MOST_ROWS]
    title = (
        f"{what}, {number_of(len(drawn), 'detector')}, each with its 95 % interval; the numbers are in the table below"
    )
    return RowFigure(drawn, panels, title, columns, scale, len(labels) - len(drawn))


def _in_two_lines(title: str) -> str:
    r"""Break a title of more than two words in the middle.

    >>> _in_two_lines("second boxes"), _in_two_lines("boxes near an ignored face")
    ('second boxes', 'boxes near an\nignored face')
    """
    words = title.split()
    middle = (len(words) + 1) // 2
    return title if len(words) < 3 else f"{' '.join(words[:middle])}\n{' '.join(words[middle:])}"


def _with_faces(part: SliceScore) -> str:
    return f"{part.name} ({part.faces:,})"


def _dagger(part: SliceScore) -> str:
    return " †" if is_few(part) else ""

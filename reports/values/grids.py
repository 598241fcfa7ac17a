"""Tables of many numbers with an interval each: protocols, slices, events, perceived groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...benchmarks.analysis.depth import Analysis, CellAnalysis, SliceScore
from ...benchmarks.analysis.table import Summary
from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.resampling.ranking import Gap
from ...datasets.sets.demographics import LABELS as PERCEIVED
from .numbers import NONE, between, between_signed, row_label, share, signed

FEW_FACES, FEW_IMAGES = 20, 5
"""A slice with fewer faces than these, or with its faces on fewer images, says little."""
Metric = Literal["recall", "exact"]
_PERCEIVED = tuple(column.replace("_", " ") for column in PERCEIVED)


@dataclass(frozen=True, slots=True)
class Heading:
    """What a row or column is, such as "16–32", with the number of its faces."""

    text: str
    note: str = ""
    few: bool = False


@dataclass(frozen=True, slots=True)
class GridCell:
    """One number.

    Attributes:
        text: the number.
        detail: what stands small below it: its interval.
        level: 0 to 9 for the shade of the ground; None for none.
        few: of so few faces that it says little.
    """

    text: str
    detail: str = ""
    level: int | None = None
    few: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with columns in groups.

    Attributes:
        corner: what a row is.
        groups: name of the group, its columns.
        rows: name of the row, a cell for each column.
        upright: headings stand on end, for long names over narrow columns.
    """

    corner: str
    groups: Sequence[tuple[str, Sequence[Heading]]]
    rows: Sequence[tuple[Heading, Sequence[GridCell]]]
    upright: bool = False

    @property
    def few(self) -> bool:
        """Whether any number is of few faces."""
        return any(cell.few for _, cells in self.rows for cell in cells)


def analysed(summary: Summary, analysis: Analysis) -> list[tuple[str, CellAnalysis]]:
    """Return label and analysis of each finished detector, in the order of the table."""
    return [(row_label(row), analysis.cells[key]) for row in summary.rows if (key := row.cell.key) in analysis.cells]


def protocols(summary: Summary, analysis: Analysis) -> Grid:
    """Return AP by every protocol on every list."""
    rows = analysed(summary, analysis)
    names = {
        "exact": "exact",
        "official": "official",
        "coco": "COCO .50:.95",
        "coco50": "COCO AP50",
        "coco75": "COCO AP75",
    }
    lists = list(rows[0][1].lists) if rows else []
    return Grid(
        "detector",
        [(name, [Heading(title) for title in names.values()]) for name in lists],
        [
            (Heading(label), [_cell(getattr(found.lists[name], field)) for name in lists for field in names])
            for label, found in rows
        ],
    )


def slice_grid(summary: Summary, analysis: Analysis, metric: Metric) -> Grid:
    """Return a column for each slice of faces or images that holds a face; events and perceived groups apart."""
    return _by_slice(summary, analysis, metric, lambda part: part.group not in ("event", *_PERCEIVED))


def event_grid(summary: Summary, analysis: Analysis, metric: Metric) -> Grid:
    """Return a row for each event and a column for each detector."""
    grid = _by_slice(summary, analysis, metric, lambda part: part.group == "event")
    events = [
        replace(one, note=f"{one.note} face{'' if one.note == '1' else 's'}") for _, of in grid.groups for one in of
    ]
    return Grid(
        "event",
        [("", [heading for heading, _ in grid.rows])],
        [(event, [cells[place] for _, cells in grid.rows]) for place, event in enumerate(events)],
        upright=True,
    )


def perceived_grid(summary: Summary, analysis: Analysis) -> Grid:
    """Return recall by perceived group and the gap between the best and the worst of each label."""
    grid = _by_slice(summary, analysis, "recall", lambda part: part.group in _PERCEIVED)
    rows = []
    for (heading, cells), (_, found) in zip(grid.rows, analysed(summary, analysis), strict=True):
        with_gaps: list[GridCell] = []
        place = 0
        for group, headings in grid.groups:
            few = {one.text for one in headings if one.few}
            with_gaps += [*cells[place : place + len(headings)], _gap(found.gaps.get(group), few)]
            place += len(headings)
        rows.append((heading, with_gaps))
    gap = Heading("gap", "best less worst")
    return Grid(grid.corner, [(group, [*headings, gap]) for group, headings in grid.groups], rows)


def _by_slice(summary: Summary, analysis: Analysis, metric: Metric, wanted: Callable[[SliceScore], bool]) -> Grid:
    found = analysed(summary, analysis)
    parts = found[0][1].slices if found else []
    # which faces are in a slice does not depend on the detector, so every detector's are in the same places
    places = [place for place, part in enumerate(parts) if wanted(part) and part.faces]
    groups: dict[str, list[Heading]] = {}
    for part in (parts[place] for place in places):
        heading = Heading(part.name, f"{part.faces:,}", is_few(part))
        groups.setdefault(part.group, []).append(heading)
    return Grid(
        "detector",
        list(groups.items()),
        [
            (
                Heading(label),
                [
                    _cell(getattr(part, metric), shade=True, few=is_few(part))
                    for part in (cell.slices[place] for place in places)
                ],
            )
            for label, cell in found
        ],
    )


def is_few(part: SliceScore) -> bool:
    """Whether a slice holds so few faces, or on so few images, that its numbers say little."""
    return part.faces < FEW_FACES or part.images < FEW_IMAGES


def _cell(interval: Interval, *, shade: bool = False, few: bool = False) -> GridCell:
    level = None
    if shade and not few and math.isfinite(interval.value):
        level = min(9, max(0, int(interval.value * 10)))
    return GridCell(share(interval.value, 2 if shade else 3), between(interval), level, few)


def _gap(gap: Gap | None, few: Container[str]) -> GridCell:
    if gap is None:
        return GridCell(NONE)
    ends = between_signed(gap.interval, 2)
    detail = f"{gap.best} less {gap.worst}" + (f", {ends}" if ends else "") + f"; {gap.by_chance:.2f} by chance"
    return GridCell(signed(gap.interval.value, 2), detail, few=gap.best in few or gap.worst in few)

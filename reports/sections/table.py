"""The table of the run: a row per detector."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...benchmarks.analysis.table import Row
from ...benchmarks.store.records import UNKNOWN_SIZE, Protocol, StoredCell
from ..values.table import Column, columns
from .base import Page, Section

ORDER = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice above the table.

    Attributes:
        name: "family", "device" or "protocol": the key in `filter_values`.
        values: those that rows have, in the order of the table; none is empty.
    """

    name: str
    values: Sequence[str]


def section(page: Page) -> Section:
    """Lay out every column of every detector."""
    summary = page.summary
    values = {
        "answer": page.answer,
        "columns": columns(summary, page.analysis),
        "done": [row for row in summary.rows if row.done],
        "not_done": [row for row in summary.rows if not row.done],
        "sorted_by": f"AP {summary.primary}",
        "filters": filters(summary.rows),
        "filter_values": filter_values,
        "plain_value": _plain_value,
        "interval_ends": _interval_ends,
    }
    return Section("table", "table.html.j2", values, "table")


def _plain_value(column: Column, row: Row) -> str:
    """Return what a table cell is sorted by and copied as; empty where there is no number."""
    return column.text(row) if column.number is None else _plain(column.number(row))


def _interval_ends(column: Column, row: Row) -> tuple[str, str]:
    """Return the ends of the interval that a table cell shows; empty where it shows none."""
    limits = None if column.interval is None else column.interval(row)
    if limits is None or column.number is None or not math.isfinite(column.number(row)):
        return "", ""
    return _plain(limits.low), _plain(limits.high)


def _plain(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else ""


def filters(rows: Sequence[Row]) -> list[Filter]:
    """Return the choices that tell rows apart: those with more than one value."""
    values = [filter_values(row) for row in rows]
    found = [Filter(name, list(dict.fromkeys(one[name] for one in values))) for name in _VALUES]
    return [one for one in found if len(one.values) > 1]


def filter_values(row: Row) -> dict[str, str]:
    """Return what a row is in each filter; none is empty."""
    return {name: value(row.cell) for name, value in _VALUES.items()}


def protocol_name(protocol: Protocol) -> str:
    """Name a protocol in a few words.

    >>> protocol_name(Protocol())
    'original size'
    >>> protocol_name(Protocol("long=640", 0.02))
    'long=640, scores from 0.02'
    """
    size = {"original": "original size", UNKNOWN_SIZE: "predictions from a file"}.get(protocol.size, protocol.size)
    floor = "" if protocol.score_floor is None else f", scores from {protocol.score_floor:g}"
    return f"{size}{floor}"


def _device(cell: StoredCell) -> str:
    return "not measured here" if cell.predictions else cell.device


_VALUES: Mapping[str, Callable[[StoredCell], str]] = {
    "family": lambda cell: cell.info.family or "not said",
    "device": _device,
    "protocol": lambda cell: protocol_name(cell.protocol),
}

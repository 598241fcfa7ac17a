"""The table of the run: a row per detector."""

from __future__ import annotations

import math

from ...benchmarks.analysis.table import Row
from ..values.filters import filter_values, filters
from ..values.table import Column, columns
from .base import Page, Section

ORDER = 20


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

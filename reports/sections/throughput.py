"""Throughput: images per second in batches, and the scenarios that MLPerf names."""

from __future__ import annotations

from ..figures.svg import wide_and_narrow
from ..figures.throughput import rate_lines, throughput
from ..values.batches import BATCH_COLUMNS, batch_lines, scenarios
from ..values.numbers import NONE, row_label
from .base import Page, Section

ORDER = 55


def section(page: Page) -> Section | None:
    """Draw and list every batch size; None where none was measured."""
    summary = page.summary
    lines = batch_lines(summary)
    if not lines:
        return None
    drawn, found = rate_lines(summary), scenarios(summary)
    # of one device whose library cannot tell there would be a column of dashes
    shown = [place for place, title in enumerate(BATCH_COLUMNS) if title != "device MB" or _told(lines, place)]
    titles = list(BATCH_COLUMNS.items())
    values = {
        "figures": wide_and_narrow(lambda width: throughput(drawn, width)) if drawn else {},
        "titles": [titles[place] for place in shown],
        "lines": [[line[place] for place in shown] for line in lines],
        "scenarios": found,
        "multi_stream": any(one.multi_stream != NONE for one in found),
        "without": [row_label(row) for row in summary.rows if row.done and row.cell.batching is None],
    }
    return Section("throughput", "throughput.html.j2", values, "batches")


def _told(lines: list[list[str]], place: int) -> bool:
    return any(line[place] != NONE for line in lines)

"""The comparison as a Markdown table, for a README or a CI page."""

from __future__ import annotations

from ...benchmarks.analysis.table import Summary
from ..values.table import columns, floor_sentence, standing


def markdown_table(summary: Summary) -> str:
    """Return the table with a line that says what it was measured on."""
    chosen = columns(summary)
    head = [
        "| " + " | ".join(column.title for column in chosen) + " |",
        "|" + "|".join("---" if column.number is None else "---:" for column in chosen) + "|",
    ]
    body = ["| " + " | ".join(escape(column.text(row)) for column in chosen) + " |" for row in summary.rows]
    below = [f"Measured on {summary.scope}.", standing(summary), floor_sentence(summary)]
    return "\n".join([*head, *body, "", " ".join(filter(None, below))]) + "\n"


def escape(text: str) -> str:
    """Keep text from being read as a table's or HTML's own signs."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")

"""The table of a run, and the comparison of two versions, as Markdown: for a README or the summary page of a CI job."""

from __future__ import annotations

import re

from ...benchmarks.analysis.table import Summary
from ...benchmarks.compare.gate import GateResult
from ...benchmarks.compare.runs import Comparison
from ...safe_text import bounded, visible
from ..values.table import columns, floor_sentence, standing
from .comparison import ComparisonRow, headline, joined, reasons, rows, scope, summary_line, titles, what_to_do

# signs of tables, links and images; slashes and dots of addresses, which GitHub makes links of by themselves
_MARKUP = re.compile(r"[|\[\]*]|(?<=:)/(?=/)|(?<=\bwww)\.", re.IGNORECASE)
_ENTITY = re.compile(r"&(?=#?\w+;)")
_AT = re.compile(r"@(?=\w)")


def markdown_table(summary: Summary) -> str:
    """Return the table with a line that says what it was measured on."""
    chosen = columns(summary)
    head = [
        "| " + " | ".join(column.title for column in chosen) + " |",
        "|" + "|".join("---" if column.number is None else "---:" for column in chosen) + "|",
    ]
    body = ["| " + " | ".join(_cell(column.text(row)) for column in chosen) + " |" for row in summary.rows]
    below = [f"Measured on {summary.scope}.", standing(summary), floor_sentence(summary)]
    return "\n".join([*head, *body, "", escape(" ".join(filter(None, below)))]) + "\n"


def comparison_markdown(comparison: Comparison, result: GateResult | None = None) -> str:
    """Return a first line that says the outcome, the table, what to do where it is open, then the details.

    Args:
        comparison: what was compared.
        result: of the gate; without it the first line says only what differs.
    """
    first = summary_line(comparison) if result is None else headline(result)
    found = rows(comparison, result)
    parts = [f"**{escape(first)}**", _table(titles(comparison, result), found)]
    if result is not None and (why := reasons(result)):
        parts.append("\n".join(f"- {escape(line)}" for line in why))
    if result is not None and (advice := what_to_do(result)):
        parts.append("What to do:\n\n" + "\n".join(f"- {line}" for line in advice))
    if notes := (comparison.notes if result is None else result.notes):
        parts.append("Notes:\n\n" + "\n".join(f"- {escape(note)}" for note in notes))
    parts += [_details(row) for row in found if row.details]
    return "\n\n".join([*parts, escape(scope(comparison))]) + "\n"


def _table(headings: list[str], found: list[ComparisonRow]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += [
        "| " + " | ".join(joined([escape(line) for line in cell], "<br>") for cell in row.cells) + " |" for row in found
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(map(escape, text.split("\n")))


def _details(row: ComparisonRow) -> str:
    items = "\n".join(f"- {heading}: {escape(text)}" for heading, text in (*row.judged, *row.details))
    # no Markdown is read in the line of a summary, its escapes neither; some programs read it all the same
    label = _in_html(visible(row.label)).replace("[", "&#91;").replace("://", "&#58;//")
    return f"<details><summary>{label}</summary>\n\n{items}\n\n</details>"


def escape(text: str) -> str:
    """Keep text from being read as Markdown or HTML: tables, links, images, mentions, orders to a CI service.

    Backticks stay, since our own sentences have code in them; what a stranger sets in code does nothing either.
    """
    text = _MARKUP.sub(r"\\\g<0>", bounded(visible(text)).replace("\\", "\\\\"))
    return _in_html(text)


def _in_html(text: str) -> str:
    """Keep a line from being read as HTML, and from naming a person: a joiner without width follows the @."""
    return _AT.sub("@\u2060", _ENTITY.sub("&amp;", text).replace("<", "&lt;"))

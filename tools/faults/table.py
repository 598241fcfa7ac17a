"""A row of docs/reliability.md, and rows as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, done to facebench a number of times.

    Attributes:
        done: what was done, such as "SIGKILL at a random time".
        times: how often.
        seen: what came of it, with numbers.
        faults: what must not have come of it, one sentence each; empty where all promises were kept.
        seconds: that it took.
    """

    done: str
    times: int
    seen: str
    faults: tuple[str, ...]
    seconds: float


def markdown(title: str, rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table under a line that names the command's seed and size.

    >>> print(markdown("`kills`", [Row("SIGKILL", 3, "nothing lost", (), 61.2)]))
    `kills`
    <BLANKLINE>
    | what was done | times | what was seen | promises broken | s |
    |---|---:|---|---:|---:|
    | SIGKILL | 3 | nothing lost | 0 | 61 |
    """
    lines = [
        title,
        "",
        "| what was done | times | what was seen | promises broken | s |",
        "|---|---:|---|---:|---:|",
        *(f"| {row.done} | {row.times} | {row.seen} | {len(row.faults)} | {row.seconds:.0f} |" for row in rows),
    ]
    return "\n".join(lines)


def problems(rows: Iterable[Row]) -> list[str]:
    """Return every broken promise, with what was done before it."""
    return [f"{row.done}: {fault}" for row in rows for fault in row.faults]

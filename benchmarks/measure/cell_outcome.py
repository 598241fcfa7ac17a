"""What a cell ends in, and when failures end it: the same whether one child works on it or many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ...errors import DamagedJournalError
from ..store.journal import Journal, JournalContent
from ..store.records import Status, StoredCell
from ..store.run_folder import RunFolder
from .plan import Observer

FAILURES_IN_A_ROW = 3
_FAILURES_SHARE = 0.02
_Content = TypeVar("_Content")


def finished_before(folder: RunFolder, key: str) -> StoredCell | None:
    """Return the stored cell of this key where it is done."""
    return next((one for one in folder.cells if one.key == key and one.done), None)


def open_journal(journal: Journal, read: Callable[[], _Content], stored: StoredCell, observer: Observer) -> _Content:
    """Open a journal; a damaged one is moved away, which is said, and an empty one begun, so that the run goes on.

    Args:
        journal: of the cell.
        read: opens it; is called a second time on the empty one.
        stored: the cell.
        observer: is told of the damage.

    Raises:
        ResultsError: the file cannot be read, written or renamed.
    """
    try:
        return read()
    except DamagedJournalError as error:
        aside = journal.move_away()
        observer.warns(f"{error}. It is kept as {aside.name}; what it held of {stored.label} is measured again")
        return read()


def drop_stale(journal: Journal, stored: StoredCell, observer: Observer) -> None:
    """Remove the journal of a finished cell, which a kill left behind, unless it holds more rounds than the cell."""
    if journal.exists:
        content = open_journal(journal, journal.open, stored, observer)
        journal.close()
        if not any(repeat.round >= stored.rounds for repeat in content.repeats):
            journal.delete()


def too_many_failures(content: JournalContent, in_a_row: int, done: int, usable: Sequence[str]) -> str:
    """Return why the images skipped fail the cell, or an empty string: three in a row, or more than 2 % of all.

    Args:
        content: of the journal.
        in_a_row: images skipped since the last that was answered.
        done: images answered or skipped.
        usable: all images.
    """
    count = len(content.skipped)
    if not count:
        return ""
    name, reason = next(reversed(content.skipped.items()))
    allowed = max(FAILURES_IN_A_ROW, math.ceil(_FAILURES_SHARE * len(usable)))
    if in_a_row >= FAILURES_IN_A_ROW or count > allowed or count >= len(usable):
        left = len(usable) - done
        tried = f"the {done} images tried, and was stopped before the other {left}" if left else f"{done} images"
        return f"failed on {count} of {tried}, last on {name}: {reason}"
    return ""


def end_cell(
    folder: RunFolder,
    stored: StoredCell,
    content: JournalContent,
    observer: Observer,
    status: Status,
    reason: str,
    *,
    remedy: str = "",
    rounds: int = 0,
) -> None:
    """Give a cell its final state, store it and tell the observer.

    Args:
        folder: the run's.
        stored: the cell as run.json holds it.
        content: of the journal.
        observer: is told of it.
        status: "done", "failed" or "unavailable".
        reason: why it failed or is unavailable.
        remedy: the command that fixes it.
        rounds: how often each image was timed.
    """
    stored = replace(
        stored,
        status=status,
        reason=reason,
        remedy=remedy,
        start=content.starts[0] if content.starts else None,
        starts=len(content.starts),
        peak_rss_mb=content.peak_rss_mb or None,
        device_memory_mb=content.device_memory_mb,
        failed_images=dict(content.skipped),
        rounds=rounds if status == "done" else 0,
    )
    if stored.rounds:
        stored = _with_rounds(stored, content)
    folder.put_cell(stored)
    observer.cell_ends(stored)


def _with_rounds(stored: StoredCell, content: JournalContent) -> StoredCell:
    """Add when each round began, and what the later ones gave that the first had not."""
    known = dict(enumerate(stored.rounds_started))
    for start in content.starts:
        if start.timed:
            known.setdefault(start.round, start.started)
    failed = sum(math.isnan(repeat.detect_ms) for repeat in content.repeats)
    return replace(
        stored,
        rounds_started=tuple(known[number] for number in sorted(known)),
        repeats_failed=stored.repeats_failed + failed,
        detections_differ=stored.detections_differ + sum(not one.same for one in content.repeats) - failed,
    )

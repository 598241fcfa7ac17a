"""Progress of a run on a terminal: one bar over all cells with the remaining time; a line for each cell that ends."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ...safe_text import visible
from ..store.records import StoredCell


class RichObserver:
    """Draws what a run tells. Bars appear on a terminal only, the line a cell always.

    Args:
        console: where to draw, standard error for the command.
        cells: how many the run has.
    """

    def __init__(self, console: Console, cells: int) -> None:
        self._console = console
        self._cells = cells
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("looking at the images", total=None)
        self._ended = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def decoding(self, done: int, total: int) -> None:
        """Show images looked at before the first cell."""
        self._progress.update(self._task, completed=done, total=total)

    def cell_begins(self, cell: StoredCell, done: int, total: int) -> None:
        """Start a bar for the cell, from where an earlier call left it."""
        text = f"{cell.label} ({self._ended + 1} of {self._cells})"
        self._progress.reset(self._task, description=text, total=total, completed=done)

    def image_done(self) -> None:
        """Move the bar."""
        self._progress.advance(self._task)

    def cell_ends(self, cell: StoredCell) -> None:
        """Print one line."""
        self._ended += 1
        colour = {"done": "green", "failed": "red"}.get(cell.status, "yellow")
        detail = f": {cell.reason}" if cell.reason else ""
        if cell.batching and cell.done:
            detail = f", batches of {', '.join(str(one.images) for one in cell.batching.sizes if not one.reason)}"
        remedy = f". To fix: {cell.remedy}" if cell.remedy else ""
        line = Text.assemble((cell.status, colour), f" {visible(cell.label + detail + remedy)}")
        self._console.print(line, soft_wrap=True)

    def warns(self, text: str) -> None:
        """Print one line."""
        self._console.print(Text.assemble(("warning", "yellow"), f": {visible(text)}"), soft_wrap=True)

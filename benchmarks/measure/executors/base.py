"""What an executor is: it hands chunks of work to workers and returns what they answer, in whatever order.

An answer that was returned is final. A worker that is lost takes the chunks with it that it had not answered; they go
to another one, so a chunk may be worked on more than once and is answered once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

IN_FLIGHT = 2
"""Chunks a worker that are handed out ahead: one is worked on, one waits, and the rest stays with the caller."""
ATTEMPTS = 3
"""Workers that a chunk may take with it before it is held to be the reason."""


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """The place of one worker.

    Attributes:
        index: 0 for the first worker; one that replaces a lost worker has a number of its own.
        cores: processor cores that are its own; empty where somebody else, such as Ray, gives them out.
    """

    index: int
    cores: tuple[int, ...] = ()


class Worker(Protocol):
    """What works on chunks; it is made in the worker's process and never leaves it."""

    def __call__(self, chunk: Sequence[Any]) -> Any:
        """Return the answer to one chunk; it must be picklable."""

    def close(self) -> None:
        """Free what it holds."""


class Executor(Protocol):
    """Workers side by side."""

    def map(
        self,
        make: Callable[[WorkerSlot], Worker],
        chunks: Iterator[Sequence[Any]],
        *,
        threads: int = 1,
        gpu: bool = False,
    ) -> Generator[Any, None, None]:
        """Give chunks to workers as they become free; yield the answers as they come.

        Leaving the iterator early ends the workers at once.

        Args:
            make: called in each worker's process; must be picklable.
            chunks: taken one at a time, at most `IN_FLIGHT` a worker ahead.
            threads: processor cores that each worker needs.
            gpu: whether a worker needs a part of a GPU.

        Raises:
            WorkerDiedError: a chunk took `ATTEMPTS` workers with it.
        """

    def close(self) -> None:
        """Give everything back; harmless when repeated."""

"""Workers of this machine: processes side by side, each pinned to cores of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ....errors import UsageError, WorkerDiedError
from ....supervised import die_with_parent
from ..environment import usable_cores
from .base import ATTEMPTS, IN_FLIGHT, Worker, WorkerSlot

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""
_KEPT_BYTES = 64 * 2**20
_LARGEST_BYTES = 32 * 2**20
"""The most that glibc takes for `_MMAP_THRESHOLD`: a block above it is always asked of the system."""


@dataclass(frozen=True, slots=True)
class _Task:
    number: int
    make: Callable[[WorkerSlot], Worker]
    threads: int


@dataclass(slots=True)
class _Pending:
    chunk: Sequence[Any]
    attempts: int = 1


class LocalExecutor:
    """`workers` processes, each with its own interpreter; they are started when they are first needed.

    Threads would not do: one image at a time is decoded in a process, because the decoder sets what Pillow keeps in
    module globals.

    Args:
        workers: how many.

    Raises:
        UsageError: fewer than one.
    """

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise UsageError(f"got {workers} workers, expected at least 1")
        self.workers = workers
        self._pool: _Pool | None = None
        self._tasks = 0

    def map(
        self,
        make: Callable[[WorkerSlot], Worker],
        chunks: Iterator[Sequence[Any]],
        *,
        threads: int = 1,
        gpu: bool = False,
    ) -> Generator[Any, None, None]:
        """See `Executor.map`. Workers share the cores where there are too few, and what GPU there is."""
        self._tasks += 1
        task = _Task(self._tasks, make, threads)
        waiting: list[_Pending] = []
        while True:
            running: dict[Future[Any], _Pending] = {}
            whole = False
            try:
                self._pool = self._pool or _start(self.workers)
                yield from self._work(self._pool, task, chunks, waiting, running)
                whole = True
            except BrokenProcessPool:
                waiting = [*running.values(), *waiting]
            finally:
                if not whole:
                    self.close()
            if whole:
                return
            for pending in waiting:
                pending.attempts += 1
                if pending.attempts > ATTEMPTS:
                    raise WorkerDiedError(
                        f"a worker process ended {ATTEMPTS} times, last while it had {_names(pending.chunk)}; the "
                        "system may have ended it for lack of memory: use fewer workers"
                    )

    def close(self) -> None:
        """End the processes, whatever they are doing; `map` starts new ones."""
        if self._pool is not None:
            self._pool.kill()
            self._pool = None

    def _work(
        self,
        pool: _Pool,
        task: _Task,
        chunks: Iterator[Sequence[Any]],
        waiting: list[_Pending],
        running: dict[Future[Any], _Pending],
    ) -> Iterator[Any]:
        while True:
            while len(running) < IN_FLIGHT * self.workers:
                pending = waiting.pop(0) if waiting else _next(chunks)
                if pending is None:
                    break
                try:
                    running[pool.submit(task, pending.chunk)] = pending
                except BrokenProcessPool:
                    waiting.insert(0, pending)
                    raise
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                answer = future.result()
                del running[future]
                yield answer


def _start(workers: int) -> _Pool:
    try:
        return _Pool(workers)
    except OSError as error:
        raise WorkerDiedError(
            f"no worker process can be started: {error.strerror or error}; free some memory and some of the temporary "
            "folder"
        ) from error


def _next(chunks: Iterator[Sequence[Any]]) -> _Pending | None:
    chunk = next(chunks, None)
    return None if chunk is None else _Pending(chunk)


class _Pool:
    """Processes that end at once when they are told to."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._workers = workers
        self._processes: set[multiprocessing.process.BaseProcess] = set()
        self._pool = ProcessPoolExecutor(
            workers, context, initializer=_begin, initargs=(context.Value("i", 0), usable_cores())
        )
        with _ctrl_c_is_for_the_parent():
            for _ in range(workers):
                self._submit(os.getpid)

    def submit(self, task: _Task, chunk: Sequence[Any]) -> Future[Any]:
        return self._submit(_answer, task, chunk)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Submit, which may start a process, and remember that process."""
        if len(self._processes) == self._workers:
            return self._pool.submit(function, *arguments)
        before = set(multiprocessing.active_children())
        future = self._pool.submit(function, *arguments)
        self._processes |= set(multiprocessing.active_children()) - before
        return future

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_is_for_the_parent() -> Iterator[None]:
    """Start processes that ignore SIGINT, which a terminal sends to all of them; the parent ends them itself."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not in the main thread, which alone may do this
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(slots=True)
class _Here:
    """What a process of the pool is doing."""

    index: int
    cores: Sequence[int]
    number: int = 0
    worker: Worker | None = None

    def take_up(self, task: _Task) -> Worker:
        """Return the worker for a task, made again when the task is."""
        if self.worker is None or self.number != task.number:
            if self.worker is not None:
                self.worker.close()
            slot = _slot(self.index, task.threads, self.cores)
            if hasattr(os, "sched_setaffinity"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(0, slot.cores)
            self.worker, self.number = task.make(slot), task.number
        return self.worker


_here: _Here | None = None
"""Set in the processes of a pool only."""


def _begin(taken: Any, cores: Sequence[int]) -> None:
    global _here  # noqa: PLW0603 - a pool's process has no other place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        # killed while this process was starting, which no signal tells it: it would wait for work for ever
        os._exit(1)
    with taken.get_lock():
        _here = _Here(taken.value, cores)
        taken.value += 1


def keep_freed_memory() -> None:
    """Ask the C library to give at most what exceeds 64 MB back to the system; nothing happens outside Linux.

    A decoder takes and frees a few blocks of an image's size for each image. Given back each time, their pages are
    faulted in and zeroed again: a fifth of the processor time of decoding, and more where several processes do it side
    by side. For processes that decode only: a detector keeps the allocator that its users have.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def _answer(task: _Task, chunk: Sequence[Any]) -> Any:
    assert _here is not None, "the pool was started without _begin"
    return _here.take_up(task)(chunk)


def _slot(index: int, threads: int, cores: Sequence[int]) -> WorkerSlot:
    """Give out cores from the last one down, as a single child takes them."""
    backwards = cores[::-1]
    return WorkerSlot(index, tuple(sorted({backwards[(index * threads + one) % len(cores)] for one in range(threads)})))


def _names(chunk: Sequence[Any]) -> str:
    names = [str(getattr(item, "image_id", item)) for item in chunk]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more images"

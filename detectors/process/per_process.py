"""Library objects that threads take turns with, and that a forked child builds again."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from ...errors import UsageError

T = TypeVar("T")


class ProcessLock:
    """A lock for the threads of one process; a forked child has its own, whoever held the parent's at that moment."""

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        # setdefault is one step for all threads
        self._locks.setdefault(os.getpid(), threading.Lock()).acquire()

    def __exit__(self, *raised: object) -> None:
        self._locks[os.getpid()].release()


class PerProcess(Generic[T]):
    """A library's object. After a fork it may wait for threads that only the parent has, so a child builds its own.

    The parent's is never freed in the child.

    Args:
        build: makes the object; called now, and in each forked child when it is first needed there.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = ProcessLock()
        self._built = {os.getpid(): build()}
        _LIVING.add(self)

    def get(self) -> T:
        """Return the object of this process, for calls that several threads may make at once."""
        found = self._built.get(os.getpid())
        if found is None:
            with self._lock:
                found = self._find()
        return found

    @contextmanager
    def alone(self) -> Iterator[T]:
        """Hold the object of this process, one thread at a time, for calls that keep something in it."""
        with self._lock:
            yield self._find()

    def _find(self) -> T:
        process = os.getpid()
        if process not in self._built:
            self._built[process] = self._build()
        return self._built[process]


_LIVING: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()


def _keep_for_ever() -> None:
    """Keep what the parent has built: freeing it in a forked child may wait for threads that only the parent has."""
    for holder in list(_LIVING):
        for built in holder._built.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(built))


os.register_at_fork(after_in_child=_keep_for_ever)

_FIRST_USED: dict[str, int] = {}


def lost_its_threads(library: str) -> bool:
    """Tell whether `library` was used before this process was forked, whose threads are only in the parent.

    The first call for a library notes the process: adapters ask before every use that may start threads.
    """
    return _FIRST_USED.setdefault(library, os.getpid()) != os.getpid()


def refuse_fork(library: str) -> None:
    """Raise where `library` would wait for threads that only the parent has.

    Raises:
        UsageError: it was used before this process was forked.
    """
    if lost_its_threads(library):
        raise UsageError(
            f"{library} was used before this process was forked, and its threads are only in the parent: this call "
            "would wait forever. Start the children with multiprocessing's spawn, or use it in the children only"
        )

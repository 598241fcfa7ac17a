"""Runs the `facebench` command with a disk that fails from its k-th write on; a program of its own.

`python -m facebench.tools.faults.injected KIND K FOLDER LOG -- ARGUMENTS…`: KIND is "full" (ENOSPC: nothing new
fits, what is there can be moved and removed) or "read-only" (EROFS: nothing can be changed). Operations on files below
FOLDER are counted and, from number K on, refused; the first write that a full disk refuses lands
by half, as the kernel does it. LOG
gets a line for each operation. With K beyond the last, nothing is refused.

Opening, making folders, moving and removing are seen by an audit hook (PEP 578), which no library passes by; writes,
truncation and fsync by files that count, in place of those of `open`.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OPENED = {"open": 0, "os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.truncate": 0}
"""Audit event -> which of its arguments is the path that changes."""
_HARMLESS_WHEN_FULL = ("os.rename", "os.remove", "os.rmdir", "truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Disk:
    """Counts operations and refuses them from one on.

    Args:
        kind: "full" or "read-only".
        first: number of the first operation that is refused, from 1.
        folder: below which it counts.
        log: file descriptor for a line each.
    """

    def __init__(self, kind: str, first: int, folder: Path, log: int) -> None:
        self._error = errno.ENOSPC if kind == "full" else errno.EROFS
        self._harmless = _HARMLESS_WHEN_FULL if kind == "full" else ()
        self._first = first
        self._folder = os.fspath(folder.resolve())
        self._log = log
        self._count = 0
        self._half_taken = False

    def holds(self, path: Any) -> bool:
        """Whether a path lies on this disk."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - Path would walk the disk
        return absolute == self._folder or absolute.startswith(self._folder + os.sep)

    def operate(self, name: str, path: Any) -> None:
        """Count an operation.

        Raises:
            OSError: it is refused.
        """
        if not self.holds(path) or name in self._harmless:
            return
        self._count += 1
        os.write(self._log, f"{name} {os.path.basename(os.fsdecode(path))}\n".encode())  # noqa: PTH119
        if self._count >= self._first:
            raise OSError(self._error, os.strerror(self._error), os.fsdecode(path))

    def takes_half(self) -> bool:
        """Whether half of a write still fits: of the first that is refused."""
        before, self._half_taken = self._half_taken, True
        return not before

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take part in what Python is about to do; see `sys.addaudithook`."""
        if event not in _OPENED:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
            return
        self.operate(event, arguments[_OPENED[event]])


class _File(io.FileIO):
    """A file on a disk that fails."""

    def __init__(self, disk: Disk, path: Any, mode: str) -> None:
        self._disk = disk
        super().__init__(path, mode)

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        try:
            self._disk.operate("write", self.name)
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._disk.takes_half():
                raise
            view = view[: len(view) // 2]
        return super().write(view)

    def truncate(self, size: int | None = None, /) -> int:
        self._disk.operate("truncate", self.name)
        return super().truncate(size)


def _opener(disk: Disk, plain: Callable[..., Any]) -> Callable[..., Any]:
    def open_(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        if ("r" in mode and "+" not in mode) or not disk.holds(file):
            return plain(file, mode, buffering, *rest, **options)
        raw = _File(disk, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **options)

    return open_


def _syncer(disk: Disk, plain: Callable[[Any], None]) -> Callable[[Any], None]:
    def fsync(file: Any) -> None:
        disk.operate("fsync", os.readlink(f"/proc/self/fd/{file}"))  # noqa: PTH115
        plain(file)

    return fsync


def main() -> None:
    """Set up the disk and run the command."""
    kind, first, folder, log, _, *arguments = sys.argv[1:]
    disk = Disk(kind, int(first), Path(folder), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    io.open = builtins.open = _opener(disk, builtins.open)
    os.fsync = _syncer(disk, os.fsync)  # type: ignore[assignment]
    sys.addaudithook(disk.audit)
    sys.argv = ["facebench", *arguments]
    runpy.run_module("facebench.cli", run_name="__main__")


if __name__ == "__main__":
    main()

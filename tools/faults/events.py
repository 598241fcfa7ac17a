"""Every file operation in a folder as it happens, from Linux' inotify (inotify(7)).

Polling would miss a file that lives for a millisecond, such as one that is moved over another.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

_MODIFY, _CLOSE_WRITE, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x8, 0x80, 0x100, 0x200
_WATCHED = _MODIFY | _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE
_IS_FOLDER = 0x40000000
_NONBLOCK = 0x800
_HEADER = struct.Struct("iIII")
_NAMES = {_MODIFY: "write", _CLOSE_WRITE: "close", _MOVED_TO: "move", _CREATE: "create", _DELETE: "delete"}


class FolderEvents:
    """Watches a folder and the folders that appear in it; use as a context manager.

    Args:
        folder: must exist.

    Raises:
        OSError: the system has no inotify, or no watch is left.
    """

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.inotify_init1(_NONBLOCK)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")
        self._folders: dict[int, Path] = {}
        for root, _, _ in os.walk(folder):
            self._watch(Path(root))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)

    def wait(self, seconds: float) -> list[str]:
        """Return what happened since the last call, such as "move run.json", waiting up to `seconds` for the first."""
        if not select.select([self._file], [], [], seconds)[0]:
            return []
        happened, data = [], os.read(self._file, 65536)
        while data:
            watch, mask, _, length = _HEADER.unpack_from(data)
            name = data[_HEADER.size : _HEADER.size + length].rstrip(b"\0").decode()
            data = data[_HEADER.size + length :]
            if mask & _IS_FOLDER and mask & _CREATE:
                self._watch(self._folders[watch] / name)
            kinds = [word for bit, word in _NAMES.items() if mask & bit]
            happened += [f"{kind} {name}" for kind in kinds]
        return happened

    def _watch(self, folder: Path) -> None:
        watch = self._libc.inotify_add_watch(self._file, os.fsencode(folder), _WATCHED)
        if watch >= 0:
            self._folders[watch] = folder

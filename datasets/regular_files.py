"""Opening what other people laid into a folder: regular files alone, of a bounded size.

A FIFO waits for a writer, a device may never end or do something when it is opened, a sparse file of an exabyte takes
no room on the disk and all of the memory.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 1 << 30
"""The largest file that is read."""

ANY_SIZE = sys.maxsize
"""For what is read in parts: archives, videos."""


class RefusedFileError(OSError):
    """A file that is there and is not read for what it is."""


_TOO_MANY = f"more than {MOST_BYTES:,} bytes, the most that is read of a file"


def open_regular(path: Path, most: int = MOST_BYTES) -> BufferedReader:
    """Open a file to read.

    Args:
        path: of the file, or of a link to it.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be opened.
        RefusedFileError: it is not a regular file, or too large.
    """
    return os.fdopen(_opened(path, most)[0], "rb")


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file; see `open_regular`."""
    descriptor, size = _opened(path)
    try:
        data = os.read(descriptor, size + 1)
        # it grows, or is one of /proc, which all say that they are empty; or the system gives less at a time
        while len(data) != size and (part := os.read(descriptor, 1 << 20)):
            data += part
            if len(data) > MOST_BYTES:
                raise RefusedFileError(errno.EFBIG, _TOO_MANY)
        return data
    finally:
        os.close(descriptor)


def read_regular_text(path: Path, encoding: str = "utf-8") -> str:
    """Return a text file, its lines ended by a line feed; see `open_regular`, and UnicodeDecodeError."""
    return read_regular(path).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def read_bounded(stream: BinaryIO) -> bytes:
    """Return what is left in a stream.

    Raises:
        RefusedFileError: there is more.
    """
    parts, size = [], 0
    while part := stream.read(1 << 20):
        size += len(part)
        if size > MOST_BYTES:
            raise RefusedFileError(errno.EFBIG, _TOO_MANY)
        parts.append(part)
    return b"".join(parts)


def begin_of(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, of whatever size; see `open_regular`."""
    descriptor, _ = _opened(path, ANY_SIZE)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def _opened(path: Path, most: int = MOST_BYTES) -> tuple[int, int]:
    """A descriptor, and how many bytes the file has."""
    _size(path.stat(), most)
    # between the two calls it may have become a FIFO, which would wait
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        return descriptor, _size(os.fstat(descriptor), most)
    except OSError:
        os.close(descriptor)
        raise


def _size(status: os.stat_result, most: int) -> int:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise RefusedFileError(errno.EINVAL, "not a regular file")
    if status.st_size > most:
        raise RefusedFileError(errno.EFBIG, _TOO_MANY)
    return status.st_size

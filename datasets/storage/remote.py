"""What lies behind an address, as bytes or as a file to seek in.

An address is whatever fsspec opens (`file://`, `memory://` within one process, others with their packages), and http
or https, which are read here: whole files, and parts of archives by range requests.
"""

from __future__ import annotations

import io
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...downloads import SourceError, read_http
from ...errors import UsageError
from ..regular_files import ANY_SIZE, MOST_BYTES, open_regular, read_bounded

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Address:
    """The content of an address.

    Attributes:
        url: such as "https://host/set/images/1.jpg" or "memory://set/1.jpg".
    """

    url: str

    def __str__(self) -> str:
        """Return how a message names it."""
        return self.url

    def read(self) -> bytes:
        """Return the bytes; see `base.StoredImage`."""
        if is_http(self.url):
            return _get(self.url)[0]
        with open_place(self.url) as stream:
            return read_bounded(stream)


def is_address(place: str) -> bool:
    """Tell an address from a path.

    >>> is_address("memory://set"), is_address("C:/set"), is_address("set")
    (True, False, False)
    """
    return "://" in place


def is_http(place: str) -> bool:
    """Tell whether an address is one of http or https."""
    return place.lower().startswith(("http://", "https://"))


def open_place(place: str) -> BinaryIO:
    """Open a path or an address to read, with seeking.

    Raises:
        OSError: it cannot be opened.
    """
    place = without_file_scheme(place)
    if is_http(place):
        return cast("BinaryIO", io.BufferedReader(_HttpFile(place), _BLOCK_BYTES))
    if not is_address(place):
        return open_regular(Path(place), ANY_SIZE)
    filesystem, path = filesystem_of(place)
    return cast("BinaryIO", filesystem.open(path, "rb"))


def without_file_scheme(place: str) -> str:
    """Return the path of a file:// address; anything else as it is."""
    if not place.lower().startswith("file://"):
        return place
    return urllib.parse.unquote(urllib.parse.urlsplit(place).path)


def filesystem_of(place: str) -> tuple[Any, str]:
    """Return what opens an address, and the path in it.

    Raises:
        UsageError: fsspec does not know the kind of address.
    """
    import fsspec.core  # type: ignore[import-untyped]

    try:
        return cast("tuple[Any, str]", fsspec.core.url_to_fs(place))
    except (ValueError, ImportError) as error:
        raise UsageError(f"Got the address {place}, which cannot be opened here: {error}") from error


def _get(url: str, start: int | None = None, end: int = 0) -> tuple[bytes, int]:
    """See `read_http`; what cannot be had is an OSError, as of any file."""
    try:
        return read_http(url, start, end, most=MOST_BYTES, sleep=time.sleep)
    except SourceError as error:
        raise OSError(str(error)) from error


class _HttpFile(io.RawIOBase):
    """An http address to read in parts."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._at = 0
        self._size = _get(url, 0, 1)[1]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        got, _ = _get(self._url, self._at, end)
        buffer[: len(got)] = got
        self._at += len(got)
        return len(got)

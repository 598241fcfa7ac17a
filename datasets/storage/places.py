"""Where pictures and annotations lie: a folder, a zip or tar that is never unpacked, an address.

An address is whatever fsspec opens (`file://`, `memory://` within one process, others with their packages), and http
or https, which are read here: whole files, and parts of archives by range requests.
"""

from __future__ import annotations

import http.client
import io
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...errors import DataError, MissingDataError, UsageError
from ..base import Source, read_source

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar"})

_TIMEOUT_S = 30.0
_ATTEMPTS = 3
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
        """Return the bytes; see `base.StoredPicture`."""
        if is_http(self.url):
            return _get(self.url)[0]
        with open_place(self.url) as stream:
            return stream.read()


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Files under one root.

    Attributes:
        root: how messages name it.
        files: path below the root, with forward slashes -> where its bytes are; sorted by path.
        base: the address before a path, where the place cannot be listed (http) and `files` is empty; else "".
    """

    root: str
    files: Mapping[str, Source]
    base: str = ""

    def find(self, path: str) -> Source | None:
        """Return where the bytes of a path are; None where it is not there. Every path is taken to be behind http."""
        if self.base:
            return Address(self.base + urllib.parse.quote(path))
        return self.files.get(path)

    def text(self, path: str) -> str:
        """Return a text file, UTF-8 with or without a mark at its begin.

        Raises:
            DataError: where it is missing, cannot be read or is not UTF-8.
        """
        source = self.find(path)
        if source is None:
            raise DataError(f"Got no file {path} in {self.root}, expected an annotation there.")
        try:
            return read_source(source).decode("utf-8-sig")
        except OSError as error:
            raise DataError(f"Got {error.strerror or error} at {source!s}, expected an annotation file.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"Got bytes that are not UTF-8 in {self.where(path)}; save the file as UTF-8.") from error

    def where(self, path: str) -> str:
        """Return how a message names a file."""
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    def pictures(self) -> list[str]:
        """Return the paths of files that are pictures by their name."""
        return [path for path in self.files if is_picture(path)]


def is_picture(path: str) -> bool:
    """Tell whether a file is a picture, by its name."""
    return os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122  called for every file, and often


def is_address(place: str) -> bool:
    """Tell an address from a path.

    >>> is_address("memory://set"), is_address("C:/set"), is_address("set")
    (True, False, False)
    """
    return "://" in place


def is_http(place: str) -> bool:
    """Tell whether an address is one of http or https."""
    return place.lower().startswith(("http://", "https://"))


def open_tree(place: str | Path) -> tuple[Tree, str]:
    """List a folder, an archive or an address, or the folder around one annotation file.

    Returns:
        The tree, and the path of the file that was named, or "" where a folder or an archive was.

    Raises:
        MissingDataError: there is nothing.
        DataError: an archive is damaged, or an address cannot be opened.
        UsageError: fsspec does not know the kind of address.
    """
    place = _local(str(place))
    if is_http(place):
        if _suffix(place) in ARCHIVE_SUFFIXES:
            return Tree(place, _members(place)), ""
        base, _, name = place.rpartition("/")
        if not os.path.splitext(name)[1]:  # noqa: PTH122  an address is no path
            raise UsageError(
                f"Got the address {place}, expected that of an annotation file (.json, .csv, .txt) or of a .zip or "
                ".tar: a folder behind http cannot be listed."
            )
        return Tree(base, {}, base=f"{base}/"), urllib.parse.unquote(name)
    if is_address(place):
        return _open_fsspec(place)
    path = Path(place).expanduser()
    if path.is_dir():
        return Tree(str(path), dict(_walk(path))), ""
    if not path.is_file():
        raise MissingDataError(f"Got {path}, where nothing lies, expected a folder of pictures and annotations.")
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        return Tree(str(path), _members(str(path))), ""
    return Tree(str(path.parent), dict(_walk(path.parent))), path.name


def open_place(place: str) -> BinaryIO:
    """Open a path or an address to read, with seeking.

    Raises:
        OSError: it cannot be opened.
    """
    place = _local(place)
    if is_http(place):
        return cast("BinaryIO", io.BufferedReader(_HttpFile(place), _BLOCK_BYTES))
    if not is_address(place):
        return Path(place).open("rb")
    filesystem, path = _filesystem(place)
    return cast("BinaryIO", filesystem.open(path, "rb"))


def _members(place: str) -> Mapping[str, Source]:
    from .archives import list_archive  # here, because it opens places through this module

    return list_archive(place)


def _local(place: str) -> str:
    """The path of a file:// address; anything else as it is."""
    if not place.lower().startswith("file://"):
        return place
    return urllib.request.url2pathname(urllib.parse.urlsplit(place).path)


def _suffix(place: str) -> str:
    return os.path.splitext(place)[1].lower()  # noqa: PTH122  an address is no path


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder, sorted; linked folders are followed once, hidden ones passed over."""
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for path in (Path(folder, name) for name in sorted(names) if not _is_hidden(name)):
            yield path.relative_to(root).as_posix(), path


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _filesystem(place: str) -> tuple[Any, str]:
    import fsspec.core  # type: ignore[import-untyped]

    try:
        return cast("tuple[Any, str]", fsspec.core.url_to_fs(place))
    except (ValueError, ImportError) as error:
        raise UsageError(f"Got the address {place}, which cannot be opened here: {error}") from error


def _open_fsspec(place: str) -> tuple[Tree, str]:
    filesystem, root = _filesystem(place)
    root = root.rstrip("/")
    scheme = place.partition("://")[0]
    try:
        if filesystem.isfile(root):
            if _suffix(root) in ARCHIVE_SUFFIXES:
                return Tree(place, _members(place)), ""
            root, _, name = root.rpartition("/")
        else:
            name = ""
        found = sorted(filesystem.find(root))
    except OSError as error:
        raise DataError(f"Got {error} at {place}, expected a folder of pictures and annotations.") from error
    if not found:
        raise MissingDataError(f"Got {place}, where nothing lies, expected a folder of pictures and annotations.")
    files: dict[str, Source] = {}
    for full in found:
        path = full.removeprefix(root).lstrip("/")
        if not any(map(_is_hidden, path.split("/"))):
            files[path] = Address(f"{scheme}://{full.lstrip('/')}")
    return Tree(place[: -len(name) - 1] if name else place, files), name


def _get(url: str, start: int | None = None, end: int = 0) -> tuple[bytes, int]:
    """Bytes of an http address, all or from `start` up to `end`; and how many the whole has, 0 where that is unknown.

    Raises:
        OSError: they cannot be had in three attempts, or the server gives no parts of files.
    """
    headers = {"User-Agent": "facebench"}
    if start is not None:
        headers["Range"] = f"bytes={start}-{end - 1}"
    for attempt in range(_ATTEMPTS):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as response:
                if start is not None and response.status != http.client.PARTIAL_CONTENT:
                    raise OSError(f"the server gives no parts of {url}; download it and name the file")
                whole = response.headers.get("Content-Range", "").rpartition("/")[2]
                return response.read(), int(whole) if whole.isdecimal() else 0
        except urllib.error.HTTPError as error:
            error.close()
            raise OSError(f"HTTP {error.code} {error.reason} at {url}") from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if attempt == _ATTEMPTS - 1:
                raise OSError(f"no whole answer from {url}: {error or type(error).__name__}") from error
    raise AssertionError  # the loop returns or raises


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

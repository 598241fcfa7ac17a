"""Where images and annotations lie: a folder, a zip or tar that is never unpacked, an address."""

from __future__ import annotations

import codecs
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import DataError, MissingDataError, UsageError
from ..base import Source, read_source
from ..images import HEAD_BYTES, format_of
from ..regular_files import begin_of
from .archives import ArchivedFile, list_archive
from .names import COPY_MARK, COPY_SUFFIX, OTHER_SUFFIXES, is_hidden, is_image
from .remote import Address, filesystem_of, is_address, is_http, without_file_scheme

ARCHIVE_SUFFIXES = frozenset({".zip", ".tar"})


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

    def data(self, path: str) -> bytes:
        """Return the bytes of an annotation file.

        Raises:
            DataError: where it is missing or cannot be read.
        """
        source = self.find(path)
        if source is None:
            raise DataError(f"Got no file {path} in {self.root}, expected an annotation there.")
        try:
            return read_source(source)
        except OSError as error:
            raise DataError(f"Got {error.strerror or error} at {source!s}, expected an annotation file.") from error

    def text(self, path: str, *, strict: bool = True) -> str:
        """Return a text file: UTF-8, with or without a mark at its begin, or UTF-16 with one.

        Args:
            path: of the file.
            strict: refuse other encodings; else bytes that fit none are replaced: enough to recognise a format.

        Raises:
            DataError: where it is missing, cannot be read or is in another encoding.
        """
        data = self.data(path)
        encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        try:
            return data.decode(encoding, "strict" if strict else "replace")
        except UnicodeDecodeError as error:
            raise DataError(f"Got bytes that are not UTF-8 in {self.where(path)}; save the file as UTF-8.") from error

    def where(self, path: str) -> str:
        """Return how a message names a file."""
        return f"{self.root.rstrip('/')}/{path}" if path else self.root

    def images(self) -> list[str]:
        """Return the paths of files that are images, see `image_paths`."""
        return image_paths(self.files)


def image_paths(files: Mapping[str, Source]) -> list[str]:
    """Return the paths that are images, in their order, without the copies that `facebench detect` wrote.

    A suffix of images, or of something else that is well known, is trusted. Of other files the first bytes are read,
    unless they lie behind an address, where each would be a request.
    """
    return [
        path
        for path, source in files.items()
        if (is_image(path) or _begins_as_image(path, source))
        and not (path.endswith(COPY_SUFFIX) and is_copy(path, source))
    ]


def _begins_as_image(path: str, source: Source) -> bool:
    return _suffix(path) not in OTHER_SUFFIXES and begins_as(source) is not None


def is_copy(path: str, source: Source) -> bool:
    """Tell whether a file is a copy that `facebench detect` wrote, by its name and its first bytes."""
    return path.endswith(COPY_SUFFIX) and COPY_MARK in _begin(source)


def begins_as(source: Source) -> str | None:
    """Return the format that the first bytes of a file say, see `images.FORMATS`; None for what cannot be read."""
    return format_of(_begin(source))


def _begin(source: Source) -> bytes:
    try:
        if isinstance(source, bytes):
            return source[:HEAD_BYTES]
        if isinstance(source, Path):
            return begin_of(source, HEAD_BYTES)
        if isinstance(source, ArchivedFile) and not is_address(source.archive):
            return source.begin(HEAD_BYTES)
    except OSError:
        pass
    return b""


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and those below it, sorted by path; see `names.is_hidden` for those passed over."""
    return sorted(path for _, path in _walk(folder))


def images_below(folder: Path) -> tuple[list[Path], int]:
    """Return the images in a folder and those below it, sorted by path, and how many copies are left out.

    See `image_paths`.
    """
    files = dict(_walk(folder))
    copies = sum(is_copy(name, path) for name, path in files.items())
    return sorted(files[name] for name in image_paths(files)), copies


def open_tree(place: str | Path) -> tuple[Tree, str]:
    """List a folder, an archive or an address, or the folder around one annotation file.

    Returns:
        The tree, and the path of the file that was named, or "" where a folder or an archive was.

    Raises:
        MissingDataError: there is nothing.
        DataError: an archive is damaged, or an address cannot be opened.
        UsageError: fsspec does not know the kind of address.
    """
    place = without_file_scheme(str(place))
    if is_http(place):
        if _suffix(place) in ARCHIVE_SUFFIXES:
            return Tree(place, list_archive(place)), ""
        base, _, name = place.rpartition("/")
        if not os.path.splitext(name)[1]:  # noqa: PTH122  an address is not a path
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
        raise MissingDataError(f"Got {path}, where nothing lies, expected a folder of images and annotations.")
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        return Tree(str(path), list_archive(str(path))), ""
    return Tree(str(path.parent), dict(_walk(path.parent))), path.name


def _suffix(place: str) -> str:
    return os.path.splitext(place)[1].lower()  # noqa: PTH122  an address is not a path


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder, sorted; linked folders are followed once, what is hidden or no file is passed over."""
    home, seen, waiting = os.path.realpath(root), set(), [(str(root), "")]
    while waiting:
        folder, path = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as found:
                entries = sorted((one for one in found if not is_hidden(one.name)), key=lambda one: one.name)
        except OSError:
            continue
        inside = []
        for entry in entries:
            kind = _kind(entry)
            if kind == "folder" and not (entry.is_symlink() and _is_too_wide(os.path.realpath(entry.path), home)):
                inside.append((entry.path, f"{path}{entry.name}/"))
            elif kind == "file":
                yield path + entry.name, Path(entry.path)
        waiting += reversed(inside)


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder", "other"]:
    """What an entry is, behind its links; a link that leads nowhere is a file that cannot be read."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
    except OSError:
        return "file"
    return "other" if os.path.exists(entry.path) else "file"  # noqa: PTH110  a Path costs more


def _is_too_wide(target: str, home: str) -> bool:
    """Whether the target of a link holds the folder that is listed, as / does, or is the system's own."""
    return f"{home}/".startswith(f"{target.rstrip('/')}/") or f"{target}/".startswith(("/proc/", "/sys/", "/dev/"))


def _open_fsspec(place: str) -> tuple[Tree, str]:
    filesystem, root = filesystem_of(place)
    root = root.rstrip("/")
    scheme = place.partition("://")[0]
    try:
        if filesystem.isfile(root):
            if _suffix(root) in ARCHIVE_SUFFIXES:
                return Tree(place, list_archive(place)), ""
            root, _, name = root.rpartition("/")
        else:
            name = ""
        found = sorted(filesystem.find(root))
    except OSError as error:
        raise DataError(f"Got {error} at {place}, expected a folder of images and annotations.") from error
    if not found:
        raise MissingDataError(f"Got {place}, where nothing lies, expected a folder of images and annotations.")
    files: dict[str, Source] = {}
    for full in found:
        path = full.removeprefix(root).lstrip("/")
        if not any(map(is_hidden, path.split("/"))):
            files[path] = Address(f"{scheme}://{full.lstrip('/')}")
    return Tree(place[: -len(name) - 1] if name else place, files), name

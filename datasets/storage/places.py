"""Where images and annotations lie: a folder, a zip or tar that is never unpacked, an address."""

from __future__ import annotations

import codecs
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError, MissingDataError, UsageError
from ..base import Source, read_source
from .archives import list_archive
from .remote import Address, filesystem_of, is_address, is_http, without_file_scheme

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
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
        """Return the paths of files that are images by their name."""
        return [path for path in self.files if is_image(path)]


def is_image(path: str) -> bool:
    """Tell whether a file is an image, by its name."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122  called for every file, and often


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
        if not any(map(_is_hidden, path.split("/"))):
            files[path] = Address(f"{scheme}://{full.lstrip('/')}")
    return Tree(place[: -len(name) - 1] if name else place, files), name

"""Small grey images in class folders, on disk or inside a zip that is never unpacked."""

from __future__ import annotations

import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..images import HEAD_BYTES, decode, format_of
from ..storage.names import OTHER_SUFFIXES, is_hidden, is_image
from ..storage.places import begins_as

CLASS_FOLDERS = "Expected these class folders, each with an image"

_MOST_BYTES = 1 << 20
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One image file.

    Attributes:
        name: its path with forward slashes, from the outermost class or part folder on; the same in a folder and a zip.
        parents: the names of the folders around it in `name`, outermost first.
        member: what to open: the path below the folder, or the name inside the zip.
    """

    name: str
    parents: tuple[str, ...]
    member: str


def list_folder(root: Path, depth: int) -> list[Entry]:
    """List the images that lie `depth` - 1 folders below `root`, sorted by name; other files are passed over."""
    paths = (path.relative_to(root) for path in root.glob("/".join(["*"] * depth)) if path.is_file())
    return _entries((path.as_posix() for path in paths), depth, lambda member: begins_as(root / member) is not None)


def list_zip(path: Path, depth: int) -> list[Entry]:
    """List the images in a zip by their last `depth` path components, sorted by name; other files are passed over.

    Raises:
        DataError: where it is not a zip, an image is encrypted, larger than 1 MiB, or there twice.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            entries = _entries((info.filename for info in infos), depth, lambda member: _begins_well(archive, member))
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"Got {error} at {path}, expected a folder of images or a zip of one.") from error
    sizes = {info.filename: (info.file_size, info.flag_bits & 1) for info in infos}
    for entry in entries:
        size, encrypted = sizes[entry.member]
        if encrypted:
            raise DataError(f"Got the encrypted file {entry.member} in {path}, expected a zip without a password.")
        if size > _MOST_BYTES:
            raise DataError(f"Got {size:,} bytes as {entry.member} in {path}, expected an image of at most 1 MiB.")
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):
        twice = next(a for a, b in itertools.pairwise(names) if a == b)
        raise DataError(f"Got {twice} twice in {path}, expected each image once; pack it again.")
    return entries


def read_grey(root: Path, entries: Sequence[Entry], side: int) -> NDArray[np.uint8]:
    """Read images as uint8 (n, side, side); coloured ones become grey by their luma (ITU-R BT.601).

    Raises:
        DataError: where any cannot be read or has another size: how many, and the first ones with what is wrong.
    """
    images = np.empty((len(entries), side, side), np.uint8)
    faults = []
    for i, (entry, source) in enumerate(zip(entries, _sources(root, entries), strict=True)):
        if isinstance(source, str):
            faults.append(f"{entry.name} ({source})")
            continue
        decoded = decode(source, max_pixels=1 << 24)
        if decoded.verdict == "too large":
            faults.append(f"{entry.name} (too large, expected {side}x{side} pixels)")
        elif decoded.image is None:
            faults.append(f"{entry.name} ({decoded.verdict}: {decoded.detail})")
        elif decoded.image.shape[:2] != (side, side):
            height, width = decoded.image.shape[:2]
            faults.append(f"{entry.name} (got {width}x{height} pixels, expected {side}x{side})")
        else:
            images[i] = _grey(decoded.image)
    if faults:
        named = "; ".join(faults[:_NAMED])
        rest = f" and {len(faults) - _NAMED:,} more" if len(faults) > _NAMED else ""
        raise DataError(
            f"{len(faults):,} of {len(entries):,} images in {root} cannot be used: {named}{rest}. "
            "Replace them, or take them out."
        )
    return images


def _begins_well(archive: zipfile.ZipFile, member: str) -> bool:
    try:
        with archive.open(member) as file:
            return format_of(file.read(HEAD_BYTES)) is not None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return False


def _entries(members: Iterator[str], depth: int, begins_well: Callable[[str], bool]) -> list[Entry]:
    entries = []
    for member in members:
        parts = member.replace("\\", "/").split("/")
        if len(parts) < depth or any(map(is_hidden, parts)):
            continue
        known_other = Path(parts[-1]).suffix.lower() in OTHER_SUFFIXES
        if not is_image(parts[-1]) and (known_other or not begins_well(member)):
            continue
        entries.append(Entry("/".join(parts[-depth:]), tuple(parts[-depth:-1]), member))
    return sorted(entries, key=lambda entry: entry.name)


def _sources(root: Path, entries: Sequence[Entry]) -> Iterator[Path | bytes | str]:
    """The bytes of each image, or where they lie, or why a zip does not give them."""
    if root.is_dir():
        yield from (root / entry.member for entry in entries)
        return
    with zipfile.ZipFile(root) as archive:
        for entry in entries:
            try:
                yield archive.read(entry.member)
            except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
                yield f"unreadable: {error}"


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all():
        return image[..., 0]
    luma = image.astype(np.uint32) @ np.array([299, 587, 114], np.uint32)
    return ((luma + 500) // 1000).astype(np.uint8)

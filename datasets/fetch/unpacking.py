"""Unpacking an archive that nobody vouches for: it stays inside one folder and within bounds, or nothing is left of it.

Only plain files and folders are accepted. Links and devices, absolute names, names with `..`, names too long for a file
system, names twice, more bytes than allowed, and bytes that were packed too tightly to be images are refused; so is
what does not fit its own checksum. Everything is written beside the target first.
"""

from __future__ import annotations

import shutil
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ...downloads import sha256_of
from ...errors import ArchiveError
from ..formats.annotated import clean_name

MOST_MEMBERS = 200_000
#: Unpacked bytes for each packed one; images have about 1, annotations as text up to 10.
MOST_RATIO = 100
#: Below this, the ratio does not matter: a few files of zeros are harmless.
FREE_BYTES = 1 << 24

_CHUNK = 1 << 20
_HEADER_BYTES = 1 << 20
_LONGEST_NAME = 255
_LONGEST_PATH = 1024


def unpack(archive: Path, target: Path, most_bytes: int) -> dict[str, str]:
    """Unpack a zip or a tar, compressed or not, as a new folder; it appears whole or not at all.

    Where there is an outermost folder of the same name as the target, it is what is taken, and nothing beside it.

    Args:
        archive: told by its content, whatever its name.
        target: the folder to make, in a folder that exists.
        most_bytes: how much it may hold unpacked.

    Returns:
        Path below the folder -> sha256 of each file, sorted by path.

    Raises:
        ArchiveError: it is damaged, or holds what is refused; nothing is left behind.
        OSError: the folder cannot be written.
    """
    scratch = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.unpacking")
    scratch.mkdir()
    try:
        _write(archive, scratch, most_bytes)
        inner = scratch / target.name
        whole = inner if inner.is_dir() else scratch
        files = [path for path in sorted(whole.rglob("*")) if path.is_file()]
        hashes = {path.relative_to(whole).as_posix(): sha256_of(path) for path in files}
        if not hashes:
            raise ArchiveError(f"Got {archive.name} without any file, expected the files of {target.name}.")
        whole.replace(target)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(
            f"Got {error or type(error).__name__} in {archive.name}, expected a whole archive."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return hashes


def is_archive(path: Path) -> bool:
    """Tell whether a file begins as a zip, a gzip or a tar does."""
    with path.open("rb") as stream:
        head = stream.read(512)
    return head.startswith((b"PK\x03\x04", b"\x1f\x8b")) or head[257:262] == b"ustar"


def _write(archive: Path, scratch: Path, most_bytes: int) -> None:
    packed = archive.stat().st_size
    most = min(most_bytes, max(packed * MOST_RATIO, FREE_BYTES))
    seen: dict[str, bool] = {}
    total = 0
    with archive.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        for name, size, content in _of_zip(stream, archive.name) if is_zip else _of_tar(stream, archive.name):
            path = _checked(name, seen, is_file=content is not None, archive=archive.name)
            total += size
            if total > most or size < 0:
                raise ArchiveError(
                    f"Got {total:,} bytes and more in {archive.name} ({packed:,} packed), expected at most {most:,}."
                )
            if path is None:
                continue
            if content is None:
                (scratch / path).mkdir(parents=True, exist_ok=True)
                continue
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            with content, (scratch / path).open("xb") as out:
                left = size
                while chunk := content.read(min(_CHUNK, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        break
                    out.write(chunk)
            if left:
                raise ArchiveError(f"Got another size of {name} in {archive.name} than announced, {size:,} bytes.")


def _checked(name: str, seen: dict[str, bool], *, is_file: bool, archive: str) -> str | None:
    """The path of a member; None where it is passed over."""
    path = clean_name(name)
    parts = path.split("/") if path else []
    if name.rstrip("/") in (".", ""):
        return None
    if path is None or ".." in name.replace("\\", "/").split("/"):
        raise ArchiveError(f"Got the name {name!r} in {archive}, expected paths inside the folder.")
    if len(path.encode()) > _LONGEST_PATH or max(len(part.encode()) for part in parts) > _LONGEST_NAME:
        raise ArchiveError(f"Got a name of {len(path):,} characters in {archive}, expected ones that a disk can hold.")
    if len(seen) >= MOST_MEMBERS:
        raise ArchiveError(f"Got more than {MOST_MEMBERS:,} files in {archive}, expected fewer.")
    above = ["/".join(parts[:n]) for n in range(1, len(parts))]
    if (is_file and path in seen) or seen.get(path) or any(seen.get(folder) for folder in above):
        raise ArchiveError(f"Got {path!r} twice in {archive}, expected each name once.")
    if "__MACOSX" in parts or parts[-1] == ".DS_Store":
        return None
    seen[path] = is_file
    seen.update(dict.fromkeys(above, False))
    return path


def _of_zip(stream: BinaryIO, archive: str) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    with zipfile.ZipFile(stream) as packed:
        for info in packed.infolist():
            kind = info.external_attr >> 28
            if kind not in (0, 0o4, 0o10):  # the file type of Unix: unknown, folder, plain file
                raise ArchiveError(f"Got {info.filename!r} in {archive}, a link or device; expected plain files.")
            yield info.filename, info.file_size, None if info.is_dir() else packed.open(info)


def _of_tar(stream: BinaryIO, archive: str) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    import gzip

    gzipped = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    bounded = _Bounded(cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if gzipped else stream, archive)
    with tarfile.open(fileobj=cast("Any", bounded), mode="r|", errorlevel=2) as packed:
        for info in packed:
            if not (info.isreg() or info.isdir()) or info.issparse():
                raise ArchiveError(f"Got {info.name!r} in {archive}, a link or device; expected plain files.")
            bounded.allow(info.size)
            yield info.name, info.size, packed.extractfile(info) if info.isreg() else None


class _Bounded:
    """The bytes of a tar, as far as its files reach: a header can announce itself to be larger than any memory."""

    def __init__(self, stream: BinaryIO, archive: str) -> None:
        self._stream, self._archive = stream, archive
        self._left = _HEADER_BYTES

    def allow(self, size: int) -> None:
        """Let a file of this size pass, and what stands before the next one."""
        self._left += size + _HEADER_BYTES // 16

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise ArchiveError(f"Got headers of more than {_HEADER_BYTES:,} bytes in {self._archive}, expected files.")
        data = self._stream.read(size)
        self._left -= len(data)
        return data

"""Members of a zip or of an uncompressed tar as files that are read where they lie, without unpacking.

Each is found by its offset, so that an image costs one seek, also in another process and behind an address. Zip:
APPNOTE 6.3.10, sections 4.3.7 (local header) and 4.4.5 (methods 0 and 8); tar: POSIX.1-2008 pax.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import DataError
from ..base import Source
from .names import is_hidden
from .remote import open_place

MOST_BYTES = 1 << 28

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A member of an archive.

    Attributes:
        archive: path or address of the archive.
        member: its name in there.
        start: offset of its data in a tar, of its local header in a zip.
        stored: bytes in the archive.
        size: bytes of the file.
        crc: CRC-32 of the file, where the archive is a zip; None in a tar, which has none.
        deflated: whether the bytes are compressed.
    """

    archive: str
    member: str
    start: int
    stored: int
    size: int
    crc: int | None = None
    deflated: bool = False

    def __str__(self) -> str:
        """Return how a message names it."""
        return f"{self.archive}:{self.member}"

    def begin(self, size: int) -> bytes:
        """Return the first bytes of the file, unchecked; OSError where they cannot be read."""
        if not self.deflated:
            return self._stored(min(size, self.stored))
        try:
            # at its worst, deflate needs some bytes more than it holds
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(self._stored(min(size + 1024, self.stored)), size)
        except zlib.error as error:
            raise OSError(f"damaged in the archive: {error}") from error

    def _stored(self, size: int) -> bytes:
        """The first bytes as they lie in the archive."""
        with open_place(self.archive) as stream:
            stream.seek(self.start)
            if self.crc is not None:
                header = stream.read(_LOCAL_HEADER.size)
                if len(header) < _LOCAL_HEADER.size or not header.startswith(_SIGNATURE):
                    raise OSError(f"the archive changed since it was listed: {self}")
                *_, name, extra = _LOCAL_HEADER.unpack(header)
                stream.seek(name + extra, 1)
            return stream.read(size)

    def read(self) -> bytes:
        """Return the bytes of the file; see `base.StoredImage`."""
        data = self._stored(self.stored)
        if self.deflated:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.size + 1)
            except zlib.error as error:
                raise OSError(f"damaged in the archive: {error}") from error
        if len(data) != self.size:
            raise OSError(f"{len(data):,} bytes came out of the archive, {self.size:,} were announced")
        if self.crc is not None and zlib.crc32(data) != self.crc:
            raise OSError("the checksum in the archive is another one")
        return data


def list_archive(place: str) -> Mapping[str, Source]:
    """List the files in a zip or tar, sorted by name; what is hidden and what is not a file is passed over.

    Args:
        place: path or address that ends in .zip or .tar.

    Raises:
        DataError: it cannot be read, a member is encrypted, compressed by another method than deflate, larger than
            256 MiB, or there twice.
    """
    try:
        with open_place(place) as stream:
            if place.lower().endswith(".zip"):
                with zipfile.ZipFile(stream) as packed:
                    members = [_of_zip(place, info) for info in packed.infolist() if not info.is_dir()]
            else:
                with tarfile.open(fileobj=stream, mode="r:") as tar:
                    members = [_of_tar(place, info) for info in tar if info.isreg()]
    except (OSError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError) as error:
        raise DataError(
            f"Got {error} at {place}, expected a zip or an uncompressed tar. (A .tar.gz cannot be read in parts; "
            "unpack it.)"
        ) from error
    files: dict[str, Source] = {}
    for member in sorted(members, key=lambda one: one.member):
        name = member.member.replace("\\", "/").removeprefix("./")
        if any(map(is_hidden, name.split("/"))):
            continue
        if name in files:
            raise DataError(f"Got {name} twice in {place}, expected each file once; pack it again.")
        if member.size > MOST_BYTES:
            raise DataError(f"Got {member.size:,} bytes as {name} in {place}, expected at most {MOST_BYTES:,}.")
        files[name] = member
    return files


def _of_zip(place: str, info: zipfile.ZipInfo) -> ArchivedFile:
    if info.flag_bits & 1:
        raise DataError(f"Got the encrypted file {info.filename} in {place}, expected a zip without a password.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"Got {info.filename} compressed by method {info.compress_type} in {place}, expected stored or deflated; "
            "pack it again."
        )
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return ArchivedFile(
        place, info.filename, info.header_offset, info.compress_size, info.file_size, info.CRC, deflated
    )


def _of_tar(place: str, info: tarfile.TarInfo) -> ArchivedFile:
    if info.issparse():
        raise DataError(f"Got the sparse file {info.name} in {place}, expected plain ones; pack it again.")
    return ArchivedFile(place, info.name, info.offset_data, info.size, info.size)

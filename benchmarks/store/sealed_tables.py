"""Parquet tables with a checksum over the whole file, so that no flipped bit is read as another number or name.

Parquet's own checksums cover the pages and not the footer, in which the columns have their names and types. Ours, a
CRC-32, stands in the footer as the value of a key; it is taken with zeros in its own place. A table without that key,
such as one that another program wrote, is read as it is.
"""

from __future__ import annotations

import io
import mmap
import re
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa

_KEY = b"facebench.crc32"
_EMPTY = b"00000000"
_VALUE = re.compile(re.escape(_KEY) + rb".{1,4}?([0-9a-f]{8})", flags=re.DOTALL)
_STEP = 1 << 20


def table_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as the bytes of a sealed file."""
    buffer = io.BytesIO()
    write_parts(buffer, iter([table]))
    return buffer.getvalue()


def write_parts(file: IO[bytes], parts: Iterator[pd.DataFrame]) -> None:
    """Write tables of the same columns, at least one, below one another and seal the file.

    Args:
        file: empty and opened for reading and writing.
        parts: taken one at a time.
    """
    import pyarrow as pa
    from pyarrow import parquet

    first = _sealable(pa.Table.from_pandas(next(parts), preserve_index=False))
    with parquet.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(pa.Table.from_pandas(part, schema=first.schema, preserve_index=False))
    file.flush()
    data = file.getbuffer() if isinstance(file, io.BytesIO) else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with data:
        place = _place(data)
        assert place is not None, "the footer has the key"
        checksum = _checksum(data, place)
    file.seek(place)
    file.write(checksum)
    file.seek(0, io.SEEK_END)


def read_table(data: bytes) -> pd.DataFrame:
    """Read a table from the bytes of its file.

    Raises:
        ValueError: its checksum is another one.
        Exception: whatever pyarrow finds wrong.
    """
    import pyarrow as pa
    from pyarrow import parquet

    place = _place(data)
    if place is not None and _checksum(data, place) != data[place : place + len(_EMPTY)]:
        raise ValueError("got another checksum than it was written with, expected the file as it was")
    # in this thread: pandas' way goes over one of Arrow's own, which may still hold a Python object when the program
    # ends, and then aborts it
    table: pd.DataFrame = parquet.ParquetFile(pa.BufferReader(data)).read(use_threads=False).to_pandas()
    return table


def release_memory() -> None:
    """Give back what tables took that are gone: Arrow keeps it for others."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _sealable(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: _EMPTY})


def _place(data: bytes | memoryview | mmap.mmap) -> int | None:
    """Return where the checksum stands; the last key counts, since a cell may hold the same letters."""
    places = [found.start(1) for found in _VALUE.finditer(data)]
    return places[-1] if places else None


def _checksum(data: bytes | memoryview | mmap.mmap, place: int) -> bytes:
    after = place + len(_EMPTY)
    checksum = 0
    for start in range(0, place, _STEP):
        checksum = zlib.crc32(data[start : min(start + _STEP, place)], checksum)
    checksum = zlib.crc32(_EMPTY, checksum)
    for start in range(after, len(data), _STEP):
        checksum = zlib.crc32(data[start : start + _STEP], checksum)
    return f"{checksum:08x}".encode()

"""The small images of a run folder, which a report embeds: read only where they are the ones that were written."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from ...errors import ResultsError
from .inside import read_inside

LONGEST_SIDE_PX = 1024
_MOST_BYTES = 2**22


def checksum(data: bytes) -> str:
    """Return the CRC-32 of a file, as its index holds it."""
    return f"{zlib.crc32(data):08x}"


def read_jpeg(folder: Path, name: str, size: tuple[int, int], crc32: str, remedy: str) -> bytes:
    """Return a JPEG file as it was written.

    Args:
        folder: the run's.
        name: of the file below it.
        size: width and height in pixels, as the index has them.
        crc32: its checksum; empty in an index of before.
        remedy: a sentence that ends every message.

    Raises:
        ResultsError: it is missing, a link, or another file than the index describes.
    """
    from PIL import Image

    path = folder / name
    try:
        data = read_inside(folder, name, _MOST_BYTES)
        if crc32 and checksum(data) != crc32:
            raise ResultsError(f"{path} was changed after it was written: its checksum is another one. {remedy}")
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            found = image.size
    except FileNotFoundError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}. {remedy}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ResultsError(f"{path} is no JPEG file: {error}. {remedy}") from error
    if found != size or max(size) > LONGEST_SIDE_PX:
        raise ResultsError(f"{path} is an image of {found}, its index says {size}. {remedy}")
    return data

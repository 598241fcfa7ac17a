"""Image files of many formats, of four coloured quarters: whatever turns them shows."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (240, 240, 240))


def quarters(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    pixels = np.empty((height, width, 3), np.uint8)
    for place, colour in enumerate(COLOURS):
        rows = slice(None, height // 2) if place < 2 else slice(height // 2, None)
        columns = slice(None, width // 2) if place % 2 == 0 else slice(width // 2, None)
        pixels[rows, columns] = colour
    return pixels


def encoded(kind: str, pixels: NDArray[np.uint8] | None = None, orientation: int = 1) -> bytes:
    """The pixels as they stand in a file that says how they are to be turned; HEIF needs pillow-heif."""
    pixels = quarters() if pixels is None else pixels
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    if kind == "HEIF":
        heif = pytest.importorskip("pillow_heif")
        # the encoder makes the box of rotation out of the EXIF block, as phones do
        heif.encode("RGB", pixels.shape[1::-1], pixels.tobytes(), stream, exif=exif.tobytes(), quality=95)
    else:
        options = {"exif": exif.tobytes()} if kind in ("JPEG", "AVIF", "WEBP", "PNG") else {}
        Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def colours_of(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Which of the colours lies in each quarter."""
    height, width = pixels.shape[:2]
    middles = [pixels[y, x].astype(int) for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]
    return tuple(int(np.abs(np.array(COLOURS) - colour).sum(axis=1).argmin()) for colour in middles)

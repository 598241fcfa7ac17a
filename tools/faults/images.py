"""The data sets of these trials: small images from a seed, in a folder with a table of faces."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 96, 72


def write_small(folder: Path, count: int = 24, seed: int = 0) -> Path:
    """Write images that exercise a run: `count` whole ones, one cut, one of text, and a box outside its image.

    Returns:
        The folder, as `--dataset folder:…` takes it.
    """
    random = np.random.default_rng(seed)
    images = {
        f"picture-{number:03d}.png": encode(random.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8))
        for number in range(count)
    }
    whole = images["picture-000.png"]
    images |= {"cut.png": whole[: len(whole) // 2], "text.png": b"this is not an image"}
    boxes = dict.fromkeys(images, (8.0, 8.0, 40.0, 40.0))
    boxes["picture-001.png"] = (500.0, 8.0, 540.0, 40.0)
    return write_folder(folder, images, boxes)


def write_folder(
    folder: Path, images: Mapping[str, bytes], boxes: Mapping[str, tuple[float, float, float, float]]
) -> Path:
    """Write encoded images and one face each."""
    folder.mkdir(parents=True)
    for name, data in images.items():
        (folder / name).write_bytes(data)
    rows = [f"{name},{','.join(f'{corner:g}' for corner in boxes[name])}" for name in images]
    (folder / "faces.csv").write_text("\n".join(["image,x1,y1,x2,y2", *rows, ""]), encoding="utf-8")
    return folder


def encode(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    """Return pixels as the bytes of an image file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()

"""What composed images are made with: soft-edged layers put onto a background, light, and encoded bytes."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_Image = NDArray[np.uint8]
_Box = NDArray[np.float64]


def covers(layer: _Image, x: int, y: int, box: _Box) -> bool:
    """Whether a layer, uint8 (h, w, 4), put at (x, y) shows inside a box."""
    x1, y1 = np.floor(box[:2]).astype(int) - (x, y)
    x2, y2 = np.ceil(box[2:]).astype(int) - (x, y)
    part = layer[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0), 3]
    return bool(part.size) and int(part.max()) > 8


def overlap(one: _Box, other: _Box) -> bool:
    """Whether two boxes share an area."""
    return bool((one[:2] < other[2:]).all() and (other[:2] < one[2:]).all())


def paste(image: _Image, layer: _Image, x: int, y: int) -> None:
    """Blend a layer (RGB times alpha, then alpha) into an image, in place; what lies outside is cut off."""
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + layer.shape[1], image.shape[1]), min(y + layer.shape[0], image.shape[0])
    part = layer[y1 - y : y2 - y, x1 - x : x2 - x]
    under = image[y1:y2, x1:x2]
    rest = (under * (255 - part[..., 3:]).astype(np.uint16) + 127) // 255
    under[:] = np.minimum(part[..., :3] + rest, 255)


def relight(rng: Generator, image: _Image) -> _Image:
    """Make an image dark and noisy, or glaring."""
    if rng.random() < 0.7:
        light = image * rng.uniform(0.1, 0.25) + rng.integers(-6, 7, image.shape)
    else:
        light = image * rng.uniform(1.8, 2.6) + 30
    return np.asarray(np.clip(light, 0, 255), np.uint8)


def encode_png(image: _Image) -> bytes:
    """Encode RGB (h, w, 3) or grey (h, w) as PNG: lossless, and quick rather than small."""
    import cv2

    quick = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    _, data = cv2.imencode(".png", image[..., ::-1] if image.ndim == 3 else image, quick)
    return bytes(data)


def encode_jpeg(image: _Image) -> bytes:
    """Encode RGB (h, w, 3) as JPEG of quality 95, in an eighth of the time and a sixth of the size of PNG."""
    import cv2

    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return bytes(data)

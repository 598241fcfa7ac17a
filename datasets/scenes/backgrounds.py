"""What stands behind the faces in `scenes`: photographs without people, tinted textures and drawn patterns.

The photographs are those of scikit-image that its documentation names as CC0 or public domain and that lie inside its
wheel; they are read by path, because its own functions may download.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .portraits import package_image

_Image = NDArray[np.uint8]

# A cat, since animal faces are a fair trap, and a launch pad, galaxies, tissue, a cup.
_PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "ihc.png")
_TEXTURES = ("brick.png", "grass.png", "gravel.png", "text.png", "clock_motion.png")


def load_backgrounds() -> dict[str, _Image]:
    """Load the photographs and textures: file name -> uint8 (h, w, 3) RGB.

    Raises:
        UnavailableError: where the package lacks one.
    """
    return {name: package_image("skimage", f"data/{name}") for name in (*_PHOTOGRAPHS, *_TEXTURES)}


def draw_background(rng: Generator, files: Mapping[str, _Image], width: int, height: int) -> _Image:
    """Draw a background of one of several kinds, uint8 (height, width, 3)."""
    kinds: tuple[Callable[[], _Image], ...] = (
        lambda: _photograph(rng, files, width, height),
        lambda: _texture(rng, files, width, height),
        lambda: _clouds(rng, width, height),
        lambda: _gradient(rng, width, height),
        lambda: _stripes(rng, width, height),
    )
    return kinds[rng.choice(len(kinds), p=(0.35, 0.3, 0.15, 0.1, 0.1))]()


def draw_clutter(rng: Generator, files: Mapping[str, _Image], width: int, height: int) -> _Image:
    """Draw a busy image without a face: patches of all kinds, round and square, over each other."""
    import cv2

    image = _photograph(rng, files, width, height)
    for _ in range(rng.integers(6, 14)):
        w, h = (int(n) for n in rng.integers(40, 260, 2))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        patch = draw_background(rng, files, w, h)
        shape = np.zeros((h, w), np.uint8)
        if rng.random() < 0.5:
            cv2.ellipse(shape, (w // 2, h // 2), (w // 2 - 1, h // 2 - 1), 0, 0, 360, (255,), -1)
        else:
            shape[:] = 255
        image[y : y + h, x : x + w][shape > 0] = patch[shape > 0]
    return image


def _photograph(rng: Generator, files: Mapping[str, _Image], width: int, height: int) -> _Image:
    return _crop(rng, files[_PHOTOGRAPHS[rng.integers(len(_PHOTOGRAPHS))]], width, height)


def _texture(rng: Generator, files: Mapping[str, _Image], width: int, height: int) -> _Image:
    grey = _crop(rng, files[_TEXTURES[rng.integers(len(_TEXTURES))]], width, height)
    tint = rng.integers(90, 256, 3)
    return (grey * tint.astype(np.uint16) // 255).astype(np.uint8)


def _crop(rng: Generator, image: _Image, width: int, height: int) -> _Image:
    """A random part of an image, between half of its sides and all of it, scaled to fill, mirrored or not."""
    import cv2

    rows, columns = image.shape[:2]
    part = rng.uniform(0.5, 1.0) * min(columns / width, rows / height)
    w, h = max(1, int(width * part)), max(1, int(height * part))
    x, y = int(rng.integers(0, columns - w + 1)), int(rng.integers(0, rows - h + 1))
    crop = image[y : y + h, x : x + w]
    if rng.random() < 0.5:
        crop = np.ascontiguousarray(crop[:, ::-1])
    return np.asarray(
        cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if part > 1 else cv2.INTER_CUBIC), np.uint8
    )


def _clouds(rng: Generator, width: int, height: int) -> _Image:
    """Smooth noise of three sizes of grain."""
    import cv2

    total = np.zeros((height, width, 3), np.uint16)
    for cells, weight in ((3, 4), (12, 2), (60, 1)):
        grid = rng.integers(0, 256, (cells, cells, 3), np.uint8)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint16)
    return (total // 7).astype(np.uint8)


def _gradient(rng: Generator, width: int, height: int) -> _Image:
    import cv2

    corners = rng.integers(20, 236, (2, 2, 3), np.uint8)
    return np.asarray(cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _stripes(rng: Generator, width: int, height: int) -> _Image:
    """Two colours in slanted stripes, as of a curtain."""
    slope, period = rng.uniform(-0.5, 0.5), int(rng.integers(16, 90))
    across = np.arange(width) + (slope * np.arange(height))[:, None]
    colours = rng.integers(30, 226, (2, 3), np.uint8)
    return colours[(across // period).astype(np.int64) % 2]

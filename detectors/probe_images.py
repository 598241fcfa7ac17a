"""The images that the conformance kit gives to a detector; the portrait comes with scikit-image."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from .base import RGBImage

FACE = (177, 60, 272, 176)
"""The face in `portrait`, x1, y1, x2, y2."""


def portrait() -> RGBImage:
    """Return Eileen Collins, 512×512, public domain (NASA), from scikit-image's wheel; a copy that may be changed."""
    return _decoded_portrait().copy()


@cache
def _decoded_portrait() -> RGBImage:
    import cv2

    encoded = np.frombuffer((files("skimage") / "data" / "astronaut.png").read_bytes(), dtype=np.uint8)
    bgr = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(bgr[:, :, ::-1])


def small_portrait() -> RGBImage:
    """Return 312×288 pixels of the portrait, for checks that need a face and no exact size: a third of the time."""
    return portrait()[:288, 64:376].copy()


def colour_probes() -> tuple[RGBImage, RGBImage]:
    """Return two images of a face that mean something else once red and blue are swapped.

    The first holds the grey portrait in red and green and nothing in blue; the second in red, half of it in green, and
    its negative in blue.
    """
    import cv2

    grey = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    flat = np.full_like(grey, 128)
    half = (grey // 2 + 64).astype(np.uint8)
    return np.dstack([grey, grey, flat]), np.dstack([grey, half, 255 - grey])

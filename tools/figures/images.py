"""The pictures in the figures: the embedded portraits and the scenes composed of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...datasets import Faces
from ...datasets.scenes.backgrounds import load_backgrounds
from ...datasets.scenes.layers import paste
from ...datasets.scenes.portraits import load_portraits
from ...datasets.scenes.scenes import compose, stand

Picture = NDArray[np.uint8]
"""RGB, uint8 (height, width, 3)."""

GREY = 128
"""Of the plain ground behind a portrait."""


def scene(number: int) -> tuple[Picture, Faces]:
    """Return one picture of the data set `scenes`, and its faces."""
    found: tuple[Picture, Faces] = compose(0, number, load_portraits(), load_backgrounds())
    return found


def face_of_height(pixels: float, width: int, height: int) -> tuple[Picture, NDArray[np.float64]]:
    """Put the portrait of Eileen Collins in the middle of a plain picture.

    Args:
        pixels: height of the face, hair line to chin; head and shoulders are three times as high and have to fit in.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        The picture, and the box of the face: float64 (4,), x1, y1, x2, y2.
    """
    layer, box = stand(load_portraits()[1], pixels, 0.0, mirrored=False, sigma=0.0)
    picture = np.full((height, width, 3), GREY, np.uint8)
    x, y = (width - layer.shape[1]) // 2, (height - layer.shape[0]) // 2
    paste(picture, layer, x, y)
    return picture, box + np.array([x, y, x, y])

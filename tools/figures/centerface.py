"""CenterFace's heat map of face centres (Xu et al., arXiv:1911.03599)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import create
from .drawing import GREEN, Pixels, boxes, panels, scene, show

STRIDE = 4
SCENE = 15


def heat_map(image: Pixels) -> NDArray[np.float32]:
    """Return the heights of the map, float32 (rows, columns), a cell for 4 × 4 pixels of the stretched image.

    The image is stretched to whole multiples of 32 first, as the detector does.
    """
    height, width = image.shape[:2]
    size = -(-width // 32) * 32, -(-height // 32) * 32
    detector: Any = create("centerface")
    answer = detector._session.run(np.asarray(cv2.dnn.blobFromImage(image, 1.0, size), np.float32))[0]
    return np.asarray(answer[0, 0], np.float32)


def draw() -> Figure:
    """The map, and the boxes read at its peaks."""
    image, _ = scene(SCENE)
    heat = heat_map(image)
    figure, (first, second) = panels(2, 10, 4)
    show(
        first,
        heat,
        f"a heat map of {heat.shape[1]} × {heat.shape[0]} cells:\ncentres of faces",
        cmap="magma",
        vmin=0,
        vmax=1,
    )
    found = create("centerface").detect(image).above(0.5)
    show(second, image, "peaks of 0.5 or more, with the size, offset\nand landmarks that the other maps tell there")
    boxes(second, found.boxes.tolist(), GREEN, 2)
    if found.landmarks is not None:
        second.scatter(*found.landmarks.reshape(-1, 2).T, s=6, color=GREEN)
    return figure

"""What MediaPipe's two BlazeFace networks are given, and their anchors (Bazarevsky et al., arXiv:1907.05047)."""

from __future__ import annotations

from contextlib import closing
from typing import Literal

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import create
from .drawing import BLUE, GREEN, ORANGE, Pixels, boxes, legend, panels, scene, show

Model = Literal["short", "full"]

SIDES: dict[Model, int] = {"short": 128, "full": 192}
GRIDS: dict[Model, tuple[tuple[int, int], ...]] = {"short": ((8, 2), (16, 6)), "full": ((4, 1),)}
"""Step in pixels, and anchors at each place (MediaPipe, modules/face_detection, SsdAnchorsCalculator)."""
SCENE = 15


def anchors(model: Model) -> NDArray[np.float64]:
    """Return the centres of all anchors, float64 (n, 2), x and y in pixels of the network's square.

    An anchor has no size of its own: the network tells a box's sides in shares of the square.
    """
    levels = []
    for step, count in GRIDS[model]:
        places = (np.arange(SIDES[model] // step) + 0.5) * step
        y, x = np.meshgrid(places, places, indexing="ij")
        levels.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(levels)


def letter_boxed(image: Pixels, side: int) -> tuple[Pixels, float, NDArray[np.float64]]:
    """Fit an image into a black square, its shape kept, as MediaPipe does.

    Returns:
        The square, the factor by which the image was scaled, and where its corner lies: x, y in pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = round(width * scale), round(height * scale)
    corner = (side - size[0]) // 2, (side - size[1]) // 2
    square = np.zeros((side, side, 3), np.uint8)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    square[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] = small
    return square, scale, np.array(corner, np.float64)


def draw() -> Figure:
    """The squares that both networks are given, with their anchors and what they find."""
    image, faces = scene(SCENE)
    figure, axes = panels(2, 9, 5)
    for place, model in zip(axes, SIDES, strict=True):
        square, scale, corner = letter_boxed(image, SIDES[model])
        move = np.tile(corner, 2)
        heights = sorted(round(float(h) * scale) for h in faces.boxes[:, 3] - faces.boxes[:, 1])
        title = (
            f"{model}: {SIDES[model]} × {SIDES[model]}, {len(anchors(model)):,} anchors;\nfaces {heights} pixels high"
        )
        show(place, square, title, interpolation="nearest")
        place.scatter(*np.unique(anchors(model), axis=0).T, s=1, color=BLUE, alpha=0.6)
        boxes(place, (faces.boxes * scale + move).tolist(), ORANGE, 2)
        with closing(create(f"mediapipe:model={model}")) as detector:
            boxes(place, (detector.detect(image).boxes * scale + move).tolist(), GREEN, 2)
    legend(axes[0], [(BLUE, "places of anchors"), (ORANGE, "annotated"), (GREEN, "found (0.5 or more)")])
    return figure

"""YuNet's three score maps, read from its network (Wu et al., Machine Intelligence Research 2023)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors.models import store as model_store
from ...detectors.runtimes.onnx_runtime import open_onnx
from .drawing import ORANGE, Pixels, boxes, panels, scene, show

STRIDES = (8, 16, 32)
SIDE = 640
"""The ONNX file has this size for its input; OpenCV, and so the detector, gives it any."""
SCENE = 15


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMap:
    """One of the three maps.

    Attributes:
        stride: pixels from cell to cell.
        scores: float32 (rows, columns), 0 to 1: the geometric mean of the class and the objectness.
        boxes: float32 (rows, columns, 4): the box that each cell tells, x1, y1, x2, y2 in pixels.
    """

    stride: int
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]


def on_canvas(image: Pixels) -> Pixels:
    """Return the image at the top left of a black square of 640 pixels; it has to fit."""
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


def score_maps(square: Pixels) -> list[ScoreMap]:
    """Run the network over a square of 640 pixels, decoded as OpenCV's FaceDetectorYN does."""
    session = open_onnx(model_store.fetch("yunet"), "cpu", 1)
    names = [output.name for output in session.get_outputs()]
    given = square[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    answers = dict(zip(names, session.run(names, {"input": given}), strict=True))
    maps = []
    for stride in STRIDES:
        cells = SIDE // stride
        kind, thing = (np.clip(answers[f"{name}_{stride}"][0, :, 0], 0, 1) for name in ("cls", "obj"))
        offsets = answers[f"bbox_{stride}"][0].reshape(cells, cells, 4)
        places = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), axis=-1)
        middle, half = (places + offsets[..., :2]) * stride, np.exp(offsets[..., 2:]) * stride / 2
        decoded = np.concatenate([middle - half, middle + half], axis=-1).astype(np.float32)
        maps.append(ScoreMap(stride, np.sqrt(kind * thing).reshape(cells, cells), decoded))
    return maps


def draw() -> Figure:
    """The three maps over an image, and the boxes of cells that score 0.5 or more."""
    import cv2

    image, _ = scene(SCENE)
    factor = SIDE / max(image.shape[:2])
    image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    figure, (first, *axes) = panels(4, 12, 3)
    show(first, image, "the image, its longer side\nbrought to 640 pixels")
    for place, found in zip(axes, score_maps(on_canvas(image)), strict=True):
        firing = found.scores >= 0.5
        firing_cells = f"{int(firing.sum())} cells with 0.5 or more"
        title = f"every {found.stride} pixels: best score {found.scores.max():.2f},\n{firing_cells}"
        show(place, found.scores, title, cmap="magma", vmin=0, vmax=1, interpolation="nearest")
        place.images[0].set_extent((0, SIDE, SIDE, 0))
        boxes(place, found.boxes[firing].tolist(), ORANGE, 0.7)
        place.set_xlim(0, width)
        place.set_ylim(height, 0)
    return figure

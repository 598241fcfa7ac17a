"""Where OpenCV's SSD looks: a square of 300 pixels and its prior boxes (Liu et al., ECCV 2016)."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import create
from ...detectors.models import store as model_store
from .drawing import BLUE, GREEN, ORANGE, RED, boxes, legend, panels, scene, show

SIDE = 300
CELLS = (38, 19, 10, 5, 5, 5)
"""Cells a side of the six maps. The steps of the last two, 100 and 300 pixels, would fit 3 and 1."""
SCENE = 15


def priors(net: Path) -> list[NDArray[np.float64]]:
    """Return the prior boxes of each map, from the sizes, ratios and steps in deploy.prototxt.

    Returns:
        float64 (cells, cells, n, 4) each: x1, y1, x2, y2 in pixels of the square.
    """
    layers = re.findall(r"prior_box_param \{(.*?)\}", net.read_text(encoding="ascii"), flags=re.DOTALL)
    found = []
    for cells, layer in zip(CELLS, layers, strict=True):
        least, most = (float(value) for value in re.findall(r"(?:min|max)_size: (\S+)", layer))
        step = float(re.findall(r"step: (\S+)", layer)[0])
        sizes = [(least, least), (np.sqrt(least * most),) * 2]
        for ratio in map(float, re.findall(r"aspect_ratio: (\S+)", layer)):
            root = np.sqrt(ratio)
            sizes += [(least * root, least / root), (least / root, least * root)]
        centre = (np.arange(cells) + 0.5) * step
        y, x = np.meshgrid(centre, centre, indexing="ij")
        half = np.array(sizes) / 2
        middle = np.stack([x, y], axis=-1)[:, :, None, :]
        found.append(np.concatenate([middle - half, middle + half], axis=-1))
    return found


def draw() -> Figure:
    """An image squeezed to the square, the smallest priors in it, and what is found."""
    image, faces = scene(SCENE)
    height, width = image.shape[:2]
    square = cv2.resize(image, (SIDE, SIDE))
    scale = np.array([SIDE / width, SIDE / height] * 2)
    found = create("ssd").detect(image).boxes * scale
    levels = priors(model_store.fetch("ssd-net"))
    figure, (first, second) = panels(2, 9, 4.6)
    show(first, square, f"{width} × {height} squeezed to 300 × 300:\nfaces annotated and found")
    boxes(first, (faces.boxes * scale).tolist(), ORANGE, 2)
    boxes(first, found.tolist(), GREEN, 2)
    legend(first, [(ORANGE, "annotated"), (GREEN, "found (0.5 or more)")])
    show(
        second,
        np.full_like(square, 255),
        "one square prior of each map; dots: the cells\nof the finest map; grey: the faces",
    )
    boxes(second, (faces.boxes * scale).tolist(), "grey", 1)
    for level, colour in zip(levels, (RED, BLUE, GREEN, ORANGE, "black", "purple"), strict=True):
        squares = level[:, :, 0].reshape(-1, 4)
        central = np.abs(squares.reshape(-1, 2, 2).mean(axis=1) - SIDE / 2).sum(axis=1).argmin()
        boxes(second, squares[[central]].tolist(), colour, 2)
    finest = levels[0][:, :, 0]
    second.scatter(
        finest[..., [0, 2]].mean(axis=-1).ravel(), finest[..., [1, 3]].mean(axis=-1).ravel(), s=1.5, color=RED
    )
    second.set_xlim(0, SIDE)
    second.set_ylim(SIDE, 0)
    return figure

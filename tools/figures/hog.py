"""What a linear filter over histograms of oriented gradients sees (Dalal and Triggs, CVPR 2005)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...detectors import Detector, create
from .drawing import BLUE, GREEN, ORANGE, boxes, face_of_height, panels, show

CELL = 8
ORIENTATIONS = 9
WINDOW = 80
"""Pixels: the side of dlib's filters; the test reads it from dlib."""


def cell_histograms(
    grey: NDArray[np.generic], cell: int = CELL, orientations: int = ORIENTATIONS
) -> NDArray[np.float64]:
    """Return how strongly each cell's edges point in each direction, without regard to their sign.

    Central differences, no interpolation between cells or directions: enough to see. dlib's own features (Felzenszwalb
    et al., PAMI 2010) spread a gradient over neighbouring cells, keep its sign too, and normalise; 31 numbers a cell.

    Args:
        grey: (height, width); rows and columns beyond whole cells are left out.
        cell: side, pixels.
        orientations: directions in half a turn.

    Returns:
        float64 (rows, columns, orientations): mean gradient magnitude of the pixels of each direction.
    """
    rows, columns = grey.shape[0] // cell, grey.shape[1] // cell
    values = grey.astype(np.float64)
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[:, 1:-1] = values[:, 2:] - values[:, :-2]
    down[1:-1] = values[2:] - values[:-2]
    magnitude = np.hypot(across, down)
    degrees = np.rad2deg(np.arctan2(down, across)) % 180
    direction = np.minimum((degrees / (180 / orientations)).astype(np.int64), orientations - 1)
    histogram = np.zeros((rows, columns, orientations))
    for number in range(orientations):
        part = np.where(direction == number, magnitude, 0)[: rows * cell, : columns * cell]
        histogram[..., number] = part.reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    return histogram


def strokes(axes: Axes, histogram: NDArray[np.float64], colour: str, cell: int = CELL) -> None:
    """Draw each cell as short lines along its edges, longer where there are more of them."""
    rows, columns, orientations = histogram.shape
    strength = histogram / max(float(histogram.max()), 1e-9)
    lines, widths = [], []
    for number in range(orientations):
        angle = np.deg2rad((number + 0.5) * 180 / orientations + 90)
        step = np.array([np.cos(angle), np.sin(angle)]) * cell * 0.48
        for row in range(rows):
            for column in range(columns):
                centre = np.array([(column + 0.5) * cell, (row + 0.5) * cell])
                lines.append([centre - step, centre + step])
                widths.append(2.4 * float(strength[row, column, number]))
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=widths), autolim=False)


def best_scores(detector: Detector, heights: Sequence[float], width: int, height: int) -> NDArray[np.float64]:
    """Return the best score for a face of each height; nan where nothing reaches the detector's floor."""
    found = [detector.detect(face_of_height(pixels, width, height)[0]) for pixels in heights]
    return np.array([float(faces.scores[0]) if len(faces) else np.nan for faces in found])


def plot_scores(axes: Axes, heights: Sequence[float], curves: Sequence[tuple[str, str, NDArray[np.float64]]]) -> None:
    """Plot scores over face heights, a curve each of label, colour and values; a face is found above 0."""
    for label, colour, scores in curves:
        axes.plot(heights, scores, color=colour, marker="o", markersize=3, label=label)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlim(0, max(heights) * 1.05)
    axes.set_xlabel("height of the face, pixels", fontsize=8)
    axes.set_title("score (a face from 0 on)", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")


def draw() -> Figure:
    """A face, its cells at the size of the filter, and how the score falls with the face's height."""
    image, _ = face_of_height(96, 320, 320)
    found = create("hog").detect(image)
    x1, y1, x2, _ = found.boxes[0].tolist()
    scale = WINDOW / (x2 - x1)
    level = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top = round(x1 * scale), round(y1 * scale)
    margin = 5 * CELL
    near = level[top - margin : top + WINDOW + margin, left - margin : left + WINDOW + margin]
    grey = cv2.cvtColor(near, cv2.COLOR_RGB2GRAY)
    window = (margin, margin, margin + WINDOW, margin + WINDOW)
    heights = [float(pixels) for pixels in range(20, 132, 6)]
    curves = [
        (
            f"upsample={doubled}",
            colour,
            best_scores(create(f"hog:upsample={doubled}", score_floor=-0.5), heights, 420, 420),
        )
        for doubled, colour in ((0, ORANGE), (1, BLUE))
    ]
    figure, (first, second, third) = panels(3, 11, 3.7, (1, 1, 1.2))
    show(first, near, "the pyramid level where the face\nfills the window of 80 × 80 pixels")
    boxes(first, [window], GREEN, 2)
    show(
        second,
        np.full_like(grey, 255),
        "what the filter is given: directions\nof edges in cells of 8 × 8 pixels",
        vmin=0,
        vmax=255,
    )
    strokes(second, cell_histograms(grey), "black")
    boxes(second, [window], GREEN, 2)
    plot_scores(third, heights, curves)
    return figure

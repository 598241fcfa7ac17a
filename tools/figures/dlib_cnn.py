"""How dlib's CNN slides over a pyramid: a window of 80 pixels, places 8 pixels apart (King, arXiv:1502.00046)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...detectors import create
from .drawing import BLUE, GREEN, ORANGE, RED, boxes, face_of_height, panels, show
from .hog import best_scores, plot_scores

LAYERS = ((5, 2), (5, 2), (5, 2), (5, 1), (5, 1), (5, 1), (9, 1))
"""Side of the filters and step of each convolution (dlib's examples/dnn_mmod_face_detection_ex.cpp)."""


def field_of_view(layers: tuple[tuple[int, int], ...] = LAYERS) -> tuple[int, int]:
    """Return how many pixels one output sees, and how many pixels lie between two outputs.

    >>> field_of_view(((5, 2), (5, 2)))
    (13, 4)
    """
    field, step = 1, 1
    for side, stride in layers:
        field += (side - 1) * step
        step *= stride
    return field, step


def read_window(path: Path) -> tuple[int, int]:
    """Read the window's width and height from dlib's file: the numbers behind the name and version of its loss layer.

    dlib writes a whole number as a byte that says how many bytes follow, and those bytes, lowest first.
    """
    content = path.read_bytes()
    at = content.index(b"loss_mmod_") + len(b"loss_mmod_")
    numbers: list[int] = []
    while len(numbers) < 3:
        length = content[at]
        numbers.append(int.from_bytes(content[at + 1 : at + 1 + length], "little"))
        at += 1 + length
    _, width, height = numbers
    return width, height


def draw() -> Figure:
    """A face at the pyramid level where it is found, and how the score falls with the face's height."""
    field, step = field_of_view()
    image, face = face_of_height(88, 288, 288)
    middle = (face[:2] + face[2:]) / 2
    grid = [(x, y) for x in range(step // 2, 288, step) for y in range(step // 2, 288, step)]
    heights = [20.0, 26.0, 32.0, 38.0, 44.0, 52.0, 60.0, 70.0, 80.0, 92.0, 104.0]
    curves = [
        (f"upsample={doubled}", colour, best_scores(create(f"dlib-cnn:upsample={doubled}"), heights, 340, 340))
        for doubled, colour in ((0, ORANGE), (1, BLUE))
    ]
    figure, (first, second) = panels(2, 8.5, 4, (1, 1.25))
    show(
        first,
        image,
        f"one place of the network: a window of 80 pixels,\njudged from {field} pixels, every {step} pixels",
    )
    first.scatter(*np.array(grid).T, s=1.2, color=BLUE)
    for side, colour in ((80, GREEN), (field, RED)):
        boxes(first, [(*(middle - side / 2), *(middle + side / 2))], colour, 2)
    plot_scores(second, heights, curves)
    return figure

"""What each degradation does to one face: a window of a scene at its own pixels, with the box as it is scored."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ...benchmarks.stress.strips import window
from ...datasets import decode
from ...datasets.degraded.degradations import KINDS, Degradation, degrade_faces, degrade_picture, encode
from .drawing import BLUE, boxes, panels, show
from .images import scene

SEVERITIES = (1, 3, 5)
SCENE, FACE = 0, 4
"""Of `scenes`: a picture with a face of about 96 pixels, and its place among the faces."""


def draw() -> Figure:
    """A row a severity, a column a degradation."""
    picture, faces = scene(SCENE)
    figure, _ = panels(1, 8.4, 4.1)
    figure.clear()
    grid = figure.subplots(len(SEVERITIES), len(KINDS), squeeze=False)
    for row, severity in zip(grid, SEVERITIES, strict=True):
        for axes, kind in zip(row, KINDS, strict=True):
            degradation, name = Degradation(kind, severity), f"scene-{SCENE:04d}.png"
            done = degrade_picture(picture, faces, degradation, image_id=name)
            image = decode(encode(done, degradation)).image
            assert image is not None, "it was encoded above"
            size = (picture.shape[1], picture.shape[0])
            moved = degrade_faces(faces, size, degradation, image_id=name).boxes
            part, corner = window(image, moved[FACE])
            show(axes, part, f"{kind} {degradation.level:.2g}")
            boxes(axes, moved - np.tile(corner, 2), BLUE, 1.0)
            axes.set_xlim(0, part.shape[1])
            axes.set_ylim(part.shape[0], 0)
    return figure

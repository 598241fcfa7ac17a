"""How a Haar cascade looks at an image: integral image, features, stages (Viola and Jones, CVPR 2001).

The cascade is evaluated here by itself, from OpenCV's XML file, window by window in the order of OpenCV's
`detectMultiScale`, so that the windows that live through each stage can be counted. Without grouping
(`minNeighbors=0`) it returns the same boxes as OpenCV, which is how the test knows that it is right.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cv2.data import haarcascades
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ...detectors.probe_images import portrait
from .drawing import BLUE, GREEN, ORANGE, RED, boxes, legend, panels, show

Ints = NDArray[np.int64]

_EPSILON = np.float32(1e-5)
"""OpenCV lowers every stage's threshold by so much when it reads the file."""
_FLAT = 0.1
"""OpenCV judges no window whose grey levels have a standard deviation of less than 1 over this."""


@dataclass(frozen=True, slots=True)
class Stump:
    """One weak classifier: a feature, its threshold, and what it adds below and above."""

    feature: int
    threshold: float
    below: float
    above: float


@dataclass(frozen=True, slots=True)
class Cascade:
    """A cascade of stumps.

    Attributes:
        side: of the square window, pixels.
        features: each a few rectangles x, y, width, height, weight in the window.
        stages: threshold and stumps, in order.
    """

    side: int
    features: Sequence[Sequence[tuple[int, int, int, int, float]]]
    stages: Sequence[tuple[float, Sequence[Stump]]]


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What became of all windows of an image.

    Attributes:
        survivors: int64 (stages + 1,): windows judged, then those that passed stage 1, 2, …
        flat: windows that were not judged, for lack of contrast.
        hits: int64 (n, 4): x, y, width, height of the windows that passed all stages.
    """

    survivors: Ints
    flat: int
    hits: Ints


def read_cascade(path: Path) -> Cascade:
    """Read OpenCV's XML."""
    root = ET.parse(path).getroot().find("cascade")
    assert root is not None
    features = [
        [_rectangle((rectangle.text or "").split()) for rectangle in feature.iterfind("rects/_")]
        for feature in root.iterfind("features/_")
    ]
    stages = [
        (float(stage.findtext("stageThreshold", "")), [_stump(weak) for weak in stage.iterfind("weakClassifiers/_")])
        for stage in root.iterfind("stages/_")
    ]
    return Cascade(int(root.findtext("width", "")), features, stages)


def default_cascade() -> Cascade:
    """Return the cascade that the detector `haar` uses."""
    return read_cascade(Path(haarcascades) / "haarcascade_frontalface_default.xml")


def _rectangle(numbers: list[str]) -> tuple[int, int, int, int, float]:
    x, y, width, height = (int(number) for number in numbers[:4])
    return x, y, width, height, float(numbers[4])


def _stump(weak: ET.Element) -> Stump:
    _, _, feature, threshold = weak.findtext("internalNodes", "").split()
    below, above = (float(number) for number in weak.findtext("leafValues", "").split())
    return Stump(int(feature), float(threshold), below, above)


def integral_image(grey: NDArray[np.generic]) -> Ints:
    """Return the sums of all pixels above and to the left: int64 (height + 1, width + 1), zeros in front."""
    sums = np.zeros((grey.shape[0] + 1, grey.shape[1] + 1), np.int64)
    sums[1:, 1:] = grey.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    return sums


def box_sums(sums: Ints, x: Ints, y: Ints, width: int, height: int) -> Ints:
    """Return the sums over boxes at (x, y): four look-ups each, however large the box."""
    right, bottom = x + width, y + height
    return np.asarray(sums[bottom, right] - sums[y, right] - sums[bottom, x] + sums[y, x], np.int64)


def judge(grey: NDArray[np.uint8], cascade: Cascade, step: int) -> tuple[Ints, Ints, Ints]:
    """Judge every window of one pyramid level.

    Args:
        grey: uint8 (height, width).
        cascade: which.
        step: pixels from window to window.

    Returns:
        x and y of the windows, row by row, and how many stages each passed; -1 where it was too flat to judge.
    """
    sums, squares = integral_image(grey), integral_image(grey.astype(np.int64) ** 2)
    side, height, width = cascade.side, *grey.shape
    rows, columns = np.arange(0, height - side + 1, step), np.arange(0, width - side + 1, step)
    y, x = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    area = (side - 2) ** 2
    total = box_sums(sums, x + 1, y + 1, side - 2, side - 2).astype(np.float64)
    spread = area * box_sums(squares, x + 1, y + 1, side - 2, side - 2) - total**2
    norm = (1 / np.sqrt(np.maximum(spread, 1.0))).astype(np.float32)
    passed = np.where((spread > 0) & (area * norm < _FLAT), 0, -1).astype(np.int64)
    alive = np.flatnonzero(passed == 0)
    for number, (threshold, stumps) in enumerate(cascade.stages, start=1):
        score = np.zeros(len(alive), np.float32)
        for stump in stumps:
            value = np.zeros(len(alive), np.float32)
            for left, top, w, h, weight in cascade.features[stump.feature]:
                value += np.float32(weight) * box_sums(sums, x[alive] + left, y[alive] + top, w, h).astype(np.float32)
            low = value * norm[alive] < np.float32(stump.threshold)
            score += np.where(low, np.float32(stump.below), np.float32(stump.above))
        alive = alive[score >= np.float32(threshold) - _EPSILON]
        passed[alive] = number
    return x, y, passed


def search(grey: NDArray[np.uint8], cascade: Cascade, *, scale_factor: float = 1.1, min_size: int = 20) -> Search:
    """Look at all sizes and places as OpenCV does: every second pixel while the image is large."""
    survivors = np.zeros(len(cascade.stages) + 1, np.int64)
    flat, hits = 0, [np.empty((0, 4))]
    for scale in _scales(grey.shape[:2], cascade.side, scale_factor, min_size):
        size = round(float(grey.shape[1] / scale)), round(float(grey.shape[0] / scale))
        level = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)
        x, y, passed = judge(level, cascade, 1 if scale >= 2 else 2)
        looked_at = _walk(y, passed)
        x, y, passed = x[looked_at], y[looked_at], passed[looked_at]
        flat += int((passed < 0).sum())
        survivors += (passed[None, :] >= np.arange(len(survivors))[:, None]).sum(axis=1)
        through = passed == len(cascade.stages)
        side = np.full(int(through.sum()), round(float(cascade.side * scale)))
        hits.append(np.stack([np.rint(x[through] * scale), np.rint(y[through] * scale), side, side], axis=1))
    return Search(survivors, flat, np.concatenate(hits).astype(np.int64))


def _scales(shape: tuple[int, ...], side: int, scale_factor: float, min_size: int) -> Iterator[np.float32]:
    factor = 1.0
    while round(side * factor) <= min(shape):
        if round(side * factor) >= min_size:
            yield np.float32(factor)
        factor *= scale_factor


def _walk(y: Ints, passed: Ints) -> NDArray[np.bool_]:
    """Return which windows OpenCV looks at: after one that the first stage rejects it leaves out the next."""
    looked_at = np.zeros(len(passed), bool)
    index = 0
    while index < len(passed):
        looked_at[index] = True
        skips = passed[index] == 0 and index + 1 < len(passed) and y[index + 1] == y[index]
        index += 2 if skips else 1
    return looked_at


def draw() -> Figure:
    """Features of the first stage on a face, the integral image, windows left after each stage, and raw hits."""
    cascade = default_cascade()
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY), np.uint8)
    found = search(grey, cascade)
    hits = found.hits
    face = hits[np.abs(hits[:, 2] - np.median(hits[:, 2])).argmin()]
    figure, (first, second, third, fourth) = panels(4, 12, 3.6, (1, 1, 1, 1.15))

    x, y, side, _ = (int(value) for value in face)
    crop, unit = grey[y : y + side, x : x + side], side / cascade.side
    show(first, crop, "two features of stage 1: orange\ncounts against blue")
    for stump in cascade.stages[0][1][:2]:
        for left, top, w, h, weight in cascade.features[stump.feature]:
            colour = ORANGE if weight > 0 else BLUE
            place = (left * unit, top * unit)
            first.add_patch(Rectangle(place, w * unit, h * unit, facecolor=colour, alpha=0.28, edgecolor=colour))
    show(second, integral_image(grey), "integral image: a box is\nfour look-ups", cmap="viridis")
    corners = np.array([[x, y], [x + side, y], [x, y + side], [x + side, y + side]])
    second.scatter(*corners.T, color=RED, s=18)
    boxes(second, [(x, y, x + side, y + side)], RED)
    show(third, portrait(), f"{len(hits)} windows pass all stages;\nneighbours are merged")
    boxes(third, [(left, top, left + w, top + h) for left, top, w, h in hits], RED, 0.6, 0.5)
    boxes(third, _grouped(hits), GREEN, 2)
    legend(third, [(RED, "passes 25 stages"), (GREEN, "face, after grouping")])
    fourth.plot(range(len(found.survivors)), found.survivors, color=BLUE, marker="o", markersize=3)
    fourth.set_yscale("log")
    fourth.set_xlabel("stage", fontsize=8)
    fourth.set_title("windows left after each stage", fontsize=9)
    fourth.tick_params(labelsize=8)
    fourth.grid(alpha=0.3)
    return figure


def _grouped(hits: Ints) -> list[tuple[int, int, int, int]]:
    found, _ = cv2.groupRectangles([[int(value) for value in hit] for hit in hits], 3, 0.2)
    return [(x, y, x + w, y + h) for x, y, w, h in np.asarray(found).reshape(-1, 4)]

"""`scenes`: the embedded data set, composed at run time from two portraits.

It needs no download, so that the whole chain can be tried at once. Two people say nothing about people: it shows what
size, blur, darkness, rotation and occlusion do to a detector, and it is marked as a demonstration wherever it appears.

Every image is drawn from its own generator, seeded by (seed, number): a longer set begins with the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..base import Dataset, Faces, Sample
from .backgrounds import draw_background, draw_clutter, load_backgrounds
from .composed import composed, seed_and_count
from .layers import covers, encode_png, overlap, paste, relight
from .portraits import Portrait, load_portraits

ATTRIBUTES = ("blur", "illumination", "occlusion", "pose", "person")
LICENCE = "public domain portraits (U.S. Navy, NASA); backgrounds CC0 or public domain"

_EMPTY_EVERY = 10
_TRIES = 40
# Number of faces and their heights in pixels: a crowd, a group, a portrait.
_CASTS = (((5, 9), (12.0, 56.0)), ((3, 5), (36.0, 130.0)), ((1, 2), (120.0, 300.0)))

_Image = NDArray[np.uint8]
_Box = NDArray[np.float64]


def load(options: Mapping[str, str], name: str) -> Dataset:
    """Compose the images.

    Args:
        options: `seed` (0) and `count` (60).
        name: the whole name, kept in the result.

    Returns:
        PNG images of 480 to 800 pixels a side, every tenth without a face. Labels: `blur` 0 none, 1 slight, 2 heavy;
        `illumination` 1 dark or glaring; `occlusion` 0 none, 1 under a third, 2 more; `pose` 1 where the head is turned
        by 12 to 30 degrees in the plane; `person` 0 or 1.

    Raises:
        UsageError: on an unknown option or a bad value.
        UnavailableError: where an installed package lacks its image.
    """
    seed, count = seed_and_count(options, "scenes", usual=60, most=2000)
    portraits, backgrounds = load_portraits(), load_backgrounds()
    samples = []
    for number in range(count):
        image, faces = compose(seed, number, portraits, backgrounds)
        samples.append(Sample(f"scene-{number:04d}.png", encode_png(image), faces))
    return composed(
        name,
        samples,
        "Demonstration on two people: scenes composed of two portraits; no comparison of detectors.",
        LICENCE,
    )


def compose(
    seed: int, number: int, portraits: Sequence[Portrait], backgrounds: Mapping[str, _Image]
) -> tuple[_Image, Faces]:
    """Draw one image, uint8 (h, w, 3) RGB, and its faces."""
    rng = np.random.default_rng((seed, number))
    width, height = int(rng.integers(560, 801)), int(rng.integers(480, 641))
    if number % _EMPTY_EVERY == _EMPTY_EVERY - 1:
        return draw_clutter(rng, backgrounds, width, height), _faces([])

    image = draw_background(rng, backgrounds, width, height)
    (fewest, most), (smallest, largest) = _CASTS[rng.choice(len(_CASTS), p=(0.4, 0.35, 0.25))]
    sizes = np.exp(rng.uniform(np.log(smallest), np.log(largest), rng.integers(fewest, most + 1)))
    placed: list[_Face] = []
    for size in np.sort(sizes):  # the small ones stand behind
        face = _put(rng, image, portraits, float(size), [face.box for face in placed])
        if face is not None:
            placed.append(face)
    for i, face in enumerate(placed):
        others = [other.box for j, other in enumerate(placed) if j != i]
        face.labels["occlusion"] = _occlude(rng, image, backgrounds, face.box, others)
    if rng.random() < 0.15:
        image = relight(rng, image)
        for face in placed:
            face.labels["illumination"] = 1
    return image, _faces(placed)


@dataclass(frozen=True, slots=True, eq=False)
class _Face:
    box: _Box
    labels: dict[str, int]


def _faces(placed: Sequence[_Face]) -> Faces:
    boxes = np.array([face.box for face in placed], np.float32).reshape(-1, 4)
    attributes = {name: np.array([face.labels[name] for face in placed], np.int8) for name in ATTRIBUTES}
    return Faces(boxes, np.zeros(len(placed), bool), attributes)


def _put(
    rng: Generator, image: _Image, portraits: Sequence[Portrait], size: float, taken: Sequence[_Box]
) -> _Face | None:
    """Put a person with a face `size` pixels high where it covers no face; None where no place was found."""
    person = int(rng.integers(len(portraits)))
    rotated, blur = rng.random() < 0.3, int(rng.choice(3, p=(0.65, 0.22, 0.13)))
    angle = rng.choice((-1, 1)) * rng.uniform(12, 30) if rotated else rng.uniform(-8, 8)
    sigma = (0, 0.02, 0.045)[blur] * size
    layer, box = stand(portraits[person], size, angle, mirrored=bool(rng.random() < 0.5), sigma=sigma)
    width, height = image.shape[1], image.shape[0]
    room_x, room_y = width - (box[2] - box[0]) - 2, height - (box[3] - box[1]) - 2
    if min(room_x, room_y) < 0:
        return None
    for _ in range(_TRIES):
        x = int(np.ceil(1 + rng.uniform(0, room_x) - box[0]))
        y = int(np.ceil(1 + rng.uniform(0, room_y) - box[1]))
        there = box + np.array([x, y, x, y])
        inside = there[2] <= width and there[3] <= height
        if inside and not any(covers(layer, x, y, other) or overlap(there, other) for other in taken):
            paste(image, layer, x, y)
            labels = {"blur": blur, "illumination": 0, "occlusion": 0, "pose": int(rotated), "person": person}
            return _Face(there, labels)
    return None


def stand(portrait: Portrait, size: float, angle: float, *, mirrored: bool, sigma: float) -> tuple[_Image, _Box]:
    """Scale, mirror, rotate and blur a portrait.

    Args:
        portrait: the person.
        size: height of the resulting face box in pixels.
        angle: rotation in degrees, counter-clockwise as seen.
        mirrored: swap left and right first.
        sigma: of the Gaussian blur, in pixels; 0 for none.

    Returns:
        The layer, uint8 (h, w, 4), RGB times alpha and alpha, and the exact face box in it, float64 (4,).
    """
    import cv2

    face = portrait.face
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    scale = size / (2 * np.hypot(face.a * sin, face.b * cos))
    rows, columns = portrait.layer.shape[:2]
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    scaled = cv2.resize(
        portrait.layer, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    scaling = np.diag([width / columns, height / rows, 1.0])
    if mirrored:
        scaled = np.ascontiguousarray(scaled[:, ::-1])
        scaling = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) @ scaling

    rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    corners = rotation @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1.0]])
    margin = np.ceil(3 * sigma)
    low, high = corners[:2].min(axis=1) - margin, corners[:2].max(axis=1) + margin
    rotation[:2, 2] = -low
    # A pixel's centre lies at its index plus one half; warpAffine counts in indices.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    by_index = np.linalg.inv(half) @ rotation @ half
    extent = np.ceil(high - low).astype(int)
    layer = cv2.warpAffine(scaled, by_index[:2], (int(extent[0]), int(extent[1])), flags=cv2.INTER_LINEAR)
    if sigma > 0:
        layer = cv2.GaussianBlur(layer, (0, 0), sigma)
    return np.asarray(layer, np.uint8), face.box_after((rotation @ scaling)[:2])


def _occlude(
    rng: Generator, image: _Image, backgrounds: Mapping[str, _Image], box: _Box, others: Sequence[_Box]
) -> int:
    """Cover part of a face by a patch, in place.

    Returns:
        The label: 0 nothing covered, 1 a sixth to a third of the box, 2 two fifths to six tenths.
    """
    label = int(rng.choice(3, p=(0.76, 0.15, 0.09)))
    if label == 0:
        return 0
    share = rng.uniform(0.17, 0.32) if label == 1 else rng.uniform(0.4, 0.6)
    width, height = box[2:] - box[:2]
    x1, y1, x2, y2 = box + np.array([-0.15, -0.1, 0.15, 0.1]) * (width, height, width, height)
    side = rng.choice(("left", "right", "below"))
    if side == "left":
        x2 = box[0] + share * width
    elif side == "right":
        x1 = box[2] - share * width
    else:
        y1 = box[3] - share * height
    cover = np.rint([max(x1, 0), max(y1, 0), min(x2, image.shape[1]), min(y2, image.shape[0])])
    if any(overlap(cover, other) for other in others):
        return 0
    left, top, right, bottom = (int(n) for n in cover)
    image[top:bottom, left:right] = draw_background(rng, backgrounds, right - left, bottom - top)
    return label

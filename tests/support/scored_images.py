"""Images with faces and scored boxes, as the oracle takes them: degenerate by hand, and random."""

from __future__ import annotations

import numpy as np
from facebench.tests.support.oracle import Box, Image
from hypothesis import strategies as st
from numpy.typing import NDArray

A: Box = (10, 10, 29, 29)
B: Box = (40, 10, 59, 29)
C: Box = (10, 60, 19, 69)
NEAR_A: Box = (12, 11, 30, 30)
POINT: Box = (5, 5, 5, 5)
INVERTED: Box = (26, 10, 24, 33)

DEGENERATE = {
    "no images": [],
    "nothing at all": [Image([], [], [], [])],
    "no detections": [Image([A, B], [True, False], [], [])],
    "no detections in one image": [Image([A], [True], [A], [0.9]), Image([A, B], [True, True], [], [])],
    "no faces": [Image([], [], [A, B], [0.9, 0.1])],
    "no faces in one image": [Image([A], [True], [A, B], [0.5, 0.7]), Image([], [], [A, B, C], [0.9, 0.6, 0.1])],
    "lowest score on an image without faces": [Image([A], [True], [A], [0.9]), Image([], [], [B], [0.0])],
    "all faces ignored": [Image([A, B], [False, False], [A, C], [0.9, 0.1])],
    "ignored in one image": [Image([A], [False], [A, B], [0.9, 0.8]), Image([A], [True], [A], [0.7])],
    "all scores equal": [Image([A, B, C], [True, True, True], [A, POINT, B], [1.0, 1.0, 1.0])],
    "one detection, a hit": [Image([A, B], [True, True], [NEAR_A], [0.3])],
    "one detection, a false alarm": [Image([A, B], [True, True], [C], [0.3])],
    "one detection, dropped": [Image([A, B], [False, True], [A], [0.3])],
    "duplicate detections": [Image([A, B], [True, True], [A, A, NEAR_A, B], [0.9, 0.9, 0.8, 0.1])],
    "duplicate faces": [Image([A, A, B], [True, True, True], [A, A, B], [0.9, 0.8, 0.7])],
    "duplicate faces, the first ignored": [Image([A, A], [False, True], [A, A], [0.9, 0.8])],
    "duplicate faces, the second ignored": [Image([A, A], [True, False], [A, A], [0.9, 0.8])],
    "face of no size": [Image([POINT, A], [True, True], [POINT, A], [0.9, 0.8])],
    "detection of no size": [Image([A], [True], [POINT, (20, 20, 20, 20), A], [0.9, 0.8, 0.7])],
    "face of negative size": [Image([INVERTED, A], [True, True], [INVERTED, A], [0.9, 0.8])],
    "overlap of exactly one half": [Image([(0, 0, 3, 3)], [True], [(0, 0, 3, 1)], [0.5])],
    "boxes that touch under plus one only": [Image([A], [True], [(29.5, 10, 49, 29)], [0.5])],
    "unsorted": [Image([A, B, C], [True, True, False], [C, POINT, B, NEAR_A, A], [0.1, 0.4, 0.2, 0.6, 0.9])],
    "best face is ignored though a counted one is hit too": [
        Image([A, NEAR_A], [True, False], [NEAR_A, A], [0.9, 0.2])
    ],
    "margin scores below zero": [Image([A, B], [True, True], [A, C, B], [-0.5, -1.0, 3.0])],
    "the same boxes in two images": [Image([A], [True], [B], [0.9]), Image([B], [True], [A], [0.8])],
}


seeds = st.integers(0, 2**32 - 1)


@st.composite
def images_with_ties(draw: st.DrawFn) -> list[Image]:
    """Small whole-number boxes and few different scores: ties of IoU and of score, and overlaps of exactly one half."""
    scale = draw(st.sampled_from([1.0, 0.37]))
    side, size = st.integers(0, 12), st.integers(0, 6)
    box = st.tuples(side, side, size, size).map(
        lambda b: (b[0] * scale, b[1] * scale, (b[0] + b[2]) * scale, (b[1] + b[3]) * scale)
    )
    value = draw(
        st.sampled_from([st.just(1.0), st.sampled_from([0.25, 0.5, 0.75, 0.999, -1.0]), st.floats(-5, 5, width=32)])
    )
    images = []
    for _ in range(draw(st.integers(0, 4))):
        faces = draw(st.lists(box, max_size=6))
        on_a_face = st.sampled_from(faces) if faces else box
        boxes = draw(st.lists(st.one_of(box, on_a_face), max_size=8))
        images.append(
            Image(
                faces,
                draw(st.lists(st.booleans(), min_size=len(faces), max_size=len(faces))),
                boxes,
                draw(st.lists(value, min_size=len(boxes), max_size=len(boxes))),
            )
        )
    return images


@st.composite
def images_with_crowds(draw: st.DrawFn) -> list[Image]:
    """The same with crowd regions: some of the faces that do not count, and a large box more."""
    images = []
    for image in draw(images_with_ties()):
        crowd = [not counts and draw(st.booleans()) for counts in image.counted]
        x, y, width, height = (draw(st.integers(0, 8)) for _ in range(4))
        region = (float(x), float(y), float(x + width), float(y + height))
        place = draw(st.integers(0, len(crowd)))
        faces, counted = list(image.faces), list(image.counted)
        for values, value in ((faces, region), (counted, False), (crowd, True)):
            values.insert(place, value)  # type: ignore[attr-defined]
        images.append(Image(faces, counted, image.boxes, image.scores, crowd))
    return images


def crowded_scene(seed: int) -> list[Image]:
    """A `scene` in which about half of the faces that do not count are regions, and each image has a large one more."""
    rng = np.random.default_rng(seed)
    images = []
    for image in scene(seed):
        crowd = [not counts and rng.random() < 0.5 for counts in image.counted]
        x, y, width, height = rng.uniform(0, 80, 4).tolist()
        region = (x, y, x + width, y + height)
        images.append(Image([*image.faces, region], [*image.counted, False], image.boxes, image.scores, [*crowd, True]))
    return images


def scene(seed: int) -> list[Image]:
    """Up to six images with continuous coordinates and all scores different: no ties of any kind."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(rng.integers(1, 7)):
        corners = rng.uniform(0, 100, (rng.integers(0, 8), 2))
        faces = np.hstack([corners, corners + rng.uniform(4, 30, corners.shape)])
        found = faces[rng.random(len(faces)) < 0.8]
        found = np.concatenate([found, found[rng.random(len(found)) < 0.3]])
        found = found + rng.normal(0, 1.5, found.shape)
        corners = rng.uniform(0, 100, (rng.integers(0, 4), 2))
        boxes = np.concatenate([found, np.hstack([corners, corners + rng.uniform(4, 30, corners.shape)])])
        images.append(
            Image(
                [tuple(box) for box in faces.tolist()],
                (rng.random(len(faces)) < 0.7).tolist(),
                [tuple(box) for box in boxes.tolist()],
                rng.uniform(0.1, 1, len(boxes)).tolist(),
            )
        )
    return images


def crowd(rng: np.random.Generator, faces: int, detections: int) -> Image:
    corners = rng.uniform(0, 900, (faces, 2)).round()
    truth = np.hstack([corners, corners + rng.uniform(5, 60, (faces, 2)).round()])
    moved = truth[rng.integers(0, faces, detections)] + rng.normal(0, 4, (detections, 4)).round()
    moved[:, 2:] = np.maximum(moved[:, :2], moved[:, 2:])
    return Image(
        [tuple(box) for box in truth.tolist()],
        (rng.random(faces) < 0.7).tolist(),
        [tuple(box) for box in moved.tolist()],
        rng.random(detections).round(2).tolist(),
    )


def ones(images: list[Image]) -> NDArray[np.int32]:
    return np.ones((1, len(images)), dtype=np.int32)


def repeat(images: list[Image], weights: list[int]) -> list[Image]:
    return [image for image, times in zip(images, weights, strict=True) for _ in range(times)]

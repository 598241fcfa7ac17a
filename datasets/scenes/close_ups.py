"""`close-ups`: the embedded data set of large faces, composed at run time from two portraits.

A selfie or a passport photograph is one face that fills much of a large image; WIDER FACE holds next to none of them.
Here a face fills 5 to 90 % of an image of 0.3 to 12 megapixels. Two people, whose portraits are mostly enlarged, say
nothing about people: the set shows which detector loses a face because it is large, and it is marked as a demonstration
wherever it appears.

Every image is drawn from its own generator, seeded by (seed, number): a longer set begins with the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..base import Dataset, Faces, Sample
from .backgrounds import draw_background, load_backgrounds
from .composed import composed, seed_and_count
from .layers import encode_jpeg, paste
from .portraits import Portrait, load_portraits
from .scenes import LICENCE

_SHARES = (0.05, 0.9)
_MEGAPIXELS = (0.3, 12.0)
_WIDEST = 16 / 9
_STEPS = np.array([0.7548776662466927, 0.5698402909980532])
"""Of Roberts' sequence R2, which fills a square evenly however many points are taken."""

_Image = NDArray[np.uint8]


def load(options: Mapping[str, str], name: str) -> Dataset:
    """Compose the images.

    Args:
        options: `seed` (0) and `count` (40).
        name: the whole name, kept in the result.

    Returns:
        JPEG images with one face each, which lies wholly inside. Its share of the image, 5 to 90 %, is spread evenly on
        a logarithmic scale; the image's size, 0.3 to 12 megapixels, leans to the small, as large ones take long. Images
        are landscape or portrait, up to 16:9, as far as the face leaves room. Label: `person` 0 or 1.

    Raises:
        UsageError: on an unknown option or a bad value.
        UnavailableError: where an installed package lacks its image.
    """
    seed, count = seed_and_count(options, "close-ups", usual=40, most=500)
    portraits, backgrounds = load_portraits(), load_backgrounds()
    samples = []
    for number in range(count):
        image, faces = compose(seed, number, portraits, backgrounds)
        samples.append(Sample(f"close-up-{number:04d}.jpg", encode_jpeg(image), faces))
    return composed(
        name,
        samples,
        (
            "Demonstration on two people: their portraits, mostly enlarged, faces on 5 to 90 % of the image; "
            "shows who misses large faces, no comparison of detectors."
        ),
        LICENCE,
    )


def compose(
    seed: int, number: int, portraits: Sequence[Portrait], backgrounds: Mapping[str, _Image]
) -> tuple[_Image, Faces]:
    """Draw one image, uint8 (h, w, 3) RGB, and its face."""
    rng = np.random.default_rng((seed, number))
    place = ((np.random.default_rng(seed).random(2) + number * _STEPS) % 1) ** (1.0, 1.5)
    share, megapixels = (
        low * (high / low) ** at for (low, high), at in zip((_SHARES, _MEGAPIXELS), place, strict=True)
    )
    person = int(rng.integers(len(portraits)))
    angle, mirrored = float(rng.uniform(-8, 8)), bool(rng.random() < 0.5)
    turn = _turn(angle, mirrored=mirrored)
    top_left, bottom_right = np.split(portraits[person].face.box_after(turn), 2)
    across, down = bottom_right - top_left
    # the widths over heights of images into which a face of this share fits
    aspects = (max(share * across / down, 1 / _WIDEST), min(across / down / share, _WIDEST))
    aspect = float(np.exp(rng.uniform(*np.log(aspects))))
    width, height = (round(1000 * side) for side in (np.sqrt(megapixels * aspect), np.sqrt(megapixels / aspect)))
    scale = min(np.sqrt(share * width * height / (across * down)), width / across, height / down)
    corner = rng.random(2) * (np.array([width, height]) - scale * (bottom_right - top_left))
    image = draw_background(rng, backgrounds, width, height)
    affine = scale * turn
    affine[:, 2] += corner - scale * top_left
    _put(image, portraits[person].layer, affine)
    box = portraits[person].face.box_after(affine).astype(np.float32)
    return image, Faces(box[None], np.zeros(1, np.bool_), {"person": np.array([person], np.int8)})


def _turn(angle: float, *, mirrored: bool) -> NDArray[np.float64]:
    """The map of a portrait's pixels that mirrors, then turns it by degrees, counter-clockwise as seen: (2, 3)."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    flip = -1.0 if mirrored else 1.0
    return np.array([[flip * cos, sin, 0.0], [-flip * sin, cos, 0.0]])


def _put(image: _Image, layer: _Image, affine: NDArray[np.float64]) -> None:
    """Blend a layer into an image through an affine map, in place: cubic where it grows, by area where it shrinks."""
    import cv2

    rows, columns = layer.shape[:2]
    corners = affine @ np.array([[0, columns, 0, columns], [0, 0, rows, rows], [1, 1, 1, 1]])
    x, y = np.maximum(np.floor(corners.min(axis=1)), 0).astype(int)
    width, height = np.minimum(np.ceil(corners.max(axis=1)).astype(int), image.shape[1::-1]) - (x, y)
    scale = float(np.hypot(affine[0, 0], affine[1, 0]))
    if scale < 1:
        smaller = max(1, round(columns * scale)), max(1, round(rows * scale))
        layer = np.asarray(cv2.resize(layer, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        affine = affine @ np.diag([columns / smaller[0], rows / smaller[1], 1.0])
    # A pixel's centre lies at its index plus one half; warpAffine counts in indices.
    by_index = affine.copy()
    by_index[:, 2] += affine[:, :2].sum(axis=1) / 2 - 0.5 - (x, y)
    drawn = cv2.warpAffine(layer, by_index, (int(width), int(height)), flags=cv2.INTER_CUBIC)
    paste(image, np.asarray(drawn, np.uint8), int(x), int(y))

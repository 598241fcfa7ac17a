"""Known degradations of images at five severities, and what becomes of the faces.

Constants are those of the literature where there are any. Blur, noise and JPEG: Hendrycks and Dietterich, Benchmarking
Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019 (ImageNet-C), which Michaelis et al.,
Benchmarking Robustness in Object Detection, 2019, use unchanged on images of any size. So do we: a disc of 10 px
hides a face of 10 px and not one of 300 px, which is what a curve over severities shows. The other constants are ours,
in steps that a user can name (EV of exposure, degrees, half octaves, shares of a face).

Pixels are made with NumPy and OpenCV, which facebench keeps anyway: imagecorruptions and imgaug do not run on today's
NumPy, albumentations is archived. On another processor OpenCV may round single pixels by one level.

What is drawn at random (noise, direction of the rotation, side of the occlusion) hangs on seed, image_id and kind, and
neither on the order of images nor on the severity: severities of one image differ in strength alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...errors import UsageError, did_you_mean
from ..base import Faces

VERSION = 1
"""Raise it with every change of a pixel or a box: it is part of the fingerprint of a degraded data set."""
SEVERITIES = (1, 2, 3, 4, 5)

_Image = NDArray[np.uint8]
_Boxes = NDArray[np.float64]
_SIDES = ("left", "right", "above", "below")


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to degrade an image.

    Attributes:
        name: such as "blur".
        words: what it does, with {} for the level.
        levels: of severity 1 to 5.
        source: where the levels come from.
    """

    name: str
    words: str
    levels: tuple[float, float, float, float, float]
    source: str


_IMAGENET_C, _OURS = "ImageNet-C", "ours"
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("blur", "out of focus, a disc of radius {} px", (3, 4, 6, 8, 10), _IMAGENET_C),
        Kind("darkness", "exposure {} EV lower, without the noise that comes with it", (1, 2, 3, 4, 5), _OURS),
        Kind("noise", "normal noise, standard deviation {} of full range", (0.08, 0.12, 0.18, 0.26, 0.38), _IMAGENET_C),
        Kind("jpeg", "JPEG of quality {}", (25, 18, 15, 10, 7), _IMAGENET_C),
        Kind("rotation", "turned by {} degrees in the plane, on a canvas that grows", (15, 30, 45, 60, 90), _OURS),
        Kind("scale", "shrunk to {} of its sides", (2**-0.5, 2**-1, 2**-1.5, 2**-2, 2**-2.5), _OURS),
        Kind("occlusion", "{} of every face's box covered from one side", (0.15, 0.3, 0.45, 0.6, 0.75), _OURS),
    )
}
GEOMETRIC = ("rotation", "scale")
"""The kinds that move faces."""
_ALIAS_BLUR = {3: 0.1}
"""Standard deviation by which ImageNet-C softens the edge of the disc, by radius; 0.5 for the others."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """A kind at a severity.

    Attributes:
        kind: one of `KINDS`.
        severity: 1 to 5.

    Raises:
        UsageError: there is no such kind or severity.
    """

    kind: str
    severity: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"There is no degradation {self.kind!r}. {did_you_mean(self.kind, KINDS)}")
        if self.severity not in SEVERITIES:
            raise UsageError(f"Got severity {self.severity} of {self.kind}, expected a whole number from 1 to 5.")

    @classmethod
    def parse(cls, text: str) -> Degradation:
        """Read what `str` writes.

        Raises:
            UsageError: it is written otherwise, or there is no such kind or severity.

        >>> Degradation.parse("blur:3")
        Degradation(kind='blur', severity=3)
        """
        kind, _, severity = text.partition(":")
        if not (severity.isascii() and severity.isdecimal()):
            raise UsageError(f"Got degrade={text}, expected a kind and a severity from 1 to 5, such as degrade=blur:3.")
        return cls(kind, int(severity))

    def __str__(self) -> str:
        return f"{self.kind}:{self.severity}"

    @property
    def level(self) -> float:
        """What the severity means for the kind: pixels, EV, a share."""
        return KINDS[self.kind].levels[self.severity - 1]

    @property
    def words(self) -> str:
        """Say what is done.

        >>> Degradation("scale", 1).words
        'shrunk to 0.71 of its sides'
        """
        return KINDS[self.kind].words.format(f"{self.level:.2g}")


def degrade_image(image: _Image, faces: Faces, degradation: Degradation, *, image_id: str, seed: int = 0) -> _Image:
    """Degrade an image.

    JPEG is not among it: its bytes are made by `encode`, and pixels by who decodes them.

    Args:
        image: uint8 (h, w, 3) RGB; left as it is.
        faces: its faces as annotated; only `occlusion` looks at them.
        degradation: what to do.
        image_id: of the image.
        seed: of what is drawn at random.

    Returns:
        uint8 RGB: (h, w, 3), but for `GEOMETRIC` kinds.
    """
    if degradation.kind == "jpeg":
        return image
    return _PIXELS[degradation.kind](image, faces, degradation.level, _generator(image_id, degradation.kind, seed))


def degrade_faces(
    faces: Faces, size: tuple[int, int], degradation: Degradation, *, image_id: str, seed: int = 0
) -> Faces:
    """Return the faces of a degraded image, in the same order and with all their labels.

    A box stands for the ellipse inscribed in it, since a face fills an ellipse rather than a rectangle. With half axes
    a and b, turned by t, the ellipse reaches sqrt(a² cos² t + b² sin² t) to either side of its centre and
    sqrt(a² sin² t + b² cos² t) up and down: these are the sides of the new box.

    Args:
        faces: as annotated.
        size: width and height of the image before, in pixels.
        degradation: what is done to the image.
        image_id: of the image.
        seed: as given to `degrade_image`.
    """
    if degradation.kind not in GEOMETRIC:
        return faces
    boxes = faces.boxes.astype(np.float64)
    if degradation.kind == "scale":
        boxes = boxes * np.tile(np.divide(_shrunk(size, degradation.level), size), 2)
    else:
        matrix, _ = _turned(size, _angle(degradation.level, _generator(image_id, "rotation", seed)))
        boxes = ellipse_bounds(boxes, matrix)
    return replace(faces, boxes=boxes.astype(np.float32))


def encode(image: _Image, degradation: Degradation) -> bytes:
    """Return a degraded image as bytes: JPEG for that kind, else BMP, which loses nothing and takes no time.

    Args:
        image: from `degrade_image`.
        degradation: the same.
    """
    import cv2

    if degradation.kind == "jpeg":
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(degradation.level)])
    else:
        _, data = cv2.imencode(".bmp", image[..., ::-1])
    return bytes(data)


def ellipse_bounds(boxes: _Boxes, matrix: NDArray[np.float64]) -> _Boxes:
    """Return the bounds, float64 (n, 4), of the ellipses inscribed in boxes (n, 4) after an affine map (2, 3)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    halves = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (matrix[:, :2] ** 2).T)
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _generator(image_id: str, kind: str, seed: int) -> Generator:
    digest = hashlib.blake2b(f"{seed}/{kind}/{image_id}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def _blur(image: _Image, faces: Faces, radius: float, rng: Generator) -> _Image:
    """Convolve with ImageNet-C's disc, its rim softened by a small normal one.

    There the rims of radius 8 and 10 are mirrored at the edge of the array, which makes the image brighter by up to
    2 %; here the array leaves them room and sums to 1.
    """
    import cv2

    across = np.arange(-int(radius) - 2, int(radius) + 3)
    disc = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.float32)
    soft = 3 if radius <= 8 else 5
    kernel = cv2.GaussianBlur(disc, (soft, soft), _ALIAS_BLUR.get(int(radius), 0.5))
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def _darkness(image: _Image, faces: Faces, ev: float, rng: Generator) -> _Image:
    """Halve linear light once an EV (sRGB, IEC 61966-2-1), and round to 8 bits again."""
    value = np.arange(256) / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) / 2**ev
    dark = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    table: _Image = np.rint(dark * 255).astype(np.uint8)
    return table[image]


def _noise(image: _Image, faces: Faces, deviation: float, rng: Generator) -> _Image:
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(255 * deviation)
    noise += image
    return np.clip(np.rint(noise, out=noise), 0, 255, out=noise).astype(np.uint8)


def _rotation(image: _Image, faces: Faces, degrees: float, rng: Generator) -> _Image:
    """Turn about the centre, to either side by the toss of a coin; what comes in has the image's mean colour."""
    import cv2

    matrix, canvas = _turned((image.shape[1], image.shape[0]), _angle(degrees, rng))
    # a pixel's centre lies at its index plus one half; warpAffine counts in indices
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    fill = _mean_colour(image).tolist()
    return np.asarray(cv2.warpAffine(image, matrix, canvas, flags=cv2.INTER_LINEAR, borderValue=fill), np.uint8)


def _scale(image: _Image, faces: Faces, factor: float, rng: Generator) -> _Image:
    import cv2

    size = _shrunk((image.shape[1], image.shape[0]), factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _occlusion(image: _Image, faces: Faces, share: float, rng: Generator) -> _Image:
    """Cover a share of every face that is to be found, from a side drawn for it, with the image's mean colour.

    The patch ends at the box; it may also cover part of a face that overlaps.
    """
    covered, colour = image.copy(), _mean_colour(image)
    sides = rng.integers(len(_SIDES), size=len(faces))
    for box, side in zip(faces.boxes[~faces.ignore].tolist(), sides[~faces.ignore].tolist(), strict=True):
        columns, rows = covered_pixels((box[0], box[1], box[2], box[3]), _SIDES[side], share)
        covered[rows, columns] = colour
    return covered


def covered_pixels(box: tuple[float, float, float, float], side: str, share: float) -> tuple[slice, slice]:
    """Return the columns and rows of the pixels whose centre lies in a share of a box, taken from one side of it.

    >>> covered_pixels((10.0, 20.0, 30.0, 40.0), "below", 0.25)
    (slice(10, 30, None), slice(35, 40, None))
    """
    x1, y1, x2, y2 = box
    width, height = (x2 - x1) * share, (y2 - y1) * share
    if side in ("left", "right"):
        x1, x2 = (x1, x1 + width) if side == "left" else (x2 - width, x2)
    else:
        y1, y2 = (y1, y1 + height) if side == "above" else (y2 - height, y2)
    ends = np.maximum(np.ceil(np.array([x1, x2, y1, y2]) - 0.5), 0).astype(int).tolist()
    return slice(ends[0], ends[1]), slice(ends[2], ends[3])


_PIXELS: Mapping[str, Callable[[_Image, Faces, float, Generator], _Image]] = {
    "blur": _blur,
    "darkness": _darkness,
    "noise": _noise,
    "rotation": _rotation,
    "scale": _scale,
    "occlusion": _occlusion,
}


def _angle(degrees: float, rng: Generator) -> float:
    return degrees if rng.random() < 0.5 else -degrees


def _turned(size: tuple[int, int], degrees: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the map (2, 3) of points that turns an image counter-clockwise as seen, and the new width and height."""
    cos, sin = (round(float(part), 15) for part in (np.cos(np.radians(degrees)), np.sin(np.radians(degrees))))
    turn = np.array([[cos, sin], [-sin, cos]])
    extent = np.ceil(np.abs(turn) @ np.array(size, np.float64) - 1e-9).astype(int)
    shift = extent / 2 - turn @ (np.array(size) / 2)
    return np.column_stack([turn, shift]), (int(extent[0]), int(extent[1]))


def _shrunk(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _mean_colour(image: _Image) -> _Image:
    return np.asarray(np.rint(image.reshape(-1, 3).mean(axis=0)), np.uint8)

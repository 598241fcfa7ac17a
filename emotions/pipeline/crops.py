"""From a box to the pixels that a classifier sees.

The way a face is cut out changes an emotion score as much as the detector does, so it is a value with a name: part of
every result's key, and swept. Detectors frame faces differently; `dx`, `dy` and `scale` move a detector's boxes to the
place where the classifier expects a face.

A crop keeps the image's resolution: it is the classifier that resizes, by area, once. What lies outside the image
is filled with the nearest edge pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError, did_you_mean

CANONICAL_LANDMARKS = (0.316 + 0.385j, 0.684 + 0.385j, 0.5 + 0.596j, 0.349 + 0.742j, 0.651 + 0.742j)
"""Left eye, right eye, nose, left and right mouth corner in an aligned crop, x + yi in shares of its side.

Where they lie in FER2013's own crops, made symmetric: medians of YuNet (219 faces found in 400 training images,
enlarged and padded) and CenterFace (166 in 250 of them), which agree to 0.03.
"""
LARGEST_SHARE = 2
"""A crop is at most this many times as wide and high as the longer side of the image, whatever the box says."""

_NUMBERS = ("margin", "dx", "dy", "scale")
_SWITCHES = ("square", "align", "grey")
_WORDS = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class CropPolicy:
    """How a face is cut out. Applied in this order: correction, square, margin.

    Attributes:
        margin: added on each of the four sides, in shares of the box side; negative cuts inside the box.
        square: extend the shorter side of the box to the longer one, about the centre. FER2013's own crops are squares
            as high as a WIDER FACE box.
        align: turn and scale the five landmarks to `CANONICAL_LANDMARKS`; such a crop is square, and only `margin` of
            the geometry applies. Where there are no usable landmarks, see `can_align`, the box is cut instead.
        grey: give one channel. A classifier for grey faces makes the same of colour crops.
        dx: moves the box right, in shares of its width.
        dy: moves the box down, in shares of its height.
        scale: of both sides of the box, about its centre.

    Raises:
        UsageError: a number is not finite, a margin takes the whole box away, or scale is not positive.

    >>> str(CropPolicy.parse("square,margin=0.10"))
    'margin=0.1,square'
    """

    margin: float = 0.0
    square: bool = False
    align: bool = False
    grey: bool = True
    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            if not math.isfinite(getattr(self, name)):
                raise UsageError(f"crop policy: got {name}={getattr(self, name)}, expected a finite number")
        if self.margin <= -0.5:
            raise UsageError(f"crop policy: got margin={self.margin}, expected more than -0.5, which leaves nothing")
        if self.scale <= 0:
            raise UsageError(f"crop policy: got scale={self.scale}, expected more than 0")

    @classmethod
    def parse(cls, text: str) -> CropPolicy:
        """Read a policy such as "margin=0.1,square,align"; what is not named keeps its default.

        Numbers are `margin`, `dx`, `dy`, `scale`; switches are `square`, `align`, `grey`, alone or with =yes or =no.

        Raises:
            UsageError: an unknown name, a name given twice, a bad value.
        """
        values: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if name not in _NUMBERS + _SWITCHES:
                raise UsageError(
                    f"crop policy {text!r}: {name!r} is unknown. {did_you_mean(name, _NUMBERS + _SWITCHES)}"
                )
            if name in values:
                raise UsageError(f"crop policy {text!r}: {name} is given twice")
            values[name] = _switch(text, name, value if equals else "yes") if name in _SWITCHES else _number(text, part)
        return cls(**values)

    def __str__(self) -> str:
        parts = [f"margin={self.margin:g}"]
        parts += [f"{name}={getattr(self, name):g}" for name in ("dx", "dy") if getattr(self, name)]
        parts += [f"scale={self.scale:g}"] * (self.scale != 1)
        parts += [name for name in ("square", "align") if getattr(self, name)]
        return ",".join(parts + ["grey=no"] * (not self.grey))


DEFAULT_POLICY = CropPolicy(square=True)
SWEEP = (
    *(CropPolicy(margin) for margin in (0.0, 0.1)),
    *(CropPolicy(margin, square=True) for margin in (-0.1, 0.0, 0.1, 0.2, 0.3)),
    *(CropPolicy(margin, align=True) for margin in (0.0, 0.1, 0.2)),
)
"""The policies that are compared by default. Colour is not among them: the classifiers here are for grey faces."""


def crop(
    image: NDArray[np.uint8], box: ArrayLike, landmarks: ArrayLike | None, policy: CropPolicy
) -> NDArray[np.uint8]:
    """Cut a face out.

    Every box that `Detections` accepts gives a crop of at least one pixel: a box without area the pixel at its place, a
    box outside the image the image's nearest edge, drawn out.

    Args:
        image: uint8 (h, w, 3) RGB, never changed; it may be read-only or a view.
        box: x1, y1, x2, y2 in pixels, continuous, origin top-left.
        landmarks: (5, 2) x, y in pixels in the order of `Detections.landmarks`, or None; read by `align` alone.
        policy: how.

    Returns:
        uint8, C-contiguous, of its own memory: (height, width) grey or (height, width, 3).

    Raises:
        UsageError: the image is not of this kind; the box or the landmarks are not finite, of another shape, or x2 <
            x1 or y2 < y1.
    """
    import cv2

    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise UsageError(f"got {got} as an image, expected uint8 (h, w, 3) RGB")
    if 0 in image.shape:
        raise UsageError(f"got an image of shape {image.shape}, expected at least one pixel")
    placing = _placing(landmarks) if policy.align else None
    if placing is None:
        pixels = _cut(image, *window(box, policy, LARGEST_SHARE * max(image.shape[:2])))
    else:
        pixels = _turned(image, *placing, policy.margin)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) if policy.grey else pixels


def can_align(landmarks: ArrayLike | None) -> bool:
    """Say whether `align` works with these landmarks (5, 2): they are there, and make a face of a pixel at least.

    Raises:
        UsageError: they are not finite or of another shape.
    """
    return _placing(landmarks) is not None


def window(box: ArrayLike, policy: CropPolicy, limit_px: int = 2**31) -> tuple[int, int, int, int]:
    """Return left, top, width, height in whole pixels of what `crop` cuts without aligning.

    The size is rounded first and the place then, both halves upwards, so that a face moved by whole pixels gives the
    same crop. At least 1 and at most `limit_px` pixels wide and high.

    Raises:
        UsageError: the box is not four finite numbers with x2 >= x1 and y2 >= y1.

    >>> window([10, 20, 30, 60], CropPolicy(margin=0.1, square=True))
    (-4, 16, 48, 48)
    """
    corners = np.asarray(box, np.float64)
    if corners.shape != (4,) or not np.isfinite(corners).all() or (corners[2:] < corners[:2]).any():
        raise UsageError(f"got the box {corners.tolist()}, expected finite x1, y1, x2, y2 with x2 >= x1 and y2 >= y1")
    size = corners[2:] - corners[:2]
    centre = (corners[:2] + corners[2:]) / 2 + size * (policy.dx, policy.dy)
    size = size * policy.scale
    if policy.square:
        size = np.full(2, size.max())
    size = np.clip(np.floor(size * (1 + 2 * policy.margin) + 0.5), 1, limit_px)
    corner = np.floor(centre - size / 2 + 0.5)
    return int(corner[0]), int(corner[1]), int(size[0]), int(size[1])


def _cut(image: NDArray[np.uint8], left: int, top: int, width: int, height: int) -> NDArray[np.uint8]:
    rows, columns = image.shape[:2]
    if left >= 0 and top >= 0 and left + width <= columns and top + height <= rows:
        return image[top : top + height, left : left + width].copy()
    y = np.array([min(max(y, 0), rows - 1) for y in range(top, top + height)])
    x = np.array([min(max(x, 0), columns - 1) for x in range(left, left + width)])
    return np.asarray(image[y[:, None], x])


def _placing(landmarks: ArrayLike | None) -> tuple[complex, complex] | None:
    """Return a, b so that a * canonical + b lies nearest to the landmarks, by least squares; None where they coincide.

    With x + yi for a point, a turns and scales and cannot mirror.
    """
    if landmarks is None:
        return None
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise UsageError(f"got landmarks of shape {points.shape}, expected five finite points (5, 2)")
    there = points[:, 0] + 1j * points[:, 1]
    canonical = np.array(CANONICAL_LANDMARKS)
    spread = canonical - canonical.mean()
    a = complex(np.vdot(spread, there - there.mean()) / np.vdot(spread, spread))
    return (a, complex(there.mean() - a * canonical.mean())) if abs(a) >= 1 else None


def _turned(image: NDArray[np.uint8], a: complex, b: complex, margin: float) -> NDArray[np.uint8]:
    """Sample the square -margin to 1 + margin of the canonical face, at the image's resolution."""
    import cv2

    rows, columns = image.shape[:2]
    extent = 1 + 2 * margin
    side = min(max(math.floor(abs(a) * extent + 0.5), 1), LARGEST_SHARE * max(rows, columns))
    step = a * extent / side
    # OpenCV counts from the centre of the first pixel, boxes and landmarks from its corner.
    first = a * complex(-margin, -margin) + b + step * (0.5 + 0.5j) - (0.5 + 0.5j)
    corners = [first + step * (side - 1) * corner for corner in (0, 1, 1j, 1 + 1j)]
    # Only the surroundings are handed on: OpenCV takes no image of more than 32,767 pixels a side.
    x1, x2 = _span([corner.real for corner in corners], columns)
    y1, y2 = _span([corner.imag for corner in corners], rows)
    first -= complex(x1, y1)
    matrix = np.array([[step.real, -step.imag, first.real], [step.imag, step.real, first.imag]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = np.ascontiguousarray(image[y1:y2, x1:x2])
    return np.asarray(cv2.warpAffine(part, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _span(places: list[float], length: int) -> tuple[int, int]:
    start = min(max(math.floor(min(places)) - 1, 0), length - 1)
    return start, min(max(math.ceil(max(places)) + 2, start + 1), length)


def _switch(text: str, name: str, value: str) -> bool:
    if value not in _WORDS:
        raise UsageError(f"crop policy {text!r}: got {name}={value}, expected {name}, {name}=yes or {name}=no")
    return _WORDS[value]


def _number(text: str, part: str) -> float:
    name, _, value = part.partition("=")
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"crop policy {text!r}: got {part!r}, expected a number, such as {name.strip()}=0.1") from None


def as_policy(policy: CropPolicy | str) -> CropPolicy:
    """Return a policy that was given as itself or as text.

    Raises:
        UsageError: the text is not a policy.
    """
    return CropPolicy.parse(policy) if isinstance(policy, str) else policy


__all__ = [
    "CANONICAL_LANDMARKS",
    "DEFAULT_POLICY",
    "SWEEP",
    "CropPolicy",
    "as_policy",
    "can_align",
    "crop",
    "window",
]

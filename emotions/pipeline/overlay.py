"""Faces and emotions drawn into an image."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ...detectors import RGBImage
from .pipeline import FaceEmotions

COLOURS = MappingProxyType(
    {
        "angry": (213, 94, 0),
        "disgust": (0, 158, 115),
        "fear": (204, 121, 167),
        "happy": (240, 228, 66),
        "neutral": (86, 180, 233),
        "sad": (0, 114, 178),
        "surprise": (230, 159, 0),
    }
)
"""RGB of every emotion: the colours of Okabe and Ito (Color Universal Design, 2008), safe for the colour-blind."""

# At scale 1 capitals of OpenCV's font are 22 pixels high; 0.4 is the smallest that can be read.
_SMALLEST_TEXT = 0.4
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_BOX_COLOUR = COLOURS["neutral"]
_Rectangle = tuple[int, int, int, int]


def draw(image: RGBImage, found: FaceEmotions, tracks: Sequence[int] | NDArray[np.int64] | None = None) -> RGBImage:
    """Return a copy of an image with boxes, track numbers, and emotions with their probabilities.

    Text has the same size on every face and is never smaller than can be read, however small the face. A label stands
    above its box, else below, right or left of it, where it covers no other label as far as that is possible.

    Args:
        image: uint8 (h, w, 3) RGB; left as it is.
        found: what to draw.
        tracks: the number of every face, or None.
    """
    import cv2

    drawn = np.array(image, order="C")
    height, width = drawn.shape[:2]
    line = max(1, round(max(width, height) / 500))
    corners = np.clip(np.rint(found.detections.boxes), -1, [width, height, width, height]).astype(int).tolist()
    labels = found.labels
    for (x1, y1, x2, y2), label in zip(corners, labels, strict=True):
        cv2.rectangle(drawn, (x1, y1), (x2, y2), _BLACK, line + 2)
        cv2.rectangle(drawn, (x1, y1), (x2, y2), COLOURS[label], line)
    taken: list[_Rectangle] = []
    for face, (box, label) in enumerate(zip(corners, labels, strict=True)):
        number = "" if tracks is None else f"{tracks[face]} "
        text = f"{number}{label} {found.probabilities[face].max():.0%}"
        taken.append(_put_label(drawn, text, COLOURS[label], box, line, taken))
    return drawn


def draw_boxes(image: RGBImage, boxes: NDArray[np.float32]) -> RGBImage:
    """Return a copy of an image with boxes, by Pillow: a detector that does without OpenCV needs none here.

    Args:
        image: uint8 (h, w, 3) RGB; left as it is.
        boxes: (n, 4): x1, y1, x2, y2 in pixels; what lies outside the image is cut.
    """
    from PIL import Image, ImageDraw

    drawn = Image.fromarray(image)
    drawing = ImageDraw.Draw(drawn)
    line = max(2, round(max(drawn.size) / 250))
    limits = np.array([*drawn.size, *drawn.size]) - 1
    for x1, y1, x2, y2 in np.clip(np.rint(boxes), 0, limits).astype(int).tolist():
        drawing.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=_BLACK, width=line + 2)
        drawing.rectangle((x1, y1, x2, y2), outline=_BOX_COLOUR, width=line)
    return np.asarray(drawn)


def _put_label(
    image: NDArray[np.uint8],
    text: str,
    colour: tuple[int, int, int],
    box: Sequence[int],
    line: int,
    taken: Sequence[_Rectangle],
) -> _Rectangle:
    """Write a label on a plate of its colour and return the plate: left, top, right, bottom."""
    import cv2

    rows, columns = image.shape[:2]
    scale = max(_SMALLEST_TEXT, max(rows, columns) / 1600)
    thick = max(1, round(scale * 1.5))
    (text_width, ascent), descent = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    pad = 2 * line
    width, height = text_width + 2 * pad, ascent + descent + 2 * pad
    left, top = _place(box, width, height, line + 1, (columns, rows), taken)
    cv2.rectangle(image, (left, top), (left + width - 1, top + height - 1), colour, cv2.FILLED)
    ink = _ink(colour)
    cv2.putText(image, text, (left + pad, top + pad + ascent), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)
    return left, top, left + width, top + height


def _place(
    box: Sequence[int], width: int, height: int, gap: int, size: tuple[int, int], taken: Sequence[_Rectangle]
) -> tuple[int, int]:
    """Return left and top of a plate: the first place inside the image that is free, else above, pushed inside."""
    x1, y1, x2, y2 = box
    wanted = ((x1, y1 - gap - height), (x1, y2 + gap), (x2 + gap, y1), (x1 - gap - width, y1))
    inside = [
        (max(0, min(left, size[0] - width)), top) if place < 2 else (left, max(0, min(top, size[1] - height)))
        for place, (left, top) in enumerate(wanted)
    ]
    for left, top in inside:
        fits = 0 <= left <= max(0, size[0] - width) and 0 <= top <= size[1] - height
        if fits and not any(_overlap((left, top, left + width, top + height), other) for other in taken):
            return left, top
    left, top = wanted[0]
    return max(0, min(left, size[0] - width)), max(0, min(top, size[1] - height))


def _overlap(a: _Rectangle, b: _Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _ink(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever stands out more from `colour` (WCAG 2.1, contrast ratio)."""
    light = luminance(colour)
    return _BLACK if (light + 0.05) ** 2 >= 0.05 * 1.05 else _WHITE


def luminance(colour: tuple[int, int, int]) -> float:
    """Return the relative luminance of an sRGB colour, 0 to 1 (WCAG 2.1).

    >>> round(luminance((255, 255, 255)), 6)
    1.0
    """
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


__all__ = ["COLOURS", "draw", "draw_boxes"]

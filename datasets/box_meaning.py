"""Whether annotated boxes can be meant as they are read: nothing but the borders of their images can say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .box_format import LAYOUTS, BoxFormat, are_tiny

_OUTSIDE = 0.3
"""Share of boxes outside their images from which another reading is looked for: of x1, y1, x2, y2 taken for x, y, width
and height, about three quarters are; of faces that the border cuts off, few."""
_FITS = 0.02
"""Share of boxes that may be outside, or have a negative side, in a reading that fits."""
_SHIFTED = 5
_CROWDED = 10
_PARTS = ((1, 100), (100, 1000))
_ROUNDING = 0.5


def likely_meaning(boxes: NDArray[np.float64], sizes: NDArray[np.float64], as_read: BoxFormat | None) -> str:
    """Say how annotated boxes could be meant where they can hardly be meant as they are read; else return "".

    Args:
        boxes: (n, 4), x1, y1, x2, y2 in pixels, as read.
        sizes: (n, 2), width and height of the image of each; 0 where it is not known.
        as_read: how the numbers were read; None where their format leaves no choice.
    """
    tiny = are_tiny(boxes)
    found = "Nearly all boxes have sides of at most 1 pixel, as parts of the image's size have."
    if as_read is None:
        return found if tiny else ""
    if as_read.scale:
        known = (sizes > 0).all(axis=1)
        boxes, sizes = boxes[known], sizes[known]
    numbers = as_read.to_numbers(boxes, sizes)
    if tiny:
        return _sentence(found, _fitting(numbers, "1", as_read.layout), "they lie inside their images")
    known = (sizes > 0).all(axis=1)
    boxes, sizes, numbers = boxes[known], sizes[known], numbers[known]
    if not len(boxes):
        return ""
    over = boxes[:, 2:] > sizes + _ROUNDING
    before = boxes[:, :2] < -_ROUNDING
    outside = int((over | before).any(axis=1).sum())
    fits: list[BoxFormat] = []
    if outside > _OUTSIDE * len(boxes):
        fits = [one for one in _fitting(numbers, "", as_read.layout, sizes) if one != as_read]
        # faces that the border cuts off lie over all sides of images; centres taken for corners over two
        if before.any() or outside < _SHIFTED:
            fits = [one for one in fits if one.layout != "cxcywh"]
        found = f"{outside:,} of {len(boxes):,} boxes reach outside their image when read as {as_read.meaning}."
    most = numbers.max()
    for less, part in _PARTS:
        crowded = len(boxes) >= _CROWDED and sizes.min() >= 2 * part
        if crowded and not (outside or as_read.scale):
            found = f"All boxes lie in the first {part:,} pixels of much larger images."
        if not fits and less < most <= part and (crowded or outside > _OUTSIDE * len(boxes)):
            fits = _fitting(numbers, str(part), as_read.layout)
    return _sentence(found, fits, "hardly any does" if outside else "they spread over them") if fits else ""


def _fitting(
    numbers: NDArray[np.float64], scale: str, first: str, sizes: NDArray[np.float64] | None = None
) -> list[BoxFormat]:
    """The formats of a scale in which hardly any box is outside its image or has a negative side."""
    room = np.full((1, 2), float(scale)) if sizes is None else sizes + _ROUNDING
    fits = []
    for layout in dict.fromkeys((first, *LAYOUTS)):
        corners = BoxFormat(layout).to_corners(numbers)
        least = -1e-6 * room if sizes is None else np.full((1, 2), -_ROUNDING)
        wrong = (corners[:, :2] < least) | (corners[:, 2:] > room * (1 + 1e-6)) | (corners[:, 2:] < corners[:, :2])
        if wrong.any(axis=1).mean() <= _FITS:
            fits.append(BoxFormat(layout, scale))
    return fits


def _sentence(found: str, fits: Sequence[BoxFormat], then: str) -> str:
    if not fits:
        return found
    named = " or ".join(one.meaning for one in fits)
    return f"{found} Read as {named}, {then}: is that what they are? box_format={fits[0]} reads them so."

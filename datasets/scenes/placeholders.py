"""People for `expression-scenes`: a face crop of FER2013 with a drawn head, neck and shoulders around it.

The crops are tight and grey, and modern detectors expect a head. Of test faces of 36 pixels YuNet (at its own 0.9)
found none on bare crops, an eighth with a grey head, two thirds with a head, dark hair and the colour of skin; of
those of 64 pixels a sixth, a half and five sixths. Only what lies outside the face is invented: inside the oval the
luma of every pixel is that of the crop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]
_AnyFloats = NDArray[np.floating]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SIDE = 48
# RGB of skin and hair at unit luma; skins of all tones are near this hue.
_SKIN = np.array([1.25, 0.95, 0.80], np.float32) / np.float32(np.dot([1.25, 0.95, 0.80], LUMA))
_HAIR = np.array([1.20, 0.95, 0.80], np.float32)
_DARKEST_HAIR_TOP = 60.0
# All in face sizes from the middle of the face, y downwards.
_HEAD = (0.0, -0.08, 0.62, 0.74)
_SHOULDERS = (0.0, 1.55, 1.15, 0.75)
_NECK = (0.26, 0.30, 0.95)
_FADE = (1.25, 1.70)
_LEFT, _TOP = 1.22, 0.88
# The oval that shows the crop: half axes in crop pixels, and where its edge begins to fade.
_OVAL = (24.5, 26.5)
_OVAL_FADE = 0.86


def placeholder(
    crop: NDArray[np.uint8], size: float, clothes: NDArray[np.float32], *, sigma: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Draw a person with a face.

    Args:
        crop: uint8 (48, 48), the face.
        size: sides of the crop's box in the result, in pixels.
        clothes: float32 (3,), RGB of 0 to 255.
        sigma: of a Gaussian blur over all, in pixels; 0 for none.

    Returns:
        The layer, uint8 (h, w, 4), RGB times alpha and alpha, and the exact box of the crop in it, float64 (4,).
    """
    import cv2

    margin = int(np.ceil(3 * sigma))
    left, top = float(np.ceil(_LEFT * size) + margin), float(np.ceil(_TOP * size) + margin)
    width = int(np.ceil(left + _LEFT * size)) + margin
    height = int(np.ceil(top + _FADE[1] * size)) + margin
    u = ((np.arange(width, dtype=np.float32) + 0.5 - left) / size)[None, :]
    v = ((np.arange(height, dtype=np.float32) + 0.5 - top) / size)[:, None]
    grey = crop.astype(np.float32)

    skin = _tinted(np.float32(np.median(grey[16:36, 14:34])).reshape(1, 1))[0, 0]
    hair = min(float(np.median(grey[:4])), _DARKEST_HAIR_TOP) * _HAIR
    body = _ellipse(u, v, _SHOULDERS, size)
    half, begin, end = _NECK
    neck = _step((half - np.abs(u)) * size) * _step((v - begin) * size) * _step((end - v) * size)
    head = _ellipse(u, v, _HEAD, size)
    colour = np.full((height, width, 3), clothes, np.float32)
    for mask, paint in ((neck, 0.8 * skin), (head, hair)):
        colour += (paint - colour) * mask[..., None]
    alpha = np.maximum.reduce([body, neck, head]) * _smooth((_FADE[1] - v) / (_FADE[1] - _FADE[0]))

    # A pixel's centre lies at its index plus one half; warpAffine counts in indices.
    scale = size / _SIDE
    corner_x, corner_y = left - size / 2, top - size / 2
    x, y, side = int(corner_x), int(corner_y), int(np.ceil(size)) + 1
    shift = 0.5 * scale - 0.5
    matrix = np.array([[scale, 0, corner_x - x + shift], [0, scale, corner_y - y + shift]])
    if scale < 1:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.35 / scale), np.float32)
    face = cv2.warpAffine(grey, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    u, v = u[:, x : x + side], v[y : y + side]
    oval = np.asarray(np.hypot(u * _SIDE / _OVAL[0], v * _SIDE / _OVAL[1]), np.float32)
    shown = _smooth((1 - oval) / (1 - _OVAL_FADE)) * (np.abs(u) <= 0.5) * (np.abs(v) <= 0.5)
    under = colour[y : y + side, x : x + side]
    under += (_tinted(np.clip(face, 0, 255).astype(np.float32)) - under) * shown[..., None]

    layer = np.concatenate([colour * alpha[..., None], 255 * alpha[..., None]], axis=2).astype(np.float32)
    blurred = cv2.GaussianBlur(layer, (0, 0), sigma) if sigma > 0 else layer
    rounded = np.rint(np.clip(blurred, 0, 255)).astype(np.uint8)
    return rounded, np.array([corner_x, corner_y, corner_x + size, corner_y + size])


def _tinted(grey: _Floats) -> _Floats:
    """Give grey (h, w) the hue of skin, (h, w, 3), at the same luma; bright pixels less of it, so that none clips."""
    room = (255 - grey) / np.maximum(grey * (_SKIN.max() - 1), 1e-3)
    return np.asarray(grey[..., None] * (1 + (_SKIN - 1) * np.clip(room, 0, 1)[..., None]), np.float32)


def _ellipse(u: _Floats, v: _Floats, shape: tuple[float, float, float, float], size: float) -> _Floats:
    x, y, a, b = shape
    return _step((1 - np.hypot((u - x) / a, (v - y) / b)) * min(a, b) * size)


def _step(distance: _AnyFloats) -> _Floats:
    """0 outside, 1 inside, soft over three pixels about the edge, `distance` pixels away."""
    return _smooth(distance / 3 + 0.5)


def _smooth(t: _AnyFloats) -> _Floats:
    part = np.clip(t, 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)

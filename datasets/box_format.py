"""What the four numbers of a box mean: `xywh`, `xyxy:1`, `yxyx:1000`.

A format is a layout, and after a colon what the numbers run over where that is not the pixels of the image:

- `:1`, `:100`, `:1000`, `:N`: from 0 to N over its width and over its height, as parts, per cent, per mille, or pixels
  of a copy stretched to N x N;
- `:long=N`: pixels of a copy whose longer side is N;
- `:letterbox=N`: those of a copy centred in N x N, as Ultralytics does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError, did_you_mean

LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "xywh": "left, top, width, height",
        "xyxy": "left, top, right, bottom",
        "cxcywh": "centre x, centre y, width, height",
        "yxyx": "top, left, bottom, right",
        "trbl": "top, right, bottom, left",
    }
)
"""Layout -> its four numbers, the most frequent first. `yxyx` is TensorFlow's, `trbl` that of face_recognition."""
_TINY = 0.9


def corners_in(layout: str, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any, Any]:
    """Return x1, y1, x2, y2 of four numbers, or of four arrays of them.

    >>> corners_in("xywh", 10, 20, 5, 5), corners_in("trbl", 20, 15, 25, 10)
    ((10, 20, 15, 25), (10, 20, 15, 25))
    """
    if layout == "xyxy":
        return a, b, c, d
    if layout == "cxcywh":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    if layout == "yxyx":
        return b, a, d, c
    if layout == "trbl":
        return d, a, b, c
    return a, b, a + c, b + d


@dataclass(frozen=True, slots=True)
class BoxFormat:
    """How four numbers are read as a box.

    Attributes:
        layout: one of `LAYOUTS`.
        scale: what the numbers run over, "" for the pixels of the image; see the module.

    Raises:
        UsageError: there is no such layout or scale.
    """

    layout: str = "xywh"
    scale: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            known = "; ".join(f"{name} ({meaning})" for name, meaning in LAYOUTS.items())
            raise UsageError(
                f"There is no box format {self.layout!r}. {did_you_mean(self.layout, LAYOUTS)} They are: {known}; and "
                "with numbers from 0 to N over the image, :N behind it, as in xywh:1."
            )
        kind, number = self._parts()
        if self.scale and (kind not in ("", "long", "letterbox") or not (number.isdecimal() and int(number) > 0)):
            raise UsageError(
                f"Got :{self.scale} behind {self.layout}, expected :1, :1000, :long=640 or :letterbox=640."
            )

    @classmethod
    def parse(cls, text: str) -> BoxFormat:
        """Read it as a user writes it.

        Raises:
            UsageError: it is none.

        >>> str(BoxFormat.parse("xyxy:1")), BoxFormat.parse("yxyx").scale
        ('xyxy:1', '')
        """
        layout, _, scale = text.strip().lower().partition(":")
        return cls(layout, scale)

    def __str__(self) -> str:
        return f"{self.layout}:{self.scale}" if self.scale else self.layout

    @property
    def meaning(self) -> str:
        """The format with its four numbers in words."""
        return f"{self} ({LAYOUTS[self.layout]})"

    def _parts(self) -> tuple[str, str]:
        kind, _, number = self.scale.rpartition("=")
        return kind, number

    def to_corners(self, numbers: NDArray[np.float64], sizes: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return boxes in pixels, float64 (n, 4): x1, y1, x2, y2.

        Args:
            numbers: (n, 4), as written.
            sizes: (n, 2) or (2,), width and height of the image of each box; needed where there is a scale.
        """
        corners = np.empty(numbers.shape)
        corners.T[:] = corners_in(self.layout, *numbers.T)
        return corners if sizes is None or not self.scale else self.to_pixels(corners, sizes)

    def to_pixels(self, corners: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return corners (n, 4) that run over `scale` in pixels of the image."""
        gain, shift = self._frame(sizes)
        return np.asarray(corners * np.tile(gain, 2) + np.tile(shift, 2))

    def to_numbers(self, corners: NDArray[np.float64], sizes: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return what `to_corners` makes these boxes of, float64 (n, 4)."""
        if self.scale and sizes is not None:
            gain, shift = self._frame(sizes)
            corners = (corners - np.tile(shift, 2)) / np.tile(gain, 2)
        # every layout is linear, so that its matrix is what it makes of the unit vectors
        matrix = np.array(corners_in(self.layout, *np.eye(4)))
        return np.asarray(corners @ np.linalg.inv(matrix).T)

    def _frame(self, sizes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels of the image by number, and the pixel of number 0, each of the shape of `sizes`."""
        kind, number = self._parts()
        side = float(number or 0)
        if not self.scale:
            return np.ones_like(sizes), np.zeros_like(sizes)
        if not kind:
            return sizes / side, np.zeros_like(sizes)
        gain = np.ones_like(sizes) * sizes.max(axis=-1, keepdims=True) / side
        return gain, (sizes - side * gain) / 2 if kind == "letterbox" else np.zeros_like(sizes)


def are_tiny(boxes: NDArray[np.floating]) -> bool:
    """Tell whether nearly all boxes, (n, 4) x1, y1, x2, y2, have sides of at most 1: parts of an image, not pixels."""
    sides = boxes[:, 2:] - boxes[:, :2]
    sides = sides[(sides > 0).all(axis=1)]
    return len(sides) > 0 and bool((sides <= 1).all(axis=1).mean() > _TINY)

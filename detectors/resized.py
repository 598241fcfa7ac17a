"""Pictures resized before a detector sees them, boxes scaled back: the `size` of a protocol."""

from __future__ import annotations

import re

from ..errors import UsageError
from .base import Detections, Detector, RGBImage
from .wrapped import WrappedDetector

_SIZE = re.compile(r"original|long=(?P<long>[1-9]\d*)|short=(?P<short>[1-9]\d*)(,max=(?P<max>[1-9]\d*))?")


def check_size(size: str) -> None:
    """Raise UsageError where a size is written wrongly."""
    if not _SIZE.fullmatch(size):
        raise UsageError(f"size {size!r}: expected original, long=PIXELS or short=PIXELS,max=PIXELS")


def scale_for(size: str, height: int, width: int) -> float:
    """Return the factor by which a size scales a picture.

    >>> scale_for("long=640", 960, 1280)
    0.5
    """
    match = _SIZE.fullmatch(size)
    if match is None or size == "original":
        return 1.0
    if match["long"]:
        return int(match["long"]) / max(height, width)
    scale = int(match["short"]) / min(height, width)
    return min(scale, int(match["max"]) / max(height, width)) if match["max"] else scale


class ResizedDetector(WrappedDetector):
    """A detector that sees every picture at a given size; its boxes are pixels of the picture given.

    Pictures shrink by area averaging and grow bilinearly (OpenCV's INTER_AREA and INTER_LINEAR). The resizing is part
    of `detect`, so of its time.

    Args:
        detector: what to wrap; it is closed with this one.
        size: "original", "long=640" or "short=1600,max=2150"; see `benchmarks.cell.Protocol`.

    Raises:
        UsageError: the size is written wrongly.
    """

    def __init__(self, detector: Detector, size: str) -> None:
        check_size(size)
        super().__init__(detector)
        self._size = size

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one picture."""
        import cv2
        import numpy as np

        height, width = image.shape[:2]
        scale = scale_for(self._size, height, width)
        new = max(1, round(width * scale)), max(1, round(height * scale))
        if new == (width, height):
            return self._detector.detect(image)
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        found = self._detector.detect(np.asarray(cv2.resize(image, new, interpolation=mode), dtype=np.uint8))
        factor = np.array([width / new[0], height / new[1]], dtype=np.float32)
        points = None if found.landmarks is None else found.landmarks * factor
        return Detections(found.boxes * np.tile(factor, 2), found.scores, points)

"""What the adapters on OpenCV share: colour order and threads."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions, Detector, RGBImage
from ..process import own_process


class OpenCvDetector(Detector):
    """A detector that runs inside OpenCV, which has one number of threads for the whole process.

    It is set in a process of the detector's own only, and read back everywhere.
    """

    must_load = ("cv2",)

    def __init__(self, *, operating_threshold: float | None = None, **options: Unpack[BuildOptions]) -> None:
        super().__init__(operating_threshold=operating_threshold, **options)
        import cv2

        if own_process():
            cv2.setNumThreads(self.threads)

    def threads_used(self) -> int | None:
        """Read OpenCV's thread count."""
        import cv2

        return int(cv2.getNumThreads())


def to_bgr(image: RGBImage) -> NDArray[np.uint8]:
    """Return a contiguous copy with the channels turned round."""
    import cv2

    # a twentieth of the time of turning the last axis round with NumPy
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR), dtype=np.uint8)

"""What the adapters on OpenCV share: colour order and threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base import Detector, Device, RGBImage
from ..process.thread_counts import own_process


class OpenCvDetector(Detector):
    """A detector that runs inside OpenCV, which has one number of threads for the whole process.

    It is set in a process of the detector's own only, and read back everywhere.
    """

    must_load = ("cv2",)

    def __init__(
        self,
        *,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
        operating_threshold: float | None = None,
    ) -> None:
        super().__init__(
            device=device, threads=threads, score_floor=score_floor, operating_threshold=operating_threshold
        )
        import cv2

        if own_process():
            cv2.setNumThreads(threads)

    def threads_used(self) -> int | None:
        """Read OpenCV's thread count."""
        import cv2

        return int(cv2.getNumThreads())


def to_bgr(image: RGBImage) -> NDArray[np.uint8]:
    """Return a contiguous copy with the channels turned round."""
    import cv2

    # a twentieth of the time of turning the last axis round with NumPy
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR), dtype=np.uint8)

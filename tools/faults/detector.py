"""A quick detector whose answer depends on every pixel, so that a result that is not the image's own is seen."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path

import numpy as np

from ...detectors import Detections, Detector, DetectorInfo, Device, RGBImage

SPEC = f"{__name__}:PixelHash"
MOST_BOXES = 24


class PixelHash(Detector):
    """Draws boxes from a generator that the pixels seed.

    Args:
        pause_ms: how long it waits in each call.
        calls: folder in which it writes down its calls, a line each; "" for none.
        device: "cpu".
        threads: not used.
        score_floor: lowest score kept.
    """

    info = DetectorInfo(
        name="pixel-hash",
        family="test",
        package="none",
        licence="MIT",
        score_kind="probability",
        devices=("cpu",),
        landmarks=True,
        trained_on=(),
        reference="facebench: a detector for tests of facebench itself",
        operating_threshold=0.5,
        score_floor=0.5,  # so that one pass gives boxes and times, as the trials count them
    )

    def __init__(
        self,
        *,
        pause_ms: float = 0.0,
        calls: str = "",
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
    ) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self._pause_s = pause_ms / 1000
        self._calls = Path(calls) if calls else None

    def detect(self, image: RGBImage) -> Detections:
        """Return up to `MOST_BOXES` boxes with landmarks."""
        time.sleep(self._pause_s)
        seed = zlib.crc32(image.tobytes())
        if self._calls is not None:
            _append(self._calls / "calls", f"{seed}\n")
        random = np.random.default_rng(seed)
        count = int(random.integers(0, MOST_BOXES + 1))
        height, width = image.shape[:2]
        corners = random.uniform(0, (width / 2, height / 2), (count, 2))
        boxes = np.hstack([corners, corners + random.uniform(1, (width / 2, height / 2), (count, 2))])
        scores = random.uniform(self.info.score_floor, 1, count)
        found = Detections.from_arrays(boxes, scores, random.uniform(0, width, (count, 5, 2)))
        return found.above(self.score_floor)


def _append(path: Path, line: str) -> None:
    """Write one line in one call, so that lines of several processes do not mix."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)

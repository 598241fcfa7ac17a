"""A detector made slower by a known share: what the gate must find."""

from __future__ import annotations

import time

from ..detectors import Detections, Detector, DetectorInfo, Device, RGBImage, create
from ..detectors.resized import ResizedDetector
from ..errors import UsageError


class Slowed(Detector):
    """YuNet at a longer side of 320 px, which after each call keeps the processor busy for a share of its time.

    Args:
        percent: of the time that the call took; 0 for none, and the code that runs is the same.
    """

    info = DetectorInfo(
        name="slowed",
        family="single-stage CNN",
        package="opencv-contrib-python",
        licence="Apache-2.0",
        score_kind="probability",
        devices=("cpu",),
        landmarks=True,
        reference="tools/slowed.py",
        operating_threshold=0.9,
        score_floor=0.02,
    )

    def __init__(
        self, *, percent: float = 0.0, device: Device = "cpu", threads: int = 1, score_floor: float | None = None
    ) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        if percent < 0:
            raise UsageError(f"slowed:percent={percent}: expected 0 or more")
        yunet = create("yunet", device=device, threads=threads, score_floor=score_floor)
        self._detector = ResizedDetector(yunet, "long=320")
        self._share = percent / 100

    @classmethod
    def model_names(cls, **parameters: object) -> tuple[str, ...]:
        """Return YuNet's network."""
        return ("yunet",)

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces, then burn the extra time."""
        began = time.perf_counter()
        found = self._detector.detect(image)
        end = began + (time.perf_counter() - began) * (1 + self._share)
        while time.perf_counter() < end:
            pass
        return found

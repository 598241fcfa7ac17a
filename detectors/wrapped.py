"""A detector around another one: what is asked of it beside images, the other one answers."""

from __future__ import annotations

from .base import Detector, Device
from .stages import StageClock


class WrappedDetector(Detector):
    """A detector that holds another one and closes it with itself; a subclass says what `detect` makes of it.

    Args:
        detector: what to wrap, built already: there is nothing to load or to check. Card, device, threads, thresholds
            and clock are its own.
    """

    def __init__(self, detector: Detector) -> None:
        self.info = detector.info  # type: ignore[misc]
        self.device = detector.device
        self.threads = detector.threads
        self.operating_threshold = detector.operating_threshold
        self.score_floor = detector.score_floor
        # a third party's detector may do without the constructor of its base
        self.clock = getattr(detector, "clock", None) or StageClock()
        self._detector = detector

    def device_used(self) -> Device:
        """Ask the wrapped detector."""
        return self._detector.device_used()

    def threads_used(self) -> int | None:
        """Ask the wrapped detector."""
        return self._detector.threads_used()

    def device_memory_mb(self) -> float | None:
        """Ask the wrapped detector."""
        return self._detector.device_memory_mb()

    def close(self) -> None:
        """Close the wrapped detector."""
        self._detector.close()

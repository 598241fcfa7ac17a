"""How a detector is run: what a cell measured, what a pick stores, and what `default` means everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np

from ..errors import ContractError, UsageError
from .base import Detections, Detector, Device, RGBImage
from .images import check_image
from .registry import DetectorSpec, create, resolve
from .resized import WrappedDetector, check_size, resized


@dataclass(frozen=True, slots=True)
class Setting:
    """A detector with everything that decides its answers and its speed.

    Attributes:
        spec: spec string, such as "yunet" or "haar:scale_factor=1.05".
        threshold: score from which a detection is a face; None for the detector's own operating threshold.
        size: how images are given, see `detectors.resized`.
        device: "cpu" or "cuda".
        threads: CPU threads.

    Raises:
        UsageError: a value has the wrong type or is out of range. Whether there is such a detector is found out by
            `resolve`, since a setting can be read where its package is not installed.
    """

    spec: str
    threshold: float | None = None
    size: str = "original"
    device: Device = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.spec, str) or not self.spec.strip():
            raise UsageError(f"spec: got {self.spec!r}, expected the name of a detector, such as yunet")
        if self.threshold is not None and not _is_finite_number(self.threshold):
            raise UsageError(f"threshold: got {self.threshold!r}, expected a finite number")
        if not isinstance(self.size, str):
            raise UsageError(f"size: got {self.size!r}, expected text such as original or long=640")
        check_size(self.size)
        if self.device not in ("cpu", "cuda"):
            raise UsageError(f"device: got {self.device!r}, expected cpu or cuda")
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise UsageError(f"threads: got {self.threads!r}, expected a whole number of at least 1")

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            UsageError: a field is missing or unknown, or its value is wrong.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in document]:
            raise UsageError(f"{missing[0]} is missing, expected {', '.join(names)}")
        if unknown := sorted(set(document) - set(names)):
            raise UsageError(f"{unknown[0]!r} is unknown, expected {', '.join(names)}; is it of a newer facebench?")
        return cls(**document)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @property
    def words(self) -> str:
        """Everything but the detector, in words."""
        at = "its own threshold" if self.threshold is None else f"threshold {self.threshold:.4g}"
        return f"{at}, size {self.size}, {self.device}, {self.threads} thread{'s' * (self.threads > 1)}"

    def resolve(self) -> DetectorSpec:
        """Look the detector up.

        Raises:
            UsageError: there is no such detector or parameter.
        """
        return resolve(self.spec)

    def build(self) -> ThresholdedDetector:
        """Build the detector in this process; its answers are those that a run stores, cut at the threshold.

        Raises:
            UsageError: there is no such detector or parameter.
            UnavailableError: a package or model file is missing.
            DeviceError: the device cannot be used.
        """
        return self._thresholded(
            create(self.spec, device=self.device, threads=self.threads, score_floor=floor_below(self.threshold))
        )

    def build_from(self, score_floor: float | None) -> tuple[Detector, Detector]:
        """Build the detector as a measuring child needs it.

        Args:
            score_floor: return detections down to this score, uncut; None: as `build` does.

        Returns:
            The detector to ask, and the adapter's own inside it. Where nothing lies below the threshold, the first is
            what `build` gives.

        Raises:
            UsageError, UnavailableError, DeviceError: as `build` does.
        """
        floor = floor_below(self.threshold) if score_floor is None else score_floor
        inner = create(self.spec, device=self.device, threads=self.threads, score_floor=floor)
        whole = self._thresholded(inner)
        uncut = score_floor is not None and inner.score_floor < whole.operating_threshold
        return (resized(inner, self.size) if uncut else whole), inner

    def _thresholded(self, detector: Detector) -> ThresholdedDetector:
        threshold = detector.operating_threshold if self.threshold is None else self.threshold
        return ThresholdedDetector(resized(detector, self.size), threshold)


class ThresholdedDetector(WrappedDetector):
    """A detector that returns only what reaches its threshold; this is where users' images enter, so they are checked.

    Args:
        detector: what to wrap; it is closed with this one.
        threshold: lowest score returned; it is compared as float32, as scores are.
    """

    def __init__(self, detector: Detector, threshold: float) -> None:
        super().__init__(detector)
        self.operating_threshold = threshold
        self.score_floor = max(threshold, detector.score_floor)

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one image.

        Raises:
            UsageError: `image` is not uint8 (height, width, 3).
        """
        check_image(image)
        return self._cut("detect", self._detector.detect(image))

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Find the faces in several images.

        Raises:
            UsageError: one of them is not uint8 (height, width, 3).
            ContractError: there is not one answer for each image.
        """
        for image in images:
            check_image(image)
        found = self._detector.detect_batch(images)
        if len(found) != len(images):
            raise ContractError(f"detect_batch must return a result for each of {len(images)} images, got {len(found)}")
        return [self._cut("detect_batch", one) for one in found]

    def _cut(self, method: str, found: object) -> Detections:
        if not isinstance(found, Detections):
            raise ContractError(f"{method} must return facebench.Detections, got {type(found).__name__}")
        return found.above(self.operating_threshold)


def floor_below(threshold: float | None) -> float | None:
    """Return the float32 just below a threshold: some libraries keep what is above a floor, others what reaches it."""
    if threshold is None:
        return None
    limits = np.finfo(np.float32)
    return float(np.nextafter(np.float32(np.clip(threshold, limits.min, limits.max)), limits.min))


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

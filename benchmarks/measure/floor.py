"""What the harness itself costs, measured with a detector that does nothing."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ...detectors import Detections, Detector, DetectorInfo
from ..store.run_document import Floor
from .detector_process import DetectorProcess, Limits

if TYPE_CHECKING:
    from ...detectors import RGBImage

_SHAPE = (768, 1024, 3)
_CALLS = 100
_WARM_UP_CALLS = 20


class Nothing(Detector):
    """A detector that does nothing: what remains is the harness."""

    info = DetectorInfo(
        name="nothing",
        family="none",
        package="facebench",
        licence="MIT",
        score_kind="none",
        devices=("cpu",),
        landmarks=False,
        trained_on=(),
        reference="benchmarks/measure/floor.py",
    )

    def detect(self, image: RGBImage) -> Detections:
        """Find nothing."""
        return Detections.empty()


def measure_floor(limits: Limits | None = None) -> Floor:
    """Measure it in a child, as detectors are."""
    image = np.random.default_rng(0).integers(0, 256, _SHAPE, dtype=np.uint8)
    inside, outside = [], []
    with DetectorProcess(f"{__name__}:{Nothing.__name__}", limits=limits) as child:
        child.start()
        for _ in range(_WARM_UP_CALLS + _CALLS):
            began = perf_counter()
            inside.append(child.detect(image).detect_ms)
            outside.append((perf_counter() - began) * 1000)
    return Floor(float(np.median(inside[_WARM_UP_CALLS:])), float(np.median(outside[_WARM_UP_CALLS:])), _CALLS)

"""dlib's frontal face detector: a support vector machine over HOG features (Dalal and Triggs, CVPR 2005)."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from ...errors import UsageError
from ..base import BuildOptions, Detections, Detector, DetectorInfo, Range, RGBImage
from ..boxes import just_below
from ..process import PerProcess


class Hog(Detector):
    """Five linear filters over a HOG pyramid; dlib does all in one call, which counts as inference.

    Args:
        upsample: how often the image is doubled first; 1 finds faces from about 40 px.
        adjust_threshold: margin from which a window is a face; lower finds more.
    """

    info = DetectorInfo(
        name="hog",
        family="HOG + SVM",
        package="dlib-bin",
        licence="BSL-1.0",
        score_kind="margin",
        devices=("cpu",),
        landmarks=False,
        trained_on=("LFW",),
        reference="Dalal, Triggs: Histograms of Oriented Gradients for Human Detection, CVPR 2005; dlib.net",
        operating_threshold=0.0,
        score_floor=-0.5,
        weights_licence="BSL-1.0",
    )
    requires = ("dlib",)
    extra = "dlib"
    ranges = (Range("upsample", 0, 4, "(each doubles the image)"),)
    reference_scores = (1.078, -0.118)

    def __init__(self, *, upsample: int = 1, adjust_threshold: float = 0.0, **options: Unpack[BuildOptions]) -> None:
        super().__init__(operating_threshold=adjust_threshold, **options)
        import dlib

        self._detector = PerProcess(dlib.get_frontal_face_detector)
        self._upsample = upsample

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges."""
        super().check_parameters(**parameters)
        if not math.isfinite(parameters["adjust_threshold"]):
            raise UsageError(f"hog:adjust_threshold={parameters['adjust_threshold']}: expected a finite number")

    def detect(self, image: RGBImage) -> Detections:
        """Run the five filters."""
        converted = np.ascontiguousarray(image)
        with self._detector.alone() as detector:
            self.clock.inference()
            found, scores, _ = detector.run(converted, self._upsample, just_below(self.score_floor))
        self.clock.post()
        boxes = [corners(rectangle) for rectangle in found]
        return Detections.from_arrays(boxes, list(scores)).above(self.score_floor)

    def threads_used(self) -> int | None:
        """Dlib runs this detector in the calling thread."""
        return 1


def corners(rectangle: Any) -> tuple[int, int, int, int]:
    """Convert a dlib rectangle, whose right and bottom are the last pixels inside, to x1, y1, x2, y2."""
    return rectangle.left(), rectangle.top(), rectangle.right() + 1, rectangle.bottom() + 1

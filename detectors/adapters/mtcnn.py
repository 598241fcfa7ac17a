"""MTCNN of the PyPI package, on TensorFlow (Zhang et al., IEEE SPL 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DeviceError, UsageError
from ..base import Detections, Detector, DetectorInfo, Device, RGBImage
from ..boxes import just_below
from ..process.per_process import refuse_fork
from ..process.thread_counts import own_process

THRESHOLDS = (0.6, 0.7, 0.8)
"""Of the three stages, as the package has them by default."""

SMALLEST_SIDE = 12
"""Pixels that the first stage looks at; a smaller picture has no place for it."""


class Mtcnn(Detector):
    """Three networks, each judging what the one before it let through; their stages alternate, so none is marked.

    TensorFlow takes threads and devices once a process; they are set in a process of the detector's own only. It does
    not survive a fork: where a detector was built before one, the child gets an error.

    Args:
        min_face_size: smallest face, pixels; the pyramid starts there.
        thresholds: probability that each stage demands.
    """

    info = DetectorInfo(
        name="mtcnn",
        family="CNN cascade",
        package="mtcnn",
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        trained_on=("WIDER FACE", "CelebA"),
        reference="Zhang et al.: Joint Face Detection and Alignment using Multi-task Cascaded Networks, SPL 2016",
        operating_threshold=THRESHOLDS[2],
        score_floor=THRESHOLDS[2],
        note="its own last threshold ends the precision-recall curve; "
        "the author of the package mtcnn says that the weights are not for commercial use (ipazc/mtcnn, issue 53)",
        weights_licence="LicenseRef-non-commercial",
    )
    requires = ("tensorflow", "mtcnn")
    extra = "mtcnn"
    reference_scores = (1.0, 0.0)

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
        import tensorflow
        from mtcnn import MTCNN

        self._tensorflow = tensorflow
        refuse_fork("TensorFlow")
        _check_device(tensorflow, device)
        if own_process():
            _set_threads(tensorflow, threads)
            _set_device(tensorflow, device)
        self._options = {
            "min_face_size": min_face_size,
            "threshold_pnet": thresholds[0],
            "threshold_rnet": thresholds[1],
            "threshold_onet": just_below(thresholds[2]),
        }
        place = "GPU:0" if device == "cuda" else "CPU:0"
        with tensorflow.device(place):
            self._detector = MTCNN(device=place)
        if self.device_used() != device:
            raise DeviceError(
                f"asked TensorFlow {tensorflow.__version__} for {device}, it put the weights on {self.device_used()}; "
                "use a process that has not used TensorFlow before"
            )

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges."""
        check_parameters("mtcnn", parameters)

    def detect(self, image: RGBImage) -> Detections:
        """Run the three stages."""
        if min(image.shape[:2]) < SMALLEST_SIDE:
            return Detections.empty(landmarks=True)
        refuse_fork("TensorFlow")
        rows = self._detector.detect_faces(
            np.ascontiguousarray(image), fit_to_image=False, box_format="xyxy", output_type="numpy", **self._options
        ).reshape(-1, 16)
        # the package's docstring says x, y, x, y …; the rows hold the five x before the five y
        points = rows[:, 6:16].reshape(-1, 2, 5).transpose(0, 2, 1)
        return Detections.from_arrays(rows[:, 1:5], rows[:, 5], points).above(self.score_floor)

    def device_used(self) -> Device:
        """Read where TensorFlow placed the last layer's weights."""
        weights = self._detector.stages[-1].model.weights[0]
        return "cuda" if "GPU" in str(weights.value.device) else "cpu"

    def threads_used(self) -> int | None:
        """Read TensorFlow's threads: within an operator or between operators, the larger number."""
        threading = self._tensorflow.config.threading
        return int(max(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()))

    def device_memory_mb(self) -> float | None:
        """Read the peak of TensorFlow's allocator."""
        if self.device_used() != "cuda":
            return None
        return float(self._tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20


def _check_device(tensorflow: Any, device: Device) -> None:
    if device == "cuda" and not tensorflow.config.list_physical_devices("GPU"):
        built = tensorflow.test.is_built_with_cuda()
        why = "finds no GPU: check the driver" if built else "is built without CUDA: install tensorflow[and-cuda]"
        raise DeviceError(f"TensorFlow {tensorflow.__version__} {why}, or use cpu")


def _set_device(tensorflow: Any, device: Device) -> None:
    """Show TensorFlow the devices that it may use, which it takes only before its first operation."""
    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return
    try:
        tensorflow.config.set_visible_devices(gpus if device == "cuda" else [], "GPU")
    except RuntimeError as error:
        raise DeviceError(
            f"TensorFlow already runs on other devices than {device} in this process: "
            "it takes them only before its first use"
        ) from error


def _set_threads(tensorflow: Any, threads: int) -> None:
    """Set TensorFlow's threads, which it takes only before its first operation."""
    threading = tensorflow.config.threading
    if (threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()) == (threads, 1):
        return
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise UsageError(
            f"TensorFlow already runs with {threading.get_intra_op_parallelism_threads()} threads in this process, "
            f"got {threads}: it takes a number only before its first use"
        ) from error


def check_parameters(name: str, parameters: dict[str, Any]) -> None:
    """Raise UsageError where a parameter of either MTCNN is out of range."""
    if parameters["min_face_size"] < SMALLEST_SIDE:
        raise UsageError(
            f"{name}:min_face_size={parameters['min_face_size']}: expected at least {SMALLEST_SIDE} pixels"
        )
    if not all(0 <= value <= 1 for value in parameters["thresholds"]):
        raise UsageError(f"{name}:thresholds={parameters['thresholds']}: expected three values from 0 to 1")

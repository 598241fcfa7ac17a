"""RetinaFace with a MobileNet0.25 body on ONNX Runtime (Deng et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..base import Detections, Detector, DetectorInfo, Device, RGBImage
from ..models import store as model_store
from ..process.per_process import PerProcess
from ..runtimes import onnx_runtime
from .retinaface_common import OPERATING_THRESHOLD, by_size, check_thresholds, decode, network_input, priors


class RetinaFaceOnnx(Detector):
    """The network at the size of the picture; on CUDA, inference holds the transfers both ways.

    Args:
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
    """

    info = DetectorInfo(
        name="retinaface-onnx",
        family="single-stage CNN",
        package="onnxruntime",
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        reference="Deng et al.: RetinaFace: Single-shot Multi-level Face Localisation in the Wild, CVPR 2020",
        operating_threshold=OPERATING_THRESHOLD,
        score_floor=0.02,
    )
    must_load = ("cv2",)
    reference_scores = (0.999, 0.999)

    def __init__(
        self,
        *,
        confidence: float = OPERATING_THRESHOLD,
        nms_threshold: float = 0.4,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
    ) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor, operating_threshold=confidence)
        self._nms_threshold = nms_threshold
        file = model_store.fetch("retinaface-onnx")
        self._session = PerProcess(lambda: onnx_runtime.open_session(file, device, threads))

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the one network."""
        return ("retinaface-onnx",)

    @classmethod
    def check_parameters(cls, **parameters: Any) -> None:
        """Check ranges."""
        check_thresholds("retinaface-onnx", parameters["confidence"], parameters["nms_threshold"])

    def detect(self, image: RGBImage) -> Detections:
        """Run the network and decode its priors."""
        return self._detect_same_size([image])[0]

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run the pictures of each size through the network at once."""
        return by_size(images, self._detect_same_size)

    def _detect_same_size(self, images: list[RGBImage]) -> list[Detections]:
        height, width = images[0].shape[:2]
        batch = network_input(*images)
        self.clock.inference()
        outputs = self._session.get().run(["loc", "conf", "landmarks"], {"input": batch})
        self.clock.post()
        answers = []
        for locations, scores, points in zip(*outputs, strict=True):
            keep = scores[:, 1] >= self.score_floor
            anchors = priors(height, width)[keep]
            answers.append(
                decode(locations[keep], scores[keep, 1], points[keep], anchors, (height, width), self._nms_threshold)
            )
        return answers

    def device_used(self) -> Device:
        """Read the session's provider."""
        return onnx_runtime.device_of(self._session.get())

    def threads_used(self) -> int | None:
        """Read the session's threads."""
        return onnx_runtime.threads_of(self._session.get())

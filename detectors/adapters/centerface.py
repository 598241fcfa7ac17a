"""CenterFace on ONNX Runtime (Xu et al., arXiv:1911.03599)."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from ..base import BuildOptions, Detections, DetectorInfo, Device, Range, RGBImage
from ..boxes import non_maximum_suppression
from ..models import store as model_store
from ..runtimes import OnnxSession, OpenCvDetector

_OUTPUTS = ("537", "538", "539", "540")
_STRIDE = 4


class CenterFace(OpenCvDetector):
    """An anchor-free network: a heat map of face centres with sizes, offsets and landmarks.

    OpenCV's dnn module gives garbage when one net meets images of several sizes, so ONNX Runtime runs it; OpenCV
    stretches the image. On CUDA, inference holds the transfers both ways.

    Args:
        confidence: height of the heat map from which a peak is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
    """

    info = DetectorInfo(
        name="centerface",
        family="anchor-free CNN",
        package="onnxruntime",
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        reference="Xu et al.: CenterFace: Joint Face Detection and Alignment Using Face as Point, arXiv:1911.03599",
        operating_threshold=0.5,
        score_floor=0.02,
    )
    models = ("centerface",)
    ranges = (Range("confidence", 0, 1), Range("nms_threshold", 0, 1))
    reference_scores = (0.912, 0.89)

    def __init__(self, *, confidence: float = 0.5, nms_threshold: float = 0.3, **options: Unpack[BuildOptions]) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self._nms_threshold = nms_threshold
        model = _with_free_sizes(str(model_store.fetch("centerface")))
        self._session = OnnxSession(model, self.device, self.threads)

    def detect(self, image: RGBImage) -> Detections:
        """Stretch the image to multiples of 32, run the network, read the peaks."""
        import cv2

        height, width = image.shape[:2]
        padded = -(-width // 32) * 32, -(-height // 32) * 32
        blob = cv2.dnn.blobFromImage(np.ascontiguousarray(image), 1.0, padded)
        self.clock.inference()
        heat, sizes, offsets, points = self._session.run(_OUTPUTS, {"input.1": blob})
        self.clock.post()
        row, column = np.nonzero(heat[0, 0] >= self.score_floor)
        scores = heat[0, 0, row, column]
        # channels come as y before x
        size = np.exp(sizes[0][::-1, row, column].T) * _STRIDE
        centre = (np.stack([column, row], axis=1) + offsets[0][::-1, row, column].T + 0.5) * _STRIDE
        corner = centre - size / 2
        relative = points[0][:, row, column].T.reshape(-1, 5, 2)[:, :, ::-1]
        landmarks = corner[:, None, :] + relative * size[:, None, :]
        scale = np.array([width / padded[0], height / padded[1]], dtype=np.float32)
        boxes = (np.concatenate([corner, corner + size], axis=1) * np.tile(scale, 2)).astype(np.float32)
        keep = non_maximum_suppression(boxes, scores, self._nms_threshold)
        return Detections.from_arrays(boxes[keep], scores[keep], landmarks[keep] * scale)

    def device_used(self) -> Device:
        """Ask the session."""
        return self._session.device()

    def threads_used(self) -> int | None:
        """Ask the session and OpenCV; the larger number."""
        return max(self._session.threads(), super().threads_used() or 0)


def _with_free_sizes(file: str) -> bytes:
    """Return the model with the fixed [10, 3, 32, 32] of its input and outputs made free."""
    import onnx

    model = onnx.load(file)
    for value in (*model.graph.input, *model.graph.output):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if axis != 1:
                dimension.dim_param = f"{value.name}_{axis}"
    serialised: bytes = model.SerializeToString()
    return serialised

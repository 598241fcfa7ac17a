"""CenterFace from its ONNX graph (Xu et al., arXiv:1911.03599)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions, Detections, DetectorInfo, Range, RGBImage
from ..boxes import non_maximum_suppression
from ..images import run_together
from ..models import store as model_store
from ..runtimes import OnnxNetwork, open_session, with_free_sizes
from ..runtimes.onnx_detector import OnnxDetector
from ..runtimes.sessions import Precision, Runtime

_OUTPUTS = ("537", "538", "539", "540")
_STRIDE = 4


class CenterFace(OnnxDetector):
    """An anchor-free network: a heat map of face centres with sizes, offsets and landmarks.

    Args:
        confidence: height of the heat map from which a peak is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
        runtime: what runs the network.
        precision: in which it computes.
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

    def __init__(
        self,
        *,
        confidence: float = 0.5,
        nms_threshold: float = 0.3,
        runtime: Runtime = "onnxruntime",
        precision: Precision = "fp32",
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self._nms_threshold = nms_threshold
        graph = with_free_sizes(model_store.fetch("centerface"))
        self._session = open_session(
            OnnxNetwork(graph, "input.1", _OUTPUTS, self.device, self.threads, precision), runtime
        )

    def detect(self, image: RGBImage) -> Detections:
        """Stretch the image to multiples of 32, run the network, read the peaks."""
        return self._detect_together([image])[0]

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run images that are stretched to one size through the network at once."""
        return run_together(images, self._detect_together, _stretched)

    def _detect_together(self, images: Sequence[RGBImage]) -> list[Detections]:
        import cv2

        stretched = _stretched(images[0])
        batch = cv2.dnn.blobFromImages([np.ascontiguousarray(image) for image in images], 1.0, stretched)
        self.clock.inference()
        outputs = self._session.run(np.asarray(batch, dtype=np.float32))
        self.clock.post()
        return [
            self._decoded(maps, np.array([image.shape[1] / stretched[0], image.shape[0] / stretched[1]], np.float32))
            for image, *maps in zip(images, *outputs, strict=True)
        ]

    def _decoded(self, maps: Sequence[NDArray[np.float32]], scale: NDArray[np.float32]) -> Detections:
        """Read the peaks of one image: maps (1, h, w), (2, h, w), (2, h, w), (10, h, w); the factors of x and y."""
        heat, sizes, offsets, points = maps
        row, column = np.nonzero(heat[0] >= self.score_floor)
        scores = heat[0, row, column]
        # channels come as y before x
        size = np.exp(sizes[::-1, row, column].T) * _STRIDE
        centre = (np.stack([column, row], axis=1) + offsets[::-1, row, column].T + 0.5) * _STRIDE
        corner = centre - size / 2
        relative = points[:, row, column].T.reshape(-1, 5, 2)[:, :, ::-1]
        landmarks = corner[:, None, :] + relative * size[:, None, :]
        boxes = (np.concatenate([corner, corner + size], axis=1) * np.tile(scale, 2)).astype(np.float32)
        keep = non_maximum_suppression(boxes, scores, self._nms_threshold)
        return Detections.from_arrays(boxes[keep], scores[keep], landmarks[keep] * scale)


def _stretched(image: RGBImage) -> tuple[int, int]:
    """Return width and height as multiples of 32."""
    return -(-image.shape[1] // 32) * 32, -(-image.shape[0] // 32) * 32

"""RetinaFace with a MobileNet0.25 body from its ONNX graph (Deng et al., CVPR 2020)."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions
from ..models import store as model_store
from ..networks.retinaface_common import OPERATING_THRESHOLD, Answer, RetinaFaceFamily, card
from ..runtimes import OnnxNetwork, open_session
from ..runtimes.onnx_detector import OnnxDetector
from ..runtimes.sessions import Precision, Runtime


class RetinaFaceOnnx(RetinaFaceFamily, OnnxDetector):
    """The network in ONNX Runtime or another runtime for ONNX graphs; on CUDA, inference holds the transfers both ways.

    Args:
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
        runtime: what runs the network.
        precision: in which it computes.
    """

    info = card("retinaface-onnx", "onnxruntime")
    models = ("retinaface-onnx",)

    def __init__(
        self,
        *,
        confidence: float = OPERATING_THRESHOLD,
        nms_threshold: float = 0.4,
        runtime: Runtime = "onnxruntime",
        precision: Precision = "fp32",
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(confidence, nms_threshold, **options)
        graph = model_store.fetch("retinaface-onnx").read_bytes()
        outputs = ("loc", "conf", "landmarks")
        self._session = open_session(
            OnnxNetwork(graph, "input", outputs, self.device, self.threads, precision), runtime
        )

    def _run(self, batch: NDArray[np.float32]) -> list[Answer]:
        self.clock.inference()
        outputs = self._session.run(batch)
        self.clock.post()
        answers = []
        for locations, scores, points in zip(*outputs, strict=True):
            keep = scores[:, 1] >= self.score_floor
            answers.append((locations[keep], scores[keep, 1], points[keep], keep))
        return answers

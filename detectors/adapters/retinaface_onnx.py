"""RetinaFace with a MobileNet0.25 body on ONNX Runtime (Deng et al., CVPR 2020)."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions, Device
from ..models import store as model_store
from ..runtimes import OnnxSession
from .retinaface_common import OPERATING_THRESHOLD, Answer, RetinaFaceFamily, card


class RetinaFaceOnnx(RetinaFaceFamily):
    """The network in ONNX Runtime; on CUDA, inference holds the transfers both ways."""

    info = card("retinaface-onnx", "onnxruntime")
    models = ("retinaface-onnx",)

    def __init__(
        self, *, confidence: float = OPERATING_THRESHOLD, nms_threshold: float = 0.4, **options: Unpack[BuildOptions]
    ) -> None:
        super().__init__(confidence, nms_threshold, **options)
        self._session = OnnxSession(model_store.fetch("retinaface-onnx"), self.device, self.threads)

    def _run(self, batch: NDArray[np.float32]) -> list[Answer]:
        self.clock.inference()
        outputs = self._session.run(("loc", "conf", "landmarks"), {"input": batch})
        self.clock.post()
        answers = []
        for locations, scores, points in zip(*outputs, strict=True):
            keep = scores[:, 1] >= self.score_floor
            answers.append((locations[keep], scores[keep, 1], points[keep], keep))
        return answers

    def device_used(self) -> Device:
        """Ask the session."""
        return self._session.device()

    def threads_used(self) -> int | None:
        """Ask the session."""
        return self._session.threads()

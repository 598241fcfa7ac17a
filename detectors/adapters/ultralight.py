"""Ultra-Light-Fast-Generic-Face-Detector-1MB, version RFB-640 (Linzaer, github.com/Linzaer)."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from ..base import BuildOptions, Detections, DetectorInfo, Range, RGBImage
from ..boxes import non_maximum_suppression
from ..models import store as model_store
from ..runtimes import OnnxNetwork, open_session
from ..runtimes.onnx_detector import OnnxDetector
from ..runtimes.sessions import Precision, Runtime

_SIZE = 640, 480
_MOST = 200
"""Boxes looked at before suppression, as upstream's `hard_nms` has it."""


class UltraLight(OnnxDetector):
    """A small SSD that sees every image stretched to 640 x 480 pixels: its priors are written into the graph.

    Args:
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
        runtime: what runs the network.
        precision: in which it computes.
    """

    info = DetectorInfo(
        name="ultralight",
        family="single-stage CNN",
        package="onnxruntime",
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=False,
        reference="Linzaer: Ultra-Light-Fast-Generic-Face-Detector-1MB, 2019",
        operating_threshold=0.7,
        score_floor=0.02,
    )
    models = ("ultralight-rfb-640",)
    ranges = (Range("confidence", 0, 1), Range("nms_threshold", 0, 1))

    def __init__(
        self,
        *,
        confidence: float = 0.7,
        nms_threshold: float = 0.3,
        runtime: Runtime = "onnxruntime",
        precision: Precision = "fp32",
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self._nms_threshold = nms_threshold
        graph = model_store.fetch("ultralight-rfb-640").read_bytes()
        network = OnnxNetwork(graph, "input", ("scores", "boxes"), self.device, self.threads, precision)
        self._session = open_session(network, runtime)

    def detect(self, image: RGBImage) -> Detections:
        """Stretch the image, run the network, which decodes its priors itself, and suppress."""
        import cv2

        blob = cv2.dnn.blobFromImage(np.ascontiguousarray(image), 1 / 128, _SIZE, (127, 127, 127))
        self.clock.inference()
        scores, boxes = self._session.run(np.asarray(blob, dtype=np.float32))
        self.clock.post()
        kept = scores[0, :, 1] >= self.score_floor
        score = scores[0, kept, 1]
        box = boxes[0, kept] * np.tile(np.array(image.shape[1::-1], dtype=np.float32), 2)
        keep = non_maximum_suppression(box, score, self._nms_threshold, _MOST)
        return Detections.from_arrays(box[keep], score[keep])

"""OpenCV's SSD face detector with a reduced ResNet-10 body (Liu et al., ECCV 2016)."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from ..base import BuildOptions, Detections, DetectorInfo, Range, RGBImage
from ..models import store as model_store
from ..process import PerProcess
from ..runtimes import OpenCvDetector, to_bgr


class Ssd(OpenCvDetector):
    """Single-shot detector on an image squeezed to 300×300.

    Args:
        confidence: probability from which a box is a face.
        size: side of the square that the image is squeezed to, pixels.
    """

    info = DetectorInfo(
        name="ssd",
        family="single-stage CNN",
        package="opencv-contrib-python",
        licence="Apache-2.0",
        score_kind="probability",
        devices=("cpu",),
        landmarks=False,
        reference="Liu et al.: SSD: Single Shot MultiBox Detector, ECCV 2016; OpenCV samples/dnn/face_detector",
        operating_threshold=0.5,
        score_floor=0.01,
    )
    models = ("ssd-net", "ssd-weights")
    ranges = (Range("confidence", 0, 1), Range("size", 64, 4096, "pixels"))
    reference_scores = (1.0, 0.933)

    def __init__(self, *, confidence: float = 0.5, size: int = 300, **options: Unpack[BuildOptions]) -> None:
        super().__init__(operating_threshold=confidence, **options)
        import cv2

        self._size = size
        files = [str(model_store.fetch(name)) for name in self.models]
        self._net = PerProcess(lambda: cv2.dnn.readNetFromCaffe(*files))

    def detect(self, image: RGBImage) -> Detections:
        """Squeeze the image to the square, run the network, scale back."""
        import cv2

        height, width = image.shape[:2]
        blob = cv2.dnn.blobFromImage(to_bgr(image), 1.0, (self._size, self._size), (104.0, 177.0, 123.0))
        with self._net.alone() as net:
            net.setInput(blob)
            self.clock.inference()
            rows = net.forward().reshape(-1, 7)
        self.clock.post()
        boxes = rows[:, 3:7] * np.array([width, height, width, height], dtype=np.float32)
        keep = (rows[:, 2] >= self.score_floor) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
        return Detections.from_arrays(boxes[keep], rows[keep, 2])

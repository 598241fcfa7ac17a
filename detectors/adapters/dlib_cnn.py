"""dlib's CNN face detector, trained with max-margin object detection (King, arXiv:1502.00046)."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from ..base import BuildOptions, Detections, Detector, DetectorInfo, Range, RGBImage
from ..models import store as model_store
from ..process import PerProcess, refuse_fork
from .hog import corners

NETWORKS = "dlib's CNN"
"""What `refuse_fork` calls the library."""

SMALLEST_SIDE = 10
"""Pixels; dlib raises on an image less than 10 wide or 7 high."""


class DlibCnn(Detector):
    """A small fully convolutional network over an image pyramid; dlib does all in one call, which counts as inference.

    dlib's networks share threads that no forked child has: where one was used before a fork, the child gets an error.

    Args:
        upsample: how often the image is doubled first. Each step costs four times the time and memory.
    """

    info = DetectorInfo(
        name="dlib-cnn",
        family="CNN over a pyramid",
        package="dlib-bin",
        licence="BSL-1.0",
        score_kind="margin",
        devices=("cpu",),
        landmarks=False,
        reference="King: Max-Margin Object Detection, arXiv:1502.00046",
        note="dlib-bin is built without CUDA",
    )
    requires = ("dlib",)
    extra = "dlib"
    models = ("dlib-cnn",)
    ranges = (Range("upsample", 0, 2, "(2 has been seen to take 40 GB of memory)"),)
    reference_scores = (1.074, 1.095)

    def __init__(self, *, upsample: int = 0, **options: Unpack[BuildOptions]) -> None:
        super().__init__(**options)
        import dlib

        file = str(model_store.fetch("dlib-cnn"))
        self._detector = PerProcess(lambda: dlib.cnn_face_detection_model_v1(file))
        self._upsample = upsample

    def detect(self, image: RGBImage) -> Detections:
        """Run the network, unless the image is smaller than its pyramid can hold."""
        if min(image.shape[:2]) << self._upsample < SMALLEST_SIDE:
            return Detections.empty()
        refuse_fork(NETWORKS)
        converted = np.ascontiguousarray(image)
        with self._detector.alone() as detector:
            self.clock.inference()
            found = detector(converted, self._upsample)
        self.clock.post()
        return Detections.from_arrays([corners(face.rect) for face in found], [face.confidence for face in found])

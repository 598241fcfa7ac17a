"""SCRFD of InsightFace (Guo et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions, Detections, DetectorInfo, Range, RGBImage
from ..boxes import non_maximum_suppression
from ..images import run_together
from ..models import store as model_store
from ..runtimes import OnnxNetwork, open_session, with_free_sizes
from ..runtimes.graphs import names_of
from ..runtimes.onnx_detector import OnnxDetector
from ..runtimes.sessions import Precision, Runtime

_STRIDES = (8, 16, 32)
_AT_A_PLACE = 2
_DIVISOR = 32


class Scrfd(OnnxDetector):
    """An anchor-based network whose anchors are points, at the size of the image on a black border to a multiple of 32.

    InsightFace itself shows it every image in a square of 640 pixels, black beside the image: `--size long=640` comes
    near that.

    Args:
        weights: "500m", "2.5g" or "10g": multiply-adds at 640 x 480 pixels.
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
        runtime: what runs the network.
        precision: in which it computes.
    """

    info = DetectorInfo(
        name="scrfd",
        family="single-stage CNN",
        package="onnxruntime",
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        reference="Guo et al.: Sample and Computation Redistribution for Efficient Face Detection, ICLR 2022",
        operating_threshold=0.5,
        score_floor=0.02,
    )
    ranges = (Range("confidence", 0, 1), Range("nms_threshold", 0, 1))

    def __init__(
        self,
        *,
        weights: Literal["500m", "2.5g", "10g"] = "500m",
        confidence: float = 0.5,
        nms_threshold: float = 0.4,
        runtime: Runtime = "onnxruntime",
        precision: Precision = "fp32",
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self._nms_threshold = nms_threshold
        graph = with_free_sizes(model_store.fetch(f"scrfd-{weights}"))
        given, outputs = names_of(graph)
        network = OnnxNetwork(graph, given, outputs, self.device, self.threads, precision)
        self._session = open_session(network, runtime)

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the file of these weights."""
        return (f"scrfd-{parameters['weights']}",)

    def detect(self, image: RGBImage) -> Detections:
        """Run the network at the size of the image."""
        return self._detect_together([image])[0]

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run images that get the same size by their borders through the network at once."""
        return run_together(images, self._detect_together, _bordered_size)

    def _detect_together(self, images: Sequence[RGBImage]) -> list[Detections]:
        import cv2

        height, width = _bordered_size(images[0])
        bordered = []
        for image in images:
            below, beside = height - image.shape[0], width - image.shape[1]
            bordered.append(cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT))
        batch = cv2.dnn.blobFromImages(bordered, 1 / 128, mean=(127.5, 127.5, 127.5))
        self.clock.inference()
        outputs = self._session.run(np.asarray(batch, dtype=np.float32))
        self.clock.post()
        if outputs[0].ndim == 2 and len(images) > 1:  # the official files have images and anchors in one axis
            return [self._detect_together([image])[0] for image in images]
        maps = [output.reshape(len(images), -1, output.shape[-1]) for output in outputs]
        return [self._decoded([level[place] for level in maps], width) for place in range(len(images))]

    def _decoded(self, maps: Sequence[NDArray[np.float32]], width: int) -> Detections:
        """Return the faces of one image: maps (anchors, 1), (anchors, 4), (anchors, 10) of three strides each."""
        scores, boxes, points = [], [], []
        for level, stride in enumerate(_STRIDES):
            score, sides, offsets = maps[level :: len(_STRIDES)]
            kept = np.flatnonzero(score[:, 0] >= self.score_floor)
            place, columns = kept // _AT_A_PLACE, width // stride
            centre = np.stack([place % columns, place // columns], axis=1).astype(np.float32) * stride
            # at the lowest scores some are below 0
            distance = np.maximum(sides[kept], 0) * stride
            scores.append(score[kept, 0])
            boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1))
            points.append(offsets[kept].reshape(-1, 5, 2) * stride + centre[:, None])
        score, box = np.concatenate(scores), np.concatenate(boxes)
        keep = non_maximum_suppression(box, score, self._nms_threshold)
        return Detections.from_arrays(box[keep], score[keep], np.concatenate(points)[keep])


def _bordered_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    height, width = (-(-side // _DIVISOR) * _DIVISOR for side in image.shape[:2])
    return height, width

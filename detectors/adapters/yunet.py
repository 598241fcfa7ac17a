"""YuNet, the face detector of OpenCV's model zoo (Wu et al., Machine Intelligence Research 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions, Detections, DetectorInfo, Range, RGBImage
from ..boxes import just_below, non_maximum_suppression, xywh_to_xyxy
from ..images import run_together
from ..models import store as model_store
from ..process import PerProcess
from ..runtimes import OnnxNetwork, open_session, to_bgr, with_free_sizes
from ..runtimes.onnx_detector import OnnxDetector
from ..runtimes.opencv_dnn import OpenCvSession
from ..runtimes.sessions import Precision, Runtime

SMALLEST_SIDE = 33
"""Pixels; OpenCV 4.14 rounds a smaller side up to 32 and then reads memory that nobody has written."""
_DIVISOR = 32
_STRIDES = (8, 16, 32)
_OUTPUTS = tuple(f"{name}_{stride}" for name in ("cls", "obj", "bbox", "kps") for stride in _STRIDES)
_MODELS = {"2023mar": "yunet", "n": "yunet-n-640"}


class YuNet(OnnxDetector):
    """An anchor-free network of 75,000 weights, at the size of the image on a black border up to a multiple of 32.

    In OpenCV `cv2.FaceDetectorYN` runs it, decodes and suppresses boxes in one call, all of which counts as inference.
    In the other runtimes this is done here by its rule, down to the whole pixels by which it compares boxes.

    Args:
        confidence: probability from which a box is a face.
        nms_threshold: IoU from which the weaker of two boxes is dropped.
        top_k: boxes kept before suppression.
        weights: "2023mar", or "n": the larger network of libfacedetection.train.
        runtime: what runs the network.
        precision: in which it computes.
    """

    info = DetectorInfo(
        name="yunet",
        family="single-stage CNN",
        package="onnxruntime",
        licence="Apache-2.0",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        reference="Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, MIR 2023",
        operating_threshold=0.9,
        score_floor=0.02,
    )
    ranges = (Range("confidence", 0, 1), Range("nms_threshold", 0, 1), Range("top_k", 1))
    reference_scores = (0.91, 0.87)

    def __init__(
        self,
        *,
        confidence: float = 0.9,
        nms_threshold: float = 0.45,
        top_k: int = 5000,
        weights: Literal["2023mar", "n"] = "2023mar",
        runtime: Runtime = "onnxruntime",
        precision: Precision = "fp32",
        **options: Unpack[BuildOptions],
    ) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self._nms_threshold, self._top_k = nms_threshold, top_k
        file = model_store.fetch(_MODELS[weights])
        network = OnnxNetwork(with_free_sizes(file), "input", _OUTPUTS, self.device, self.threads, precision)
        self._session = open_session(network, runtime)
        self._library: PerProcess[Any] | None = None
        if isinstance(self._session, OpenCvSession):
            import cv2

            lowest = max(0.0, just_below(self.score_floor))
            self._library = PerProcess(
                lambda: cv2.FaceDetectorYN.create(str(file), "", (320, 320), lowest, nms_threshold, top_k)
            )

    @classmethod
    def model_names(cls, **parameters: Any) -> tuple[str, ...]:
        """Return the file of these weights."""
        return (_MODELS[parameters["weights"]],)

    def detect(self, image: RGBImage) -> Detections:
        """Run the network at the size of the image."""
        return self._by_library(image) if self._library else self._detect_together([image])[0]

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run images that get the same size by their borders through the network at once; one by one in OpenCV."""
        if self._library:
            return super().detect_batch(images)
        return run_together(images, self._detect_together, _bordered_size)

    def batches(self) -> bool:
        """OpenCV's FaceDetectorYN takes one image."""
        return self._library is None

    def _by_library(self, image: RGBImage) -> Detections:
        assert self._library is not None
        bgr = _bordered(to_bgr(image), *(max(side, SMALLEST_SIDE) for side in image.shape[:2]))
        with self._library.alone() as net:
            net.setInputSize((bgr.shape[1], bgr.shape[0]))
            self.clock.inference()
            rows: NDArray[Any] | None = net.detect(bgr)[1]
        self.clock.post()
        if rows is None:
            return Detections.empty(landmarks=True)
        # its "right eye" is the person's, which is on the left as seen
        found = Detections.from_arrays(xywh_to_xyxy(rows[:, :4]), rows[:, 14], rows[:, 4:14])
        return found.above(self.score_floor)

    def _detect_together(self, images: Sequence[RGBImage]) -> list[Detections]:
        import cv2

        height, width = _bordered_size(images[0])
        bordered = [_bordered(np.ascontiguousarray(image), height, width) for image in images]
        batch = np.asarray(cv2.dnn.blobFromImages(bordered, swapRB=True), dtype=np.float32)
        self.clock.inference()
        outputs = self._session.run(batch)
        self.clock.post()
        return [self._decoded([output[place] for output in outputs], width) for place in range(len(images))]

    def _decoded(self, maps: Sequence[NDArray[np.float32]], width: int) -> Detections:
        """Return the faces of one image: maps (cells, 1), (cells, 1), (cells, 4), (cells, 10) of three strides."""
        scores, boxes, points = [], [], []
        for level, stride in enumerate(_STRIDES):
            classes, objects, sides, offsets = maps[level :: len(_STRIDES)]
            score = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
            kept = np.flatnonzero(score >= self.score_floor)
            cell = np.stack([kept % (width // stride), kept // (width // stride)], axis=1).astype(np.float32)
            size = np.exp(sides[kept, 2:]) * stride
            corner = (cell + sides[kept, :2]) * stride - size / 2
            scores.append(score[kept])
            boxes.append(np.concatenate([corner, size], axis=1))
            points.append((offsets[kept].reshape(-1, 5, 2) + cell[:, None]) * stride)
        score, box = np.concatenate(scores), np.concatenate(boxes)
        whole = xywh_to_xyxy(np.trunc(box))
        keep = non_maximum_suppression(whole, score, self._nms_threshold, self._top_k)
        return Detections.from_arrays(xywh_to_xyxy(box[keep]), score[keep], np.concatenate(points)[keep])


def _bordered_size(image: NDArray[np.uint8]) -> tuple[int, int]:
    height, width = (-(-max(side, SMALLEST_SIDE) // _DIVISOR) * _DIVISOR for side in image.shape[:2])
    return height, width


def _bordered(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the image with black below and beside it up to a size."""
    import cv2

    below, beside = height - image.shape[0], width - image.shape[1]
    if not below and not beside:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT), dtype=np.uint8)

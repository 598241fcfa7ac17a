"""What the RetinaFace adapters share but the run of the network (Deng et al., CVPR 2020; MobileNet0.25 body)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..base import BuildOptions, Detections, Detector, DetectorInfo, Range, RGBImage
from ..boxes import non_maximum_suppression
from ..images import run_together

MEAN_BGR = (104.0, 117.0, 123.0)
MIN_SIZES = ((16, 32), (64, 128), (256, 512))
STEPS = (8, 16, 32)
VARIANCES = (0.1, 0.2)
OPERATING_THRESHOLD = 0.6
"""`vis_thres` of the reference implementation's test script."""

Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]
"""Of one image: locations (k, 4), scores (k,), points (k, 10) that are kept, and whether each of the n priors is."""


def card(name: str, package: str) -> DetectorInfo:
    """Return the card of the network in one runtime."""
    return DetectorInfo(
        name=name,
        family="single-stage CNN",
        package=package,
        licence="MIT",
        score_kind="probability",
        devices=("cpu", "cuda"),
        landmarks=True,
        reference="Deng et al.: RetinaFace: Single-shot Multi-level Face Localisation in the Wild, CVPR 2020",
        operating_threshold=OPERATING_THRESHOLD,
        score_floor=0.02,
    )


class RetinaFaceFamily(Detector):
    """The network at the size of the image, whatever runs it.

    Args:
        confidence: probability from which a box is a face.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
    """

    must_load = ("cv2",)
    ranges = (Range("confidence", 0, 1), Range("nms_threshold", 0, 1))
    reference_scores = (0.999, 0.999)

    def __init__(self, confidence: float, nms_threshold: float, **options: Unpack[BuildOptions]) -> None:
        super().__init__(operating_threshold=confidence, **options)
        self._nms_threshold = nms_threshold

    def detect(self, image: RGBImage) -> Detections:
        """Run the network and decode its priors."""
        return self._detect_together([image])[0]

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        """Run the images of each size through the network at once; the answers come in the images' order."""
        return run_together(images, self._detect_together)

    def _detect_together(self, images: list[RGBImage]) -> list[Detections]:
        height, width = images[0].shape[:2]
        answers = self._run(network_input(*images))
        return [
            decode(locations, scores, points, priors(height, width)[rows], (height, width), self._nms_threshold)
            for locations, scores, points, rows in answers
        ]

    @abstractmethod
    def _run(self, batch: NDArray[np.float32]) -> list[Answer]:
        """Run the network over float32 (n, 3, height, width), and return what reaches the score floor."""


def network_input(*images: RGBImage) -> NDArray[np.float32]:
    """Return float32 (n, 3, height, width) of n images of one size: blue, green, red, mean taken off."""
    batch = np.empty((len(images), 3, *images[0].shape[:2]), dtype=np.float32)
    for planes, image in zip(batch, images, strict=True):
        planes[...] = image[:, :, ::-1].transpose(2, 0, 1)
    batch -= np.array(MEAN_BGR, dtype=np.float32)[:, None, None]
    return batch


@lru_cache(maxsize=8)
def priors(height: int, width: int) -> NDArray[np.float32]:
    """Return the prior boxes of an image: float32 (n, 4), centre x, centre y, width, height over image size.

    The same numbers as `retinaface.prior_box.priorbox` of retinaface-pytorch, without its loop over every cell.
    """
    levels = []
    for step, sizes in zip(STEPS, MIN_SIZES, strict=True):
        rows, columns = math.ceil(height / step), math.ceil(width / step)
        x = (np.arange(columns) + 0.5) * step / width
        y = (np.arange(rows) + 0.5) * step / height
        level = np.empty((rows, columns, len(sizes), 4))
        level[..., 0] = x[None, :, None]
        level[..., 1] = y[:, None, None]
        level[..., 2] = np.array(sizes) / width
        level[..., 3] = np.array(sizes) / height
        levels.append(level.reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def decode(
    locations: NDArray[np.float32],
    scores: NDArray[np.float32],
    points: NDArray[np.float32],
    anchors: NDArray[np.float32],
    image_size: tuple[int, int],
    nms_threshold: float,
    top_k: int = 5000,
    keep_top_k: int = 750,
) -> Detections:
    """Turn network output into detections.

    Args:
        locations: (n, 4) offsets of centre and logarithm of size, in units of the priors.
        scores: (n,) probability of a face.
        points: (n, 10) offsets of five landmarks.
        anchors: (n, 4) the priors of these rows.
        image_size: height and width, pixels.
        nms_threshold: IoU above which the weaker of two boxes is dropped.
        top_k: boxes looked at, as in the reference implementation.
        keep_top_k: boxes returned at most, likewise.
    """
    height, width = image_size
    scale = np.array([width, height], dtype=np.float32)
    centres = anchors[:, :2] + locations[:, :2] * np.float32(VARIANCES[0]) * anchors[:, 2:]
    sizes = anchors[:, 2:] * np.exp(locations[:, 2:] * np.float32(VARIANCES[1]))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1) * np.tile(scale, 2)
    keep = non_maximum_suppression(boxes, scores, nms_threshold, top_k)[:keep_top_k]
    offsets = points[keep].reshape(-1, 5, 2) * np.float32(VARIANCES[0])
    landmarks = (anchors[keep, None, :2] + offsets * anchors[keep, None, 2:]) * scale
    return Detections.from_arrays(boxes[keep], scores[keep], landmarks)

"""Box conversions and non-maximum suppression that adapters share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def just_below(score: float) -> float:
    """Return the next smaller float32.

    Libraries disagree on whether a score that equals their threshold passes; ours does. An adapter gives its library
    this and filters the answer with `Detections.above`.
    """
    return float(np.nextafter(np.float32(score), np.float32(-np.inf)))


def xywh_to_xyxy(boxes: ArrayLike) -> NDArray[np.float32]:
    """Convert x, y, width, height to x1, y1, x2, y2; float32 (n, 4)."""
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    array[:, 2:] += array[:, :2]
    return array


def non_maximum_suppression(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_threshold: float, top_k: int = 0
) -> NDArray[np.int64]:
    """Greedy suppression by OpenCV: keep the best box, drop those with a larger IoU than the threshold, repeat.

    Args:
        boxes: (n, 4) x1, y1, x2, y2.
        scores: (n,), above 0.
        iou_threshold: boxes that overlap a better one by more are dropped.
        top_k: look at the best `top_k` boxes only; 0 for all.

    Returns:
        Indices of the kept boxes, best first.
    """
    import cv2

    if not len(boxes):
        return np.empty(0, dtype=np.int64)
    xywh = boxes.astype(np.float64)
    xywh[:, 2:] -= xywh[:, :2]
    keep = cv2.dnn.NMSBoxes(xywh, scores.astype(np.float32), 0.0, iou_threshold, 1.0, top_k)  # type: ignore[arg-type]
    return np.asarray(keep, dtype=np.int64).reshape(-1)

"""What a detector does at one score threshold, as a user would run it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .counting import Counts


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Counts and rates of the detections with a score of at least `score_threshold`.

    A rate whose denominator is zero is nan: precision without proposals, recall without faces, mean IoU without hits.

    Attributes:
        score_threshold: as asked for, in the detector's own score.
        faces: faces that count.
        images: all images.
        hits: faces found.
        false_alarms: detections on no face, and second detections of a face.
        precision: hits / (hits + false alarms).
        recall: hits / faces.
        f1: harmonic mean of precision and recall, 2 hits / (hits + false alarms + faces).
        false_alarms_per_image: false alarms / images.
        mean_iou: mean plain IoU (no plus one) of the hits with their faces.
    """

    score_threshold: float
    faces: int
    images: int
    hits: int
    false_alarms: int
    precision: float
    recall: float
    f1: float
    false_alarms_per_image: float
    mean_iou: float


def as_scores(threshold: float, scores: NDArray[np.generic]) -> float:
    """Round a threshold as the scores are, so that a float32 score of 0.7 reaches a threshold of 0.7.

    Scores of whole numbers leave it as it is.
    """
    return float(scores.dtype.type(threshold)) if np.issubdtype(scores.dtype, np.floating) else threshold


def operating_point(counts: Counts, score_threshold: float) -> OperatingPoint:
    """Read the operating point at a score threshold off the counts.

    Args:
        counts: from `count`, for one evaluation list; the same rules for ignored faces hold.
        score_threshold: lowest score accepted; minus infinity accepts all.

    Raises:
        UsageError: on a threshold that is not a number.
    """
    if math.isnan(score_threshold):
        raise UsageError("score_threshold must be a number, got nan; -inf accepts every detection")
    above = int(np.searchsorted(-counts.thresholds, -score_threshold, side="right"))
    hits = int(counts.hits[above - 1]) if above else 0
    proposals = int(counts.proposals[above - 1]) if above else 0
    hit_iou = float(counts.hit_iou[above - 1]) if above else 0.0
    return OperatingPoint(
        score_threshold=score_threshold,
        faces=counts.faces,
        images=counts.images,
        hits=hits,
        false_alarms=proposals - hits,
        precision=_ratio(hits, proposals),
        recall=_ratio(hits, counts.faces),
        f1=_ratio(2 * hits, proposals + counts.faces),
        false_alarms_per_image=_ratio(proposals - hits, counts.images),
        mean_iou=_ratio(hit_iou, hits),
    )


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else math.nan

"""How well boxes fit the faces they hit, and AP with a detector's own habit of drawing boxes taken out.

Detectors frame a face differently: dlib's HOG from the eyebrows down, WIDER FACE from the forehead. At IoU 0.5 such a
habit costs hits as if faces were missed. Fitting it on some pictures and removing it on others tells "boxes
differently" from "detects worse".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counting import count
from .matching import Matches, PictureBoxes, match
from .verdicts import first_half, verdicts
from .wider_protocol import exact_average_precision

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HISTOGRAM_EDGES = (0.0, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
SHARE_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)
FIT_IOU = 0.3
"""Hits at this IoU are looked at for the habit: at 0.5 the habit itself hides the boxes that show it most."""


@dataclass(frozen=True, slots=True)
class HitOverlap:
    """The distribution of IoU over the hits, nan without hits.

    IoU here is plain, boxes counted as (x2 - x1) wide, as in `OperatingPoint.mean_iou`. Hits are made by the IoU with
    the plus-one rule, so on faces of a few pixels some lie below the threshold.

    Attributes:
        hits: faces hit.
        mean: mean IoU.
        quantiles: at `QUANTILES`.
        histogram: hits between neighbouring `HISTOGRAM_EDGES`; the last bin holds 1.0 too.
        shares: share of hits with an IoU of at least each of `SHARE_LEVELS`.
    """

    hits: int
    mean: float
    quantiles: tuple[float, ...]
    histogram: tuple[int, ...]
    shares: tuple[float, ...]


def hit_overlap(
    matches: Matches, counted: NDArray[np.bool_], *, score_threshold: float = -math.inf, iou_threshold: float = 0.5
) -> HitOverlap:
    """Describe the IoU of the hits with a score of at least `score_threshold`.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        score_threshold: lowest score accepted; of float32 scores a float32 value, as `score` makes of it.
        iou_threshold: of a hit, against the IoU with the plus-one rule.
    """
    hit = verdicts(matches, counted, iou_threshold=iou_threshold).hit & (matches.scores >= score_threshold)
    overlap = matches.plain_iou[hit]
    histogram, _ = np.histogram(overlap, HISTOGRAM_EDGES)
    some = len(overlap) > 0
    return HitOverlap(
        hits=len(overlap),
        mean=float(overlap.mean()) if some else math.nan,
        quantiles=tuple(np.quantile(overlap, QUANTILES).tolist()) if some else (math.nan,) * len(QUANTILES),
        histogram=tuple(histogram.tolist()),
        shares=tuple(float((overlap >= level).mean()) if some else math.nan for level in SHARE_LEVELS),
    )


@dataclass(frozen=True, slots=True)
class BoxBias:
    """How a detector's boxes lie to the annotated ones: medians over hits, all nan without hits.

    Attributes:
        dx: centre of the detection right of the centre of the face, in face widths.
        dy: centre of the detection below the centre of the face, in face heights.
        log_width: natural logarithm of detection width / face width.
        log_height: the same for heights.
        hits: hits it was fitted on.
    """

    dx: float
    dy: float
    log_width: float
    log_height: float
    hits: int

    @property
    def width_ratio(self) -> float:
        """Detection width / face width."""
        return math.exp(self.log_width)

    @property
    def height_ratio(self) -> float:
        """Detection height / face height."""
        return math.exp(self.log_height)

    def removed_from(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the boxes (n, 4) as this detector would have drawn them in the annotation's manner."""
        centre, size = _centre_and_size(boxes)
        size = size / np.array([self.width_ratio, self.height_ratio])
        centre = centre - size * np.array([self.dx, self.dy])
        return np.hstack([centre - size / 2, centre + size / 2])


def box_bias(
    matches: Matches,
    faces: PictureBoxes,
    detections: PictureBoxes,
    counted: NDArray[np.bool_],
    *,
    pictures: NDArray[np.bool_] | None = None,
    score_threshold: float = -math.inf,
    iou_threshold: float = FIT_IOU,
) -> BoxBias:
    """Fit a detector's offset and scale by medians, which the wrong matches among loose hits do not move much.

    Hits of boxes without area, on either side, are left out. A habit so strong that it keeps boxes below
    `iou_threshold` cannot be seen.

    Args:
        matches: from `match` on the two below.
        faces: all annotated faces.
        detections: the boxes found.
        counted: bool (faces,): the faces of the list.
        pictures: bool (pictures,): fit on these alone; None takes all.
        score_threshold: lowest score of a hit to fit on. Give the detector's operating threshold: near the score floor
            many loose hits are chance, and the medians follow them.
        iou_threshold: of a hit, against the IoU with the plus-one rule.
    """
    picture, differences = hit_differences(
        matches, faces, detections, counted, score_threshold=score_threshold, iou_threshold=iou_threshold
    )
    if pictures is not None:
        differences = differences[pictures[picture]]
    if len(differences) == 0:
        return BoxBias(math.nan, math.nan, math.nan, math.nan, hits=0)
    dx, dy, log_width, log_height = np.median(differences, axis=0).tolist()
    return BoxBias(dx, dy, log_width, log_height, hits=len(differences))


def hit_differences(
    matches: Matches,
    faces: PictureBoxes,
    detections: PictureBoxes,
    counted: NDArray[np.bool_],
    *,
    score_threshold: float = -math.inf,
    iou_threshold: float = FIT_IOU,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how each hit lies to its face, without hits of boxes without area; see `box_bias`.

    Returns:
        The picture of each hit, int64 (hits,), and its dx, dy, log_width and log_height, float64 (hits, 4).
    """
    hit = verdicts(matches, counted, iou_threshold=iou_threshold).hit
    hit &= matches.scores >= score_threshold
    face_centre, face_size = _centre_and_size(faces.boxes[matches.best_face[hit]])
    centre, size = _centre_and_size(detections.boxes[matches.detection[hit]])
    has_area = (face_size > 0).all(axis=1) & (size > 0).all(axis=1)
    offset = (centre - face_centre)[has_area] / face_size[has_area]
    scale = np.log(size[has_area] / face_size[has_area])
    return matches.picture[hit][has_area], np.hstack([offset, scale])


@dataclass(frozen=True, slots=True)
class UnbiasedPrecision:
    """Exact AP before and after a detector's box habit is taken out, on the same pictures.

    Attributes:
        before: as detected.
        after: every picture corrected by the habit fitted on the half that it is not in, then all scored together; nan
            where one half has detections and the other no hit to fit on.
        first_fit: fitted on the first half of the pictures, applied to the second.
        second_fit: fitted on the second half, applied to the first.
        iou_threshold: of a hit in both numbers.
    """

    before: float
    after: float
    first_fit: BoxBias
    second_fit: BoxBias
    iou_threshold: float

    @property
    def gain(self) -> float:
        """What boxing differently costs in AP: after less before."""
        return self.after - self.before


def unbiased_average_precision(
    faces: PictureBoxes,
    detections: PictureBoxes,
    scores: NDArray[np.floating],
    counted: NDArray[np.bool_],
    *,
    seed: int = 0,
    score_threshold: float = -math.inf,
    iou_threshold: float = 0.5,
    count_empty_pictures: bool = True,
) -> UnbiasedPrecision:
    """Return exact AP with the box habit fitted on each half of the pictures and removed on the other.

    Args:
        faces: all annotated faces.
        detections: the boxes found in the same pictures.
        scores: float (n,), one a detection.
        counted: bool (faces,): the faces of the list, for the fit and for AP.
        seed: of the split of the pictures, see `first_half`.
        score_threshold: lowest score of a hit to fit on, see `box_bias`; AP is over all detections.
        iou_threshold: of a hit in AP; the habit is fitted at `FIT_IOU`.
        count_empty_pictures: let false alarms on pictures without any annotated face count.
    """

    def average_precision(matches: Matches) -> float:
        counts = count(matches, counted, iou_threshold=iou_threshold)
        return exact_average_precision(counts, count_empty_pictures=count_empty_pictures)

    matches = match(faces, detections, scores)
    half = first_half(faces.pictures, seed)
    first, second = (
        box_bias(matches, faces, detections, counted, pictures=part, score_threshold=score_threshold)
        for part in (half, ~half)
    )
    corrected = without_bias(detections, first, second, seed=seed)
    after = math.nan if corrected is None else average_precision(match(faces, corrected, scores))
    return UnbiasedPrecision(average_precision(matches), after, first, second, iou_threshold)


def without_bias(detections: PictureBoxes, first: BoxBias, second: BoxBias, *, seed: int = 0) -> PictureBoxes | None:
    """Return the boxes with the habit of the other half of the pictures removed from each half.

    Args:
        detections: the boxes found.
        first: fitted on the `first_half` of the pictures, removed from the second.
        second: fitted on the second half, removed from the first.
        seed: of the split.

    Returns:
        The corrected boxes; None where a half has detections and the other had no hit to fit on.
    """
    in_first = first_half(detections.pictures, seed)[detections.picture]
    boxes = np.where(in_first[:, None], second.removed_from(detections.boxes), first.removed_from(detections.boxes))
    return PictureBoxes(boxes, detections.offsets) if np.isfinite(boxes).all() else None


def _centre_and_size(boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres (n, 2) and sizes (n, 2) in pixels."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]

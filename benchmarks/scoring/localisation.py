"""A detector's own habit of drawing boxes, and boxes with it taken out.

Detectors frame a face differently: dlib's HOG from the eyebrows down, WIDER FACE from the forehead. At IoU 0.5 such a
habit costs hits as if faces were missed. Fitting it on some images and removing it on others tells "boxes
differently" from "detects worse".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counting import count
from .matching import ImageBoxes, Matches, match
from .verdicts import first_half, verdicts
from .wider_protocol import exact_average_precision

FIT_IOU = 0.3
"""Hits at this IoU are looked at for the habit: at 0.5 the habit itself hides the boxes that show it most."""


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
    faces: ImageBoxes,
    detections: ImageBoxes,
    counted: NDArray[np.bool_],
    *,
    images: NDArray[np.bool_] | None = None,
    score_threshold: float = -math.inf,
) -> BoxBias:
    """Fit a detector's offset and scale by medians, which the wrong matches among loose hits do not move much.

    Hits of boxes without area, on either side, are left out. A habit so strong that it keeps boxes below
    `FIT_IOU` cannot be seen.

    Args:
        matches: from `match` on the two below.
        faces: all annotated faces.
        detections: the boxes found.
        counted: bool (faces,): the faces of the list.
        images: bool (images,): fit on these alone; None takes all.
        score_threshold: lowest score of a hit to fit on. Give the detector's operating threshold: near the score floor
            many loose hits are chance, and the medians follow them.
    """
    image, differences = hit_differences(matches, faces, detections, counted, score_threshold=score_threshold)
    if images is not None:
        differences = differences[images[image]]
    if len(differences) == 0:
        return BoxBias(math.nan, math.nan, math.nan, math.nan, hits=0)
    dx, dy, log_width, log_height = np.median(differences, axis=0).tolist()
    return BoxBias(dx, dy, log_width, log_height, hits=len(differences))


def hit_differences(
    matches: Matches,
    faces: ImageBoxes,
    detections: ImageBoxes,
    counted: NDArray[np.bool_],
    *,
    score_threshold: float = -math.inf,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how each hit lies to its face, without hits of boxes without area; see `box_bias`.

    Returns:
        The image of each hit, int64 (hits,), and its dx, dy, log_width and log_height, float64 (hits, 4).
    """
    hit = verdicts(matches, counted, iou_threshold=FIT_IOU).hit
    hit &= matches.scores >= score_threshold
    face_centre, face_size = _centre_and_size(faces.boxes[matches.best_face[hit]])
    centre, size = _centre_and_size(detections.boxes[matches.detection[hit]])
    has_area = (face_size > 0).all(axis=1) & (size > 0).all(axis=1)
    offset = (centre - face_centre)[has_area] / face_size[has_area]
    scale = np.log(size[has_area] / face_size[has_area])
    return matches.image[hit][has_area], np.hstack([offset, scale])


def without_bias(detections: ImageBoxes, first: BoxBias, second: BoxBias) -> ImageBoxes | None:
    """Return the boxes with the habit of the other half of the images removed from each half.

    Args:
        detections: the boxes found.
        first: fitted on the `first_half` of the images, removed from the second.
        second: fitted on the second half, removed from the first.

    Returns:
        The corrected boxes; None where a half has detections and the other had no hit to fit on.
    """
    in_first = first_half(detections.images)[detections.image]
    boxes = np.where(in_first[:, None], second.removed_from(detections.boxes), first.removed_from(detections.boxes))
    return ImageBoxes(boxes, detections.offsets) if np.isfinite(boxes).all() else None


def _centre_and_size(boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres (n, 2) and sizes (n, 2) in pixels."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


@dataclass(frozen=True, slots=True)
class UnbiasedPrecision:
    """Exact AP before and after a detector's box habit is taken out, on the same images.

    There is no interval: how the fit scatters would have to be in it.

    Attributes:
        before: as detected.
        after: every image corrected by the habit fitted on the half that it is not in, then all scored together; nan
            where one half has detections and the other no hit to fit on.
    """

    before: float
    after: float

    @property
    def gain(self) -> float:
        """What boxing differently costs in AP: after less before."""
        return self.after - self.before


def unbiased_average_precision(
    matches: Matches,
    faces: ImageBoxes,
    detections: ImageBoxes,
    counted: NDArray[np.bool_],
    *,
    score_threshold: float = -math.inf,
) -> Mapping[float, UnbiasedPrecision]:
    """Return exact AP with the box habit fitted on each half of the images and removed on the other.

    Args:
        matches: from `match` on the two below.
        faces: all annotated faces.
        detections: the boxes found in the same images.
        counted: bool (faces,): the faces of the list, for the fit and for AP.
        score_threshold: lowest score of a hit to fit on, see `box_bias`; AP is over all detections.

    Returns:
        IoU of a hit in AP, .5 and .75 -> precision; the habit is fitted at `FIT_IOU`.
    """
    half = first_half(faces.images)
    first, second = (
        box_bias(matches, faces, detections, counted, images=part, score_threshold=score_threshold)
        for part in (half, ~half)
    )
    corrected = without_bias(detections, first, second)
    again = None
    if corrected is not None:
        scores = np.empty(len(matches))
        scores[matches.detection] = matches.scores
        again = match(faces, corrected, scores)

    def exact_ap(of: Matches | None, iou: float) -> float:
        return math.nan if of is None else exact_average_precision(count(of, counted, iou_threshold=iou))

    return {iou: UnbiasedPrecision(exact_ap(matches, iou), exact_ap(again, iou)) for iou in (0.5, 0.75)}

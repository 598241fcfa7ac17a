"""One call from boxes to scores: match once, then count for every list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .counting import count
from .matching import ImageBoxes, Matches, match
from .operating_point import OperatingPoint, as_scores, operating_point
from .wider_protocol import exact_average_precision, official_average_precision


@dataclass(frozen=True, slots=True)
class ListScore:
    """How well the faces of one list were found.

    Attributes:
        official_ap: average precision by the official WIDER FACE evaluation; nan where no face counts.
        exact_ap: the same with every distinct score as a threshold; the one to compare detectors by.
        at_threshold: precision, recall, F1, false alarms per image and mean IoU at the detector's threshold.
    """

    official_ap: float
    exact_ap: float
    at_threshold: OperatingPoint


@dataclass(frozen=True, slots=True)
class Scores:
    """What one detector scored on one set of images.

    Attributes:
        images: images scored.
        detections: boxes scored, of any score.
        overall: over all faces that are not marked to be ignored.
        lists: over the faces of each list, in the order given.
    """

    images: int
    detections: int
    overall: ListScore
    lists: Mapping[str, ListScore]


def score(
    faces: ImageBoxes,
    detections: ImageBoxes,
    detection_scores: NDArray[np.floating],
    *,
    score_threshold: float,
    ignore: NDArray[np.bool_] | None = None,
    lists: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Scores:
    """Score the detections of all images against the annotated faces.

    Args:
        faces: all annotated faces, ignored ones and crowd regions included; regions count in no list.
        detections: the boxes found in the same images, in the same order of images; within an image in any order.
        detection_scores: float (n,), one finite number a detection, higher is surer.
        score_threshold: lowest score accepted at the operating point; minus infinity accepts all. It is rounded to the
            dtype of the scores first, so that a float32 score of 0.7 passes a threshold of 0.7.
        ignore: bool (faces,): faces left out of `overall`; none by default.
        lists: name -> bool (faces,): the faces that count for each list, whatever `ignore` says.

    Raises:
        UsageError: on arrays that do not fit each other, scores that are not finite, a threshold that is nan.
    """
    scores = np.asarray(detection_scores)
    matches = match(faces, detections, scores)
    counted = np.ones(len(faces), dtype=np.bool_) if ignore is None else ~ignore
    masks = {**(lists or {}), "overall": counted}
    if faces.crowd is not None:
        masks = {name: mask & ~faces.crowd for name, mask in masks.items()}
    return score_matches(matches, masks, as_scores(score_threshold, scores))


def score_matches(matches: Matches, masks: Mapping[str, NDArray[np.bool_]], score_threshold: float) -> Scores:
    """Score detections that are matched already; the masks are those of the lists, with "overall" among them.

    The threshold is compared as it is: rounding it to the dtype of the scores is the caller's.
    """

    def score_list(mask: NDArray[np.bool_]) -> ListScore:
        counts = count(matches, mask)
        return ListScore(
            official_ap=official_average_precision(counts),
            exact_ap=exact_average_precision(counts),
            at_threshold=operating_point(counts, score_threshold),
        )

    return Scores(
        images=matches.images,
        detections=len(matches),
        overall=score_list(masks["overall"]),
        lists={name: score_list(mask) for name, mask in masks.items() if name != "overall"},
    )

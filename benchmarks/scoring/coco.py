"""Average precision by the rules of the COCO evaluation, for one class and without a cap on detections.

Source: `cocoeval.py` of pycocotools 2.0 (`evaluateImg`, `accumulate`), whose defaults keep 100 detections an image;
WIDER FACE has images of 700 faces. It differs from the WIDER FACE protocol in four points:

- IoU counts a box as (x2 - x1) wide and high, not one pixel more. On faces of a few pixels that is much.
- A detection takes the best face that is *still free*, so one that comes too late may take its second choice.
- A face that does not count takes one detection, which is dropped; the next one on it is a false alarm. Faces that
  count go first, whatever the IoU.
- Precision is read at 101 recalls; equal scores keep their order (images in order, then rows), each its own point.

A crowd region is a face that does not count, takes any number of detections and overlaps each by the share of its area.

The fourth point makes the value depend on the order of images where scores are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError
from .matching import ImageBoxes, checked_scores, falling_order, overlapping_pairs

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""IoU .50:.05:.95, to the last bit as pycocotools has them."""
RECALLS = np.linspace(0.0, 1.0, 101)
HIT, FALSE_ALARM, DROPPED = 1, 0, -1
_LARGEST_THRESHOLD = 1 - 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """All pairs of a detection and a face that may match, for every list and every threshold from `lowest` on.

    Attributes:
        scores: float64 (n,), never rising; equal scores in the order given.
        image: int64 (n,): the image of each detection.
        detection: int64 (n,): row of each detection in the arrays given to `coco_overlaps`.
        pair_detection: int64 (m,): place of the detection in `scores`, never falling.
        pair_face: int64 (m,): row of the face; pairs of one detection by falling IoU, of equal ones the later face
            first, as pycocotools prefers it.
        pair_iou: float64 (m,): plain IoU, or the share in a crowd region, at least `lowest`.
        face_offsets: int64 (images + 1,): the faces of image i are the rows face_offsets[i] to face_offsets[i + 1].
        lowest: the lowest IoU threshold that can be asked for.
        crowd: bool (faces,): the crowd regions, None where there are none.
    """

    scores: NDArray[np.float64]
    image: NDArray[np.int64]
    detection: NDArray[np.int64]
    pair_detection: NDArray[np.int64]
    pair_face: NDArray[np.int64]
    pair_iou: NDArray[np.float64]
    face_offsets: NDArray[np.int64]
    lowest: float
    crowd: NDArray[np.bool_] | None = None

    @property
    def faces(self) -> int:
        """The number of annotated faces of all images."""
        return int(self.face_offsets[-1])


def coco_overlaps(faces: ImageBoxes, detections: ImageBoxes, scores: ArrayLike, *, lowest: float = 0.5) -> Overlaps:
    """Find all pairs of a detection and a face with a plain IoU of at least `lowest`, once for all lists.

    Args:
        faces: all annotated faces, ignored ones and crowd regions included.
        detections: the boxes found in the same images, in the same order of images; within an image in any order.
        scores: (n,) one finite number a detection, higher is surer.
        lowest: in (0, 1].

    Raises:
        UsageError: on arrays that do not fit each other, scores that are not finite, `lowest` out of range.
    """
    values = checked_scores(faces, detections, scores)
    if not 0.0 < lowest <= 1.0:
        raise UsageError(f"lowest must be above 0 and at most 1, got {lowest}")
    order = falling_order(values)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    kept = overlapping_pairs(faces, detections, plus_one=False, lowest=min(lowest, _LARGEST_THRESHOLD))
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    detection, face, overlap = (np.concatenate(column) for column in zip(none, *kept, strict=True))
    pairs = np.lexsort((-face, -overlap, place[detection]))
    return Overlaps(
        scores=values[order],
        image=detections.image[order],
        detection=order,
        pair_detection=place[detection[pairs]],
        pair_face=face[pairs],
        pair_iou=overlap[pairs],
        face_offsets=faces.offsets.copy(),
        lowest=lowest,
        crowd=faces.crowd,
    )


def coco_verdicts(
    overlaps: Overlaps, counted: NDArray[np.bool_], thresholds: NDArray[np.float64] = COCO_THRESHOLDS
) -> NDArray[np.int8]:
    """Judge every detection at every IoU threshold.

    COCO lets detections choose one after another, highest score first, each the best face still free. The same matching
    comes out of deferred acceptance (Gale and Shapley 1962) when every face prefers higher scores, because it is the
    only stable one; and there all detections, images and thresholds can ask in the same round.

    Args:
        overlaps: from `coco_overlaps`.
        counted: bool (faces,): the faces of the list; all others, and crowd regions always, are COCO's "ignore".
        thresholds: float64 (t,), IoU, at least `overlaps.lowest` and at most 1.

    Returns:
        int8 (t, n) in the order of `overlaps.scores`: `HIT`, `FALSE_ALARM` or `DROPPED`.

    Raises:
        UsageError: on a mask of another dtype or length, or thresholds out of range.
    """
    if counted.dtype != np.bool_ or counted.shape != (overlaps.faces,):
        raise UsageError(f"counted must be bool ({overlaps.faces},), one a face, got {counted.dtype} {counted.shape}")
    if not bool(((thresholds >= overlaps.lowest) & (thresholds <= 1)).all()):
        raise UsageError(f"thresholds must be from {overlaps.lowest} to 1, got {thresholds.tolist()}")
    if overlaps.crowd is not None:
        counted = counted & ~overlaps.crowd
    detections = len(overlaps.scores)
    verdicts = np.full((len(thresholds), detections), FALSE_ALARM, dtype=np.int8)
    counted_first = np.lexsort((~counted[overlaps.pair_face], overlaps.pair_detection))
    pair_iou = overlaps.pair_iou[counted_first]
    enough = [np.flatnonzero(pair_iou >= min(threshold, _LARGEST_THRESHOLD)) for threshold in thresholds]
    level = np.repeat(np.arange(len(thresholds)), [len(pairs) for pairs in enough])
    pair = counted_first[np.concatenate([np.empty(0, np.int64), *enough])]
    asker = level * detections + overlaps.pair_detection[pair]
    asked = level * overlaps.faces + overlaps.pair_face[pair]
    places = len(thresholds) * overlaps.faces
    if overlaps.crowd is not None:
        # a region sends nobody away: it has a place for every pair
        of_crowd = np.flatnonzero(overlaps.crowd[overlaps.pair_face[pair]])
        asked[of_crowd] = places + np.arange(len(of_crowd))
        places += len(of_crowd)

    first = np.flatnonzero(np.diff(asker, prepend=-1))
    choice, end = first.copy(), np.append(first[1:], len(asker))
    nobody = len(first)
    holder = np.full(places, nobody)
    asking = np.arange(nobody)
    while len(asking):
        face = asked[choice[asking]]
        before = holder[face]
        np.minimum.at(holder, face, asking)
        accepted = holder[face] == asking
        sent_away = before[accepted & (before < nobody)]
        asking = np.concatenate([asking[~accepted], sent_away])
        choice[asking] += 1
        asking = asking[choice[asking] < end[asking]]

    taken = choice[holder[holder < nobody]]
    outcome = np.where(counted[overlaps.pair_face[pair[taken]]], HIT, DROPPED)
    verdicts.reshape(-1)[asker[taken]] = outcome
    return verdicts

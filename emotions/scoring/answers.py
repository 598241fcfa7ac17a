"""From boxes to emotions: which box found which face, what the classifier says to its crop, and a detector's own crop.

A detector's boxes may be habitually larger or higher than the annotated ones. With the same crop policy for all, that
habit costs some detectors more than others; `calibrate` gives each a policy that takes its habit out. It is fitted on
one half of the images and used on the other, both ways round, so that no image has a say in its own crops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.scoring import ImageBoxes, count, match
from ...benchmarks.scoring.localisation import FIT_IOU
from ...benchmarks.scoring.sweep import sweep
from ...benchmarks.scoring.verdicts import first_half, select_images, verdicts
from ...datasets.faces.fer import EMOTIONS
from ...detectors import RGBImage
from ...errors import DataError
from ..pipeline.classifier import prepare
from ..pipeline.crops import DEFAULT_POLICY, CropPolicy, crop
from .losses import Answers

Progress = Callable[[int, int], None]
"""Told how many images of how many are done."""


class ScoredClassifier(Protocol):
    """What this needs of `EmotionClassifier`."""

    @property
    def name(self) -> str:
        """What a table calls it."""
        ...

    @property
    def sha256(self) -> str:
        """Names its weights."""
        ...

    def classify(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of `EMOTIONS`, float32 (n, 7), for uint8 (n, 48, 48) grey faces."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FoundBoxes:
    """What one detector found at its threshold, in all images.

    Attributes:
        boxes: of all images, best first within an image.
        scores: floats (m,).
        landmarks: float32 (m, 5, 2), nan where a box has none; None where the detector has none.

    Raises:
        DataError: the arrays do not fit together.
    """

    boxes: ImageBoxes
    scores: NDArray[np.floating]
    landmarks: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        m = len(self.boxes)
        if self.scores.shape != (m,) or (self.landmarks is not None and self.landmarks.shape != (m, 5, 2)):
            got = None if self.landmarks is None else self.landmarks.shape
            raise DataError(f"expected scores ({m},) and landmarks ({m}, 5, 2), got {self.scores.shape} and {got}")


def detector_answers(
    image_of: Callable[[int], RGBImage],
    faces: ImageBoxes,
    counted: NDArray[np.bool_],
    found: FoundBoxes,
    policies: tuple[CropPolicy, CropPolicy],
    classifier: ScoredClassifier,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Answers:
    """Classify what a detector found.

    Boxes are matched to faces one to one at an IoU of 0.5, best score first, by the rules of `counting.count`: a
    second box on a face is a false alarm, a box on a face that does not count is dropped.

    Args:
        image_of: gives the image of a number, decoded.
        faces: all annotated boxes.
        counted: bool (faces,): those with an emotion.
        found: the detector's boxes.
        policies: how to crop in the first half of the images (`first_half`) and in the second.
        classifier: what answers.
        seed: of the halves.
        progress: told after each image.

    Returns:
        An answer for each counted face, in their order.
    """
    matches = match(faces, found.boxes, found.scores)
    judged = verdicts(matches, counted)
    detection_of = np.full(len(faces), -1, dtype=np.int64)
    detection_of[matches.best_face[judged.hit]] = matches.detection[judged.hit]
    false_alarm = np.zeros(len(found.boxes), dtype=np.bool_)
    false_alarm[matches.detection[judged.false_alarm]] = True
    wanted = false_alarm.copy()
    wanted[detection_of[detection_of >= 0]] = True
    probabilities = np.zeros((len(found.boxes), len(EMOTIONS)), np.float32)
    probabilities[wanted] = classify_boxes(image_of, found, wanted, policies, classifier, seed=seed, progress=progress)
    return Answers.from_probabilities(detection_of[counted], probabilities, found.boxes.image, false_alarm)


def oracle_answers(
    image_of: Callable[[int], RGBImage],
    faces: ImageBoxes,
    counted: NDArray[np.bool_],
    policy: CropPolicy,
    classifier: ScoredClassifier,
    *,
    progress: Progress | None = None,
) -> NDArray[np.int8]:
    """Classify the annotated boxes, int8 (counted faces,); they have no landmarks to align by."""
    found = FoundBoxes(faces, np.ones(len(faces)))
    probabilities = classify_boxes(image_of, found, counted, (policy, policy), classifier, progress=progress)
    return np.asarray(probabilities.argmax(axis=1), np.int8)


def classify_boxes(
    image_of: Callable[[int], RGBImage],
    found: FoundBoxes,
    wanted: NDArray[np.bool_],
    policies: tuple[CropPolicy, CropPolicy],
    classifier: ScoredClassifier,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the probabilities of the wanted boxes, float32 (wanted, 7); see `detector_answers`."""
    boxes = found.boxes
    in_first = first_half(boxes.images, seed)
    crops = []
    for place in range(boxes.images):
        begin, end = boxes.offsets[place : place + 2]
        rows = begin + np.flatnonzero(wanted[begin:end])
        if len(rows):
            policy = policies[0] if in_first[place] else policies[1]
            image = image_of(place)
            crops.append(prepare([crop(image, boxes.boxes[row], _points(found, row), policy) for row in rows]))
        if progress is not None:
            progress(place + 1, boxes.images)
    return classifier.classify(np.concatenate(crops)) if crops else np.zeros((0, len(EMOTIONS)), np.float32)


def above(found: FoundBoxes, thresholds: tuple[float, float], *, seed: int = 0) -> FoundBoxes:
    """Return the boxes with a score of at least the threshold of their half of the images, see `first_half`."""
    boxes = found.boxes
    lowest = np.where(first_half(boxes.images, seed)[boxes.image], *thresholds)
    keep = found.scores >= lowest
    counts = np.bincount(boxes.image[keep], minlength=boxes.images)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    points = None if found.landmarks is None else found.landmarks[keep]
    return FoundBoxes(ImageBoxes(boxes.boxes[keep], offsets), found.scores[keep], points)


def equal_alarm_thresholds(
    faces: ImageBoxes, counted: NDArray[np.bool_], found: FoundBoxes, alarms_per_image: float, *, seed: int = 0
) -> tuple[float, float] | None:
    """Return the thresholds for the first and the second half of the images, each chosen on the other half.

    Detectors' own thresholds stand at very different places; at equally many false alarms they compare. Chosen is the
    lowest score at which there are no more than so many false alarms per image, and a face is found.

    Args:
        faces: all annotated boxes.
        counted: bool (faces,): those with an emotion.
        found: all boxes of the detector.
        alarms_per_image: at most.
        seed: of the halves.

    Returns:
        None where one half has no such score.
    """
    matches = match(faces, found.boxes, found.scores)
    half = first_half(faces.images, seed)
    chosen = []
    for part in (~half, half):
        curve = sweep(count(*select_images(matches, counted, part)))
        meets = np.flatnonzero((curve.hits > 0) & (curve.false_alarms_per_image <= alarms_per_image))
        if not len(meets):
            return None
        chosen.append(float(curve.thresholds[meets[-1]]))
    return chosen[0], chosen[1]


def calibrated_policies(
    faces: ImageBoxes, counted: NDArray[np.bool_], found: FoundBoxes, policy: CropPolicy, *, seed: int = 0
) -> tuple[CropPolicy, CropPolicy]:
    """Return the policies for the first and the second half of the images, each fitted on the other half.

    Args:
        faces: all annotated boxes.
        counted: bool (faces,): those to fit on.
        found: the detector's boxes at its threshold.
        policy: what is corrected.
        seed: of the halves.
    """
    matches = match(faces, found.boxes, found.scores)
    hit = verdicts(matches, counted, iou_threshold=FIT_IOU).hit
    detected = found.boxes.boxes[matches.detection[hit]]
    annotated = faces.boxes[matches.best_face[hit]]
    in_first = first_half(faces.images, seed)[matches.image[hit]]
    on_first, on_second = (calibrate(detected[part], annotated[part], policy) for part in (in_first, ~in_first))
    return on_second, on_first


def calibrate(
    detected: NDArray[np.float64], annotated: NDArray[np.float64], policy: CropPolicy | None = None
) -> CropPolicy:
    """Return the policy that cuts a detector's boxes where it cuts the annotated ones.

    Offset and scale are medians, which wrong matches do not move much, to four digits. With `square` it is the longer
    side that is scaled to the annotated length, otherwise the root of the area: a policy has one scale, so a habit of
    tall boxes is not made undone in shape.

    Args:
        detected: (n, 4) boxes.
        annotated: (n, 4), the face of each; pairs with a box without area are left out.
        policy: what is corrected, without a correction of its own; None: the usual one.

    Returns:
        The policy with `dx`, `dy` and `scale`; as it was where there is no pair.
    """
    policy = policy or DEFAULT_POLICY
    sizes = detected[:, 2:] - detected[:, :2], annotated[:, 2:] - annotated[:, :2]
    usable = (sizes[0] > 0).all(axis=1) & (sizes[1] > 0).all(axis=1)
    if not usable.any():
        return policy
    detected, annotated = detected[usable], annotated[usable]
    before, after = sizes[0][usable], sizes[1][usable]
    offset = (annotated[:, :2] + annotated[:, 2:] - detected[:, :2] - detected[:, 2:]) / 2 / before
    ratio = after.max(axis=1) / before.max(axis=1) if policy.square else np.sqrt((after / before).prod(axis=1))
    dx, dy = np.median(offset, axis=0).tolist()
    return replace(policy, dx=round(dx, 4), dy=round(dy, 4), scale=round(float(np.median(ratio)), 4))


def _points(found: FoundBoxes, row: int) -> NDArray[np.float32] | None:
    if found.landmarks is None or not np.isfinite(found.landmarks[row]).all():
        return None
    points: NDArray[np.float32] = found.landmarks[row]
    return points

"""The WIDER FACE evaluation in plain loops: slow, and simple enough to be compared with the protocol line by line.

Source: `evaluation.m`, `boxoverlap.m`, `norm_score.m` and `VOCap.m` of the WIDER FACE eval_tools, and the Python port
WiderFace-Evaluation (`evaluation.py`). Only `to_arrays` knows anything of facebench.
"""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import NamedTuple

import numpy as np
from facebench.benchmarks.scoring import ImageBoxes
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


class Image(NamedTuple):
    """Faces, of which some count and some are crowd regions (none of these counts; none at all where left empty)."""

    faces: list[Box]
    counted: list[bool]
    boxes: list[Box]
    scores: list[float]
    crowd: list[bool] = []  # noqa: RUF012 - never changed

    @property
    def regions(self) -> list[bool]:
        return self.crowd or [False] * len(self.faces)


class Judged(NamedTuple):
    """The detections of one image, highest score first."""

    scores: list[float]
    verdicts: list[str]
    best_ious: list[float]
    plain_ious: list[float]


def iou(a: Box, b: Box, one: int) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + one
    height = min(a[3], b[3]) - max(a[1], b[1]) + one
    if width <= 0 or height <= 0:
        return 0.0
    area_a = (a[2] - a[0] + one) * (a[3] - a[1] + one)
    area_b = (b[2] - b[0] + one) * (b[3] - b[1] + one)
    return width * height / (area_a + area_b - width * height)


def share_inside(box: Box, region: Box, one: int) -> float:
    """Intersection over the area of the box alone."""
    width = min(box[2], region[2]) - max(box[0], region[0]) + one
    height = min(box[3], region[3]) - max(box[1], region[1]) + one
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / ((box[2] - box[0] + one) * (box[3] - box[1] + one))


def judge(image: Image) -> Judged:
    order = sorted(range(len(image.boxes)), key=lambda i: -image.scores[i])
    judged = Judged([], [], [], [])
    hit_already = [False] * len(image.faces)
    for i in order:
        best, best_iou, in_crowd = -1, 0.0, 0.0
        for j, face in enumerate(image.faces):
            if image.regions[j]:
                in_crowd = max(in_crowd, share_inside(image.boxes[i], face, 1))
                continue
            overlap = iou(image.boxes[i], face, 1)
            if overlap > best_iou:
                best, best_iou = j, overlap
        if best_iou < 0.5:
            verdict = "false alarm"
        elif not image.counted[best]:
            verdict = "dropped"
        elif hit_already[best]:
            verdict = "false alarm"
        else:
            verdict = "hit"
            hit_already[best] = True
        if verdict == "false alarm" and in_crowd >= 0.5:
            verdict = "dropped"
        judged.scores.append(image.scores[i])
        judged.verdicts.append(verdict)
        judged.best_ious.append(best_iou)
        judged.plain_ious.append(iou(image.boxes[i], image.faces[best], 0) if best >= 0 else 0.0)
    return judged


def average_precision(points: list[tuple[float, float]]) -> float:
    """Points are (recall, precision) at falling thresholds."""
    recall = [0.0, *(point[0] for point in points), 1.0]
    precision = [0.0, *(point[1] for point in points), 0.0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def curve_area(judged: list[Judged], thresholds: list[float], faces: int) -> float:
    if faces == 0:
        return nan
    hits, proposals = [0] * len(thresholds), [0] * len(thresholds)
    for image in judged:
        position, image_hits, image_proposals = 0, 0, 0
        for k, threshold in enumerate(thresholds):
            while position < len(image.scores) and image.scores[position] >= threshold:
                image_hits += image.verdicts[position] == "hit"
                image_proposals += image.verdicts[position] != "dropped"
                position += 1
            hits[k] += image_hits
            proposals[k] += image_proposals
    return average_precision([(h / faces, h / p) for h, p in zip(hits, proposals, strict=True) if p > 0])


def official_ap(images: list[Image]) -> float:
    scores = [score for image in images for score in image.scores]
    low, high = (min(scores), max(scores)) if scores else (0.0, 0.0)
    judged = []
    for image in images:
        if image.faces:
            one = judge(image)
            normalised = [1.0 if high == low else (score - low) / (high - low) for score in one.scores]
            judged.append(one._replace(scores=normalised))
    thresholds = [1 - k / 1000 for k in range(1, 1001)]
    return curve_area(judged, thresholds, sum(sum(image.counted) for image in images))


def exact_ap(images: list[Image]) -> float:
    judged = [judge(image) for image in images]
    thresholds = sorted({score for image in images for score in image.scores}, reverse=True)
    return curve_area(judged, thresholds, sum(sum(image.counted) for image in images))


def coco_area(verdicts: list[int], faces: int) -> float:
    """The mean over 101 recalls of the highest precision at or above each; 1 is a hit, 0 a false alarm, -1 neither."""
    if not faces:
        return nan
    points, hits, false_alarms = [], 0, 0
    for verdict in verdicts:
        hits, false_alarms = hits + (verdict == 1), false_alarms + (verdict == 0)
        points += [(hits / faces, hits / (hits + false_alarms))] if verdict == 1 else []
    # as pycocotools has them, to the last bit
    recalls = np.linspace(0.0, 1.0, 101).tolist()
    return sum(max((p for r, p in points if r >= recall), default=0.0) for recall in recalls) / 101


def at_threshold(images: list[Image], threshold: float) -> dict[str, float]:
    faces = sum(sum(image.counted) for image in images)
    accepted = [
        (verdict, plain_iou)
        for one in map(judge, images)
        for score, verdict, plain_iou in zip(one.scores, one.verdicts, one.plain_ious, strict=True)
        if score >= threshold
    ]
    hit_ious = [plain_iou for verdict, plain_iou in accepted if verdict == "hit"]
    hits, false_alarms = len(hit_ious), [verdict for verdict, _ in accepted].count("false alarm")
    precision = hits / (hits + false_alarms) if accepted and hits + false_alarms else nan
    recall = hits / faces if faces else nan
    return {
        "hits": hits,
        "false_alarms": false_alarms,
        "precision": precision,
        "recall": recall,
        "f1": 2 * hits / (hits + false_alarms + faces) if hits + false_alarms + faces else nan,
        "false_alarms_per_image": false_alarms / len(images) if images else nan,
        "mean_iou": sum(hit_ious) / hits if hits else nan,
    }


def to_arrays(
    images: list[Image],
) -> tuple[ImageBoxes, ImageBoxes, NDArray[np.float64], NDArray[np.bool_]]:
    """Faces, detections, their scores, and the mask of the faces that count."""
    faces = ImageBoxes.from_images([image.faces for image in images])
    regions = np.array([region for image in images for region in image.regions], dtype=np.bool_)
    return (
        replace(faces, crowd=regions if regions.any() else None),
        ImageBoxes.from_images([image.boxes for image in images]),
        np.array([score for image in images for score in image.scores], dtype=np.float64),
        np.array([counts for image in images for counts in image.counted], dtype=np.bool_),
    )

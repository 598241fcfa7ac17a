"""The one counting core: hits and false alarms at every score threshold, from which all rates follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .matching import Matches
from .verdicts import verdicts


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What is hit and what is a false alarm among the detections with a score of at least each threshold.

    Attributes:
        thresholds: float64 (m,): every distinct score, falling; those of dropped detections are among them.
        hits: int64 (m,): faces hit, never falling along the array; so are the three below.
        false_alarms: int64 (m,): false alarms on images that have annotated faces.
        false_alarms_on_empty: int64 (m,): false alarms on images without any annotated face.
        hit_iou: float64 (m,): sum of plain IoU (no plus one) over the hits.
        faces: faces that count.
        images: all images.
    """

    thresholds: NDArray[np.float64]
    hits: NDArray[np.int64]
    false_alarms: NDArray[np.int64]
    false_alarms_on_empty: NDArray[np.int64]
    hit_iou: NDArray[np.float64]
    faces: int
    images: int

    @property
    def proposals(self) -> NDArray[np.int64]:
        """Hits and all false alarms together at each threshold: int64 (m,)."""
        return self.hits + self.false_alarms + self.false_alarms_on_empty


def count(matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float = 0.5) -> Counts:
    """Count hits and false alarms at every score threshold; rules, arguments and errors are those of `verdicts`."""
    judged = verdicts(matches, counted, iou_threshold=iou_threshold)
    on_empty = (np.diff(matches.face_offsets) == 0)[matches.image]
    scores = matches.scores
    last_of_score = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    return Counts(
        thresholds=scores[last_of_score],
        hits=np.cumsum(judged.hit, dtype=np.int64)[last_of_score],
        false_alarms=np.cumsum(judged.false_alarm & ~on_empty, dtype=np.int64)[last_of_score],
        false_alarms_on_empty=np.cumsum(on_empty, dtype=np.int64)[last_of_score],
        hit_iou=np.cumsum(np.where(judged.hit, matches.plain_iou, 0.0))[last_of_score],
        faces=int(np.count_nonzero(counted)),
        images=matches.images,
    )

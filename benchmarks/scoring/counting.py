"""The one counting core: hits and false alarms at every score threshold, from which all rates follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .matching import Matches


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
    """Count hits and false alarms by the rules of the WIDER FACE evaluation (`evaluation.m`, `image_evaluation`).

    - Best IoU below the threshold: a false alarm.
    - Best face is one that does not count: dropped, neither hit nor false alarm.
    - Best face counts: the detection of highest score is the hit, every later one a false alarm. There is no second
      choice for a detection that comes too late.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list; all others are ignored.
        iou_threshold: in (0, 1], against the IoU with the plus-one rule.

    Raises:
        UsageError: on a mask of another dtype or length, or a threshold out of range.
    """
    if counted.dtype != np.bool_ or counted.shape != (matches.faces,):
        raise UsageError(f"counted must be bool ({matches.faces},), one a face, got {counted.dtype} {counted.shape}")
    if not 0.0 < iou_threshold <= 1.0:
        raise UsageError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold}")

    landed = np.flatnonzero(matches.iou >= iou_threshold)
    face = matches.best_face[landed]
    first = np.full(matches.faces, -1, dtype=np.int64)
    # Of repeated indices NumPy keeps the last value: backwards, the detection of highest score.
    first[face[::-1]] = landed[::-1]
    hit = np.zeros(len(matches), dtype=np.bool_)
    hit[first[counted & (first >= 0)]] = True

    false_alarm = ~hit
    false_alarm[landed[~counted[face]]] = False
    on_empty = (np.diff(matches.face_offsets) == 0)[matches.image]

    scores = matches.scores
    last_of_score = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    return Counts(
        thresholds=scores[last_of_score],
        hits=np.cumsum(hit, dtype=np.int64)[last_of_score],
        false_alarms=np.cumsum(false_alarm & ~on_empty, dtype=np.int64)[last_of_score],
        false_alarms_on_empty=np.cumsum(on_empty, dtype=np.int64)[last_of_score],
        hit_iou=np.cumsum(np.where(hit, matches.plain_iou, 0.0))[last_of_score],
        faces=int(np.count_nonzero(counted)),
        images=matches.images,
    )

"""Exact and COCO-style average precision of weighted pictures.

Of the detections on a curve only the hits make points, and false alarms matter through their number between one hit and
the next. Two sparse matrices (points × pictures) hold both, so that a block of draws is two sparse products, two
cumulative sums and a running maximum: about 0.5 ms a draw for 297,333 detections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coco import COCO_THRESHOLDS, FALSE_ALARM, HIT, RECALLS, Overlaps, coco_verdicts
from .matching import Matches
from .resampling import checked_weights, faces_per_picture, ratio
from .verdicts import verdicts

_NUMBERS_PER_BLOCK = 1 << 18
"""Points times draws computed together: 2 MB an array, which stays in the cache."""


class ExactAP:
    """`exact_average_precision` of weighted pictures; nan where no face counts.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        iou_threshold: in (0, 1], against the IoU with the plus-one rule.
        count_empty_pictures: count false alarms on pictures without any annotated face.
    """

    def __init__(
        self,
        matches: Matches,
        counted: NDArray[np.bool_],
        *,
        iou_threshold: float = 0.5,
        count_empty_pictures: bool = True,
    ) -> None:
        judged = verdicts(matches, counted, iou_threshold=iou_threshold)
        proposal = judged.hit | judged.false_alarm
        if not count_empty_pictures:
            proposal &= (np.diff(matches.face_offsets) > 0)[matches.picture]
        faces = faces_per_picture(matches.face_offsets, counted)
        self._curve = _Curve.from_rows(_groups(matches.scores), matches.picture, judged.hit, proposal, faces)

    @property
    def pictures(self) -> int:
        """How many pictures there are to weigh."""
        return len(self._curve.faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return exact AP under each draw: float64 (draws,)."""
        faces = checked_weights(weights, self.pictures) @ self._curve.faces
        area = np.empty(len(weights))
        for some, hits, hits_before, proposals in self._curve.blocks(weights):
            area[some] = np.einsum("pd,pd->d", hits, precision_envelope(hits_before, proposals, 0.0))
        return ratio(area, faces)

    def of_highest(self, weights: NDArray[np.integer], proposals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return exact AP of the thresholds that accept at most so many proposals, (draws,): float64 (draws,)."""
        faces = checked_weights(weights, self.pictures) @ self._curve.faces
        area = np.empty(len(weights))
        for some, hits, hits_before, proposals_before in self._curve.blocks(weights):
            is_beyond = proposals_before > proposals[some]
            hits[is_beyond] = hits_before[is_beyond] = 0.0
            area[some] = np.einsum("pd,pd->d", hits, precision_envelope(hits_before, proposals_before, 0.0))
        return ratio(area, faces)


class CocoAP:
    """COCO-style AP of weighted pictures, the mean over IoU thresholds; nan where no face counts.

    Detections of equal score keep their order; the copies of a detection are taken to stand side by side.

    Args:
        overlaps: from `coco_overlaps`.
        counted: bool (faces,): the faces of the list.
        thresholds: float64 (t,), IoU: `COCO_THRESHOLDS`, or `np.array([0.5])` for AP50.
    """

    def __init__(
        self, overlaps: Overlaps, counted: NDArray[np.bool_], thresholds: NDArray[np.float64] = COCO_THRESHOLDS
    ) -> None:
        faces = faces_per_picture(overlaps.face_offsets, counted)
        place = np.arange(len(overlaps.scores), dtype=np.int64)
        self._curves = [
            _Curve.from_rows(place, overlaps.picture, row == HIT, (row == HIT) | (row == FALSE_ALARM), faces)
            for row in coco_verdicts(overlaps, counted, thresholds)
        ]
        self._faces = faces

    @property
    def pictures(self) -> int:
        """How many pictures there are to weigh."""
        return len(self._faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the mean AP over the thresholds under each draw: float64 (draws,)."""
        return np.asarray(self.by_threshold(weights).mean(axis=0))

    def by_threshold(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the AP at each threshold under each draw: float64 (t, draws)."""
        faces = checked_weights(weights, self.pictures) @ self._faces.astype(np.float64)
        areas = np.zeros((len(self._curves), len(weights)))
        for curve, area in zip(self._curves, areas, strict=True):
            for some, _, hits_before, proposals in curve.blocks(weights):
                envelope = precision_envelope(hits_before, proposals, float(np.spacing(1)))
                for draw, total in enumerate(faces[some]):
                    if total > 0:
                        at = np.searchsorted(hits_before[:, draw] / total, RECALLS, side="left")
                        area[some.start + draw] = np.append(envelope[:, draw], 0.0)[at].mean()
        return np.where(faces > 0, areas, np.nan)


def precision_envelope(hits: NDArray[np.float64], proposals: NDArray[np.float64], eps: float) -> NDArray[np.float64]:
    """Return the highest precision at or after each point, (points, …), in the memory of `proposals`.

    `eps` is added to the proposals, as pycocotools does.
    """
    np.maximum(proposals, 1.0, out=proposals)  # no proposals, no hits: precision 0
    proposals += eps
    precision = np.divide(hits, proposals, out=proposals)
    np.maximum.accumulate(precision[::-1], axis=0, out=precision[::-1])
    return precision


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Counts at the points of a curve that hold a hit, for any weights.

    Attributes:
        hits: sparse (points, pictures): hits at each point, highest score first.
        proposals: sparse (points, pictures): hits and false alarms since the point before.
        faces: float64 (pictures,): faces that count.
    """

    hits: Any
    proposals: Any
    faces: NDArray[np.float64]

    @classmethod
    def from_rows(
        cls,
        point: NDArray[np.int64],
        picture: NDArray[np.int64],
        hit: NDArray[np.bool_],
        proposal: NDArray[np.bool_],
        faces: NDArray[np.int64],
    ) -> _Curve:
        """Build from detections, highest score first.

        Args:
            point: int64 (n,), never falling: detections of one number are accepted together.
            picture: int64 (n,).
            hit: bool (n,).
            proposal: bool (n,): hit or false alarm.
            faces: int64 (pictures,): faces that count.
        """
        from scipy.sparse import csr_array

        with_hit = np.unique(point[hit])
        shape = (len(with_hit), len(faces))

        def table(chosen: NDArray[np.bool_]) -> Any:
            row = np.searchsorted(with_hit, point[chosen])
            before_end = row < len(with_hit)
            row, column = row[before_end], picture[chosen][before_end]
            return csr_array((np.ones(len(row)), (row, column)), shape=shape)

        return cls(table(hit), table(proposal), faces.astype(np.float64))

    def blocks(
        self, weights: NDArray[np.integer]
    ) -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
        """Yield a slice of the draws, hits at each point, hits and proposals up to it: float64 (points, draws)."""
        draws = max(1, min(64, _NUMBERS_PER_BLOCK // max(self.hits.shape[0], 1)))
        for start in range(0, len(weights), draws):
            some = slice(start, start + draws)
            columns = np.ascontiguousarray(weights[some].T, dtype=np.float64)
            hits = self.hits @ columns
            proposals = self.proposals @ columns
            np.cumsum(proposals, axis=0, out=proposals)
            yield some, hits, np.cumsum(hits, axis=0), proposals


def _groups(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the distinct scores along falling scores: int64 (n,)."""
    return np.cumsum(np.diff(scores, prepend=scores[:1]) != 0, dtype=np.int64)

"""Exact and COCO-style average precision of weighted images.

Of the detections on a curve only the hits make points, and false alarms matter through their number between one hit and
the next. Where there is none between, precision cannot fall, whatever the weights: the highest precision from either
hit on is the same, and one point holds both. A sparse matrix (points × images) holds the hits and the false alarms of
each point, so that a block of draws is one sparse product, two cumulative sums and a running maximum.

A value depends on nothing but the images that are drawn: sums are made so that they are exact, in any order and with
any points between. So a draw in which two detectors found the same makes their difference exactly zero, which decides
whether an interval includes 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..scoring.coco import COCO_THRESHOLDS, FALSE_ALARM, HIT, RECALLS, Overlaps, coco_verdicts
from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from .statistics import checked_weights, faces_per_image, ratio

_NUMBERS_PER_BLOCK = 1 << 17
"""Points (or images) times draws computed together: 1 MB an array, which stays in the cache."""
_DRAWS_PER_BLOCK = 32
"""Draws computed together where there are more points: what an image weighs in all is two lines of the cache."""
_LARGEST_BLOCK = 1 << 22
"""Points (or images) times draws computed together at most: 32 MB an array."""
_DENSE = 8
"""Numbers in a matrix for each detection, up to which it is faster to multiply them all than to skip the zeros."""
_STEPS = 32
"""Points in a lane at most, see `DrawnCounts`."""
_WHOLE_IN_FLOAT32 = 1 << 24
"""Whole numbers up to this one are exact in single precision, which is half as much to move."""


class ExactAP:
    """`exact_average_precision` of weighted images; nan where no face counts.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        iou_threshold: in (0, 1], against the IoU with the plus-one rule.
    """

    def __init__(self, matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float = 0.5) -> None:
        judged = verdicts(matches, counted, iou_threshold=iou_threshold)
        faces = faces_per_image(matches.face_offsets, counted)
        ranked = Ranked.of(judged.hit, judged.false_alarm, matches.image, faces)
        self._curve = ranked.curve(np.searchsorted(-matches.scores, -matches.scores[judged.hit], side="right"))

    @property
    def images(self) -> int:
        """How many images there are to weigh."""
        return len(self._curve.faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return exact AP under each draw: float64 (draws,)."""
        return self._curve.average_precision(checked_weights(weights, self.images))

    @property
    def mass(self) -> NDArray[np.float64]:
        """Faces that count."""
        return self._curve.faces

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0

    def influence(self) -> NDArray[np.float64]:
        """Return the derivative by each image's weight: float64 (images,)."""
        return self._curve.influence()


class CocoAP:
    """COCO-style AP of weighted images, the mean over IoU thresholds; nan where no face counts.

    Detections of equal score keep their order; the copies of a detection are taken to stand side by side.

    Args:
        overlaps: from `coco_overlaps`.
        counted: bool (faces,): the faces of the list.
        thresholds: float64 (t,), IoU: `COCO_THRESHOLDS`, or `np.array([0.5])` for AP50.
    """

    def __init__(
        self, overlaps: Overlaps, counted: NDArray[np.bool_], thresholds: NDArray[np.float64] = COCO_THRESHOLDS
    ) -> None:
        faces = faces_per_image(overlaps.face_offsets, counted)
        self._curves = [
            Ranked.of(row == HIT, row == FALSE_ALARM, overlaps.image, faces).curve(np.flatnonzero(row == HIT) + 1)
            for row in coco_verdicts(overlaps, counted, thresholds)
        ]
        self._faces = faces

    @property
    def images(self) -> int:
        """How many images there are to weigh."""
        return len(self._faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the mean AP over the thresholds under each draw: float64 (draws,)."""
        return np.asarray(self.by_threshold(weights).mean(axis=0))

    @property
    def mass(self) -> NDArray[np.float64]:
        """Faces that count."""
        return self._faces.astype(np.float64)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0

    def influence(self) -> NDArray[np.float64]:
        """Return the derivative of the area under the envelope, which 101 recalls sample: float64 (images,)."""
        return np.asarray(self.influences().mean(axis=0))

    def influences(self) -> NDArray[np.float64]:
        """Return `influence` at each threshold: float64 (t, images)."""
        return np.array([curve.influence() for curve in self._curves])

    def by_threshold(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the AP at each threshold under each draw: float64 (t, draws)."""
        checked_weights(weights, self.images)
        found = np.zeros((len(self._curves), len(weights)))
        for curve, values in zip(self._curves, found, strict=True):
            for some, counts in curve.blocks(weights):
                recall = counts.in_order(counts.hits_before / np.maximum(counts.faces, 1.0))
                precision = counts.in_order(counts.precision_envelope(float(np.spacing(1))))
                # Each level of recall takes the precision of the first point that reaches it, and 0 where none does.
                reached = [one.searchsorted(RECALLS) for one in recall]
                levels = np.take_along_axis(np.pad(precision, ((0, 0), (0, 1))), np.array(reached), axis=1)
                values[some] = np.where(counts.faces > 0, levels.mean(axis=1), np.nan)
        return found


class DrawnCounts(NamedTuple):
    """Counts at the points of a curve under some draws, whole numbers.

    Points stand in lanes, one after the other: (steps, lanes, draws), so that what runs along them is a few sums of
    long rows. After the last point follow some that count nothing more.

    Attributes:
        hits: at each point, highest score first.
        hits_before: hits up to and with it.
        proposals: hits and false alarms up to and with it.
        faces: float64 (draws,): that count.
    """

    hits: NDArray[np.floating]
    hits_before: NDArray[np.floating]
    proposals: NDArray[np.floating]
    faces: NDArray[np.float64]

    def precision_envelope(self, eps: float = 0.0) -> NDArray[np.float64]:
        """Return the highest precision at or after each point; `eps` is added to the proposals, as in pycocotools."""
        # no proposals, no hits: precision 0
        precision: NDArray[np.float64] = np.maximum(self.proposals, 1.0, dtype=np.float64)
        precision += eps
        np.divide(self.hits_before, precision, out=precision)
        _run(np.maximum, precision[::-1, ::-1])
        return precision

    def average_precision(self) -> NDArray[np.float64]:
        """Return the mean over the faces of the highest precision from each one's hit on: float64 (draws,), or nan.

        Precision is split into two parts of so few bits that both sums need no rounding: adding the power of two above
        the number of faces and taking it away again leaves what is a multiple of 2^-52 of it, so that no sum of hits
        outgrows 53 bits (Rump, Ogita and Oishi 2008, "Accurate floating-point summation").
        """
        precision = self.precision_envelope()
        above = np.tile(np.ldexp(1.0, np.frexp(self.faces)[1]), (precision.shape[1], 1))
        coarse = precision + above
        coarse -= above
        precision -= coarse
        above *= np.ldexp(above, -52)
        precision += above
        precision -= above
        area = np.einsum("sld,sld->d", self.hits, coarse) + np.einsum("sld,sld->d", self.hits, precision)
        return ratio(area, self.faces)

    def in_order(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the points in the order of points: (draws, points)."""
        return np.ascontiguousarray(values.T).reshape(len(self.faces), -1)


def _run(running: np.ufunc, lanes: NDArray[np.floating]) -> None:
    """Add up, or take the maximum, along the points of (steps, lanes, draws), in place; no value is negative."""
    for before, step in itertools.pairwise(lanes):
        running(before, step, out=step)
    ends = running.accumulate(lanes[-1], axis=0)
    running(lanes[:, 1:], ends[:-1], out=lanes[:, 1:])


@dataclass(frozen=True, slots=True, eq=False)
class DrawnCurve:
    """Counts at the points of a curve that hold a hit, for any weights.

    Attributes:
        rows: (2 * points + 1, images), sparse where it is large: hits at each point, highest score first, then the
            false alarms between the hits of the point before and those of each, at last nothing.
        detections: how many are counted in it.
        faces: float64 (images,): faces that count.
    """

    rows: Any
    detections: int
    faces: NDArray[np.float64]

    def blocks(self, weights: NDArray[np.integer]) -> Iterator[tuple[slice, DrawnCounts]]:
        """Yield slices of the draws with their counts."""
        points = self.rows.shape[0] // 2
        steps = max(1, min(points, _STEPS))
        place = np.arange(-(-max(points, 1) // steps) * steps).reshape(-1, steps).T
        # the last row is empty
        lanes = np.stack([np.where(place < points, place + first, 2 * points) for first in (0, points)])
        numbers, largest = max(points, len(self.faces), 1), max(self.detections, self.faces.sum())
        draws = max(1, _NUMBERS_PER_BLOCK // numbers, min(_DRAWS_PER_BLOCK, _LARGEST_BLOCK // numbers))
        for first in range(0, len(weights), draws):
            drawn = weights[first : first + draws]
            fits = largest * int(drawn.max(initial=0)) <= _WHOLE_IN_FLOAT32
            # NumPy copies across the memory faster without a change of type
            columns = np.ascontiguousarray(drawn.T).astype(np.float32 if fits else np.float64)
            hits, false_alarms = (self.rows @ columns).take(lanes, axis=0)
            hits_before = hits.copy()
            _run(np.add, hits_before)
            _run(np.add, false_alarms)
            some = slice(first, first + len(drawn))
            faces = (self.faces.astype(columns.dtype) @ columns).astype(np.float64)
            yield some, DrawnCounts(hits, hits_before, hits_before + false_alarms, faces)

    def influence(self) -> NDArray[np.float64]:
        """Return the derivative of the average precision by each image's weight, at weights of 1: float64 (images,).

        The highest precision from a hit on is that of one later point j, H / N. An image moves it by its own hits and
        false alarms up to j, (h (1 - H / N) - f H / N) / N. Summed over the hits, each row of the table has one factor.
        """
        total = float(self.faces.sum())
        points = self.rows.shape[0] // 2
        if not total > 0 or not points:
            return np.zeros(len(self.faces))
        counts = np.asarray(self.rows.sum(axis=1), dtype=np.float64).ravel()
        hits, false_alarms = counts[:points], counts[points : 2 * points]
        proposals = np.cumsum(hits + false_alarms)
        precision = np.cumsum(hits) / np.maximum(proposals, 1.0)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        # the last point from each on that has the highest precision
        place = np.minimum.accumulate(np.where(precision == envelope, np.arange(points), points)[::-1])[::-1]
        per_proposal = np.bincount(place, hits, points) / np.maximum(proposals, 1.0)
        of_hits = np.cumsum((per_proposal * (1.0 - precision))[::-1])[::-1]
        of_false_alarms = np.cumsum((per_proposal * precision)[::-1])[::-1]
        factors = np.concatenate([envelope + of_hits, -of_false_alarms, [0.0]])
        value = float(hits @ envelope) / total
        return np.asarray(self.rows.T @ factors - value * self.faces, dtype=np.float64) / total

    def average_precision(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return `DrawnCounts.average_precision` under each draw: float64 (draws,)."""
        found = np.empty(len(weights))
        for some, counts in self.blocks(weights):
            found[some] = counts.average_precision()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Hits and false alarms among the detections, highest score first.

    Attributes:
        hits: int64 (h,): the places of the hits among the detections, rising.
        false_alarms: int64 (f,): those of the false alarms.
        hit_image: int32 (h,): the image of each hit.
        false_alarm_image: int32 (f,): that of each false alarm.
        faces: int64 (images,): faces that count.
    """

    hits: NDArray[np.int64]
    false_alarms: NDArray[np.int64]
    hit_image: NDArray[np.int32]
    false_alarm_image: NDArray[np.int32]
    faces: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        hit: NDArray[np.bool_],
        false_alarm: NDArray[np.bool_],
        image: NDArray[np.int64],
        faces: NDArray[np.int64],
    ) -> Ranked:
        """Build from what became of each detection, (n,), and its image, int64 (n,)."""
        hits, false_alarms = np.flatnonzero(hit), np.flatnonzero(false_alarm)
        of_hit, of_false_alarm = (image[some].astype(np.int32) for some in (hits, false_alarms))
        return cls(hits, false_alarms, of_hit, of_false_alarm, faces)

    def curve(self, ends: NDArray[np.int64]) -> DrawnCurve:
        """Return the curve of the thresholds that accept the first so many detections, int64 (m,), never falling."""
        from scipy.sparse import csr_array

        hits, false_alarms = self.hits.searchsorted(ends), self.false_alarms.searchsorted(ends)
        point = np.diff(hits, prepend=0) > 0
        hits, false_alarms = hits[point], false_alarms[point]
        # of the points with no false alarm between them the last is enough
        point = np.diff(false_alarms, append=len(self.false_alarms) + 1) > 0
        hits, false_alarms = hits[point], false_alarms[point]
        of_hits = self.hit_image[: hits[-1:].sum()]
        images = np.concatenate([of_hits, self.false_alarm_image[: false_alarms[-1:].sum()]])
        ends_of_rows = np.concatenate([[0], hits, len(of_hits) + false_alarms, [len(images)]]).astype(np.int32)
        shape = 2 * len(hits) + 1, len(self.faces)
        rows: Any
        if shape[0] * shape[1] <= _DENSE * len(images):
            row = np.repeat(np.arange(shape[0]), np.diff(ends_of_rows))
            cells = np.bincount(row * shape[1] + images, minlength=shape[0] * shape[1])
            rows = cells.reshape(shape).astype(np.float32)
        else:
            rows = csr_array((np.ones(len(images), dtype=np.float32), images, ends_of_rows), shape=shape)
        return DrawnCurve(rows, len(images), self.faces.astype(np.float64))

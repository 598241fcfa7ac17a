"""Which face of a frame is which of the frames before, and an emotion that does not flicker.

Boxes are matched one to one by intersection over union, as in SORT (Bewley et al.: Simple online and realtime tracking,
ICIP 2016), with a constant velocity in place of its Kalman filter. Probabilities are smoothed by an exponential
average in time, not in frames, so that a slow detector does not smooth longer than a fast one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ...benchmarks.scoring.matching import iou_matrix
from ...errors import UsageError

_NEW_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """How faces are followed.

    Attributes:
        min_iou: between where a track is expected and a box; below, the box begins a new track.
        max_age: frames in a row that a face may be missing and keep its number.
        time_constant_s: after a change for good, so many seconds later 63 % of it have come through; 0 smooths nothing.

    Raises:
        UsageError: a value is out of range.
    """

    min_iou: float = 0.3
    max_age: int = 10
    time_constant_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.min_iou <= 1:
            raise UsageError(f"got min_iou={self.min_iou}, expected more than 0 and at most 1")
        if self.max_age < 0:
            raise UsageError(f"got max_age={self.max_age}, expected at least 0 frames")
        if not (math.isfinite(self.time_constant_s) and self.time_constant_s >= 0):
            raise UsageError(f"got time_constant_s={self.time_constant_s}, expected at least 0 seconds")


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The faces that are followed, k of them, a row each; a value, never changed.

    Attributes:
        ids: int64 (k,): numbers from 1, never given twice.
        boxes: float64 (k, 4): where each was seen last, x1, y1, x2, y2 in pixels.
        velocities: float64 (k, 2): of the centre, pixels a second; 0 until seen twice.
        probabilities: float64 (k, 7): smoothed.
        seen_s: float64 (k,): when each was seen last, seconds.
        missing: int64 (k,): frames since then.
        time_s: of the last frame; minus infinity before the first.
        count: numbers given so far.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    velocities: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    seen_s: NDArray[np.float64]
    missing: NDArray[np.int64]
    time_s: float = -math.inf
    count: int = 0

    @classmethod
    def none(cls, classes: int = 7) -> Tracks:
        """Return what is followed before the first frame."""
        whole = np.zeros(0, np.int64)
        return cls(whole, np.zeros((0, 4)), np.zeros((0, 2)), np.zeros((0, classes)), np.zeros(0), whole)

    def expected(self, time_s: float) -> NDArray[np.float64]:
        """Return the boxes (k, 4) where the faces should be at this time."""
        return self.boxes + np.tile(self.velocities * (time_s - self.seen_s)[:, None], 2)


def follow(
    tracks: Tracks,
    boxes: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    time_s: float,
    options: TrackerOptions,
) -> tuple[Tracks, NDArray[np.int64], NDArray[np.float32]]:
    """Take one frame further.

    Args:
        tracks: after the frame before; `Tracks.none()` for the first.
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        probabilities: (n, 7) of each.
        time_s: when, seconds, later than the frame before.
        options: how.

    Returns:
        The tracks after this frame, the number of each box int64 (n,), and its smoothed probabilities float32 (n, 7).

    Raises:
        UsageError: time does not go on, or the arrays do not fit together.
    """
    if not time_s > tracks.time_s:
        raise UsageError(f"got a frame at {time_s} s after one at {tracks.time_s} s, expected a later one")
    now, raw = np.asarray(boxes, np.float64), np.asarray(probabilities, np.float64)
    if now.shape != (len(now), 4) or raw.shape != (len(now), tracks.probabilities.shape[1]):
        raise UsageError(f"got boxes {now.shape} and probabilities {raw.shape}, expected (n, 4) and (n, classes)")
    old, new = _assign(tracks.expected(time_s), now, options.min_iou)

    ids = np.zeros(len(now), np.int64)
    velocities, smooth = np.zeros((len(now), 2)), raw.copy()
    ids[new] = tracks.ids[old]
    elapsed = (time_s - tracks.seen_s[old])[:, None]
    velocities[new] = _velocities(tracks, old, now[new], elapsed)
    share = -np.expm1(-elapsed / options.time_constant_s) if options.time_constant_s else 1.0
    smooth[new] = tracks.probabilities[old] + share * (raw[new] - tracks.probabilities[old])
    first = ids == 0
    ids[first] = tracks.count + 1 + np.arange(first.sum())

    lost = np.setdiff1d(np.arange(len(tracks.ids)), old)
    kept = lost[tracks.missing[lost] < options.max_age]
    after = Tracks(
        ids=np.concatenate([ids, tracks.ids[kept]]),
        boxes=np.concatenate([now, tracks.boxes[kept]]),
        velocities=np.concatenate([velocities, tracks.velocities[kept]]),
        probabilities=np.concatenate([smooth, tracks.probabilities[kept]]),
        seen_s=np.concatenate([np.full(len(now), time_s), tracks.seen_s[kept]]),
        missing=np.concatenate([np.zeros(len(now), np.int64), tracks.missing[kept] + 1]),
        time_s=time_s,
        count=tracks.count + int(first.sum()),
    )
    return after, ids, smooth.astype(np.float32)


def _assign(
    expected: NDArray[np.float64], now: NDArray[np.float64], min_iou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return places in `expected` and in `now` that belong together: the pairs with the largest sum of IoU."""
    overlap = iou_matrix(expected, now, plus_one=False)
    overlap[overlap < min_iou] = 0
    old, new = linear_sum_assignment(overlap, maximize=True)
    good = overlap[old, new] > 0
    return old[good], new[good]


def _velocities(
    tracks: Tracks, old: NDArray[np.int64], boxes: NDArray[np.float64], elapsed_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of the velocity before and the one just seen, which evens out boxes that shake."""
    shift = (boxes - tracks.boxes[old]).reshape(-1, 2, 2).mean(axis=1) / elapsed_s
    before = tracks.velocities[old]
    known = before.any(axis=1, keepdims=True)
    return np.asarray(np.where(known, before + _NEW_SHARE * (shift - before), shift))


__all__ = ["TrackerOptions", "Tracks", "follow"]

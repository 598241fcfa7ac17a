"""Official WIDER FACE average precision of weighted pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .matching import Matches
from .resampled_curves import precision_envelope
from .resampling import checked_weights, faces_per_picture, ratio
from .verdicts import verdicts
from .wider_protocol import OFFICIAL_THRESHOLDS


class OfficialAP:
    """`official_average_precision` of weighted pictures; nan where no face counts.

    Every draw is normalised by its own lowest and highest score, as the official code would: with it the value of a
    resample can move though its order of detections did not.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        iou_threshold: in (0, 1], against the IoU with the plus-one rule.
    """

    def __init__(self, matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float = 0.5) -> None:
        judged = verdicts(matches, counted, iou_threshold=iou_threshold)
        proposal = (judged.hit | judged.false_alarm) & (np.diff(matches.face_offsets) > 0)[matches.picture]
        self._faces = faces_per_picture(matches.face_offsets, counted).astype(np.float64)
        self._highest, self._lowest = np.full(self.pictures, -np.inf), np.full(self.pictures, np.inf)
        np.maximum.at(self._highest, matches.picture, matches.scores)
        np.minimum.at(self._lowest, matches.picture, matches.scores)
        self._hits = _Accepted(matches, judged.hit)
        self._proposals = _Accepted(matches, proposal)

    @property
    def pictures(self) -> int:
        """How many pictures there are to weigh."""
        return len(self._faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return official AP under each draw: float64 (draws,)."""
        faces = (checked_weights(weights, self.pictures) @ self._faces).astype(np.float64)
        area = np.zeros(len(weights))
        # Most draws share their extreme scores with others, and so the rows that pass each threshold.
        rows: dict[tuple[float, float], list[NDArray[np.int64]]] = {}
        parts = (self._hits, self._proposals)
        for draw, row in enumerate(weights):
            drawn = row > 0
            high = self._highest.max(where=drawn, initial=-np.inf)
            low = self._lowest.min(where=drawn, initial=np.inf)
            if high < low:
                continue
            if (low, high) not in rows:
                rows[low, high] = [part.rows_accepted(low, high) for part in parts]
            hits, proposals = (part.total(row, at) for part, at in zip(parts, rows[low, high], strict=True))
            area[draw] = np.diff(hits, prepend=0.0) @ precision_envelope(hits, proposals, 0.0)
        return ratio(area, faces)


class _Accepted:
    """Weighted number of chosen detections at each official threshold.

    Args:
        matches: from `match`.
        chosen: bool (n,).
    """

    def __init__(self, matches: Matches, chosen: NDArray[np.bool_]) -> None:
        self._scores = matches.scores[chosen]
        self._picture = matches.picture[chosen]

    def rows_accepted(self, low: float, high: float) -> NDArray[np.int64]:
        """Return how many rows pass each threshold, int64 (1000,), by the arithmetic of `normalise_scores`.

        The rows of scores beyond low and high belong to pictures that were not drawn and weigh nothing.
        """
        if low == high:
            return np.full(len(OFFICIAL_THRESHOLDS), len(self._scores))
        scores, thresholds = self._scores, OFFICIAL_THRESHOLDS
        rows: NDArray[np.int64] = np.searchsorted(-scores, -(thresholds * (high - low) + low), side="right")
        # Undoing the normalisation rounds differently from doing it: step over the rows in between.
        padded = np.concatenate([[np.inf], (scores - low) / (high - low), [-np.inf]])
        while (more := padded[rows + 1] >= thresholds).any():
            rows += more
        while (fewer := padded[rows] < thresholds).any():
            rows -= fewer
        return rows

    def total(self, weights: NDArray[np.integer], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the weight of the first `rows` detections, float64 (1000,), of one draw, (pictures,)."""
        before = np.append(0, np.cumsum(weights[self._picture]))
        return before[rows].astype(np.float64)

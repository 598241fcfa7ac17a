"""Official WIDER FACE average precision of weighted pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from ..scoring.wider_protocol import OFFICIAL_THRESHOLDS
from .average_precision import Curve
from .statistics import blocks_of_draws, checked_weights, faces_per_picture, ratio, weighted_sums


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
        self._hit = judged.hit
        self._false_alarm = judged.false_alarm & (np.diff(matches.face_offsets) > 0)[matches.picture]
        self._scores, self._picture = matches.scores, matches.picture
        self._faces = faces_per_picture(matches.face_offsets, counted)
        self._highest, self._lowest = np.full(self.pictures, -np.inf), np.full(self.pictures, np.inf)
        np.maximum.at(self._highest, matches.picture, matches.scores)
        np.minimum.at(self._lowest, matches.picture, matches.scores)

    @property
    def pictures(self) -> int:
        """How many pictures there are to weigh."""
        return len(self._faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return official AP under each draw: float64 (draws,)."""
        (faces,) = weighted_sums(checked_weights(weights, self.pictures), self._faces)
        found = ratio(np.zeros(len(weights)), faces)
        low, high = np.empty(len(weights)), np.empty(len(weights))
        for block in blocks_of_draws(weights):
            drawn = weights[block] > 0
            low[block] = np.where(drawn, self._lowest, np.inf).min(axis=1, initial=np.inf)
            high[block] = np.where(drawn, self._highest, -np.inf).max(axis=1, initial=-np.inf)
        # Most draws share their extreme scores with others, and so the threshold that each detection passes first.
        extremes, group = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        for number, (lowest, highest) in enumerate(extremes.tolist()):
            if lowest <= highest:
                some = np.flatnonzero(group.ravel() == number)
                accepted = _first_passed(self._scores, lowest, highest)
                curve = Curve.from_rows(accepted, self._picture, self._hit, self._false_alarm, self._faces)
                found[some] = curve.average_precision(weights[some])
        return found


def _first_passed(scores: NDArray[np.float64], low: float, high: float) -> NDArray[np.int64]:
    """Return which official threshold each score passes first, int64 (n,), by the arithmetic of `normalise_scores`.

    Scores are in falling order. Those beyond low and high belong to pictures that were not drawn, so that it does not
    matter what they get.
    """
    normalised = np.ones(len(scores)) if low == high else (scores - low) / (high - low)
    passed = np.searchsorted(-normalised, -OFFICIAL_THRESHOLDS, side="right")
    return np.repeat(np.arange(len(passed) + 1), np.diff(passed, prepend=0, append=len(scores)))

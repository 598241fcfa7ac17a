"""Official WIDER FACE average precision of weighted pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from ..scoring.wider_protocol import accepted_by_official
from .average_precision import Ranked
from .statistics import checked_weights, faces_per_picture


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
        false_alarm = judged.false_alarm & (np.diff(matches.face_offsets) > 0)[matches.picture]
        faces = faces_per_picture(matches.face_offsets, counted)
        self._ranked = Ranked.of(judged.hit, false_alarm, matches.picture, faces)
        self._scores = matches.scores
        self._highest, self._lowest = np.full(self.pictures, -np.inf), np.full(self.pictures, np.inf)
        np.maximum.at(self._highest, matches.picture, matches.scores)
        np.minimum.at(self._lowest, matches.picture, matches.scores)

    @property
    def pictures(self) -> int:
        """How many pictures there are to weigh."""
        return len(self._ranked.faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return official AP under each draw: float64 (draws,)."""
        checked_weights(weights, self.pictures)
        low, high = _lowest_drawn(weights, self._lowest), -_lowest_drawn(weights, -self._highest)
        found = np.empty(len(weights))
        # Most draws share their extreme scores with others, and so what each threshold accepts.
        extremes, group = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        for number, (lowest, highest) in enumerate(extremes.tolist()):
            some = np.flatnonzero(group.ravel() == number)
            # Scores beyond these two belong to pictures that are not drawn: it does not matter what accepts them.
            accepted = accepted_by_official(self._scores, lowest, highest)
            found[some] = self._ranked.curve(accepted).average_precision(weights[some])
        return found


def _lowest_drawn(weights: NDArray[np.integer], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lowest of the values, (pictures,), of the pictures drawn: float64 (draws,); infinity of none."""
    found, left = np.full(len(weights), np.inf), np.arange(len(weights))
    for picture in np.argsort(values):
        drawn = weights[left, picture] > 0
        found[left[drawn]] = values[picture]
        left = left[~drawn]
        if len(left) == 0:
            break
    return found

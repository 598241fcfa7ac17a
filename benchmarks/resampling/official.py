"""Official WIDER FACE average precision of weighted images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..scoring.matching import Matches
from ..scoring.verdicts import verdicts
from ..scoring.wider_protocol import accepted_by_official
from .average_precision import Ranked
from .statistics import checked_weights, faces_per_image


class OfficialAP:
    """`official_average_precision` of weighted images; nan where no face counts.

    Every draw is normalised by its own lowest and highest score, as the official code would: with it the value of a
    resample can move though its order of detections did not.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        iou_threshold: in (0, 1], against the IoU with the plus-one rule.
    """

    def __init__(self, matches: Matches, counted: NDArray[np.bool_], *, iou_threshold: float = 0.5) -> None:
        judged = verdicts(matches, counted, iou_threshold=iou_threshold)
        false_alarm = judged.false_alarm & (np.diff(matches.face_offsets) > 0)[matches.image]
        faces = faces_per_image(matches.face_offsets, counted)
        self._ranked = Ranked.of(judged.hit, false_alarm, matches.image, faces)
        self._scores = matches.scores
        self._highest, self._lowest = np.full(self.images, -np.inf), np.full(self.images, np.inf)
        np.maximum.at(self._highest, matches.image, matches.scores)
        np.minimum.at(self._lowest, matches.image, matches.scores)

    @property
    def images(self) -> int:
        """How many images there are to weigh."""
        return len(self._ranked.faces)

    def __call__(self, weights: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return official AP under each draw: float64 (draws,)."""
        checked_weights(weights, self.images)
        low, high = _lowest_drawn(weights, self._lowest), -_lowest_drawn(weights, -self._highest)
        found = np.empty(len(weights))
        # Most draws share their extreme scores with others, and so what each threshold accepts.
        extremes, group = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        for number, (lowest, highest) in enumerate(extremes.tolist()):
            some = np.flatnonzero(group.ravel() == number)
            # Scores beyond these two belong to images that are not drawn: it does not matter what accepts them.
            accepted = accepted_by_official(self._scores, lowest, highest)
            found[some] = self._ranked.curve(accepted).average_precision(weights[some])
        return found

    @property
    def mass(self) -> NDArray[np.float64]:
        """Faces that count."""
        return self._ranked.faces.astype(np.float64)

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0

    def influence(self) -> NDArray[np.float64]:
        """Return the derivative by each image's weight, with the thresholds of all images: float64 (images,)."""
        if not len(self._scores):
            return np.zeros(self.images)
        accepted = accepted_by_official(self._scores, float(self._lowest.min()), float(self._highest.max()))
        return self._ranked.curve(accepted).influence()


def _lowest_drawn(weights: NDArray[np.integer], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lowest of the values, (images,), of the images drawn: float64 (draws,); infinity of none."""
    found, left = np.full(len(weights), np.inf), np.arange(len(weights))
    for image in np.argsort(values):
        drawn = weights[left, image] > 0
        found[left[drawn]] = values[image]
        left = left[~drawn]
        if len(left) == 0:
            break
    return found

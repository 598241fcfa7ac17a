"""Whether two answers to one image are the same but for arithmetic in another order, as in a batch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .base import Detections

BOX_PX = 0.5
"""How far a side of a box may move."""
SCORE = 1e-3
"""How far a score may move."""


def agree(one: Detections, other: Detections, threshold: float = -math.inf) -> bool:
    """Return whether each detection of either answer has one of the other within `BOX_PX` and `SCORE`.

    Args:
        one: of one image.
        other: of the same image.
        threshold: at which both were cut: a detection within `SCORE` of it may be in one of them alone.
    """
    near = _near(one, other)
    return bool(
        (near.any(axis=1) | (one.scores < threshold + SCORE)).all()
        and (near.any(axis=0) | (other.scores < threshold + SCORE)).all()
    )


def _near(one: Detections, other: Detections) -> NDArray[np.bool_]:
    """Return which detections (n,) and (m,) are alike: bool (n, m)."""
    boxes = np.abs(one.boxes[:, None] - other.boxes[None]).max(axis=2, initial=0.0) <= BOX_PX
    scores = np.abs(one.scores[:, None] - other.scores[None]) <= SCORE
    return np.asarray(boxes & scores)

"""Area under a precision-recall curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError


def average_precision(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Return the area under the monotone envelope of precision over recall, with sentinels (0, 0) and (1, 0).

    The envelope replaces each precision by the highest one at the same or a higher recall. This is the all-points rule
    of PASCAL VOC 2010 and later (`VOCap.m`), which the WIDER FACE evaluation uses too; nothing is interpolated.

    Args:
        recall: float64 (m,), never falling, each in [0, 1].
        precision: float64 (m,), each in [0, 1].

    Raises:
        UsageError: on different lengths, a value outside [0, 1] or not a number, or falling recall.

    >>> average_precision(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 0.6]))
    0.8
    """
    if recall.ndim != 1 or recall.shape != precision.shape:
        raise UsageError(f"recall and precision must be two arrays (m,), got {recall.shape} and {precision.shape}")
    if not all(bool(((values >= 0) & (values <= 1)).all()) for values in (recall, precision)):
        raise UsageError("recall and precision must be numbers from 0 to 1")
    if bool((recall[1:] < recall[:-1]).any()):
        raise UsageError("recall must never fall along the curve; order its points by falling score threshold")
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(recall, prepend=0.0) @ envelope)

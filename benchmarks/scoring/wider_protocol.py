"""Average precision by the WIDER FACE validation protocol: the official form and the exact one.

Sources: `evaluation.m`, `norm_score.m` and `VOCap.m` of the WIDER FACE eval_tools, and their Python port
WiderFace-Evaluation (`evaluation.py`). Matching is in `matching`, the rules for hits and false alarms in `counting`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .counting import Counts

OFFICIAL_THRESHOLDS = 1.0 - np.arange(1, 1001) / 1000
"""The 1,000 thresholds 0.999, 0.998, … 0 on normalised scores."""


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


def accepted_by_official(scores: NDArray[np.float64], low: float, high: float) -> NDArray[np.int64]:
    """Return how many of the scores (n,), highest first, each official threshold accepts: int64 (1000,).

    Scores are mapped onto 0 to 1 by the lowest and the highest (`norm_score.m`). Where these are equal, as with
    detectors that give no scores, all become 1: the official code divides 0 by 0 there.

    >>> accepted_by_official(np.array([3.0, 2.0, 1.0]), 1.0, 3.0)[[0, 498, 499, 999]].tolist()
    [1, 1, 2, 3]
    """
    negated = -np.ones_like(scores) if low >= high else (low - scores) / (high - low)
    return np.searchsorted(negated, -OFFICIAL_THRESHOLDS, side="right")


def official_average_precision(counts: Counts) -> float:
    """Return the AP that the official WIDER FACE evaluation prints.

    Scores are normalised over all detections given, dropped ones too, so one outlier among the scores moves the value;
    `exact_average_precision` depends on their order alone. False alarms on images without any annotated face are
    free, as in the original.

    Args:
        counts: from `count`, for one evaluation list.

    Returns:
        In [0, 1]; nan where no face counts, 0.0 where nothing was detected.
    """
    low, high = counts.thresholds[[-1, 0]] if len(counts.thresholds) else (0.0, 0.0)
    above = accepted_by_official(counts.thresholds, low, high)
    hits = np.append(0, counts.hits)[above]
    proposals = np.append(0, counts.hits + counts.false_alarms)[above]
    return _area(hits, proposals, counts.faces)


def exact_average_precision(counts: Counts) -> float:
    """Return AP with every distinct score as a threshold: the same under any strictly rising map of the scores.

    False alarms on images without any annotated face, which the official form leaves out, count too. WIDER FACE val
    has no such image.

    Args:
        counts: from `count`, for one evaluation list.

    Returns:
        In [0, 1]; nan where no face counts, 0.0 where nothing was detected.
    """
    return _area(counts.hits, counts.proposals, counts.faces)


def _area(hits: NDArray[np.int64], proposals: NDArray[np.int64], faces: int) -> float:
    """Return AP from counts at falling thresholds; without proposals precision is 0, where the official code has 0 / 0.

    Such points lie at recall 0 and span no area, so the choice changes no value.
    """
    if faces == 0:
        return float("nan")
    precision = np.divide(hits, proposals, out=np.zeros(len(hits)), where=proposals > 0)
    return average_precision(hits / faces, precision)

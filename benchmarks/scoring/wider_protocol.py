"""Average precision by the WIDER FACE validation protocol: the official form and the exact one.

Sources: `evaluation.m`, `norm_score.m` and `VOCap.m` of the WIDER FACE eval_tools, and their Python port
WiderFace-Evaluation (`evaluation.py`). Matching is in `matching`, the rules for hits and false alarms in `counting`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .average_precision import average_precision
from .counting import Counts

OFFICIAL_THRESHOLDS = 1.0 - np.arange(1, 1001) / 1000
"""The 1,000 thresholds 0.999, 0.998, … 0 on normalised scores."""


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
    `exact_average_precision` depends on their order alone. False alarms on pictures without any annotated face are
    free, as in the original.

    Args:
        counts: from `count`, for one evaluation list.

    Returns:
        In [0, 1]; nan where no face counts, 0.0 where nothing was detected.
    """
    low, high = counts.thresholds[[-1, 0]] if len(counts.thresholds) else (0.0, 0.0)
    above = accepted_by_official(counts.thresholds, low, high)
    hits = np.append(0, counts.hits)[above]
    proposals = np.append(0, counts.proposals(count_empty_pictures=False))[above]
    return _area(hits, proposals, counts.faces)


def exact_average_precision(counts: Counts, *, count_empty_pictures: bool = True) -> float:
    """Return AP with every distinct score as a threshold: the same under any strictly rising map of the scores.

    Args:
        counts: from `count`, for one evaluation list.
        count_empty_pictures: count false alarms on pictures without any annotated face, which the official form leaves
            out. WIDER FACE val has no such picture.

    Returns:
        In [0, 1]; nan where no face counts, 0.0 where nothing was detected.
    """
    return _area(counts.hits, counts.proposals(count_empty_pictures=count_empty_pictures), counts.faces)


def _area(hits: NDArray[np.int64], proposals: NDArray[np.int64], faces: int) -> float:
    """Return AP from counts at falling thresholds; without proposals precision is 0, where the official code has 0 / 0.

    Such points lie at recall 0 and span no area, so the choice changes no value.
    """
    if faces == 0:
        return float("nan")
    precision = np.divide(hits, proposals, out=np.zeros(len(hits)), where=proposals > 0)
    return average_precision(hits / faces, precision)

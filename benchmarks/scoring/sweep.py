"""All rates at every score threshold, and whether the curve ends before the detector does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .counting import Counts
from .wider_protocol import exact_average_precision

AP_AT_STAKE = 0.003
"""The least AP for which a curve is called cut, see `CurveEnd`."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Counts and rates at each threshold; the same numbers that `operating_point` gives there.

    A rate whose denominator is zero is nan.

    Attributes:
        thresholds: float64 (m,), falling; a detection is accepted when its score is at least the threshold.
        hits: int64 (m,): faces found.
        false_alarms: int64 (m,): detections on no face, and second detections of a face.
        precision: float64 (m,): hits / (hits + false alarms).
        recall: float64 (m,): hits / faces, never falling along the array.
        f1: float64 (m,): harmonic mean of precision and recall.
        f2: float64 (m,): the same with recall weighing twice as much (van Rijsbergen 1979, beta = 2).
        false_alarms_per_image: float64 (m,), never falling along the array.
    """

    thresholds: NDArray[np.float64]
    hits: NDArray[np.int64]
    false_alarms: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    f2: NDArray[np.float64]
    false_alarms_per_image: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.thresholds)


def sweep(counts: Counts) -> Sweep:
    """Read all rates at every distinct score.

    Args:
        counts: from `count`, for one evaluation list.
    """
    hits, proposals = counts.hits, counts.proposals
    return Sweep(
        thresholds=counts.thresholds,
        hits=hits,
        false_alarms=proposals - hits,
        precision=_ratio(hits, proposals),
        recall=_ratio(hits, counts.faces),
        f1=_ratio(2 * hits, proposals + counts.faces),
        f2=_ratio(5 * hits, proposals + 4 * counts.faces),
        false_alarms_per_image=_ratio(proposals - hits, counts.images),
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64] | int) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, math.nan), where=np.asarray(whole) > 0)
    return ratio


@dataclass(frozen=True, slots=True)
class CurveEnd:
    """Where the precision-recall curve ends, and what may lie beyond.

    A detector returns nothing below a score floor of its own. There the curve ends, and AP counts the rest of the
    recall as 0: right for a detector that has nothing more to offer, too little for one that was silenced.

    The curve is called cut when AP was still growing at its end: the lowest-scored tenth of the proposals added at
    least `AP_AT_STAKE`, and the bound leaves room for as much again. The measure comes from RetinaFace on the whole of
    WIDER FACE val, where a floor costs about five times what that tenth adds: hard AP loses 7.3 points to a floor of
    0.3 and the tenth adds 1.9, 2.0 and 0.4 at 0.1, 0.7 and 0.1 at 0.05.

    Attributes:
        lowest_score: lowest score of any detection; nan where there are none.
        recall: at the end of the curve.
        precision: at the end of the curve.
        tail_average_precision: what the lowest-scored tenth of the proposals adds to AP; rounded up, with all that
            share the score of the highest of them.
        average_precision: exact AP as it is.
        average_precision_bound: AP + (1 - recall) · precision: AP if all faces left were found at the precision of the
            end. It can be exceeded only by detections that are better than those returned, or by other boxes.
        is_cut: the judgement, by the rule above.
    """

    lowest_score: float
    recall: float
    precision: float
    tail_average_precision: float
    average_precision: float
    average_precision_bound: float
    is_cut: bool

    @property
    def statement(self) -> str:
        """One sentence for a report; empty where there is no curve."""
        if math.isnan(self.recall) or math.isnan(self.precision):
            return ""
        end = f"the curve ends at recall {self.recall:.2f} with precision {self.precision:.2f}"
        if not self.is_cut:
            return f"{end}; nothing suggests that a score floor cuts it"
        return (
            f"{end}, where the lowest-scored tenth still adds {self.tail_average_precision:.3f} of AP: scores below "
            f"{self.lowest_score:.4g} were not returned, AP {self.average_precision:.3f} is a lower bound "
            f"({self.average_precision_bound:.3f} if all other faces followed at that precision)"
        )


def curve_end(counts: Counts) -> CurveEnd:
    """Say whether the precision-recall curve is cut by the detector's own score floor.

    Numbers are nan where there are no faces or no proposals, and then the curve is not called cut.

    Args:
        counts: from `count`, for one evaluation list.
    """
    thresholds, hits, proposals = counts.thresholds, counts.hits, counts.proposals
    total = int(proposals[-1]) if len(proposals) else 0
    lowest = float(thresholds[-1]) if len(thresholds) else math.nan
    if total == 0 or counts.faces == 0:
        return CurveEnd(lowest, *(math.nan,) * 3, exact_average_precision(counts), math.nan, is_cut=False)
    recall, precision = float(hits[-1] / counts.faces), float(hits[-1] / total)

    before_tail = int(np.searchsorted(proposals, total - math.ceil(total / 10), side="right"))
    average_precision = exact_average_precision(counts)
    tail_average_precision = average_precision - exact_average_precision(_highest(counts, before_tail))
    room = (1 - recall) * precision
    return CurveEnd(
        lowest_score=lowest,
        recall=recall,
        precision=precision,
        tail_average_precision=tail_average_precision,
        average_precision=average_precision,
        average_precision_bound=average_precision + room,
        is_cut=min(tail_average_precision, room) >= AP_AT_STAKE,
    )


def _highest(counts: Counts, points: int) -> Counts:
    """Return the counts without the thresholds after the first `points`."""
    return replace(
        counts,
        thresholds=counts.thresholds[:points],
        hits=counts.hits[:points],
        false_alarms=counts.false_alarms[:points],
        false_alarms_on_empty=counts.false_alarms_on_empty[:points],
        hit_iou=counts.hit_iou[:points],
    )

"""Whether scores that claim to be probabilities are: of the detections scored 0.8, are 80 % right?

A detection is right when it is the hit of a face; one on an ignored face is neither right nor wrong and is left out.
Only detections that were returned are judged, so this says nothing of faces missed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from .matching import Matches
from .verdicts import verdicts


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityCurve:
    """Mean score against share of hits, bin by bin; nan in bins without detections.

    Attributes:
        edges: float64 (bins + 1,): scores, never falling; a bin holds its lower edge, the last one its upper edge too.
        count: int64 (bins,): detections.
        mean_score: float64 (bins,).
        hit_share: float64 (bins,).
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    mean_score: NDArray[np.float64]
    hit_share: NDArray[np.float64]

    @property
    def expected_error(self) -> float:
        """ECE: mean of |mean score - hit share| over the detections (Naeini et al. 2015, Guo et al. 2017).

        Scatter alone makes it positive: with n detections a bin, by about 0.8 times the standard error of a share.
        """
        some = self.count > 0
        if not some.any():
            return math.nan
        return float(np.average(np.abs(self.mean_score - self.hit_share)[some], weights=self.count[some]))

    @property
    def maximum_error(self) -> float:
        """MCE: the largest |mean score - hit share| of any bin, however few detections it holds."""
        some = self.count > 0
        return float(np.abs(self.mean_score - self.hit_share)[some].max()) if some.any() else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How far scores are from being probabilities; numbers are nan without detections.

    Attributes:
        equal_width: the curve over bins of the same width from 0 to 1.
        equal_count: the curve over bins of about as many detections each; equal scores stay in one bin.
        brier: mean of (score - right)², right being 1 for a hit and 0 for a false alarm (Brier 1950).
        detections: judged.
        hits: of these.
        score_floor: lowest score judged. A floor is part of the result: wrong detections crowd at low scores.
    """

    equal_width: ReliabilityCurve
    equal_count: ReliabilityCurve
    brier: float
    detections: int
    hits: int
    score_floor: float

    @property
    def statement(self) -> str:
        """One sentence for a report."""
        if self.detections == 0:
            return f"no detection with a score of at least {self.score_floor:g} to judge"
        return (
            f"ECE {self.equal_width.expected_error:.3f} (equal counts {self.equal_count.expected_error:.3f}), "
            f"Brier score {self.brier:.3f}, over {self.detections} detections with a score of at least "
            f"{self.score_floor:g}, {self.hits} of them hits"
        )


def calibration(
    matches: Matches,
    counted: NDArray[np.bool_],
    *,
    score_kind: str,
    score_floor: float = 0.0,
    bins: int = 10,
    iou_threshold: float = 0.5,
) -> Calibration:
    """Compare scores with the share of hits.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        score_kind: what the detector says its scores are; only "probability" can be calibrated.
        score_floor: lowest score judged; give the floor of the run, since nothing below it was returned.
        bins: of each curve.
        iou_threshold: of a hit.

    Raises:
        UsageError: scores are no probabilities, by their kind or their values; a floor outside [0, 1]; no bins.
    """
    if score_kind != "probability":
        raise UsageError(
            f'calibration needs scores of the kind "probability", got "{score_kind}": a score that does not claim to '
            "be a share of hits cannot be wrong about it. Map the scores to probabilities first, or leave it out"
        )
    if not 0 <= score_floor <= 1 or bins < 1:
        raise UsageError(f"score_floor must be from 0 to 1 and bins at least 1, got {score_floor} and {bins}")
    scores = matches.scores
    if len(scores) and not (scores[-1] >= 0 and scores[0] <= 1):
        raise UsageError(f"probabilities lie from 0 to 1, got scores from {scores[-1]:g} to {scores[0]:g}")
    verdict = verdicts(matches, counted, iou_threshold=iou_threshold)
    judged = np.flatnonzero(~verdict.dropped & (scores >= score_floor))[::-1]
    scores, right = scores[judged], verdict.hit[judged].astype(np.float64)
    return Calibration(
        equal_width=_curve(scores, right, np.arange(bins + 1) / bins),
        equal_count=_curve(scores, right, _equal_count_edges(scores, bins)),
        brier=float(((scores - right) ** 2).mean()) if len(scores) else math.nan,
        detections=len(scores),
        hits=int(right.sum()),
        score_floor=score_floor,
    )


def _equal_count_edges(scores: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the rising edges of at most `bins` bins, as even in number of rising `scores` (n,) as ties allow."""
    if len(scores) == 0:
        return np.array([0.0, 1.0])
    starts = scores[np.arange(bins) * len(scores) // bins]
    return np.append(np.unique(starts), scores[-1])


def _curve(scores: NDArray[np.float64], right: NDArray[np.float64], edges: NDArray[np.float64]) -> ReliabilityCurve:
    bins = len(edges) - 1
    place = np.clip(np.searchsorted(edges[:-1], scores, side="right") - 1, 0, bins - 1)
    number = np.bincount(place, minlength=bins).astype(np.int64)
    mean_score, hit_share = (
        np.divide(np.bincount(place, values, bins), number, out=np.full(bins, math.nan), where=number > 0)
        for values in (scores, right)
    )
    return ReliabilityCurve(edges, number, mean_score, hit_share)

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

BINS = 10
"""Of the same width, from 0 to 1; each holds its lower edge, the last one 1 too."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How far scores are from being probabilities; numbers are nan without detections, in a bin or at all.

    Attributes:
        count: int64 (bins,): detections.
        mean_score: float64 (bins,).
        hit_share: float64 (bins,).
        brier: mean of (score - right)², right being 1 for a hit and 0 for a false alarm (Brier 1950).
        detections: judged.
        hits: of these.
        score_floor: lowest score judged. A floor is part of the result: wrong detections crowd at low scores.
    """

    count: NDArray[np.int64]
    mean_score: NDArray[np.float64]
    hit_share: NDArray[np.float64]
    brier: float
    detections: int
    hits: int
    score_floor: float

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
    def statement(self) -> str:
        """One sentence for a report."""
        if self.detections == 0:
            return f"no detection with a score of at least {self.score_floor:g} to judge"
        return (
            f"ECE {self.expected_error:.3f}, Brier score {self.brier:.3f}, over {self.detections} detections with a "
            f"score of at least {self.score_floor:g}, {self.hits} of them hits"
        )


def calibration(
    matches: Matches, counted: NDArray[np.bool_], *, score_kind: str, score_floor: float = 0.0
) -> Calibration:
    """Compare scores with the share of hits.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        score_kind: what the detector says its scores are; only "probability" can be calibrated.
        score_floor: lowest score judged; give the floor of the run, since nothing below it was returned.

    Raises:
        UsageError: scores are not probabilities, by their kind or their values; a floor outside [0, 1].
    """
    if score_kind != "probability":
        raise UsageError(
            f'calibration needs scores of the kind "probability", got "{score_kind}": a score that does not claim to '
            "be a share of hits cannot be wrong about it. Map the scores to probabilities first, or leave it out"
        )
    if not 0 <= score_floor <= 1:
        raise UsageError(f"score_floor must be from 0 to 1, got {score_floor}")
    scores = matches.scores
    if len(scores) and not (scores[-1] >= 0 and scores[0] <= 1):
        raise UsageError(f"probabilities lie from 0 to 1, got scores from {scores[-1]:g} to {scores[0]:g}")
    verdict = verdicts(matches, counted)
    judged = np.flatnonzero(~verdict.dropped & (scores >= score_floor))[::-1]
    scores, right = scores[judged], verdict.hit[judged].astype(np.float64)
    place = np.clip(np.searchsorted(np.arange(BINS) / BINS, scores, side="right") - 1, 0, BINS - 1)
    number = np.bincount(place, minlength=BINS).astype(np.int64)
    mean_score, hit_share = (
        np.divide(np.bincount(place, values, BINS), number, out=np.full(BINS, math.nan), where=number > 0)
        for values in (scores, right)
    )
    return Calibration(
        count=number,
        mean_score=mean_score,
        hit_share=hit_share,
        brier=float(((scores - right) ** 2).mean()) if len(scores) else math.nan,
        detections=len(scores),
        hits=int(right.sum()),
        score_floor=score_floor,
    )

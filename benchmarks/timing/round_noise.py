"""What rounds say about the noise between processes: the error that it leaves in a log ratio, and the same-code noise.

A process is faster or slower than the next as a whole, so a round has a *level*: the weighted median over images of how
far its log times lie above the mean of all rounds. With equal weights it is the level of the median image; weighted
by time, that of the total. A single slow call moves neither.

Drawing 3 to 8 rounds again would give an interval that is much too narrow: the variance of a draw is short by the
factor (R - 1) / R, which a rescaled bootstrap fixes (Rao and Wu 1988), but not that the variance of three rounds is
itself hardly known. So the error comes with degrees of freedom, for Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Logs = Sequence[NDArray[np.float64]]
"""Log milliseconds (rounds, images) of base, head and, where it was measured beside them, the base again."""


def round_error(logs: Logs, weights: NDArray[np.float64], *, paired: bool) -> tuple[float, float]:
    """Return the standard error of a log ratio that is due to rounds, and its degrees of freedom; (nan, 0) if unknown.

    - *base again in the same rounds*: what is left of a two-way layout, process by round: 2R - 1 degrees. That takes
      head to scatter between processes about as base does.
    - *paired without it*: the differences of the pairs, R - 1 degrees, which what makes a whole round slow leaves
      alone; or Welch (1947), which has more degrees, where rounds have nothing in common. The narrower of the two.
    - *two runs of their own*: Welch; where a side has one round, it is taken to scatter as the other.

    Args:
        logs: of each side; of equally many rounds where they are paired.
        weights: float64 (images,), positive: what a level weighs images by.
        paired: whether row r of all sides is one round. A single one tells nothing.
    """
    base, head = logs[:2]
    rounds = len(base)
    if paired and rounds == 1:
        return math.nan, 0.0
    if len(logs) == 3:
        within = np.array([side - side.mean(axis=0) for side in logs])
        levels = np.array([weighted_median(rows, weights) for rows in within - within.mean(axis=0)])
        # base against itself is one degree more, its mean being known
        squares = float((levels**2).sum()) + rounds * _centre(logs[2] - base, weights) ** 2 / 2
        freedom = 2.0 * rounds - 1.0
        return math.sqrt(squares / freedom * 2.0 / rounds), freedom
    found = _welch(logs, weights)
    if not paired:
        return found
    return min(process_error(head - base, weights), found, key=lambda one: one[0] * float(student_t(one[1])))


def process_error(logs: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return the standard error that the scatter between processes leaves in the mean of rounds, and its degrees.

    Args:
        logs: log milliseconds (rounds, images) of one side, or the differences of two.
        weights: as in `round_error`.

    Returns:
        (nan, 0) for a single round.
    """
    rounds = len(logs)
    if rounds < 2:
        return math.nan, 0.0
    return math.sqrt(float(_levels(logs, weights).var(ddof=1)) / rounds), rounds - 1.0


def same_code_noise(logs: Logs, weights: NDArray[np.float64], error: float, freedom: float) -> float:
    """Return the half-width, as a fraction, that 95 % of comparisons of the same code with itself stay within.

    Args:
        logs: as in `round_error`.
        weights: as in `round_error`.
        error: from `round_error`.
        freedom: the same; above 0.
    """
    reach = float(student_t(freedom)) * error
    if len(logs) == 3:
        same = logs[2] - logs[0]
        levels = weighted_median(same, weights)
        rounds = len(levels)
        reach = float(student_t(rounds)) * math.sqrt(float((levels**2).mean()) / rounds)
        # what is measured last in every round may be slower in every round, which no number of rounds evens out
        reach = max(reach, abs(_centre(same, weights)))
    with np.errstate(over="ignore"):
        return float(np.expm1(reach))


def weighted_median(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row (rows, n) under weights (n,): linear between the middles of the weights.

    >>> weighted_median(np.array([[1.0, 2.0, 30.0, 4.0]]), np.ones(4)).tolist()
    [3.0]
    >>> weighted_median(np.array([[1.0, 2.0, 30.0]]), np.array([1.0, 1.0, 6.0])).tolist()
    [22.0]
    """
    order = np.argsort(rows, axis=1)
    shares = weights[order] / weights.sum()
    middles = np.cumsum(shares, axis=1) - shares / 2
    rising = np.take_along_axis(rows, order, axis=1)
    return np.array([np.interp(0.5, *row) for row in zip(middles, rising, strict=True)])


def student_t(freedom: float, share: ArrayLike = 0.975) -> NDArray[np.float64]:
    """Return quantiles of Student's t."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, share))


def _welch(logs: Logs, weights: NDArray[np.float64]) -> tuple[float, float]:
    parts = [float(_levels(side, weights).var()) for side in logs]
    counts = [len(side) for side in logs]
    if min(counts) == 1 or sum(parts) == 0:
        freedom = float(sum(counts) - 2)
        if not freedom:
            return math.nan, 0.0
        squares = sum(part * count for part, count in zip(parts, counts, strict=True))
        return math.sqrt(squares / freedom * sum(1 / count for count in counts)), freedom
    means = [part / (count - 1) for part, count in zip(parts, counts, strict=True)]
    freedom = sum(means) ** 2 / sum(mean**2 / (count - 1) for mean, count in zip(means, counts, strict=True))
    return math.sqrt(sum(means)), freedom


def _levels(logs: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return weighted_median(logs - logs.mean(axis=0), weights)


def _centre(logs: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(weighted_median(logs.mean(axis=0, keepdims=True), weights)[0])

"""Whether a change of latency may pass: what is beyond the limit, what is within it, what more rounds would decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import UsageError
from ..resampling.bootstrap import Interval
from .change import LatencyChange, TimeRatio
from .round_noise import student_t

FEWEST_IMAGES = 6
"""Below six images not even their whole range holds the median in 95 of 100 cases: 1 - 2 / 2^n."""

UNMEASURED_NOISE = 0.05
"""What processes are taken to differ by where one round was measured; with it a change may pass, never fail."""

MOST_ROUNDS = 50
"""More rounds than this are not advised: what they cost is better spent on a quieter machine."""

Need = Literal["rounds", "turns", "images", "one machine", "measurement", "person"]
"""What would decide: more rounds; rounds in turn; more images; both sides on one machine; a measurement of both sides
with facebench; or, where no more of the same would, somebody who looks at the change."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says.

    Attributes:
        outcome: "inconclusive" where the measurement can neither show nor rule out a slowdown beyond the limit.
        reason: one sentence with the numbers.
        needs: of an inconclusive one: what would decide it.
    """

    outcome: Literal["pass", "fail", "inconclusive"]
    reason: str
    needs: Need | None = None


def latency_verdict(change: LatencyChange, max_slowdown: float) -> Verdict:
    """Judge a change against the largest slowdown allowed.

    - *fail*: the whole interval of median or total lies above 1 + max_slowdown, and above what the same code shows by
      itself;
    - *pass*: the whole intervals of both lie at or below 1 + max_slowdown;
    - *inconclusive*: neither, or fewer than six images.

    Where the noise between processes was not measured, a change never fails: a gate that fails on noise is soon
    switched off. It passes where there is room for noise of 5 % besides (`UNMEASURED_NOISE`): at a limit of 1.05,
    where head is not slower at all on these images.

    Args:
        change: from `latency_change`.
        max_slowdown: as a fraction: 0.05 allows 1.05 times the time.

    Raises:
        UsageError: on a limit that is negative or not finite.
    """
    _check_limit(max_slowdown)
    if change.images == 0:
        return Verdict("inconclusive", "no image was measured in every round of both sides", "images")
    ratios, limit = (change.median.ratio, change.total.ratio), 1.0 + max_slowdown
    noise = "not measured" if change.floor is None else f"{change.floor:.3f}"
    numbers = f"{ratios_in_words(change)}; limit {limit:.6g}, same-code noise {noise}"
    if change.images < FEWEST_IMAGES:
        few = f"{change.images} images are too few, use {FEWEST_IMAGES} or more"
        return Verdict("inconclusive", f"{numbers}; {few}", "images")
    highest = max(ratio.high for ratio in ratios)
    if change.floor is None:
        if highest * (1.0 + UNMEASURED_NOISE) <= limit:
            return Verdict("pass", f"{numbers}; below the limit with {100 * UNMEASURED_NOISE:g} % to spare for it")
        return Verdict("inconclusive", f"{numbers}; measure with two rounds or more, or with --interleave", "rounds")
    if max(ratio.low for ratio in ratios) > 1.0 + max(max_slowdown, change.floor):
        return Verdict("fail", numbers)
    if highest <= limit:
        return Verdict("pass", numbers)
    needed = needed_rounds(change, max_slowdown)
    if needed is None:
        return Verdict("inconclusive", f"{numbers}; more rounds would not decide it", "person")
    return Verdict("inconclusive", f"{numbers}; about {needed} rounds would decide it", "rounds")


def ratios_in_words(change: LatencyChange) -> str:
    """Return the ratios of p50, total and p90, the judged ones with their intervals."""
    return f"p50 {_ratio(change.median.ratio)} times the time, total {_ratio(change.total.ratio)}, p90 {change.p90:.3f}"


def needed_rounds(change: LatencyChange, max_slowdown: float) -> int | None:
    """Estimate how many rounds would decide, should the ratios stay where they are.

    The part of an interval that is due to rounds shrinks with their square root and with the quantile of t; that which
    is due to images stays. One ratio beyond the limit is enough to fail, both within it are needed to pass.

    Returns:
        The number of rounds, `change.rounds` where they decide already; None where 50 would not, or where the noise
        between rounds or the ratio is unknown.

    Raises:
        UsageError: as `latency_verdict`.
    """
    _check_limit(max_slowdown)
    if change.floor is None or change.images < FEWEST_IMAGES:
        return None
    figures = change.median, change.total
    beyond = [one for one in figures if one.ratio.value > 1.0 + max_slowdown]
    counts = [_needed(one, change.floor, change.rounds, max_slowdown) for one in beyond or figures]
    known = [count for count in counts if count is not None]
    if beyond:
        return min(known, default=None)
    return max(known) if len(known) == len(counts) else None


def _needed(figure: TimeRatio, floor: float, measured: int, max_slowdown: float) -> int | None:
    ratio = figure.ratio
    tail = (1.0 + ratio.confidence) / 2.0
    value, limit = math.log(ratio.value), math.log1p(max_slowdown)
    with np.errstate(divide="ignore"):
        width = abs(float(np.log(ratio.high if value <= limit else ratio.low)) - value)
    quantile = float(student_t(figure.round_freedom, tail))
    by_rounds = figure.round_error * quantile
    by_images_squared = max(width**2 - by_rounds**2, 0.0)
    for rounds in range(measured, MOST_ROUNDS + 1):
        more = rounds / measured
        shrunk = float(student_t(figure.round_freedom * more, tail)) / quantile / math.sqrt(more)
        reach = math.sqrt(by_images_squared + (by_rounds * shrunk) ** 2)
        bound = limit if value <= limit else max(limit, math.log1p(floor) * shrunk)
        if reach <= abs(value - bound) and (value <= limit or value > bound):
            return rounds
    return None


def _ratio(found: Interval) -> str:
    return f"{found.value:.3f} ({100 * found.confidence:.4g} %: {found.low:.3f} to {found.high:.3f})"


def _check_limit(max_slowdown: float) -> None:
    if not (math.isfinite(max_slowdown) and max_slowdown >= 0):
        raise UsageError(f"max_slowdown must be a fraction of 0 or more, such as 0.05, got {max_slowdown}")

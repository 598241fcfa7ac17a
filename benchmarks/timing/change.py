"""How much faster or slower a change made a detector, and whether that is more than noise.

Two measurements of the same code differ. Calls scatter by a few percent, with rare ones of twice the time; the median
over images evens that out. A whole process is faster or slower than the next by half a percent to two (where its
memory lies, what its neighbours do), and no number of calls within it evens *that* out: only further processes do. A
round is therefore a fresh process on each side, and the rounds are the sample.

The figure is the median over images of the log ratio of head to base, the logs averaged over rounds first. Its
interval adds two independent scatters:

- *images*: where the median of all images may lie, by the sign test (`median_draws`);
- *rounds*: with 3 to 8 of them, drawing rounds again gives an interval that is much too narrow. The variance of a draw
  is short by the factor (R - 1) / R, which a rescaled bootstrap fixes (Rao and Wu 1988); that the variance of three
  rounds is itself hardly known, it does not. So the round level is drawn from Student's t with the degrees of freedom
  that the rounds leave: R - 1 for rounds measured pair by pair, those of Welch (1947) for two runs of their own.

A measurement of base against itself in the same rounds (A/A) tells two things: the *floor*, which is what the same code
shows by itself, and more about the noise of a process, which narrows the interval: 2R - 1 degrees instead of R - 1.
That takes head to scatter between processes about as base does.

The call noise counts in both scatters, so that the interval errs on the wide side where it dominates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError
from ..resampling.bootstrap import CONFIDENCE, Interval, percentile_interval
from .latency import median_draws

DRAWS = 2000

FEWEST_IMAGES = 6
"""Below six images not even their whole range holds the median in 95 of 100 cases: 1 - 2 / 2^n."""

UNMEASURED_NOISE = 0.05
"""What processes are taken to differ by where one round was measured; with it a change may pass, never fail."""

MOST_ROUNDS = 50
"""More rounds than this are not advised: what they cost is better spent on a quieter machine."""


@dataclass(frozen=True, slots=True)
class LatencyChange:
    """Latency of head over that of base.

    Attributes:
        ratio: as a factor, 1.0 is the same, above is slower. Value: exp of the median over images of the log ratio.
            Its interval is over rounds and images; over images alone, and so too narrow, where `floor` is None. nan
            without an image.
        floor: half-width, as a fraction, that 95 % of comparisons of the same code with itself stay within, of as many
            rounds; None where one round on either side and no A/A rounds leave it unknown.
        rounds: of the side that has fewer.
        images: measured in every round of every side.
        left_out: images that were not.
        round_error: standard error of the log ratio that is due to the rounds; nan where `floor` is None.
        round_freedom: degrees of freedom that it was found from; 0 where `floor` is None.
    """

    ratio: Interval
    floor: float | None
    rounds: int
    images: int
    left_out: int
    round_error: float
    round_freedom: float


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


def latency_change(
    base: NDArray[np.float64],
    head: NDArray[np.float64],
    again: NDArray[np.float64] | None = None,
    *,
    paired: bool = False,
    seed: int = 0,
    draws: int = DRAWS,
) -> LatencyChange:
    """Compare two versions measured on the same images.

    An image counts where every round of every side measured it.

    Args:
        base: float64 (rounds, images), milliseconds, a fresh process a row; nan where an image was not measured.
        head: the same of the other version, images in the same order.
        again: base measured beside both in the same rounds, by a further fresh process each; only with `paired`.
        paired: whether row r of all sides was measured at the same time, interleaved. What makes a whole round slow
            then cancels out. Without, the sides are two runs of their own, of any number of rounds.
        seed: of the draws.
        draws: of the interval.

    Raises:
        UsageError: on shapes that do not fit, times that are not finite or not above 0, `again` without `paired`.
    """
    sides = _checked(base, head, again, paired=paired)
    measured = np.all([~np.isnan(side).any(axis=0) for side in sides], axis=0)
    images = int(measured.sum())
    rounds = min(len(side) for side in sides)
    if images == 0:
        nothing = Interval(math.nan, math.nan, math.nan, CONFIDENCE, 0)
        return LatencyChange(nothing, None, rounds, 0, len(measured), math.nan, 0.0)
    logs = [np.log(side[:, measured]) for side in sides]
    change = logs[1].mean(axis=0) - logs[0].mean(axis=0)
    error, freedom = _round_error(logs, paired=paired)
    samples = median_draws(change, draws=draws, seed=seed)
    if freedom:
        # evenly spaced quantiles stand for the draws of t: those of the images are random already
        samples = samples + error * _t(freedom, (np.arange(draws) + 0.5) / draws)
    ratio = _exp(percentile_interval(float(np.median(change)), samples))
    floor = _floor(logs, paired=paired) if freedom else None
    return LatencyChange(ratio, floor, rounds, images, len(measured) - images, error, freedom)


def latency_verdict(change: LatencyChange, max_slowdown: float) -> Verdict:
    """Judge a change against the largest slowdown allowed.

    - *fail*: the whole interval lies above 1 + max_slowdown, and above what the same code shows by itself;
    - *pass*: the whole interval lies at or below 1 + max_slowdown;
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
    ratio, limit = change.ratio, 1.0 + max_slowdown
    numbers = (
        f"{ratio.value:.3f} times the time ({100 * ratio.confidence:.4g} %: {ratio.low:.3f} to {ratio.high:.3f}), "
        f"limit {limit:.6g}, "
    )
    numbers += "same-code noise not measured" if change.floor is None else f"same-code noise {change.floor:.3f}"
    if change.images < FEWEST_IMAGES:
        few = f"{change.images} images are too few, use {FEWEST_IMAGES} or more"
        return Verdict("inconclusive", f"{numbers}; {few}", "images")
    if change.floor is None:
        if ratio.high * (1.0 + UNMEASURED_NOISE) <= limit:
            return Verdict("pass", f"{numbers}; below the limit with {100 * UNMEASURED_NOISE:g} % to spare for it")
        return Verdict("inconclusive", f"{numbers}; measure with two rounds or more, or with --interleave", "rounds")
    if ratio.low > 1.0 + max(max_slowdown, change.floor):
        return Verdict("fail", numbers)
    if ratio.high <= limit:
        return Verdict("pass", numbers)
    needed = needed_rounds(change, max_slowdown)
    if needed is None:
        return Verdict("inconclusive", f"{numbers}; more rounds would not decide it", "person")
    return Verdict("inconclusive", f"{numbers}; about {needed} rounds would decide it", "rounds")


def needed_rounds(change: LatencyChange, max_slowdown: float) -> int | None:
    """Estimate how many rounds would decide, should the ratio stay where it is.

    The part of the interval that is due to rounds shrinks with their square root and with the quantile of t; that which
    is due to images stays.

    Returns:
        The number of rounds, `change.rounds` where they decide already; None where 50 would not, or where the noise
        between rounds or the ratio is unknown.

    Raises:
        UsageError: as `latency_verdict`.
    """
    _check_limit(max_slowdown)
    ratio, floor = change.ratio, change.floor
    if floor is None or change.images < FEWEST_IMAGES:
        return None
    tail = (1.0 + ratio.confidence) / 2.0
    value, limit = math.log(ratio.value), math.log1p(max_slowdown)
    with np.errstate(divide="ignore"):
        width = abs(float(np.log(ratio.high if value <= limit else ratio.low)) - value)
    quantile = float(_t(change.round_freedom, tail))
    by_rounds = change.round_error * quantile
    by_images_squared = max(width**2 - by_rounds**2, 0.0)
    for rounds in range(change.rounds, MOST_ROUNDS + 1):
        more = rounds / change.rounds
        shrunk = float(_t(change.round_freedom * more, tail)) / quantile / math.sqrt(more)
        reach = math.sqrt(by_images_squared + (by_rounds * shrunk) ** 2)
        bound = limit if value <= limit else max(limit, math.log1p(floor) * shrunk)
        if reach <= abs(value - bound) and (value <= limit or value > bound):
            return rounds
    return None


def _checked(
    base: NDArray[np.float64], head: NDArray[np.float64], again: NDArray[np.float64] | None, *, paired: bool
) -> list[NDArray[np.float64]]:
    if again is not None and not paired:
        raise UsageError("an A/A measurement belongs to interleaved rounds: pass paired=True, or leave `again` out")
    named = {"base": base, "head": head} | ({} if again is None else {"again": again})
    sides = [np.asarray(side, dtype=np.float64) for side in named.values()]
    for name, side in zip(named, sides, strict=True):
        if side.ndim != 2 or len(side) == 0:
            raise UsageError(f"latency of {name} must be of shape (rounds, images), a round at least: {side.shape}")
        wrong = ~(np.isnan(side) | (np.isfinite(side) & (side > 0)))
        if bool(wrong.any()):
            place = tuple(np.argwhere(wrong)[0].tolist())
            raise UsageError(f"latency must be above 0 ms and finite, or nan: {name} has {side[place]} at {place}")
    shapes = {name: side.shape for name, side in zip(named, sides, strict=True)}
    if len({shape[1] for shape in shapes.values()}) > 1 or (paired and len(set(shapes.values())) > 1):
        equal = "rounds and images" if paired else "images"
        raise UsageError(f"the sides must have the same {equal}, got (rounds, images) {shapes}")
    return sides


def _levels(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each round (rounds, images) lies above the mean of all, as the median over images."""
    levels: NDArray[np.float64] = np.median(logs - logs.mean(axis=0), axis=1)
    return levels


def _round_error(logs: list[NDArray[np.float64]], *, paired: bool) -> tuple[float, float]:
    """Return the standard error of the log ratio that is due to rounds and its degrees of freedom; (nan, 0) without."""
    base, head = logs[:2]
    rounds = len(base)
    if len(logs) == 3:
        # residuals of a two-way layout, process by round; base against itself is one degree more, its mean being known
        within = np.array([side - side.mean(axis=0) for side in logs])
        levels = np.median(within - within.mean(axis=0), axis=2)
        squares = float((levels**2).sum()) + rounds * _centre(logs[2] - base) ** 2 / 2
        freedom = 2.0 * rounds - 1.0
        return math.sqrt(squares / freedom * 2.0 / rounds), freedom
    if paired:
        if rounds == 1:
            return math.nan, 0.0
        return math.sqrt(float(_levels(head - base).var(ddof=1)) / rounds), rounds - 1.0
    several = [side for side in logs if len(side) > 1]
    if len(several) < 2:
        return _pooled_error(logs)
    parts = [float(_levels(side).var(ddof=1)) / len(side) for side in logs]
    if sum(parts) == 0:
        return _pooled_error(logs)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, logs, strict=True))
    return math.sqrt(sum(parts)), freedom


def _pooled_error(logs: list[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the same for two runs of processes that scatter alike, which a run of one round has to be taken to do."""
    freedom = float(sum(len(side) - 1 for side in logs))
    if not freedom:
        return math.nan, 0.0
    squares = sum(float(_levels(side).var()) * len(side) for side in logs)
    return math.sqrt(squares / freedom * sum(1 / len(side) for side in logs)), freedom


def _floor(logs: list[NDArray[np.float64]], *, paired: bool) -> float:
    if len(logs) == 3:
        same = logs[2] - logs[0]
        levels = np.median(same, axis=1)
        rounds = len(levels)
        reach = float(_t(rounds)) * math.sqrt(float((levels**2).mean()) / rounds)
        # what is measured last in every round may be slower in every round, which no number of rounds evens out
        floor = max(reach, abs(_centre(same)))
    else:
        error, freedom = _round_error(logs, paired=True) if paired else _pooled_error(logs)
        floor = float(_t(freedom)) * error
    with np.errstate(over="ignore"):
        return float(np.expm1(floor))


def _centre(logs: NDArray[np.float64]) -> float:
    return float(np.median(logs.mean(axis=0)))


def _t(freedom: float, share: ArrayLike = 0.975) -> NDArray[np.float64]:
    """Return quantiles of Student's t."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, share))


def _exp(interval: Interval) -> Interval:
    with np.errstate(over="ignore"):
        value, low, high = np.exp([interval.value, interval.low, interval.high]).tolist()
    return Interval(value, low, high, interval.confidence, interval.draws)


def _check_limit(max_slowdown: float) -> None:
    if not (math.isfinite(max_slowdown) and max_slowdown >= 0):
        raise UsageError(f"max_slowdown must be a fraction of 0 or more, such as 0.05, got {max_slowdown}")

"""How much faster or slower a change made a detector: at the median image, over all images, at the p90.

Two measurements of the same code differ. Calls scatter by a few percent, with rare ones of twice the time; many images
even that out. A whole process is faster or slower than the next by half a percent to two (where its memory lies, what
its neighbours do), and no number of calls within it evens *that* out: only further processes do. A round is therefore
a fresh process on each side, and the rounds are the sample; see `round_noise`.

The time of an image is the geometric mean over rounds, in which a call counts at most three times what is usual for
its image and round: that machines stall now and then is no news. Two ratios are judged, since each is blind where the
other sees:

- the *median* over images of the ratio of head to base: what happens to a usual image, whatever it weighs. A slowdown
  of fewer than about 40 % of the images does not move it. Its interval adds where the median of all images may lie,
  by the sign test (`median_draws`), and the noise of rounds;
- the *total* of all images, head over base: what the run costs. Its interval is that of a ratio of sums, by the
  influence of each image (Cochran, Sampling Techniques, 1977) and the noise of rounds, with Student's t of the degrees
  of freedom that both leave together (Welch 1947). Where a few images bear most of the influence, they count as few
  (`effective_number`).

The call noise counts in both scatters, so that an interval errs on the wide side where it dominates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..resampling.bootstrap import CONFIDENCE, Interval, percentile_interval
from ..resampling.effective import effective_number
from .latency import median_draws
from .round_noise import round_error, same_code_noise, student_t

DRAWS = 2000
_LARGEST_STALL = 3.0
_FEWEST_EFFECTIVE = 3.0
"""Fewer effective images than this would give an interval that nobody can use; as many already give a wide one."""


@dataclass(frozen=True, slots=True)
class TimeRatio:
    """Time of head over that of base, in one way of looking at it.

    Attributes:
        ratio: as a factor, 1.0 is the same, above is slower. Its interval is over rounds and images; over images alone,
            and so too narrow, where the noise of rounds is not known. nan without an image.
        round_error: standard error of the log ratio that is due to the rounds; nan where it is not known.
        round_freedom: degrees of freedom that it was found from; 0 where it is not known.
    """

    ratio: Interval
    round_error: float
    round_freedom: float


@dataclass(frozen=True, slots=True)
class LatencyChange:
    """Latency of head over that of base.

    Attributes:
        median: of the median image.
        total: of all images together.
        p90: ratio of the 90th percentiles over images, which is printed and not judged.
        floor: half-width, as a fraction, that 95 % of comparisons of the same code with itself stay within, of as many
            rounds: the wider of median and total. None where one round on either side leaves it unknown.
        rounds: of the side that has fewer.
        images: measured in every round of every side.
        left_out: images that were not.
    """

    median: TimeRatio
    total: TimeRatio
    p90: float
    floor: float | None
    rounds: int
    images: int
    left_out: int


def latency_change(
    base: NDArray[np.float64],
    head: NDArray[np.float64],
    again: NDArray[np.float64] | None = None,
    *,
    paired: bool = False,
    seed: int = 0,
) -> LatencyChange:
    """Compare two versions measured on the same images.

    An image counts where every round of every side measured it.

    Args:
        base: float64 (rounds, images), milliseconds, a fresh process a row; nan where an image was not measured.
        head: the same of the other version, images in the same order.
        again: base measured beside both in the same rounds, by a further fresh process each; only with `paired`.
        paired: whether row r of all sides was measured in turn. What makes a whole round slow then cancels out.
            Without, the sides are two runs of their own, of any number of rounds.
        seed: of the draws for the median.

    Raises:
        UsageError: on shapes that do not fit, times that are not finite or not above 0, `again` without `paired`.
    """
    sides = _checked(base, head, again, paired=paired)
    measured = np.all([~np.isnan(side).any(axis=0) for side in sides], axis=0)
    images = int(measured.sum())
    rounds = min(len(side) for side in sides)
    if images == 0:
        unknown = TimeRatio(Interval(math.nan, math.nan, math.nan, CONFIDENCE, 0), math.nan, 0.0)
        return LatencyChange(unknown, unknown, math.nan, None, rounds, 0, len(measured))
    logs = [_without_stalls(np.log(side[:, measured])) for side in sides]
    old, new = (side.mean(axis=0) for side in logs[:2])
    # the unit does not matter, and times of a wrong clock must not overflow
    costs = [np.exp(one - old.max()) for one in (old, new)]
    floors = []

    def figure(weights: NDArray[np.float64], ratio: Callable[..., Interval]) -> TimeRatio:
        error, freedom = round_error(logs, weights, paired=paired)
        if freedom:
            floors.append(same_code_noise(logs, weights, error, freedom))
        return TimeRatio(ratio(*costs, error, freedom, seed), error, freedom)

    median, total = figure(np.ones(images), _median_ratio), figure(costs[0], _total_ratio)
    p90 = float(np.percentile(costs[1], 90) / np.percentile(costs[0], 90))
    return LatencyChange(median, total, p90, max(floors, default=None), rounds, images, len(measured) - images)


def _without_stalls(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut log times (rounds, images) where they are far above what image and round let expect."""
    usual = np.median(logs, axis=0)
    level = np.median(logs - usual, axis=1, keepdims=True)
    return np.minimum(logs, usual + level + math.log(_LARGEST_STALL))


def _median_ratio(
    base: NDArray[np.float64], head: NDArray[np.float64], error: float, freedom: float, seed: int
) -> Interval:
    """Return the median over images of head over base with its interval; base and head: time of each image."""
    change = np.log(head / base)
    samples = median_draws(change, draws=DRAWS, seed=seed)
    if freedom:
        # evenly spaced quantiles stand for the draws of t: those of the images are random already
        samples = samples + error * student_t(freedom, (np.arange(DRAWS) + 0.5) / DRAWS)
    return _exp(percentile_interval(float(np.median(change)), samples))


def _total_ratio(
    base: NDArray[np.float64], head: NDArray[np.float64], error: float, freedom: float, seed: int
) -> Interval:
    """Return total head over total base with its interval, for which nothing is drawn; arguments as above."""
    images = len(base)
    influences = head / head.sum() - base / base.sum()
    by_images = float((influences**2).sum()) * images / max(images - 1, 1)
    by_rounds = error**2 if freedom else 0.0
    value, reach = math.log(head.sum() / base.sum()), 0.0
    if by_images + by_rounds > 0:
        spent = by_images**2 / max(float(effective_number(influences)), _FEWEST_EFFECTIVE)
        spent += by_rounds**2 / freedom if freedom else 0.0
        together = (by_images + by_rounds) ** 2 / spent if spent else freedom
        reach = math.sqrt(by_images + by_rounds) * float(student_t(together))
    return _exp(Interval(value, value - reach, value + reach, CONFIDENCE, 0))


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


def _exp(interval: Interval) -> Interval:
    with np.errstate(over="ignore"):
        value, low, high = np.exp([interval.value, interval.low, interval.high]).tolist()
    return Interval(value, low, high, interval.confidence, interval.draws)

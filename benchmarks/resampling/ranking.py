"""Many detectors, or many groups, at once: who is told apart from the best, and the gap between the extremes.

Of a hundred pairs of equal detectors a few look different by chance. So the pairs are judged together: the difference
of each, over its standard error, is compared with the largest of all pairs under each draw (max |t|; Westfall and Young
1993, "Resampling-based multiple testing"). Nor is a pair told apart whose own interval, widened for few images,
includes 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.verdicts import random_order
from .bootstrap import Interval, Resampled, interval
from .effective import CONFIDENCE, FEW, seen_share, usual_limit, widening

_SHUFFLES = 50


@dataclass(frozen=True, slots=True)
class Gap:
    """The best group less the worst.

    Attributes:
        best: name of the group of the highest value.
        worst: name of that of the lowest.
        interval: of the difference, simultaneous over all pairs of groups, since which are the extremes is read off the
            values.
        by_chance: how far the extremes of so many groups of these sizes are apart on average where labels mean nothing.
    """

    best: str
    worst: str
    interval: Interval
    by_chance: float


class _Pairs(NamedTuple):
    """Differences of all pairs, float64 (k, k) each.

    Attributes:
        errors: their standard errors over the draws.
        widened: how many times as far the ends of the interval of one pair lie for few images, see `widening`.
        unseen: where fewer than `FEW` images decide, the difference that images of another kind could undo.
        limit: what the largest |t| of all pairs exceeds in 5 % of the draws.
    """

    errors: NDArray[np.float64]
    widened: NDArray[np.float64]
    unseen: NDArray[np.float64]
    limit: float


def first_shares(detectors: Mapping[str, Resampled]) -> dict[str, float]:
    """Return the share of draws in which each detector has the highest value; those that tie share a draw.

    It is no chance of being best: of equal detectors the one ahead on these images is ahead in most draws. Draws in
    which no detector is defined are left out; without any other all shares are nan.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    if len({one.samples.shape for one in detectors.values()}) > 1:
        raise UsageError("ranking on resamples needs the same draws for every detector")
    if not detectors:
        return {}
    samples = np.array([one.samples for one in detectors.values()])
    samples = samples[:, ~np.isnan(samples).all(axis=0)]
    if samples.shape[1] == 0:
        return dict.fromkeys(detectors, math.nan)
    samples = np.where(np.isnan(samples), -np.inf, samples)
    first = samples == samples.max(axis=0)
    shares = (first / first.sum(axis=0)).mean(axis=1)
    return dict(zip(detectors, shares.tolist(), strict=True))


def tied_with_best(detectors: Mapping[str, Resampled]) -> tuple[str, ...]:
    """Return the detector of the highest value, and all that are not told apart from it.

    Best first, then by falling value. Detectors without a value are left out. To be tied is not to be equal: it says
    that the images do not tell which is better. All pairs of detectors are judged together, see the module.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    ranked = sorted((name for name in detectors if not math.isnan(detectors[name].value)), key=_falling(detectors))
    within = reach([detectors[name] for name in ranked])
    short = [detectors[ranked[0]].value - detectors[name].value for name in ranked]
    return tuple(name for place, name in enumerate(ranked) if short[place] <= within[0, place])


def reach(detectors: Sequence[Resampled]) -> NDArray[np.float64]:
    """Return by how much the value of each may fall short of each other one without being told apart: float64 (k, k).

    All pairs are judged together, see the module. Where a difference rests on very few images, or is the same in every
    draw as of two detectors that find all and nothing, images of another kind decide: see `seen_share`.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    pairs = _together(detectors)
    together, alone = (limit * pairs.errors for limit in (pairs.limit, usual_limit() * pairs.widened))
    return np.maximum(np.maximum(together, alone), pairs.unseen)


def gap(groups: Mapping[str, Resampled], by_chance: float) -> Gap | None:
    """Return the difference between the best and the worst group with its interval; None with fewer than two groups.

    Args:
        groups: one statistic on the same draws for each group, best the recall at the operating threshold: false alarms
            belong to no group, so that precision and AP of groups of different size cannot be compared.
        by_chance: from `gap_by_chance`.
    """
    ranked = sorted((name for name in groups if not math.isnan(groups[name].value)), key=_falling(groups))
    if len(ranked) < 2:
        return None
    best, worst = ranked[0], ranked[-1]
    ends = interval(groups[best]), interval(groups[worst])
    alone = interval(groups[best].less(groups[worst]))
    # The own interval of a group of few images knows of faces that were not seen (Newcombe 1998, method 10).
    few = [Interval(one.value, one.value, one.value, CONFIDENCE, 0) if one.effective >= FEW else one for one in ends]
    of_few = [math.hypot(near.value - near.low, far.high - far.value) for near, far in (few, few[::-1])]
    pairs = _together([groups[name] for name in ranked])
    of_pairs = float(max(pairs.limit * pairs.errors[0, -1] * pairs.widened[0, -1], pairs.unseen[0, -1]))
    low, high = (max(of_pairs, one) for one in of_few)
    value = alone.value
    between = Interval(value, max(value - low, -1.0), min(value + high, 1.0), CONFIDENCE, alone.draws, alone.effective)
    return Gap(best, worst, between, by_chance)


def gap_by_chance(found: NDArray[np.bool_], group: NDArray[np.integer]) -> float:
    """Return the mean gap in recall between the extremes of groups among which the faces are shuffled.

    Args:
        found: bool (faces,): of the faces that have a label.
        group: integers (faces,), 0 or more: the group of each.
    """
    sizes = np.bincount(group)
    sizes = sizes[sizes > 0]
    if len(sizes) < 2:
        return 0.0
    stream, starts = np.random.PCG64(0), np.concatenate([[0], np.cumsum(sizes)[:-1]])
    gaps = []
    for _ in range(_SHUFFLES):
        recall = np.add.reduceat(found[random_order(stream, len(found))].astype(np.int64), starts) / sizes
        gaps.append(float(recall.max() - recall.min()))
    return float(np.mean(gaps))


def _together(groups: Sequence[Resampled]) -> _Pairs:
    """Return what the pairs of some detectors or groups scatter by.

    Raises:
        UsageError: where the numbers of draws differ.
    """
    k = len(groups)
    errors, widened, unseen = (np.zeros((k, k)) for _ in range(3))
    largest = np.zeros(1)
    for one, other in itertools.combinations(range(k), 2):
        difference = groups[one].less(groups[other])
        if np.isnan(difference.samples).all():
            continue
        error, basis = float(np.nanstd(difference.samples)), difference.basis
        if error > 0:
            largest = np.maximum(largest, np.abs(np.nan_to_num(difference.samples - difference.value)) / error)
            errors[one, other] = errors[other, one] = error
            widened[one, other] = widened[other, one] = widening(basis.effective, basis.units)
        if np.asarray(basis.effective) < FEW:
            seen = float(seen_share(basis.units))
            unseen[one, other] = unseen[other, one] = (1.0 - seen) / seen
    return _Pairs(errors, widened, unseen, max(usual_limit(), float(np.quantile(largest, CONFIDENCE))))


def _falling(values: Mapping[str, Resampled]) -> Callable[[str], float]:
    return lambda name: -values[name].value

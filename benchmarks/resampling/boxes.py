"""How well boxes fit the faces they hit, each number with its interval over resampled images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..scoring.localisation import hit_differences
from ..scoring.matching import ImageBoxes, Matches
from ..scoring.verdicts import verdicts
from .bootstrap import Interval, interval, percentile_interval, resample
from .effective import Basis, by_unit, effective_number
from .statistics import checked_weights, operating_ratios

_NUMBERS_PER_BLOCK = 1 << 18
"""Hits times draws computed together: 2 MB an array."""


@dataclass(frozen=True, slots=True)
class HitOverlap:
    """The distribution of IoU over the hits, nan without hits.

    IoU here is plain, boxes counted as (x2 - x1) wide, as in `OperatingPoint.mean_iou`. Hits are made by the IoU with
    the plus-one rule, so on faces of a few pixels some lie below the threshold.

    Attributes:
        hits: faces hit.
        mean: mean IoU.
        median: of the IoU.
        p05: 5 % of the hits have a lower IoU.
        p95: 5 % of the hits have a higher one.
    """

    hits: int
    mean: Interval
    median: Interval
    p05: float
    p95: float


def hit_overlap(
    matches: Matches, counted: NDArray[np.bool_], weights: NDArray[np.integer], *, score_threshold: float = -math.inf
) -> HitOverlap:
    """Describe the IoU of the hits with a score of at least `score_threshold`.

    Args:
        matches: from `match`.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, images).
        score_threshold: lowest score accepted; of float32 scores a float32 value, as `score` makes of it.
    """
    checked_weights(weights, matches.images)
    hit = verdicts(matches, counted).hit & (matches.scores >= score_threshold)
    overlap, image = matches.plain_iou[hit], matches.image[hit]
    p05, median, p95 = np.quantile(overlap, [0.05, 0.5, 0.95]).tolist() if len(overlap) else (math.nan,) * 3
    return HitOverlap(
        hits=len(overlap),
        mean=interval(resample(operating_ratios(matches, counted, score_threshold)["mean_iou"], weights)),
        median=percentile_interval(
            median, weighted_quantiles(overlap, image, weights, 0.5), quantile_basis(overlap, image, weights)
        ),
        p05=p05,
        p95=p95,
    )


@dataclass(frozen=True, slots=True)
class BoxHabit:
    """How a detector's boxes lie to the annotated ones: medians over hits, all nan without hits; see `BoxBias`.

    Attributes:
        hits: looked at.
        dx: centre of the detection right of the centre of the face, in face widths.
        dy: centre of the detection below the centre of the face, in face heights.
        width_ratio: detection width / face width.
        height_ratio: detection height / face height.
    """

    hits: int
    dx: Interval
    dy: Interval
    width_ratio: Interval
    height_ratio: Interval


def box_habit(
    matches: Matches,
    faces: ImageBoxes,
    detections: ImageBoxes,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    score_threshold: float = -math.inf,
) -> BoxHabit:
    """Measure a detector's offset and scale; see `box_bias`.

    Args:
        matches: from `match` on the two below.
        faces: all annotated faces.
        detections: the boxes found.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, images).
        score_threshold: lowest score of a hit to look at.
    """
    checked_weights(weights, matches.images)
    image, differences = hit_differences(matches, faces, detections, counted, score_threshold=score_threshold)
    hits = len(differences)
    plain = np.median(differences, axis=0) if hits else np.full(4, np.nan)
    drawn = np.array([weighted_quantiles(values, image, weights, 0.5) for values in differences.T])
    rests_on = [quantile_basis(values, image, weights) for values in differences.T]
    # sizes were compared by logarithms
    plain[2:], drawn[2:] = np.exp(plain[2:]), np.exp(drawn[2:])
    return BoxHabit(hits, *map(percentile_interval, plain.tolist(), drawn, rests_on))


def quantile_basis(
    values: NDArray[np.float64], image: NDArray[np.int64], weights: NDArray[np.integer], level: float = 0.5
) -> Basis:
    """Return what a quantile of the values rests on: an image moves it by its values above less those below.

    Args:
        values: float64 (n,).
        image: int64 (n,): the image of each value.
        weights: int (draws, images).
        level: of the quantile, 0 to 1.
    """
    below = values < np.quantile(values, level) if len(values) else np.zeros(0, dtype=np.bool_)
    side = np.where(below, level - 1.0, level)
    influence = by_unit(np.bincount(image, side, weights.shape[1]).astype(np.float64), weights)
    return Basis(len(influence), float(effective_number(influence)))


def weighted_quantiles(
    values: NDArray[np.float64], image: NDArray[np.int64], weights: NDArray[np.integer], level: ArrayLike
) -> NDArray[np.float64]:
    """Return a quantile of the values when each stands there as often as its image: float64 (draws,), or (k, draws).

    Linear between neighbours, as `np.quantile`. The values are sorted once. A draw's weights in that order, summed up,
    say at which place each value's copies end, and the two places about the quantile are looked up among these ends.

    Args:
        values: float64 (n,).
        image: int64 (n,): the image of each value.
        weights: int (draws, images).
        level: of the quantile, 0 to 1; 0.5 is the median. Of k levels together each costs little beyond the first.

    Returns:
        nan where no value is drawn.

    >>> drawn = np.array([[1, 1, 1], [3, 0, 3], [0, 0, 0]])
    >>> weighted_quantiles(np.array([1.0, 2.0, 9.0]), np.array([0, 1, 2]), drawn, 0.5)
    array([ 2.,  5., nan])
    """
    levels = np.asarray(level, dtype=np.float64)
    quantiles = np.full((levels.size, len(weights)), np.nan)
    if len(values) == 0:
        return quantiles.reshape(*levels.shape, len(weights))
    order = np.argsort(values, kind="stable")
    values, image = values[order], image[order]
    draws = max(1, _NUMBERS_PER_BLOCK // len(values))
    for start in range(0, len(weights), draws):
        copies = weights[start : start + draws][:, image]
        # One rising run over all draws of the block, so that one look-up serves them all.
        ends = np.cumsum(copies, dtype=np.int64)
        after = ends[len(values) - 1 :: len(values)]
        before = np.append(0, after[:-1])
        some = np.flatnonzero(after > before)
        for of_level, one in zip(quantiles, levels.ravel().tolist(), strict=True):
            place = (after[some] - before[some] - 1) * one
            below = np.floor(place).astype(np.int64)
            lower, upper = (
                values[np.searchsorted(ends, before[some] + at, side="right") - some * len(values)]
                for at in (below, np.ceil(place).astype(np.int64))
            )
            of_level[start + some] = lower + (upper - lower) * (place - below)
    return quantiles.reshape(*levels.shape, len(weights))

"""Intervals over resampled pictures for how boxes fit the faces they hit; the plain numbers are in `localisation`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..scoring.localisation import (
    FIT_IOU,
    HISTOGRAM_EDGES,
    QUANTILES,
    SHARE_LEVELS,
    UnbiasedPrecision,
    hit_differences,
    without_bias,
)
from ..scoring.matching import Matches, PictureBoxes, match
from ..scoring.verdicts import verdicts
from .average_precision import ExactAP
from .bootstrap import Interval, Resampled, interval, paired_difference, percentile_interval, resample
from .statistics import Ratio, checked_weights, operating_ratios

_NUMBERS_PER_BLOCK = 1 << 18
"""Hits times draws computed together: 2 MB an array."""


@dataclass(frozen=True, slots=True)
class OverlapIntervals:
    """Numbers of `HitOverlap` with their intervals.

    Attributes:
        mean: mean IoU of the hits.
        quantiles: at `QUANTILES`.
        shares: share of hits with an IoU of at least each of `SHARE_LEVELS`.
        histogram: share of hits between neighbouring `HISTOGRAM_EDGES`.
    """

    mean: Interval
    quantiles: tuple[Interval, ...]
    shares: tuple[Interval, ...]
    histogram: tuple[Interval, ...]


def overlap_intervals(
    matches: Matches,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    score_threshold: float = -math.inf,
    iou_threshold: float = 0.5,
) -> OverlapIntervals:
    """Return the intervals of `hit_overlap`, whose arguments these are, for weights of int (draws, pictures)."""
    checked_weights(weights, matches.pictures)
    mean = operating_ratios(matches, counted, score_threshold, iou_threshold=iou_threshold)["mean_iou"]
    hit = verdicts(matches, counted, iou_threshold=iou_threshold).hit & (matches.scores >= score_threshold)

    def share(chosen: NDArray[np.bool_]) -> Interval:
        part = np.bincount(matches.picture[hit & chosen], minlength=matches.pictures)
        return interval(resample(Ratio(part.astype(np.float64), mean.whole), weights))

    once = np.ones((1, matches.pictures), dtype=np.int8)
    plain, drawn = (
        weighted_quantiles(matches.plain_iou[hit], matches.picture[hit], some, QUANTILES) for some in (once, weights)
    )
    # as np.histogram: a bar holds its lower edge, the last one its upper edge too
    place = np.searchsorted(HISTOGRAM_EDGES[:-1], matches.plain_iou, side="right") - 1
    return OverlapIntervals(
        mean=interval(resample(mean, weights)),
        quantiles=tuple(percentile_interval(float(of[0]), samples) for of, samples in zip(plain, drawn, strict=True)),
        shares=tuple(share(matches.plain_iou >= level) for level in SHARE_LEVELS),
        histogram=tuple(share(place == bar) for bar in range(len(HISTOGRAM_EDGES) - 1)),
    )


def box_bias_intervals(
    matches: Matches,
    faces: PictureBoxes,
    detections: PictureBoxes,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    score_threshold: float = -math.inf,
    iou_threshold: float = FIT_IOU,
) -> Mapping[str, Interval]:
    """Return the intervals of dx, dy, width_ratio and height_ratio of `box_bias`.

    Args:
        matches: from `match` on the two below.
        faces: all annotated faces.
        detections: the boxes found.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures).
        score_threshold: lowest score of a hit to fit on.
        iou_threshold: of a hit.
    """
    checked_weights(weights, matches.pictures)
    picture, differences = hit_differences(
        matches, faces, detections, counted, score_threshold=score_threshold, iou_threshold=iou_threshold
    )
    once = np.ones((1, matches.pictures), dtype=np.int8)

    def median(column: int) -> Resampled:
        values = differences[:, column]
        plain = float(weighted_quantiles(values, picture, once, 0.5)[0])
        return Resampled(plain, weighted_quantiles(values, picture, weights, 0.5))

    dx, dy, log_width, log_height = (median(column) for column in range(4))
    return {
        "dx": interval(dx),
        "dy": interval(dy),
        "width_ratio": percentile_interval(math.exp(log_width.value), np.exp(log_width.samples)),
        "height_ratio": percentile_interval(math.exp(log_height.value), np.exp(log_height.samples)),
    }


def weighted_quantiles(
    values: NDArray[np.float64], picture: NDArray[np.int64], weights: NDArray[np.integer], level: ArrayLike
) -> NDArray[np.float64]:
    """Return a quantile of the values when each stands there as often as its picture: float64 (draws,), or (k, draws).

    Linear between neighbours, as `np.quantile`. The values are sorted once. A draw's weights in that order, summed up,
    say at which place each value's copies end, and the two places about the quantile are looked up among these ends.

    Args:
        values: float64 (n,).
        picture: int64 (n,): the picture of each value.
        weights: int (draws, pictures).
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
    values, picture = values[order], picture[order]
    draws = max(1, _NUMBERS_PER_BLOCK // len(values))
    for start in range(0, len(weights), draws):
        copies = weights[start : start + draws][:, picture]
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


def unbiased_intervals(
    unbiased: UnbiasedPrecision,
    faces: PictureBoxes,
    detections: PictureBoxes,
    scores: ArrayLike,
    counted: NDArray[np.bool_],
    weights: NDArray[np.integer],
    *,
    average_precision: Resampled | None = None,
    seed: int = 0,
    count_empty_pictures: bool = True,
) -> Mapping[str, Interval]:
    """Return the intervals of "before", "after" and "gain" of `unbiased_average_precision`.

    The two fits are held as they were made on the real halves, and so is the half of each picture: boxes are corrected
    once, and the draws weigh the pictures. How the fits themselves scatter is not in the intervals. Before and after
    come from the same draws.

    Args:
        unbiased: the plain numbers, with the fits.
        faces: the same as for the plain numbers, as are `detections`, `scores`, `counted` and the two keywords.
        detections: the boxes found in the same pictures.
        scores: float (n,), one a detection.
        counted: bool (faces,): the faces of the list.
        weights: int (draws, pictures).
        average_precision: exact AP before, at the IoU threshold of the plain numbers, where it is known already.
        seed: of the split of the pictures.
        count_empty_pictures: let false alarms on pictures without any annotated face count.
    """

    def resampled_ap(found: PictureBoxes) -> Resampled:
        statistic = ExactAP(
            match(faces, found, scores),
            counted,
            iou_threshold=unbiased.iou_threshold,
            count_empty_pictures=count_empty_pictures,
        )
        return resample(statistic, weights)

    before = average_precision or resampled_ap(detections)
    corrected = without_bias(detections, unbiased.first_fit, unbiased.second_fit, seed=seed)
    after = Resampled(math.nan, np.full(len(weights), np.nan)) if corrected is None else resampled_ap(corrected)
    return {"before": interval(before), "after": interval(after), "gain": paired_difference(after, before).interval}

"""The numbers of the main table with their intervals: one set of draws for accuracy and latency alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..resampling.average_precision import ExactAP
from ..resampling.bootstrap import Interval, Resampled, interval, percentile_interval, resample, resample_ratios
from ..resampling.boxes import weighted_quantiles
from ..resampling.official import OfficialAP
from ..resampling.statistics import Ratio, operating_ratios
from ..scoring import Matches
from ..timing.latency import LatencySummary
from ..timing.round_noise import process_error, student_t

OFFICIAL_DRAWS = 200
"""The first of all draws: a thousand of the official rule, which normalises each again, cost more than all the rest."""


@dataclass(frozen=True, slots=True)
class RowIntervals:
    """The numbers of one row with 95 % intervals over resampled images; a mapping is empty without any.

    Attributes:
        exact: exact AP, by list and "overall".
        official: official AP, by list and "overall"; over the first `OFFICIAL_DRAWS` draws at most.
        operating: precision, recall, f1, false_alarms_per_image and mean_iou at the detector's threshold, over all
            faces that are not ignored.
        latency: p50_ms, p90_ms and images_per_second. They say what other images would change and, of two rounds or
            more, what other processes would; nothing of what another machine or another day would.
    """

    exact: Mapping[str, Interval] = field(default_factory=dict)
    official: Mapping[str, Interval] = field(default_factory=dict)
    operating: Mapping[str, Interval] = field(default_factory=dict)
    latency: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calls:
    """Timed calls.

    Attributes:
        image: int64 (calls,): the place of the image, in the order of the draws; one may be timed several times.
        round: int64 (calls,): of which round, each a fresh process.
        detect_ms: float64 (calls,): milliseconds.
        summary: of `detect_ms`.
    """

    image: NDArray[np.int64]
    round: NDArray[np.int64]
    detect_ms: NDArray[np.float64]
    summary: LatencySummary


def row_intervals(
    matches: Matches,
    lists: Mapping[str, NDArray[np.bool_]],
    score_threshold: float,
    calls: Calls | None,
    weights: NDArray[np.integer],
    exact: Mapping[str, Resampled],
) -> RowIntervals:
    """Return the intervals of one row.

    Args:
        matches: from `match`.
        lists: name -> bool (faces,): the faces that count; among them "overall", on which the operating point is read.
        score_threshold: compared as it is: round it to the dtype of the detector's scores first.
        calls: None where nothing was timed.
        weights: int (draws, images), from `draw_weights`.
        exact: from `exact_draws` on the same arguments, which the ranking needs too.

    Raises:
        UsageError: on weights of another number of images.
    """
    operating = operating_ratios(matches, lists["overall"], score_threshold)
    return RowIntervals(
        exact={name: interval(one) for name, one in exact.items()},
        official={
            name: interval(resample(OfficialAP(matches, mask), weights[:OFFICIAL_DRAWS]))
            for name, mask in lists.items()
        },
        operating=dict(zip(operating, map(interval, resample_ratios(list(operating.values()), weights)), strict=True)),
        latency={} if calls is None else latency_intervals(calls, weights),
    )


def exact_draws(
    matches: Matches, lists: Mapping[str, NDArray[np.bool_]], weights: NDArray[np.integer]
) -> dict[str, Resampled]:
    """Return exact AP by list under each draw; arguments as for `row_intervals`."""
    return {name: resample(ExactAP(matches, mask), weights) for name, mask in lists.items()}


def latency_intervals(calls: Calls, weights: NDArray[np.integer]) -> dict[str, Interval]:
    """Return the intervals of p50_ms, p90_ms and images_per_second of `LatencySummary`.

    An image is drawn with all its calls. A whole process is faster or slower than the next, which no images show: from
    two rounds on, each draw is moved by what Student's t says of that (`process_error`). Of one round the interval
    holds for this process alone.

    Args:
        calls: timed.
        weights: int (draws, images).
    """
    images = weights.shape[1]
    times = np.bincount(calls.image, minlength=images).astype(np.float64)
    seconds = np.bincount(calls.image, calls.detect_ms / 1000, images).astype(np.float64)
    p50, p90 = weighted_quantiles(calls.detect_ms, calls.image, weights, (0.5, 0.9))
    samples = {"p50_ms": p50, "p90_ms": p90, "images_per_second": Ratio(times, seconds)(weights)}
    error, freedom = _between_processes(calls, images)
    # evenly spaced quantiles stand for the draws of t: those of the images are random already
    draws = (np.arange(len(weights)) + 0.5) / len(weights)
    moved = np.exp(error * student_t(freedom, draws)) if freedom else 1.0
    return {name: percentile_interval(getattr(calls.summary, name), one * moved) for name, one in samples.items()}


def _between_processes(calls: Calls, images: int) -> tuple[float, float]:
    rounds, number = np.unique(calls.round, return_inverse=True)
    logs = np.full((len(rounds), images), np.nan)
    logs[number, calls.image] = np.log(calls.detect_ms)
    everywhere = logs[:, ~np.isnan(logs).any(axis=0)]
    return process_error(everywhere, np.ones(everywhere.shape[1])) if everywhere.size else (math.nan, 0.0)

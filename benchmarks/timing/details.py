"""What a cell's timings say beyond percentiles: where the time goes, what a megapixel costs, whether to trust them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..resampling.bootstrap import DRAWS, Interval, percentile_interval
from .cost_model import CostModel, fit_cost
from .drift import Drift, drift
from .latency import median_draws

STAGES = ("pre_ms", "inference_ms", "post_ms")
SHARED_CORE = 0.97
"""Below this share of its core, one thread on the CPU did not have it for itself."""


@dataclass(frozen=True, slots=True)
class LatencyDetails:
    """Timings of one cell, looked at more closely.

    Attributes:
        cost: by megapixels of the image and faces found.
        drift: whether it grew slower or faster in the course of the measurement; flagged, nothing is dropped.
        stages: "pre_ms", "inference_ms", "post_ms" -> median with its interval over images; empty where the adapter
            cannot tell.
        processor_share: processor time of all threads over wall time, of all calls together; nan where not measured.
        rounds_p50_ms: median of each round, each from a fresh process.
        max_ms: the slowest call.
        core_share: share of the wall time in which it did not queue for its core: it ran, or waited for something of
            its own. Where queueing was not measured, `processor_share`, which takes any waiting for queueing.
        shared_core: whether something else ran on the core of a cell with one thread on the CPU.
    """

    cost: CostModel
    drift: Drift
    stages: dict[str, Interval]
    processor_share: float
    rounds_p50_ms: tuple[float, ...]
    max_ms: float
    core_share: float
    shared_core: bool

    @property
    def warnings(self) -> list[str]:
        """Say what a reader must know before believing the figures."""
        found = []
        # with one round the images that came last may simply be costlier than the cost model knows
        if self.drift.flagged and len(self.rounds_p50_ms) > 1:
            found.append(f"latency drifted {self.drift.change.value:.2f}×")
        if self.shared_core:
            found.append(f"had {self.core_share:.0%} of its core")
        return found

    @property
    def noise(self) -> tuple[float, float]:
        """Return by which factors the latency of a quiet machine may differ at most: (1, 1) without warnings.

        Sharing a core only slows a call, by the part of its wall time that the processor did not have. A drift may have
        hit the figures either way.
        """
        low = high = 1.0
        if self.drift.flagged and len(self.rounds_p50_ms) > 1:
            low, high = sorted((self.drift.change.value, 1 / self.drift.change.value))
        return (low * self.core_share if self.shared_core else low), high


def latency_details(timings: pd.DataFrame, *, one_thread_on_cpu: bool, seed: int = 0) -> LatencyDetails:
    """Look at the timings of a cell.

    Args:
        timings: as `RunFolder.timings` returns them, at least one row.
        one_thread_on_cpu: whether processor time should be all of the wall time.
        seed: of the draws behind the intervals.
    """
    timings = timings.sort_values("order")
    by_image = timings.groupby("image_id", sort=False)
    typical = by_image["detect_ms"].median()
    first = by_image.first().loc[typical.index]
    megapixels = first["pixels"].to_numpy(np.float64) / 1e6
    cost = fit_cost(typical.to_numpy(), megapixels, first["detections"].to_numpy(), seed=seed)
    rounds = timings.groupby("round")["detect_ms"].median()
    if len(rounds) > 1:
        expected = typical.loc[timings["image_id"]].to_numpy()
    else:
        expected = cost.predict(timings["pixels"].to_numpy(np.float64) / 1e6, timings["detections"].to_numpy())
    expected = np.where(expected > 0, expected, np.nan)
    share, queued = (
        float(timings[name].sum(min_count=1) / timings["detect_ms"].sum()) for name in ("cpu_ms", "queued_ms")
    )
    core_share = share if math.isnan(queued) else 1 - queued
    return LatencyDetails(
        cost=cost,
        drift=drift(timings["detect_ms"].to_numpy(), expected, seed=seed),
        stages=_stages(timings, seed),
        processor_share=share,
        rounds_p50_ms=tuple(rounds.tolist()),
        max_ms=float(timings["detect_ms"].max()),
        core_share=core_share,
        shared_core=one_thread_on_cpu and math.isfinite(core_share) and core_share < SHARED_CORE,
    )


def _stages(timings: pd.DataFrame, seed: int) -> dict[str, Interval]:
    if timings[list(STAGES)].isna().any(axis=None):
        return {}
    typical = timings.groupby("image_id")[list(STAGES)].median()
    found = {}
    for name in STAGES:
        values = typical[name].to_numpy()
        draws = median_draws(values, draws=DRAWS, seed=seed)
        found[name] = percentile_interval(float(np.median(values)), draws)
    return found

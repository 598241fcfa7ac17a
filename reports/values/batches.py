"""Throughput in batches as text: a line for each detector and batch size, and the scenarios that MLPerf names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.analysis.table import Row, Summary
from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.store.documents import finite
from ...benchmarks.store.records import BatchSize
from ...benchmarks.timing.throughput import BatchRate
from .numbers import NONE, between_brief, brief, row_label

MULTI_STREAM = 8
"""Images of a query there."""
BATCH_COLUMNS = {
    "detector": "name, and what differs from the usual",
    "batch": "images in a full batch, of one size; looped: the detector takes one after the other",
    "images/s": "images over the time of all batches, full or not; the interval is over batches and rounds",
    "times one": "how many times as fast as batches of one image, on the same images",
    "p50 ms": "median of the full batches, the whole detect_batch call",
    "peak MB": "largest memory of the process that has run batches up to this size",
    "device MB": "the same on the device, where the library can tell",
    "full": "how many of the batches of a round were full",
    "remarks": "why there are no times, or on how many images a batch finds other boxes than the image alone",
}
"""Title -> what it says."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One detector in the scenarios of MLPerf Inference, as texts; a dash where there is no such figure.

    Attributes:
        label: see `row_label`.
        single_stream: 90th percentile of one image after the other, ms.
        multi_stream: 99th percentile of batches of eight, ms.
        offline: images/s at the best batch size.
    """

    label: str
    single_stream: str
    multi_stream: str
    offline: str


def batch_lines(summary: Summary) -> list[list[str]]:
    """Return a line for each detector and batch size, in the order of the rows; empty without any batches."""
    return [_line(row, size) for row in _in_batches(summary) for size in _sizes(row)]


def scenarios(summary: Summary) -> list[Scenario]:
    """Return what MLPerf's scenarios ask for, for each detector that was timed in batches."""
    return [_scenario(row) for row in _in_batches(summary)]


def batch_remarks(row: Row) -> list[str]:
    """Say what a reader must know of a row's batches."""
    batching = row.cell.batching
    if batching is None:
        return []
    found = [] if batching.together else ["batches looped"]
    if failed := ", ".join(str(size.images) for size in batching.sizes if size.reason):
        found.append(f"no times in batches of {failed}")
    return found + [_differ(size) for size in batching.sizes if size.differ]


def best_batch_text(row: Row) -> str:
    """Return images/s of the best batch size, its interval, and which size that is, a line each."""
    best = row.best_batch
    return NONE if best is None else f"{_estimate(best.images_per_second)}\nbatches of {best.images}"


def batches_json(row: Row) -> list[dict[str, Any]]:
    """Return what is known of each batch size of a row for machines: full numbers, None where there is none."""
    found = []
    for size in _sizes(row):
        rate = _rate(row, size)
        one: dict[str, Any] = {"images": size.images, "reason": size.reason, "differ": size.differ}
        if rate is not None:
            for name, interval in (("images_per_s", rate.images_per_second), ("times_one", rate.gain)):
                one[name] = None if interval is None else finite(interval.value)
                known = interval is not None and math.isfinite(interval.low)
                one[f"{name}_interval"] = [interval.low, interval.high] if interval and known else None
            one |= {"p50_ms": finite(rate.p50_ms), "p99_ms": rate.p99_ms, "batches": rate.batches, "full": rate.full}
        found.append(one | {"peak_rss_mb": size.peak_rss_mb, "device_memory_mb": size.device_memory_mb})
    return found


def _in_batches(summary: Summary) -> list[Row]:
    return [row for row in summary.rows if row.done and row.cell.batching is not None]


def _sizes(row: Row) -> Sequence[BatchSize]:
    return row.cell.batching.sizes if row.done and row.cell.batching else ()


def _rate(row: Row, size: BatchSize) -> BatchRate | None:
    return next((rate for rate in row.batches if rate.images == size.images), None)


def _line(row: Row, size: BatchSize) -> list[str]:
    rate, batching = _rate(row, size), row.cell.batching
    looped = "" if batching is None or batching.together or size.images == 1 else ", looped"
    remarks = ", ".join(filter(None, (size.reason, _differ(size) if size.differ else "")))
    times = [NONE] * 3 if rate is None else [_estimate(rate.images_per_second), _gain(rate), brief(rate.p50_ms)]
    memory = [NONE if one is None else f"{one:,.0f}" for one in (size.peak_rss_mb, size.device_memory_mb)]
    full = NONE if rate is None else f"{rate.full:,} of {rate.batches:,}"
    return [row_label(row), f"{size.images}{looped}", *times, *memory, full, remarks]


def _gain(rate: BatchRate) -> str:
    return NONE if rate.gain is None else _estimate(rate.gain)


def _estimate(interval: Interval) -> str:
    ends = between_brief(interval)
    return f"{brief(interval.value)}\n({ends})" if ends else brief(interval.value)


def _differ(size: BatchSize) -> str:
    return f"other boxes in batches of {size.images} on {size.differ} image{'s' * (size.differ != 1)}"


def _scenario(row: Row) -> Scenario:
    eight = next((rate for rate in row.batches if rate.images == MULTI_STREAM), None)
    p99 = eight.p99_ms if eight else None
    return Scenario(
        row_label(row),
        brief(row.latency.p90_ms) if row.latency else NONE,
        NONE if p99 is None else brief(p99),
        best_batch_text(row),
    )

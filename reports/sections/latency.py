"""Where the time of a call goes, what an image costs, and under which conditions it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...benchmarks.analysis.table import Row, Summary
from ...benchmarks.resampling.bootstrap import DRAWS, Interval, percentile_interval
from ...benchmarks.store.records import Start, StoredCell
from ...benchmarks.store.truth import decoded
from ...benchmarks.timing.details import STAGES, LatencyDetails
from ...benchmarks.timing.latency import median_draws
from ..figures.detectors import cost_figure
from ..figures.latency import DOTS, latency_strips, strips
from ..figures.svg import wide_and_narrow
from ..values.grids import Grid, GridCell, Heading
from ..values.numbers import NONE, between_brief, brief, number_of, row_label
from ..values.table import floor_sentence, latency_scope
from .base import Page, Section

ORDER = 50
WHAT_IS_TIMED = (
    "A latency is the whole detect call at the detector's threshold, as it is used: from a decoded image in memory to "
    "arrays on the host, with any scaling of the image and any copy to a device and back inside the clock. Reading and "
    "decoding the file come before it. Boxes below the threshold, which curves need, come from another pass, untimed."
)
CANNOT_BE_TOLD = "cannot be told"
_COLD_START = {"spawn_s": "spawn", "import_s": "import", "load_s": "load", "first_call_s": "first call"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions one detector was measured, as texts; a dash where a run does not say.

    Attributes:
        label: see `row_label`.
        device: as read back from the library, and whether the package could use another.
        threads: asked for, and what each library said that it would use.
        put_back: libraries that had given themselves other threads on import.
        processor: processor time of all threads over wall time.
        rounds: how many, and how far their medians lie apart.
        drift: whether it grew slower in the course of the measurement.
        memory: largest resident memory of the process.
        device_memory: largest memory on the device.
    """

    label: str
    device: str
    threads: str
    put_back: str
    processor: str
    rounds: str
    drift: str
    memory: str
    device_memory: str


@dataclass(frozen=True, slots=True)
class LatencySection:
    """What the report says on latency.

    Attributes:
        costs: a row for each detector: whole call, stages, cost model, cold start.
        intervals: what the intervals of whole calls hold for.
        unknown: why terms of a cost model cannot be told, and of which detectors that holds.
        conditions: of each detector.
        not_timed: detectors with a result and no latency.
    """

    costs: Grid
    intervals: str
    unknown: Sequence[tuple[str, str]]
    conditions: Sequence[Conditions]
    not_timed: Sequence[str]


def section(page: Page) -> Section | None:
    """Lay out the latency of every detector that was timed; None where none was."""
    summary = page.summary
    latency = latency_section(summary)
    if latency is None:
        return None
    calls, costs = strips(summary), cost_figure(summary)
    values = {
        "latency": latency,
        "figures": wide_and_narrow(lambda width: latency_strips(calls, width)) if calls else {},
        "most_dots": DOTS if any(strip.calls > DOTS for strip in calls) else 0,
        "floor": floor_sentence(summary),
        "what_is_timed": f"{WHAT_IS_TIMED} {decode_sentence(summary)}".rstrip(),
        "cost_figure": (costs, wide_and_narrow(costs.svg)) if costs else None,
    }
    return Section("latency", "latency.html.j2", values, "latency")


def decode_sentence(summary: Summary) -> str:
    """Say what reading and decoding an image cost, once, before any detector; empty where a run does not know."""
    images = summary.reader.images
    if "decode_ms" not in images:
        return ""
    times = decoded(images)["decode_ms"].to_numpy()
    inside = percentile_interval(float(np.median(times)), median_draws(times, draws=DRAWS, seed=0))
    took = f"{brief(inside.value)} ms ({between_brief(inside)})"
    return f"Reading and decoding an image took {took} at the median; that is part of no latency."


def latency_section(summary: Summary) -> LatencySection | None:
    """Return what there is to say; None where nothing was timed."""
    timed = [(row, row.timing) for row in summary.rows if row.timing is not None]
    if not timed:
        return None
    unknown: dict[str, list[str]] = {}
    for row, timing in timed:
        if timing.cost.note:
            unknown.setdefault(timing.cost.note, []).append(row_label(row))
    return LatencySection(
        costs=_costs(timed),
        intervals=latency_scope(summary.rows),
        unknown=[(note, "; ".join(labels)) for note, labels in unknown.items()],
        conditions=[_conditions(row, timing) for row, timing in timed],
        not_timed=[row_label(row) for row in summary.rows if row.done and row.timing is None],
    )


def _costs(timed: Sequence[tuple[Row, LatencyDetails]]) -> Grid:
    has_p99 = any(row.latency is not None and row.latency.p99_ms is not None for row, _ in timed)
    percentiles = {"p50_ms": "p50", "p90_ms": "p90"} | ({"p99_ms": "p99"} if has_p99 else {}) | {"max_ms": "slowest"}
    groups = [
        ("whole call, ms", [Heading(title) for title in percentiles.values()]),
        ("stages, median ms", [Heading(name.removesuffix("_ms")) for name in STAGES]),
        ("cost model, ms", [Heading("base"), Heading("a megapixel"), Heading("a face"), Heading("off by", "median")]),
        ("cold start, s", [Heading(title) for title in _COLD_START.values()]),
    ]
    return Grid(
        "detector", groups, [(Heading(row_label(row)), _cells(row, timing, percentiles)) for row, timing in timed]
    )


def _cells(row: Row, timing: LatencyDetails, percentiles: Mapping[str, str]) -> list[GridCell]:
    calls, cost = row.intervals.latency, timing.cost
    # a percentile that needs more calls is None
    whole = [(_number(getattr(row.latency, name, None)), calls.get(name)) for name in percentiles]
    start = row.cell.start
    off = f"{cost.median_relative_error:.1%}" if math.isfinite(cost.median_relative_error) else NONE
    return [
        *(GridCell(brief(value), f"({between_brief(ends)})" if ends else "") for value, ends in whole),
        *(_estimate(timing.stages.get(name)) for name in STAGES),
        *(_estimate(term) for term in (cost.base_ms, cost.per_megapixel_ms, cost.per_face_ms)),
        GridCell(off),
        *(GridCell(brief(_number(getattr(start, name, None)))) for name in _COLD_START),
    ]


def _estimate(interval: Interval | None) -> GridCell:
    if interval is None or not math.isfinite(interval.value):
        return GridCell(NONE, CANNOT_BE_TOLD)
    ends = between_brief(interval)
    return GridCell(brief(interval.value), f"({ends})" if ends else "")


def _conditions(row: Row, timing: LatencyDetails) -> Conditions:
    cell = row.cell
    start = cell.start
    assert start is not None, "finished cells have started"
    memory, on_device = _number(cell.peak_rss_mb), _number(cell.device_memory_mb)
    return Conditions(
        label=row_label(row),
        device=_device(cell, start),
        threads=_threads(cell, start),
        put_back=_put_back(start),
        processor=f"{timing.processor_share:.0%}" if math.isfinite(timing.processor_share) else NONE,
        rounds=_rounds(timing.rounds_p50_ms),
        drift=_drift(timing),
        memory=f"{memory:,.0f} MB" if math.isfinite(memory) else NONE,
        device_memory=f"{on_device:,.0f} MB" if math.isfinite(on_device) else NONE,
    )


def _device(cell: StoredCell, start: Start) -> str:
    used, devices = start.device_used or NONE, cell.info.devices
    # of a card that does not list the devices nothing is known
    return f"{used} (CPU only)" if devices and "cuda" not in devices else used


def _threads(cell: StoredCell, start: Start) -> str:
    """Say what was asked for and what was read back, libraries of the same number together."""
    told = {name: count for name, count in start.library_threads.items() if name != "cores"}
    if start.threads_used is not None:
        told = {"detector": start.threads_used, **told}
    by_count: dict[int, list[str]] = {}
    for name, count in told.items():
        by_count.setdefault(count, []).append(name)
    read_back = "; ".join(f"{count} in {', '.join(names)}" for count, names in by_count.items())
    return f"asked {cell.threads}; {f'read back {read_back}' if read_back else f'read back {NONE}'}"


def _put_back(start: Start) -> str:
    changed = start.threads_put_back
    if changed is None:
        return NONE
    return ", ".join(f"{name} from {before} to {after}" for name, (before, after) in changed.items()) or "nothing"


def _rounds(medians_ms: Sequence[float]) -> str:
    count = number_of(len(medians_ms), "round")
    if len(medians_ms) < 2:
        return count
    return f"{count}, medians within {max(medians_ms) / min(medians_ms) - 1:.1%}"


def _drift(timing: LatencyDetails) -> str:
    if timing.drift.flagged and len(timing.rounds_p50_ms) == 1:
        return f"{timing.drift.text}; of one round: the later images may be costlier"
    return timing.drift.text


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

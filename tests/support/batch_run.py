"""Runs whose batches are worked out: a call takes so long, and each of its images so much more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from facebench.benchmarks.measure.batches.schedule import batches_of, in_turns
from facebench.benchmarks.store.records import BatchCall, Batching, BatchSize
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.tests.support.timed_run import SIZES, add_timed


def add_batched(
    run: RunFolder,
    spec: str,
    *,
    sizes: Sequence[int] = (1, 4, 16),
    call_ms: float = 30.0,
    image_ms: float = 10.0,
    together: bool = True,
    failed: Mapping[int, str] | None = None,
    differ: Mapping[int, int] | None = None,
    rounds: int = 1,
    device_mb: float | None = None,
    **cell: Any,
) -> None:
    """Add a timed cell of 24 images in batches; of 24, a batch of 16 is full and the next is not."""
    add_timed(run, spec, slower=(1.0,) * rounds, **cell)
    stored, names, failed = run.cells[-1], list(SIZES), failed or {}
    turns = in_turns([batches_of(names, dict.fromkeys(names), size) for size in sizes if size not in failed])
    calls = [
        BatchCall(one.size, number, one.image_ids, call_ms + image_ms * len(one.image_ids))
        for number in range(rounds)
        for one in turns
    ]
    run.write_batches(stored, calls)
    known = tuple(
        BatchSize(
            images=size,
            reason=failed.get(size, ""),
            differ=(differ or {}).get(size, 0),
            peak_rss_mb=None if size in failed else 100.0 + size,
            device_memory_mb=device_mb,
        )
        for size in sizes
    )
    run.put_cell(replace(stored, batching=Batching(together=together, rounds=rounds, sizes=known)))

"""What detectors cost, and what the harness adds: `pytest benchmarks --benchmark-save=NAME`.

Times of the detectors are those of the run (measured inside the child, the whole `detect` call); pytest-benchmark
times the same call from outside, once an image, so that its tables and comparisons work as its users know them.
"""

from __future__ import annotations

import statistics
import time
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from facebench.benchmarks.measure.detector_process import DetectorProcess
from facebench.benchmarks.store.journal import ImageRecord, Journal
from facebench.datasets import decode, load

if TYPE_CHECKING:
    from pathlib import Path

    from facebench.benchmarks.analysis.table import Row, Summary
    from facebench.detectors import DetectorSpec, RGBImage

ROUNDS = 20


@pytest.mark.benchmark(group="harness")
def test_harness_floor(benchmark: Any, tmp_path: Path, say: list[str]) -> None:
    """A 1024×768 image through shared memory, child, pipe and journal, with a detector that does nothing."""
    image = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), dtype=np.uint8)
    journal = Journal(tmp_path / "journal.jsonl")
    journal.open()

    with DetectorProcess("facebench.benchmarks.measure.floor:Nothing") as child:
        child.start()

        def whole_way() -> None:
            answer = child.detect(image)
            journal.image(
                ImageRecord("picture", answer.detections, answer.detect_ms, image.size // 3), answer.peak_rss_mb
            )

        benchmark.pedantic(whole_way, rounds=300, warmup_rounds=20)
    journal.close()
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines()
    # --benchmark-cprofile adds a call
    assert len(lines) >= (1 if benchmark.disabled else 320)
    if benchmark.disabled:
        return
    p50, p90 = (float(np.percentile(benchmark.stats.stats.data, q)) * 1000 for q in (50, 90))
    benchmark.extra_info |= {"p50_ms": p50, "p90_ms": p90, "pixels": image.size // 3}
    say.append(f"harness floor, 1024x768 image: p50 {p50:.3f} ms, p90 {p90:.3f} ms")


def test_latency(benchmark: Any, spec: DetectorSpec, summary: Summary, row: Row, run_id: str) -> None:
    """One `detect` call in the child, a different image each round."""
    benchmark.group = str(spec)
    dataset = load("scenes?count=20")
    images = cycle([decode(sample.source).image for sample in dataset.samples])
    assert row.latency is not None
    benchmark.extra_info |= {
        "cell": row.cell.key,
        "run": run_id,
        "protocol": row.cell.protocol.to_json(),
        "dataset": summary.scope,
        f"exact_ap_{summary.primary}": row.exact_ap(summary.primary),
        f"official_ap_{summary.primary}": row.official_ap(summary.primary),
        "p50_ms": row.latency.p50_ms,
        "p90_ms": row.latency.p90_ms,
    }
    inside: list[float] = []
    with DetectorProcess(str(spec), device=row.cell.device) as child:
        child.start()

        def detect(image: RGBImage) -> None:
            inside.append(child.detect(image).detect_ms)

        began = time.perf_counter()
        benchmark.pedantic(detect, setup=lambda: ((next(images),), {}), rounds=ROUNDS, warmup_rounds=2)
        elapsed = time.perf_counter() - began
    assert elapsed * 1000 >= sum(inside), "the child cannot have worked longer than we waited"
    assert len(inside) >= (1 if benchmark.disabled else ROUNDS + 2)
    if benchmark.disabled:
        return
    outside = statistics.median(benchmark.stats.stats.data) * 1000
    benchmark.extra_info["outside_over_inside"] = outside / statistics.median(inside[2:])

"""What batches buy: images/s by batch size, `pytest benchmarks -k throughput --detectors yunet,retinaface-onnx`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.measure.plan import Plan
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.records import Protocol
from facebench.datasets import load
from facebench.detectors.models import store as model_store
from facebench.errors import ModelStoreError

if TYPE_CHECKING:
    from pathlib import Path

    from facebench.detectors import DetectorSpec

IMAGES = 8
SIZES = (4,)


@pytest.mark.benchmark(group="throughput")
def test_throughput(
    benchmark: Any, spec: DetectorSpec, say: list[str], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Scenes in squares of one size, as a run measures them; pytest-benchmark's own time is that of the whole run."""
    device = pytestconfig.getoption("--device")
    for model in spec.models():
        try:
            model_store.fetch(model)
        except ModelStoreError as error:
            pytest.skip(str(error))
    missing = spec.missing(device)
    if missing is not None:
        pytest.skip(f"{missing}; to fix: {missing.remedy}")
    plan = Plan(load(f"scenes?count={IMAGES}"), [spec], [Protocol("square=640")], device, batches=SIZES)
    benchmark.pedantic(lambda: run(plan, tmp_path / "run"), rounds=1)
    (row,) = summarise_run(run(plan, tmp_path / "run"), Resampling(draws=1)).rows
    assert row.done and row.cell.batching is not None, row.cell.reason
    assert [size.images for size in row.cell.batching.sizes] == [1, *SIZES]
    rates = {rate.images: rate for rate in row.batches}
    together = row.cell.batching.together
    benchmark.extra_info |= {
        "device": device,
        "batched_together": together,
        "images_per_second": {size: rate.images_per_second.value for size, rate in rates.items()},
        "peak_rss_mb": {size.images: size.peak_rss_mb for size in row.cell.batching.sizes},
        "not_measured": {size.images: size.reason for size in row.cell.batching.sizes if size.reason},
    }
    if benchmark.disabled:
        return
    one = rates[1].images_per_second.value
    gains = [f"{rate.gain.value:.2f} times in batches of {size}" for size, rate in rates.items() if rate.gain]
    looped = "" if together else ", looped"
    say.append(f"{spec} on {device}{looped}: {one:.1f} images/s one by one; {', '.join(gains)}")

"""What batches buy: images a second by batch size, `pytest benchmarks -k batch --device cuda`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from facebench.benchmarks.timing.batch_throughput import BatchRate, measure
from facebench.datasets import decode, load
from facebench.detectors import Detector, create, names, resolve
from facebench.detectors.models import store as model_store
from facebench.errors import DeviceError

if TYPE_CHECKING:
    from facebench.detectors import RGBImage

IMAGES = 4
CALLS = 2
BATCHING = [name for name in names() if resolve(name).adapter.detect_batch is not Detector.detect_batch]


@pytest.mark.benchmark(group="batches")
@pytest.mark.parametrize("name", BATCHING)
def test_batch_throughput(name: str, benchmark: Any, say: list[str], pytestconfig: pytest.Config) -> None:
    """Scenes of one size; on the CPU a batch saves next to nothing, and the figures say so."""
    spec, device = resolve(name), pytestconfig.getoption("--device")
    missing = spec.missing()
    if missing is not None:
        pytest.skip(f"{missing}; to fix: {missing.remedy}")
    for model in spec.models():
        model_store.fetch(model)
    decoded = [decode(sample.source).image for sample in load(f"scenes?count={IMAGES}").samples]
    images: list[RGBImage] = [image for image in decoded if image is not None]
    # batches are made of images of one size
    images = [images[0]] * IMAGES if len({image.shape for image in images}) > 1 else images
    try:
        detector = create(spec, device=device)
    except DeviceError as error:
        pytest.skip(str(error))
    rates: list[list[BatchRate]] = []
    benchmark.pedantic(lambda: rates.append(measure(detector, images, (1, 4), calls=CALLS)), rounds=1)
    detector.close()
    one, *larger = rates[0]
    assert one.batch == 1 and all(rate.together for rate in larger)
    if benchmark.disabled:
        return
    benchmark.extra_info |= {
        "device": device,
        "images_per_second": {rate.batch: rate.images_per_second for rate in rates[0]},
    }
    shown = ", ".join(
        f"batches of {rate.batch}: {rate.images_per_second / one.images_per_second:.2f} times" for rate in larger
    )
    say.append(f"{name} on {device}: {one.images_per_second:.1f} images/s one by one; {shown}")

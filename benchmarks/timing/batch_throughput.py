"""How many images a second a detector takes when they come in batches; meant for the GPU."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...detectors import Detector, Device, RGBImage
from ...detectors.process.devices import synchronise
from ...errors import UsageError

_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class BatchRate:
    """The throughput at one batch size.

    Attributes:
        batch: images in one call.
        images_per_second: batch over the median duration of a call.
        seconds: durations of all calls measured, in their order.
        together: whether the adapter has a batch call of its own; false: the images go one after the other.
    """

    batch: int
    images_per_second: float
    seconds: tuple[float, ...]
    together: bool


def measure(
    detector: Detector,
    images: Sequence[RGBImage],
    batch_sizes: Sequence[int] = (1, 4, 16),
    *,
    calls: int = 10,
    clock: Callable[[], int] = time.perf_counter_ns,
    wait_for_device: Callable[[Device], object] = synchronise,
) -> list[BatchRate]:
    """Time `detect_batch`, the device synchronised before the clock starts and before it stops.

    Args:
        detector: built on the device to measure.
        images: of one size, since only such can be batched; repeated in a circle to fill the batches.
        batch_sizes: images in a call, one row each.
        calls: calls measured at each size, after two that are not.
        clock: nanoseconds.
        wait_for_device: returns once the device has finished.

    Returns:
        A row for each batch size, in their order.

    Raises:
        UsageError: no image, images of several sizes, or a number below 1.
    """
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) != 1:
        raise UsageError(f"got images of {len(sizes)} sizes, expected one size: resize them, or measure each alone")
    if calls < 1 or not batch_sizes or min(batch_sizes) < 1:
        raise UsageError(f"got {calls} calls and batches of {list(batch_sizes)} images, expected at least 1 of each")
    together = type(detector).detect_batch is not Detector.detect_batch
    device = detector.device_used()
    rows = []
    for size in batch_sizes:
        circle = itertools.cycle(images)
        seconds = []
        for call in range(_WARM_UP + calls):
            batch = list(itertools.islice(circle, size))
            wait_for_device(device)
            began = clock()
            detector.detect_batch(batch)
            wait_for_device(device)
            duration = (clock() - began) / 1e9
            if call >= _WARM_UP:
                seconds.append(duration)
        rows.append(BatchRate(size, size / statistics.median(seconds), tuple(seconds), together))
    return rows

"""Batch throughput on a made-up clock."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from facebench.benchmarks.timing.batch_throughput import measure
from facebench.detectors import Detections, RGBImage
from facebench.errors import UsageError
from facebench.tests.support.broken_detectors import Good


class Device:
    """A GPU to which a call is handed at once, and which finishes when it is waited for."""

    def __init__(self, call_ms: int, image_ms: int) -> None:
        self.call_ms, self.image_ms = call_ms, image_ms
        self.now = self.pending = 0
        self.batches: list[list[int]] = []

    def clock(self) -> int:
        return self.now * 1_000_000

    def wait(self, device: str) -> None:
        assert device == "cpu"
        self.now += self.pending
        self.pending = 0


class Batches(Good):
    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device

    def detect_batch(self, images: Sequence[RGBImage]) -> list[Detections]:
        self._device.batches.append([int(image[0, 0, 0]) for image in images])
        slow = 500 if len(self._device.batches) in (1, 2, 5) else 0
        self._device.pending += self._device.call_ms + self._device.image_ms * len(images) + slow
        return [Detections.empty() for _ in images]


class OneByOne(Good):
    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device

    def detect(self, image: RGBImage) -> Detections:
        self._device.pending += self._device.image_ms
        return Detections.empty()


def images(*sizes: tuple[int, int]) -> list[RGBImage]:
    return [np.full((*size, 3), index, np.uint8) for index, size in enumerate(sizes)]


def test_the_device_finishes_inside_the_clock_and_an_outlier_does_not_count() -> None:
    device = Device(call_ms=6, image_ms=1)
    rows = measure(
        Batches(device),
        images((8, 8), (8, 8), (8, 8)),
        (1, 4),
        calls=5,
        clock=device.clock,
        wait_for_device=device.wait,
    )
    assert [row.batch for row in rows] == [1, 4]
    # two calls to warm up are not counted, the fifth call is 500 ms late
    assert rows[0].seconds == pytest.approx((0.007, 0.007, 0.507, 0.007, 0.007))
    assert rows[0].images_per_second == pytest.approx(1 / 0.007)
    assert rows[1].seconds == pytest.approx((0.010,) * 5)
    assert rows[1].images_per_second == pytest.approx(400)
    assert all(row.together for row in rows)
    assert [len(batch) for batch in device.batches] == [1] * 7 + [4] * 7
    assert device.batches[7:9] == [[0, 1, 2, 0], [1, 2, 0, 1]]


def test_a_detector_without_a_batch_gains_nothing() -> None:
    device = Device(call_ms=0, image_ms=5)
    rows = measure(OneByOne(device), images((8, 8)), (1, 16), calls=3, clock=device.clock, wait_for_device=device.wait)
    assert [row.images_per_second for row in rows] == pytest.approx([200, 200])
    assert not any(row.together for row in rows)


@pytest.mark.parametrize(
    ("images", "batch_sizes", "calls", "message"),
    [
        ([], (1,), 1, "got images of 0 sizes, expected one size"),
        (images((8, 8), (8, 9)), (1,), 1, "got images of 2 sizes, expected one size"),
        (images((8, 8)), (), 1, r"batches of \[\] images, expected at least 1"),
        (images((8, 8)), (1, 0), 1, r"batches of \[1, 0\] images, expected at least 1"),
        (images((8, 8)), (1,), 0, "got 0 calls"),
    ],
)
def test_wrong_use(images: list[RGBImage], batch_sizes: tuple[int, ...], calls: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure(Good(), images, batch_sizes, calls=calls)

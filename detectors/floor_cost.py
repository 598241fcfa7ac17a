"""What boxes below the threshold cost: a run keeps them for curves, and nobody who uses a detector wants them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import closing

from .base import Device, RGBImage
from .registry import DetectorSpec
from .setting import Setting

MANY_BOXES = 1000
_CALLS = 3


def cost_of_floor(
    spec: DetectorSpec,
    image: RGBImage,
    *,
    device: Device = "cpu",
    threads: int = 1,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> str:
    """Compare a detector at its score floor with the same at its threshold, call by call in turn.

    Args:
        spec: the detector.
        image: uint8 (height, width, 3).
        device: where it runs.
        threads: CPU threads.
        clock: nanoseconds.

    Returns:
        Boxes and median milliseconds of both, with a warning where the floor gives more than `MANY_BOXES`.
    """
    setting = Setting(str(spec), device=device, threads=threads)
    low, _ = setting.build_from(spec.adapter.info.score_floor)
    with closing(low), closing(setting.build()) as used:
        if low.score_floor >= used.operating_threshold:
            return "nothing lies below its threshold"
        boxes, times = [0, 0], [[0.0] * _CALLS, [0.0] * _CALLS]
        for call in range(-1, _CALLS):
            for which, detector in enumerate((low, used)):
                began = clock()
                boxes[which] = len(detector.detect(image))
                if call >= 0:  # the first one warms up
                    times[which][call] = (clock() - began) / 1e6
        at_floor, at_threshold = (statistics.median(one) for one in times)
        seen = (
            f"{boxes[0]:,} boxes in {at_floor:.1f} ms from the score floor {low.score_floor:g} on, {boxes[1]:,} in "
            f"{at_threshold:.1f} ms from the threshold {used.operating_threshold:g} on"
        )
    if boxes[0] <= MANY_BOXES:
        return seen
    return (
        f"{seen}. Warning: more than {MANY_BOXES:,} boxes an image make runs slow and tables large; does the card's "
        "score floor have to be so low (0.02 does for most probabilities)?"
    )

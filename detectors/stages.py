"""Where the time of one `detect` call goes, told by the adapters that can."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Nanoseconds of one `detect` call; the three add up to the whole.

    Attributes:
        pre: until the network, or cascade, gets its input: resizing, normalisation, layout, transfer to the device.
        inference: until it has given its raw output and the device has finished.
        post: decoding, non-maximum suppression, scaling back.
    """

    pre: int
    inference: int
    post: int


class StageClock(threading.local):
    """Marks two instants inside a call; each thread has its own marks, so threads may share a detector.

    An adapter calls `inference` when its input is ready and `post` when the raw output is there. Whoever measures
    calls `start` before `detect` and `split` after it. A detector whose stages alternate (MTCNN, a tiled one) marks
    nothing, or marks several times, and has no split.

    Args:
        now: a clock in nanoseconds.
    """

    def __init__(self, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self._now = now
        self._start = self._began = self._done = 0
        self._marks: tuple[int, int] = (0, 0)

    def start(self) -> int:
        """Begin a call and return the instant."""
        self._marks = (0, 0)
        self._start = self._now()
        return self._start

    def inference(self) -> None:
        """Mark that the input is ready."""
        self._began = self._now()
        self._marks = self._marks[0] + 1, self._marks[1]

    def post(self) -> None:
        """Mark that the raw output is there."""
        self._done = self._now()
        self._marks = self._marks[0], self._marks[1] + 1

    def split(self, end: int) -> StageTimes | None:
        """Return the stages of the call that ended at `end`; None unless each instant was marked once, in order."""
        if self._marks != (1, 1) or not self._start <= self._began <= self._done <= end:
            return None
        return StageTimes(self._began - self._start, self._done - self._began, end - self._done)

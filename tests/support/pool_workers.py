"""Workers for tests of executors; apart, because each process of a pool loads the module that its worker comes from."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
from facebench.benchmarks.measure.executors.base import WorkerSlot


class Doubles:
    """A worker that answers with twice the number, and falls over where a file says so."""

    def __init__(self, folder: Path, times: int, slot: WorkerSlot) -> None:
        self.folder, self.times, self.slot = folder, times, slot

    def __call__(self, chunk):
        for number in chunk:
            fallen = self.folder / f"{number}.fallen"
            before = len(fallen.read_text()) if fallen.exists() else 0
            if number == 7 and before < self.times:
                fallen.write_text("x" * (before + 1))
                os._exit(9)
        return [2 * number for number in chunk]

    def close(self) -> None:
        """Hold nothing."""


class Blocks:
    """Takes and frees blocks of an image's size; says how many pages it touched and how many were asked for again."""

    def __init__(self, slot):
        pass

    def __call__(self, chunk):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(50):
            blocks = [np.ones(700_000, np.uint8) for _ in range(4)]
            del blocks
        return 50 * 4 * 700_000 // resource.getpagesize(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    def close(self):
        pass


class Cores:
    """A worker that says which cores it may use."""

    def __init__(self, slot: WorkerSlot) -> None:
        self.slot = slot

    def __call__(self, chunk):
        return self.slot.cores, tuple(sorted(os.sched_getaffinity(0)))

    def close(self) -> None:
        """Hold nothing."""

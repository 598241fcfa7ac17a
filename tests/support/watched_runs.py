"""Plans of hostile detectors, and observers that count or interrupt."""

from __future__ import annotations

from facebench.benchmarks.measure.detector_process import Limits
from facebench.benchmarks.measure.plan import NullObserver, Plan
from facebench.detectors import resolve_all

LIMITS = Limits(memory_mb=512)


def plan(dataset, *names: str, **options) -> Plan:
    specs = resolve_all(name if ":" in name else f"hostile_detectors:{name}" for name in names)
    return Plan(dataset, specs, limits=LIMITS, **options)


class Interrupts(NullObserver):
    """Presses Ctrl-C once so many images are done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def image_done(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class Counts(NullObserver):
    """Remembers how many images were already there when each cell began, and how many were measured."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = {}
        self.measured = 0

    def cell_begins(self, cell, done, total):
        self.begun[cell.spec] = done

    def image_done(self):
        self.measured += 1

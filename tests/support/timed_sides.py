"""Times of two versions, simulated: what is known of them is what a comparison must say."""

from __future__ import annotations

import math

import numpy as np
from facebench.benchmarks.timing.change import LatencyChange, latency_change
from numpy.typing import NDArray

Times = NDArray[np.float64]
SIDES = ("paired", "again", "apart")


def measured(
    rng: np.random.Generator,
    kind: str,
    *,
    rounds: int,
    images: int,
    offset: float,
    noise: float,
    ratio: float = 1.0,
    spread: float = 0.0,
) -> list[Times]:
    """Simulate base, head and, for "again", base once more: (rounds, images) each.

    Images take from some 3 to 150 ms; a process has its own level, a call its own scatter, one in a hundred takes
    twice as long; the ratio differs between images; rounds that belong together share 3 % of the machine's mood.
    """
    level = rng.normal(3, 1, images)
    change = math.log(ratio) + rng.normal(0, spread, images)
    mood = rng.normal(0, 0.0 if kind == "apart" else 0.03, (rounds, 1))

    def side(extra: Times | float) -> Times:
        calls = rng.normal(0, noise, (rounds, images)) + math.log(2) * (rng.random((rounds, images)) < 0.01)
        times: Times = np.exp(level + extra + mood + rng.normal(0, offset, (rounds, 1)) + calls)
        return times

    return [side(0.0), side(change), *([side(0.0)] if kind == "again" else [])]


def compared(sides: list[Times], kind: str) -> LatencyChange:
    return latency_change(*sides, paired=kind != "apart")

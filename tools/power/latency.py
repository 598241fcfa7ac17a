"""Latency: base and head measured on a machine of known noise, by both ways of measuring them, and judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.compare.turns import latency_of_runs
from ...benchmarks.timing.change import LatencyChange, latency_change
from ...benchmarks.timing.latency_verdict import Verdict, latency_verdict

IMAGES = 130
MAX_SLOWDOWN = 0.05
Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Noise:
    """What a machine does to log times. Every call scatters by 2 %, and one in a hundred takes twice as long.

    Attributes:
        process: draws the levels of n processes.
        machine: draws the mood of the machine at n moments, one after the other.
        outlier: a factor on one call of head.
    """

    process: Callable[[np.random.Generator, int], Times]
    machine: Callable[[np.random.Generator, int], Times] = lambda random, n: np.zeros(n)
    outlier: float = 1.0


def _one_slow(random: np.random.Generator, n: int) -> Times:
    slow = np.arange(n) == random.integers(n)
    return np.asarray(random.normal(0, 0.005, n) + np.where(slow, np.log(1.3), 0.0))


def _wandering(random: np.random.Generator, n: int) -> Times:
    found = random.normal(0, 0.05, n)
    for place in range(1, n):
        found[place] = 0.8 * found[place - 1] + 0.6 * found[place]
    return found


def _usual(random: np.random.Generator, n: int) -> Times:
    return random.normal(0, 0.01, n)


NOISES: Mapping[str, Noise] = {
    "processes 1 % apart": Noise(_usual),
    "processes 3 % apart": Noise(lambda random, n: random.normal(0, 0.03, n)),
    "processes of two kinds, 5 % apart": Noise(lambda random, n: np.where(random.random(n) < 0.5, 0.05, 0.0)),
    "heavy tails (t of 3), 1 %": Noise(lambda random, n: np.asarray(0.01 * random.standard_t(3, n))),
    "one slow process, × 1.3": Noise(_one_slow),
    "one slow call, × 50": Noise(_usual, outlier=50.0),
    "drift, + 15 % in all": Noise(_usual, lambda random, n: np.linspace(0, np.log(1.15), n)),
    "slower by 30 % from some moment on": Noise(
        _usual, lambda random, n: np.where(np.arange(n) >= random.integers(1, n + 1), np.log(1.3), 0.0)
    ),
    "wandering by 5 %": Noise(_usual, _wandering),
}

Slow = Callable[[Times], Times]


def _largest(share: float, factor: float) -> Slow:
    return lambda sizes: np.where(sizes >= np.quantile(sizes, 1 - share), factor, 1.0)


CHANGES: Mapping[str, Slow] = {
    "same code": lambda sizes: np.ones(len(sizes)),
    "all + 10 %": lambda sizes: np.full(len(sizes), 1.1),
    "10 % of images × 3": _largest(0.1, 3.0),
    "30 % of images × 2": _largest(0.3, 2.0),
}


def _calls(random: np.random.Generator, levels: Times, sizes: Times) -> Times:
    scatter = random.normal(0, 0.02, (len(levels), len(sizes)))
    scatter += np.log(2) * (random.random(scatter.shape) < 0.01)
    return np.exp(np.log(sizes) + levels[:, None] + scatter)


def interleaved(random: np.random.Generator, noise: Noise, slow: Slow, rounds: int) -> Verdict:
    """Judge `gate --interleave`: base, head and base again meet the same mood in every round."""
    sizes = np.exp(random.normal(3, 0.6, IMAGES))
    mood = noise.machine(random, rounds)
    processes = noise.process(random, 3 * rounds).reshape(3, rounds)
    base, head, again = (
        _calls(random, mood + levels, sizes * factor)
        for levels, factor in zip(processes, (1.0, slow(sizes), 1.0), strict=True)
    )
    # an image is timed twice a round, and the geometric mean counts
    head[random.integers(rounds), random.integers(IMAGES)] *= noise.outlier**0.5
    return latency_verdict(latency_change(base, head, again, paired=True), MAX_SLOWDOWN)


def two_runs(random: np.random.Generator, noise: Noise, slow: Slow, rounds: int) -> Verdict:
    """Judge two runs whose rounds swap places: base, head, head, base and so on."""
    order = ("BHHB" * rounds)[: 2 * rounds]
    base, head, started = _runs(random, noise, slow, order, noise.machine(random, 2 * rounds))
    return _verdict(*latency_of_runs(base, head, *started))


def at_once(random: np.random.Generator, slower: float, order: str) -> Verdict:
    """Judge the same code in a given order of rounds, the machine `slower` from the first round of head on."""
    mood = np.where(np.arange(len(order)) >= order.index("H"), np.log(slower), 0.0)
    base, head, started = _runs(random, Noise(_usual), CHANGES["same code"], order, mood)
    return _verdict(*latency_of_runs(base, head, *started))


def _runs(
    random: np.random.Generator, noise: Noise, slow: Slow, order: str, mood: Times
) -> tuple[Times, Times, tuple[list[float], list[float]]]:
    sizes = np.exp(random.normal(3, 0.6, IMAGES))
    levels = noise.process(random, len(order)) + mood
    places = [np.array([place for place, side in enumerate(order) if side == name]) for name in "BH"]
    base, head = (
        _calls(random, levels[place], sizes * factor) for place, factor in zip(places, (1.0, slow(sizes)), strict=True)
    )
    head[random.integers(len(head)), random.integers(IMAGES)] *= noise.outlier
    return base, head, (places[0].tolist(), places[1].tolist())


def _verdict(change: LatencyChange, in_turn: bool) -> Verdict:
    return latency_verdict(change if in_turn else dataclasses.replace(change, floor=None), MAX_SLOWDOWN)

"""The clock that splits a call: one mark each, in order, or no split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from facebench.detectors.stages import StageClock, StageTimes


class Ticks:
    def __init__(self, *instants: int) -> None:
        self._instants = iter(instants)

    def __call__(self) -> int:
        return next(self._instants)


# marks, instants of start and marks, end, split
TABLE = [
    ("", (10,), 40, None),
    ("i", (10, 13), 40, None),
    ("p", (10, 13), 40, None),
    ("ip", (10, 13, 33), 40, StageTimes(3, 20, 7)),
    ("ip", (10, 10, 10), 10, StageTimes(0, 0, 0)),
    ("pi", (10, 13, 33), 40, None),
    ("ipp", (10, 13, 33, 34), 40, None),
    ("ipip", (10, 13, 20, 25, 30), 40, None),
    ("ip", (10, 13, 33), 30, None),
]


@pytest.mark.parametrize(("marks", "instants", "end", "split"), TABLE)
def test_split(marks: str, instants: tuple[int, ...], end: int, split: StageTimes | None) -> None:
    clock = StageClock(Ticks(*instants))
    assert clock.start() == instants[0]
    for mark in marks:
        clock.inference() if mark == "i" else clock.post()
    assert clock.split(end) == split


def test_each_thread_has_its_own_marks() -> None:
    clock = StageClock(Ticks(10, 11, 12, 13, 33))
    clock.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(clock.inference).result()
        pool.submit(clock.post).result()
    clock.inference()
    clock.post()
    assert clock.split(40) == StageTimes(3, 20, 7)


def test_marks_outside_a_measured_call_do_not_count() -> None:
    clock = StageClock(Ticks(1, 2, 3, 4, 10, 13, 33))
    for _ in range(2):
        clock.inference()
        clock.post()
    clock.start()
    clock.inference()
    clock.post()
    assert clock.split(40) == StageTimes(3, 20, 7)

"""Which rounds of two runs were measured in turn, so that what changes on the machine meets both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..timing.change import LatencyChange, latency_change

_FEWEST_TURNS = 2
"""One round of each tells nothing of the noise between processes."""


def latency_of_runs(
    base: NDArray[np.float64],
    head: NDArray[np.float64],
    base_started: Sequence[float | None],
    head_started: Sequence[float | None],
    *,
    seed: int = 0,
) -> tuple[LatencyChange, bool]:
    """Compare two runs by their rounds in turn, or by all rounds where fewer than two pairs were.

    Args:
        base: float64 (rounds, images), milliseconds.
        head: the same of the other run.
        base_started: when each round began; of another length than `base` where that is not known.
        head_started: the same of the other run.
        seed: as in `latency_change`.

    Returns:
        The change, and whether it is of rounds in turn.
    """
    known = len(base) == len(base_started) and len(head) == len(head_started)
    turns = rounds_in_turn(base_started, head_started) if known else []
    if len(turns) < _FEWEST_TURNS:
        return latency_change(base, head, seed=seed), False
    rows = np.array(turns)
    return latency_change(base[rows[:, 0]], head[rows[:, 1]], paired=True, seed=seed), True


def rounds_in_turn(base: Sequence[float | None], head: Sequence[float | None]) -> list[tuple[int, int]]:
    """Pair each round of one side with a round of the other that ran right before or after it.

    The starts of both sides are put in order and cut wherever a side began three times in a row: rounds measured at
    once have no partner, and a change of the machine between two such blocks looks like a change of the detector. Of
    the stretches, in which sides alternate (B H B H) or swap (B H H B), the one with the most pairs counts, the later
    of equals.

    Args:
        base: when each round began, seconds since any moment; None where it is not known, and the round has no partner.
        head: the same of the other side.

    Returns:
        Round of the base and round of the head, no round twice.

    >>> rounds_in_turn([0, 10, 40], [20, 30, 50])
    [(1, 0), (2, 1)]
    >>> rounds_in_turn([0, 1, 2, 3, 8], [4, 5, 6, 7, 9])
    [(4, 3)]
    """
    starts = [(time, side, number) for side, times in enumerate((base, head)) for number, time in enumerate(times)]
    order = [(side, number) for _, side, number in sorted(one for one in starts if one[0] is not None)]
    thirds = [place for place in range(2, len(order)) if len({side for side, _ in order[place - 2 : place + 1]}) == 1]
    # the two before a third belong to the stretch that ends with them, the last of them and the third to the next
    ends = zip([0, *(place - 1 for place in thirds)], [*thirds, len(order)], strict=True)
    stretches = [order[begin:end] for begin, end in ends]
    return max(reversed([_pairs(stretch) for stretch in stretches]), key=len)


def _pairs(stretch: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found, place = [], 0
    while place + 1 < len(stretch):
        (side, number), (other, partner) = stretch[place : place + 2]
        if side == other:
            place += 1
        else:
            found.append((partner, number) if side else (number, partner))
            place += 2
    return found

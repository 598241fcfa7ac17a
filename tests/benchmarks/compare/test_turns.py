"""Which rounds of two runs count as measured in turn."""

from __future__ import annotations

import pytest
from facebench.benchmarks.compare.turns import rounds_in_turn
from hypothesis import given
from hypothesis import strategies as st


def turns(order: str) -> list[tuple[int, int]]:
    """Of the order in which rounds of base and head began, such as BHHB."""
    sides = [[float(place) for place, side in enumerate(order) if side == name] for name in "BH"]
    return rounds_in_turn(*sides)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("", []),
        ("BBB", []),
        ("BH", [(0, 0)]),
        ("BHBH", [(0, 0), (1, 1)]),
        ("BHHB", [(0, 0), (1, 1)]),
        ("BBHHBBHH", [(1, 0), (2, 1), (3, 2)]),
        ("BBBBBHHHHH", [(4, 0)]),
        ("BBBBBHHHHHBH", [(5, 4)]),
        ("BBBBBHHHHHBHBHBH", [(5, 4), (6, 5), (7, 6)]),
        ("BHBHBHBBBBHHHH", [(0, 0), (1, 1), (2, 2)]),
        ("BHBHBBBBHBHBHBH", [(5, 2), (6, 3), (7, 4), (8, 5)]),
    ],
)
def test_order(order: str, expected: list[tuple[int, int]]) -> None:
    assert turns(order) == expected


def test_a_round_whose_start_is_not_known_has_no_partner() -> None:
    assert rounds_in_turn([None, 1.0, None], [2.0, None]) == [(1, 0)]
    assert rounds_in_turn([None], [None]) == rounds_in_turn([], []) == []


@given(st.text("BH", max_size=30))
def test_partners_are_neighbours_and_no_round_counts_twice(order: str) -> None:
    places = {name: [place for place, side in enumerate(order) if side == name] for name in "BH"}
    found = turns(order)
    assert all(abs(places["B"][base] - places["H"][head]) == 1 for base, head in found)
    for side in zip(*found, strict=True) if found else ():
        assert list(side) == sorted(set(side))

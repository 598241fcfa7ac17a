"""Every detector against every other, on the same draws of images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...benchmarks.resampling.bootstrap import Interval
from .numbers import NONE, between_signed, signed

Verdict = Literal["better", "worse", "unclear", "none"]
MARKS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "unclear": "≈", "none": ""}
WORDS: dict[Verdict, str] = {
    "better": "clearly better",
    "worse": "clearly worse",
    "unclear": "not significantly different",
    "none": "",
}


@dataclass(frozen=True, slots=True)
class Versus:
    """One detector less another.

    Attributes:
        text: the difference.
        verdict: what its interval says; "none" where there is no difference to speak of.
        mark: the same as a sign, for those who do not see the colour.
        words: the same with the interval, as a sentence.
    """

    text: str
    verdict: Verdict
    mark: str
    words: str


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the matrix.

    Attributes:
        label: see `row_label`.
        first: share of the draws in which the detector is first.
        versus: against each detector in the order of the rows; None against itself.
    """

    label: str
    first: str
    versus: Sequence[Versus | None]


def standings(
    labels: Mapping[str, str], first: Mapping[str, float], differences: Mapping[tuple[str, str], Interval]
) -> list[Standing]:
    """Return the matrix; empty with fewer than two detectors.

    Args:
        labels: key -> see `row_label`, in the order of the rows.
        first: key -> share of the draws in which the detector is first.
        differences: see `difference`.
    """
    return [
        Standing(
            label,
            f"{first[key]:.0%}" if math.isfinite(first[key]) else NONE,
            [
                None if key == other else versus(label, other_label, difference(differences, key, other))
                for other, other_label in labels.items()
            ],
        )
        for key, label in labels.items()
        if len(labels) > 1
    ]


def difference(differences: Mapping[tuple[str, str], Interval], first: str, second: str) -> Interval:
    """Return `first` less `second` by their keys, whichever way it is stored."""
    found = differences.get((first, second))
    return differences[second, first].reversed if found is None else found


def versus(label: str, other: str, found: Interval) -> Versus:
    """Say what a difference of two detectors, the first less the other, shows."""
    ends = between_signed(found)
    if not ends or not math.isfinite(found.value):
        return Versus(NONE, "none", "", f"{label} less {other}: no difference can be computed")
    verdict: Verdict = "unclear" if found.holds_zero else "better" if found.low > 0 else "worse"
    text = signed(found.value)
    words = f"{label} less {other}: {text}, 95 % interval {ends}: {WORDS[verdict]}"
    return Versus(text, verdict, MARKS[verdict], words)

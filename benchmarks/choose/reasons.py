"""The pick rule applied to the rows of a run, and the reasons for its choice in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.table import Row
from .left_out import not_published
from .rule import Candidates, Rule, also_possible, reach, tied, winners

FLIPS = 0.2
"""The share of the halves from which on another choice in them is called unstable."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The rule applied to rows.

    Attributes:
        rows: k candidates.
        metric: that ranks them.
        measured: all images first, then the resamples.
        within: from `reach`.
        equal: places of those tied with the best.
        chosen: whom the rule chooses on all images, then on each resample.
    """

    rows: Sequence[Row]
    metric: str
    measured: Candidates
    within: NDArray[np.float64]
    equal: Sequence[int]
    chosen: NDArray[np.int64]

    @classmethod
    def by_rule(cls, rows: Sequence[Row], metric: str, measured: Candidates, rule: Rule) -> Found:
        """Apply the rule."""
        within = reach(measured, rule)
        equal = np.flatnonzero(tied(measured, rule, within)[0]).tolist()
        return cls(rows, metric, measured, within, equal, winners(measured, rule, within))

    def why_unfit(self, rule: Rule) -> list[str]:
        """Say for each row why its numbers do not fit the rule; empty where they do."""
        return [
            "no AP: no face counts"
            if math.isnan(self.measured.ap[0, place])
            else f"p90 {p90:.1f} ms is over {rule.max_p90_ms:g} ms{self._marks(place)}"
            if rule.max_p90_ms is not None and p90 > rule.max_p90_ms
            else ""
            for place, p90 in enumerate(self.measured.p90_ms[0].tolist())
        ]

    def order(self, fitting: Sequence[int]) -> list[int]:
        """Return the places of all that fit the rule: the tied ones by speed, then the others by accuracy."""
        ap, p50 = self.measured.ap[0], self.measured.p50_ms[0]
        others = sorted(set(fitting) - set(self.equal), key=lambda place: -ap[place])
        return [*sorted(self.equal, key=lambda place: (p50[place], -ap[place])), *others]

    def undecided(self, rule: Rule) -> list[int]:
        """Return the places of those that the rule could choose as well, as far as the noise of latencies goes."""
        noise = [(1.0, 1.0) if row.timing is None else row.timing.noise for row in self.rows]
        return also_possible(self.measured, rule, self.within, np.array(noise))

    def name(self, place: int) -> str:
        """Name a row."""
        return self.rows[place].cell.label

    def figures(self, place: int) -> dict[str, Any]:
        """Return the figures of a row as plain values."""
        row = self.rows[place]
        return {
            "detector": self.name(place),
            f"exact_{self.metric}": round(float(self.measured.ap[0, place]), 4),
            "p50_ms": round(float(self.measured.p50_ms[0, place]), 2),
            "p90_ms": round(float(self.measured.p90_ms[0, place]), 2),
            "peak_memory_mb": row.cell.peak_rss_mb,
            "threads": row.cell.threads,
        }

    def speed(self, place: int) -> str:
        """Name a row with its p50 and p90, and what makes them doubtful."""
        p50, p90 = self.measured.p50_ms[0, place], self.measured.p90_ms[0, place]
        return f"{self.name(place)} (p50 {p50:.1f} ms, p90 {p90:.1f} ms{self._marks(place)})"

    def reasons(self, order: Sequence[int], rule: Rule, *, among: int, beaten_by: str) -> list[str]:
        """Say how accurate and how fast the winner is, beside the others.

        Args:
            order: from `order`.
            rule: that was applied.
            among: how many could be chosen, where others were left out; else 0.
            beaten_by: a better one that was left out, in words; empty where there is none.
        """
        winner, ap, p50 = order[0], self.measured.ap[0], self.measured.p50_ms[0]
        best = max(self.equal, key=lambda place: ap[place])
        others = [self.name(place) for place in order[1:] if place in self.equal]
        meeting = "that meet the limits" if rule.limits else "that could be chosen"
        the_best = f"the best of the {among} {meeting}" if among else "the best"
        accurate = f"exact {self.metric} {ap[winner]:.3f}, {the_best}"
        if winner != best:
            accurate = (
                f"exact {self.metric} {ap[winner]:.3f}; {the_best} is {self.name(best)} with "
                f"{ap[best]:.3f}; up to {self.within[best, winner]:.3f} between them counts as a tie"
            )
        tie = "tied with the best" if rule.tie is None else f"within {rule.tie:g} of the best"
        fast = f"p50 {p50[winner]:.1f} ms{self._marks(winner)}"
        return [
            "; ".join(filter(None, (accurate, beaten_by))),
            f"{fast}, the lowest of all {tie}: {', '.join(others)}" if others else f"{fast}; no other is {tie}",
        ]

    def stability(self, winner: int, shares: Mapping[int, float]) -> list[str]:
        """Say how often halves of the images choose the same, and whom else.

        Resamples would flatter: they are of the very images on which the winner is ahead.

        Args:
            winner: its place.
            shares: from `shares`, on halves.
        """
        if not shares:
            return []
        same = shares.get(winner, 0.0)
        others = [
            f"{'nobody' if place < 0 else self.name(place)} in {share:.0%}"
            for place, share in shares.items()
            if place != winner and share >= 0.005
        ]
        said = ", ".join([f"the rule chooses it on {same:.0%} of random halves of the images", *others])
        return [f"unstable: other images of the kind may well choose another; {said}" if 1 - same > FLIPS else said]

    def card(self, winner: int, rule: Rule) -> list[str]:
        """Say what the winner's licences and training data are, where the rule or the reader must know."""
        info = self.rows[winner].cell.info
        found = []
        if rule.licences:
            found.append(f"licence of its code {info.licence}, of its weights {info.weights_licence}")
        if any("WIDER" in item for item in info.trained_on):
            found.append("it was trained on WIDER FACE train: expect less on images of another kind")
        elif not_published(info.trained_on):
            found.append("its training data are unknown: images of this kind may be among them")
        return found

    def timed_at(self, winner: int, threshold: float) -> list[str]:
        """Say where the winner was timed at another threshold than it is handed over with.

        Args:
            winner: its place.
            threshold: handed over.
        """
        start = self.rows[winner].cell.start
        assert start is not None, "finished rows have started"
        timed = start.timed_at
        if np.float32(timed) == np.float32(threshold):
            return []
        return [
            f"p50 and p90 were timed at threshold {timed:.4g}; facebench run --detectors default times what was picked"
        ]

    def rounds(self) -> list[str]:
        """Name the candidates that were timed in fewer rounds than others."""
        rounds = [row.cell.rounds for row in self.rows]
        fewer = [f"{self.name(place)} ({one})" for place, one in enumerate(rounds) if one < max(rounds)]
        return [f"timed in fewer rounds than others ({max(rounds)}): {', '.join(fewer)}"] if fewer else []

    def _marks(self, place: int) -> str:
        timing = self.rows[place].timing
        return f", noisy: {', '.join(timing.warnings)}" if timing is not None and timing.warnings else ""

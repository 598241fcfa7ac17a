"""The rule that chooses a default detector, as arrays: on all images, and on resamples of them.

The fastest of all detectors not significantly different from the best one. Which those are is read from the paired
differences on the same resamples, all pairs judged together (`resampling.ranking`): a detector's accuracy may fall
short of the best one's by as much as chance explains (its reach), and by no more than `Rule.most_given_up`, since few
images distinguish nothing from anything.

Stability says how often other images of the kind would choose the same. Each draw is judged by the same rule and the
same reach, with the accuracies and the latencies of that draw. A random half of the images scatters around the whole
as much as a bootstrap draw does (Efron 1982, ch. 8), but without repetition. In simulation the halves say 56 % where
another sample of 130 images agrees in 31 %, and 97 % where all of 500 do: they are of the images on which the winner is
ahead.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...detectors import Device
from ..scoring.verdicts import random_order
from .requirement import Requirement

_Floats = NDArray[np.float64]
SMALL_FACES = "ap_small"
SMALL_PX = 32


@dataclass(frozen=True, slots=True)
class Rule:
    """How a default is chosen: the fastest detector, by p50, among those tied with the best in accuracy.

    Attributes:
        metric: "ap_easy", "ap_medium", "ap_hard", "ap_overall": exact AP on that list; "ap_small": exact AP on the
            faces lower than 32 pixels of the run's hardest list; None for the run's hardest list.
        tie: how much less AP still counts as equal; None: as much as the paired interval holds.
        most_given_up: AP, at most, by which a tied detector may fall short of the best.
        max_p90_ms: leave out detectors slower than this at the 90th percentile, milliseconds.
        max_memory_mb: leave out detectors whose process took more, resident.
        device: leave out cells measured on another device.
        licences: identifiers that are allowed, such as "MIT", in any case: every licence of code and weights must be
            one of them; none: all. What is unknown is allowed where "unknown" is among them.
        not_trained_on: leave out detectors whose weights were trained on data of a name that holds one of these, such
            as "WIDER", and those whose training data are unknown.
        unknown_training: let those whose training data are unknown pass `not_trained_on`.
        requirements: what a detector must reach on slices of the faces, at the threshold it is handed over with.
        precision: that the winner is to have where it is used: its score threshold is chosen for it; None, or where no
            threshold gives it: the detector's own threshold.
    """

    metric: str | None = None
    tie: float | None = None
    most_given_up: float = 0.05
    max_p90_ms: float | None = None
    max_memory_mb: float | None = None
    device: Device = "cpu"
    licences: tuple[str, ...] = ()
    not_trained_on: tuple[str, ...] = ()
    unknown_training: bool = False
    requirements: tuple[Requirement, ...] = ()
    precision: float | None = 0.95

    def text(self, metric: str) -> str:
        """Say the rule in words."""
        if self.tie is None:
            tied = f"not significantly different from the best in exact {metric} (at most {self.most_given_up:g} less)"
        else:
            tied = f"within {self.tie:g} of the best exact {metric}"
        limits = self.limits
        among = f", among those with {', '.join(limits)}" if limits else ""
        return f"the fastest (p50, {self.device}) of all detectors {tied}{among}"

    @property
    def limits(self) -> list[str]:
        """What a candidate must keep, in words."""
        limits = []
        if self.max_p90_ms is not None:
            limits.append(f"p90 of at most {self.max_p90_ms:g} ms")
        if self.max_memory_mb is not None:
            limits.append(f"at most {self.max_memory_mb:g} MB")
        if self.licences:
            limits.append(f"code and weights under {' or '.join(self.licences)}")
        if self.not_trained_on:
            known = "no known training" if self.unknown_training else "no training"
            limits.append(f"{known} on {' or '.join(self.not_trained_on)}")
        return [*limits, *map(str, self.requirements)]

    def as_json(self, metric: str) -> dict[str, Any]:
        """Return the rule as plain values, the metric as it was resolved."""
        plain = dataclasses.asdict(self) | {"metric": f"exact {metric}", "text": self.text(metric)}
        tie = "paired interval" if self.tie is None else self.tie
        return plain | {"tie": tie, "requirements": [str(one) for one in self.requirements]}


PRESETS: Mapping[str, Rule] = MappingProxyType(
    {
        "realtime-cpu": Rule(max_p90_ms=40),
        "far-faces": Rule(metric=SMALL_FACES),
        "accuracy": Rule(tie=0),
        "tiny-memory": Rule(max_memory_mb=256),
    }
)
"""Rules for usual needs: 25 images a second for nine of ten images; faces lower than 32 pixels; the best AP
whatever it takes; a process of at most 256 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The detectors that a rule may choose from, on all images (first row) and on draws of them.

    Attributes:
        ap: float64 (1 + draws, k); nan where no face counts.
        p50_ms: the same.
        p90_ms: the same.
        by_chance: float64 (k, k): AP by which each may fall short of each other one without being told apart on all
            images, from `ranking.reach`.
    """

    ap: _Floats
    p50_ms: _Floats
    p90_ms: _Floats
    by_chance: _Floats


def reach(candidates: Candidates, rule: Rule) -> _Floats:
    """Return by how much each detector may fall short of each other one and still be tied: float64 (k, k), from 0 on.

    Args:
        candidates: k detectors.
        rule: with a number for `tie`, that number stands everywhere.
    """
    if rule.tie is not None:
        return np.full_like(candidates.by_chance, rule.tie)
    within: _Floats = np.clip(candidates.by_chance, 0, rule.most_given_up)
    return within


def tied(candidates: Candidates, rule: Rule, within: _Floats) -> NDArray[np.bool_]:
    """Return who is tied with the best in each row: bool (1 + draws, k); nobody where nobody fits the rule.

    Args:
        candidates: k detectors.
        rule: for its `max_p90_ms`.
        within: from `reach`.
    """
    fits = ~np.isnan(candidates.ap)
    if rule.max_p90_ms is not None:
        fits &= candidates.p90_ms <= rule.max_p90_ms
    ap = np.where(fits, candidates.ap, -math.inf)
    best = ap.argmax(axis=1)
    rows = np.arange(len(ap))
    with np.errstate(invalid="ignore"):
        short = ap[rows, best][:, None] - ap
    # rounding may not undo a tie at exactly the margin
    among: NDArray[np.bool_] = fits & (short <= within[best] + 1e-12)
    return among


def winners(candidates: Candidates, rule: Rule, within: _Floats) -> NDArray[np.int64]:
    """Return whom the rule chooses in each row, by place: int64 (1 + draws,); -1 for nobody."""
    among = tied(candidates, rule, within)
    speed = np.where(among, candidates.p50_ms, math.inf)
    # of equally fast ones the more accurate, as of predictions from a file, which have no latency
    order = np.lexsort((-np.nan_to_num(candidates.ap, nan=-math.inf), speed), axis=1)
    return np.where(among.any(axis=1), order[:, 0], -1).astype(np.int64)


def also_possible(candidates: Candidates, rule: Rule, within: _Floats, noise: _Floats) -> list[int]:
    """Return who else could be the rule's choice on all images, by place, where latencies are noisy.

    Each other candidate in turn is given the lowest latency that its noise allows, and the one chosen the highest.

    Args:
        candidates: k detectors.
        rule: of the choice.
        within: from `reach`.
        noise: float64 (k, 2): lowest and highest factor by which the latency of a quiet machine may differ.
    """
    whole = Candidates(candidates.ap[:1], candidates.p50_ms[:1], candidates.p90_ms[:1], candidates.by_chance)
    chosen = int(winners(whole, rule, within)[0])
    others = []
    for place in range(len(noise)):
        factors = np.ones(len(noise))
        factors[place], factors[chosen] = noise[place, 0], noise[chosen, 1]
        noisy = dataclasses.replace(whole, p50_ms=whole.p50_ms * factors, p90_ms=whole.p90_ms * factors)
        others.append(int(winners(noisy, rule, within)[0]))
    return sorted(set(others) - {chosen, -1})


def shares(candidates: Candidates, chosen: NDArray[np.int64]) -> dict[int, float]:
    """Return by place the share of the draws that choose it, the largest first; -1 for nobody.

    Draws without a face that counts are left out; none at all where no other is left.

    Args:
        candidates: all images first, then the draws.
        chosen: from `winners`.
    """
    places = chosen[1:][~np.isnan(candidates.ap[1:]).all(axis=1)].tolist()
    return {place: count / len(places) for place, count in Counter(places).most_common()}


def halves(images: int, *, draws: int, seed: int) -> NDArray[np.int8]:
    """Return random halves of the images as weights: int8 (draws, images), 1 for those in it; the rest 0."""
    stream = np.random.PCG64(seed)
    inside = np.zeros((draws, images), dtype=np.int8)
    for half in inside:
        half[random_order(stream, images)[: images // 2]] = 1
    return inside


def pareto(ap: Sequence[float] | _Floats, p50_ms: Sequence[float] | _Floats) -> list[int]:
    """Return the places of those that no other beats in AP and p50 at once, fastest first; of equal ones the first.

    >>> pareto([0.9, 0.5, 0.8, 0.4], [50, 5, 60, 7])
    [1, 0]
    """
    front: list[int] = []
    for place in sorted(range(len(ap)), key=lambda one: (p50_ms[one], -ap[one], one)):
        if not math.isnan(ap[place]) and (not front or ap[place] > ap[front[-1]]):
            front.append(place)
    return front

"""One cell of a base and its partner in a head: same detections or not, what that does to accuracy, and to latency.

Both sides are scored on the same draws of images, so that differences are paired. Where the detections are the same
to the last bit, the difference in AP is 0 and nothing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..analysis.table import Resampling
from ..resampling.average_precision import ExactAP
from ..resampling.bootstrap import CONFIDENCE, Interval, paired_difference, resample
from ..resampling.statistics import Statistic, faces_per_image, operating_ratios
from ..scoring import ListScore
from ..scoring.front import score_matches
from ..store.records import StoredCell
from ..store.run_document import Environment
from ..store.truth import Truth
from ..timing.change import LatencyChange, latency_change
from ..timing.latency import LatencySummary, summarise
from .detections import DetectionChange, detection_change
from .turns import latency_of_runs

RATES = ("precision", "recall", "false_alarms_per_image")
_SAME_MACHINE = ("machine", "system", "memory_gb", "boot")
_MACHINE_WORDS = {
    "machine": "machine",
    "system": "system",
    "memory_gb": "memory (GB)",
    "boot": "start of the machine",
}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One side of a pair: a finished cell of a run folder, or one side of interleaved rounds.

    Attributes:
        cell: as stored in run.json.
        detections: columns image_id, x1, y1, x2, y2, score and possibly landmarks, as in detections.parquet.
        ms: float64 (rounds, images), a fresh process a row, the images those of `Truth.image_ids`; nan where a
            image was not measured. None for predictions from a file.
        environment: what `environment.describe` said.
    """

    cell: StoredCell
    detections: pd.DataFrame
    ms: NDArray[np.float64] | None
    environment: Environment


@dataclass(frozen=True, slots=True)
class AccuracyChange:
    """AP on one list.

    Attributes:
        list_name: such as "hard", or "overall".
        base: exact AP.
        head: exact AP.
        difference: head less base, with its paired interval; exactly 0 without draws for identical detections.
        base_official: official AP.
        head_official: official AP.
        images: that hold a face of the list.
    """

    list_name: str
    base: float
    head: float
    difference: Interval
    base_official: float
    head_official: float
    images: int


@dataclass(frozen=True, slots=True)
class RateChange:
    """A rate at each side's own operating threshold, over all faces.

    Attributes:
        name: one of `RATES`.
        base: the rate.
        head: the rate.
        difference: head less base, with its paired interval.
    """

    name: str
    base: float
    head: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Change:
    """Something that went into the cells and is not the same.

    Attributes:
        what: such as "parameter scale_factor" or "package numpy".
        base: its value there, "none" where it is missing.
        head: the same.
    """

    what: str
    base: str
    head: str


@dataclass(frozen=True, slots=True)
class CellComparison:
    """One cell of the base and its partner.

    Attributes:
        base: the cell as stored.
        head: the cell as stored.
        detections: None unless both are done, as with all that follows.
        accuracy: on each list, then "overall".
        rates: at the operating thresholds.
        latency: None also where a side has no timings.
        base_latency: of all calls of the base; None without timings.
        head_latency: of all calls of the head.
        changed: inputs that differ.
        indicative: why the latencies do not compare; empty where they do, or where there are none.
        in_turn: whether the rounds that `latency` is of were measured in turn; see `latency_of_runs`.
    """

    base: StoredCell
    head: StoredCell
    detections: DetectionChange | None = None
    accuracy: tuple[AccuracyChange, ...] = ()
    rates: tuple[RateChange, ...] = ()
    latency: LatencyChange | None = None
    base_latency: LatencySummary | None = None
    head_latency: LatencySummary | None = None
    changed: tuple[Change, ...] = ()
    indicative: tuple[Change, ...] = ()
    in_turn: bool = True

    @property
    def label(self) -> str:
        """Name of the cell, with that of the head behind an arrow where it is another."""
        base, head = self.base.label, self.head.spec
        return base if self.base.spec == head else f"{base} → {head}"

    @property
    def done(self) -> bool:
        """Whether both sides finished."""
        return self.detections is not None

    @property
    def memory_mb(self) -> tuple[float, float]:
        """Largest resident memory of the detector's process in base and head; nan where it was not measured."""
        base, head = (math.nan if cell.peak_rss_mb is None else cell.peak_rss_mb for cell in (self.base, self.head))
        return base, head

    @property
    def cold_start_s(self) -> tuple[float, float]:
        """Seconds from an empty process to the first result in base and head; nan where it was not measured."""
        return self.base.cold_start_s, self.head.cold_start_s

    @property
    def threshold(self) -> tuple[float, float]:
        """Operating threshold of base and head; nan where a side did not start."""
        return self.base.operating_threshold, self.head.operating_threshold

    def accuracy_on(self, list_name: str) -> AccuracyChange:
        """Return the change on one list."""
        return next(one for one in self.accuracy if one.list_name == list_name)


class CellComparer:
    """Compares pairs of cells on the same draws of images."""

    def __init__(self, truth: Truth, resampling: Resampling, primary: str) -> None:
        self.primary = primary
        self._truth = truth
        self._seed = resampling.seed
        self._weights = resampling.weights(truth.image_ids)

    def compare(
        self, base: Measured, head: Measured, *, again: NDArray[np.float64] | None = None, paired: bool = False
    ) -> CellComparison:
        """Compare two finished cells; `again` and `paired` as in `latency_change`."""
        found = detection_change(base.detections, head.detections, self._truth.image_ids)
        sides = _Scored(self._truth, base), _Scored(self._truth, head)
        latency = None
        if base.ms is not None and head.ms is not None:
            if paired:
                latency = latency_change(base.ms, head.ms, again, paired=True, seed=self._seed)
            else:
                started = base.cell.rounds_started, head.cell.rounds_started
                latency, paired = latency_of_runs(base.ms, head.ms, *started, seed=self._seed)
        return CellComparison(
            base=base.cell,
            head=head.cell,
            detections=found,
            accuracy=tuple(self._accuracy(name, *sides, same=found.identical) for name in self._truth.masks),
            rates=self._rates(*sides, same=found.identical),
            latency=latency,
            base_latency=_summary(base.ms),
            head_latency=_summary(head.ms),
            changed=changed_inputs(base, head),
            indicative=() if latency is None else other_machine(base, head),
            in_turn=paired,
        )

    def _accuracy(self, name: str, base: _Scored, head: _Scored, *, same: bool) -> AccuracyChange:
        mask = self._truth.masks[name]
        # equal scores in another order may be matched otherwise: what was found is the same all the same
        old, new = base.on(name), (base if same else head).on(name)
        if same:
            difference = _no_difference(old.exact_ap)
        else:
            difference = self._difference(ExactAP(head.matches, mask), ExactAP(base.matches, mask))
        images = int((faces_per_image(self._truth.faces.offsets, mask) > 0).sum())
        return AccuracyChange(name, old.exact_ap, new.exact_ap, difference, old.official_ap, new.official_ap, images)

    def _rates(self, base: _Scored, head: _Scored, *, same: bool) -> tuple[RateChange, ...]:
        mask = self._truth.masks["overall"]
        old, new = (operating_ratios(side.matches, mask, side.threshold) for side in (base, head))
        found = []
        for name in RATES:
            before = getattr(base.on("overall").at_threshold, name)
            if same and base.threshold == head.threshold:
                after, difference = before, _no_difference(before)
            else:
                after = getattr(head.on("overall").at_threshold, name)
                difference = self._difference(new[name], old[name])
            found.append(RateChange(name, before, after, difference))
        return tuple(found)

    def _difference(self, head: Statistic, base: Statistic) -> Interval:
        return paired_difference(resample(head, self._weights), resample(base, self._weights)).interval


class _Scored:
    """One side, matched once."""

    def __init__(self, truth: Truth, side: Measured) -> None:
        found = truth.matched(side.cell, side.detections)
        self.threshold, self.matches = found.threshold, found.matches
        self._scores = score_matches(self.matches, truth.masks, self.threshold)

    def on(self, name: str) -> ListScore:
        return self._scores.overall if name == "overall" else self._scores.lists[name]


def changed_inputs(base: Measured, head: Measured) -> tuple[Change, ...]:
    """Return what went into the two sides and differs: spec, parameters, models, code, packages, Python."""
    left, right = base.cell, head.cell
    found = _differences("", {"spec": left.spec}, {"spec": right.spec})
    found += _differences("parameter ", left.parameters, right.parameters)
    found += _differences("model ", left.models, right.models)
    found += _differences("", {"adapter code": left.code}, {"adapter code": right.code})
    packages = [{**side.environment.packages, **side.cell.packages} for side in (base, head)]
    found += _differences("package ", *packages)
    python = [{"Python": side.environment.python} for side in (base, head)]
    return tuple(found + _differences("", *python))


def other_machine(base: Measured, head: Measured) -> tuple[Change, ...]:
    """Return how the machines differ; empty where they do not, as far as is known of both."""
    sides = [{**side.environment.to_json(), "machine": side.cell.machine} for side in (base, head)]
    known = [name for name in _SAME_MACHINE if all(side.get(name) for side in sides)]
    return tuple(
        _differences("", *({_MACHINE_WORDS[name]: side[name] for name in known} for side in sides)),
    )


def _differences(words: str, base: Mapping[str, Any], head: Mapping[str, Any]) -> list[Change]:
    return [
        Change(f"{words}{name}", str(base.get(name, "none")), str(head.get(name, "none")))
        for name in dict.fromkeys((*base, *head))
        if base.get(name) != head.get(name)
    ]


def _summary(ms: NDArray[np.float64] | None) -> LatencySummary | None:
    return None if ms is None else summarise(ms[~np.isnan(ms)], ms.shape[1])


def _no_difference(value: float) -> Interval:
    """Return exactly 0, known without a draw; nan where there is no value to begin with."""
    zero = value - value
    return Interval(zero, zero, zero, CONFIDENCE, 0)

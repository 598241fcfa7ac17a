"""Choose a detector of a run by a declared rule, with reasons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..detectors.setting import Setting
from ..errors import UsageError, did_you_mean
from .candidates import load_candidates, metrics, threshold_for
from .cell import cell_label
from .default_detector import SCHEMA, SCHEMA_VERSION
from .pick_rule import Candidates, Rule, pareto, reach, share, tied, winners
from .summary import Row, Summary


def pick(summary: Summary, rule: Rule, *, demo: bool = False) -> dict[str, Any]:
    """Choose by the rule.

    Args:
        summary: a scored run.
        rule: how to choose.
        demo: accept a run on a demonstration data set.

    Returns:
        The content of default_detector.json: what to load, the rule, the winner and the runner-up, why, the Pareto set
        (AP against p50) of all candidates, how often draws of the pictures choose the same, who was left out and why,
        and the run.

    Raises:
        UsageError: the run is a demonstration and `demo` is false, the metric is unknown, or nothing fits the rule.
        ResultsError: a table of the run is damaged.
    """
    dataset = summary.run.document["dataset"]
    if dataset["demo"] and not demo:
        raise UsageError(
            f"{summary.run.path} was measured on {summary.scope}: its winner is no default. "
            "Run on annotated pictures of your kind (facebench run --dataset wider-face:val --data DIR), or add --demo"
        )
    metric = rule.metric or f"ap_{summary.primary}"
    known = metrics(summary)
    if metric not in known:
        raise UsageError(f"unknown metric {metric!r}. {did_you_mean(metric, known)}")
    judged = [(row, _why_not(row, rule)) for row in summary.rows]
    left_out = {cell_label(row.cell): why for row, why in judged if why}
    rows = [row for row, why in judged if not why]
    measured, on_halves = load_candidates(summary, rows, metric)
    numbers = zip(measured.ap[0].tolist(), measured.p90_ms[0].tolist(), strict=True)
    unfit = [_why_not_by_numbers(ap, p90, rule) for ap, p90 in numbers]
    left_out |= {cell_label(row.cell): why for row, why in zip(rows, unfit, strict=True) if why}
    fitting = [place for place, why in enumerate(unfit) if not why]
    if not fitting:
        reasons = "; ".join(f"{spec}: {why}" for spec, why in left_out.items())
        raise UsageError(f"no detector fits the rule. {reasons or 'The run has no finished cell.'}")
    found = _Found.by_rule(rows, metric, measured, rule)
    order = found.order(fitting)
    winner = rows[order[0]]
    own = float(winner.cell["start"]["operating_threshold"])
    wish = None if rule.precision is None else threshold_for(summary, winner, rule.precision)
    halves_choose = winners(on_halves, rule, reach(measured.ap, rule, scatter=math.sqrt(2)))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "setting": Setting(
            winner.cell["spec"],
            wish.score_threshold if wish is not None and wish.reached else own,
            winner.cell["protocol"]["size"],
            winner.cell["device"],
            winner.cell["threads"],
        ).to_json(),
        "own_threshold": own,
        "demo": bool(dataset["demo"]),
        "rule": rule.as_json(metric),
        "winner": found.figures(order[0]),
        "runner_up": found.figures(order[1]) if len(order) > 1 else None,
        "pareto": [found.figures(place) for place in pareto(measured.ap[0], measured.p50_ms[0])],
        "stability": {
            "same_on_resamples": round(share(measured, found.chosen, order[0]), 3),
            "resamples": len(found.chosen) - 1,
            "same_on_halves": round(share(on_halves, halves_choose, order[0]), 3),
            "halves": len(halves_choose) - 1,
        },
        "reasons": [*found.reasons(order, rule), *([] if wish is None else [wish.statement])],
        "left_out": left_out,
        "measured_on": summary.scope,
        "run": {
            "created": summary.run.document["created"],
            "cell": winner.cell["key"],
            "dataset_fingerprint": dataset["fingerprint"],
            "machine": winner.cell["machine"],
        },
    }


def _why_not(row: Row, rule: Rule) -> str:
    """Say why a row is no candidate, whatever its numbers; empty where it is one."""
    if not row.done:
        return f"{row.cell['status']}: {row.cell['reason']}"
    if row.latency is None:
        return "its latency was not measured"
    if row.cell["failed_pictures"]:
        return f"failed on {len(row.cell['failed_pictures'])} pictures"
    if row.cell["device"] != rule.device:
        return f"measured on {row.cell['device']}"
    memory = row.cell.get("peak_rss_mb")
    if rule.max_memory_mb is not None and (memory is None or memory > rule.max_memory_mb):
        took = "its memory is not known" if memory is None else f"took {memory:,.0f} MB"
        return f"{took}; allowed are {rule.max_memory_mb:,g} MB"
    licence, trained = row.cell["info"]["licence"], ", ".join(row.cell["info"]["trained_on"])
    if rule.licences and not licence.lower().startswith(tuple(one.lower() for one in rule.licences)):
        return f"its licence is {licence}"
    if any(one.lower() in trained.lower() for one in rule.not_trained_on):
        return f"trained on {trained}"
    return ""


def _why_not_by_numbers(ap: float, p90_ms: float, rule: Rule) -> str:
    if math.isnan(ap):
        return "no AP: no face counts"
    if rule.max_p90_ms is not None and p90_ms > rule.max_p90_ms:
        return f"p90 {p90_ms:.1f} ms is over {rule.max_p90_ms:g} ms"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The rule applied to rows.

    Attributes:
        rows: k candidates.
        metric: that ranks them.
        measured: all pictures first, then the resamples.
        within: from `reach`.
        equal: places of those tied with the best.
        chosen: whom the rule chooses on all pictures, then on each resample.
    """

    rows: Sequence[Row]
    metric: str
    measured: Candidates
    within: NDArray[np.float64]
    equal: Sequence[int]
    chosen: NDArray[np.int64]

    @classmethod
    def by_rule(cls, rows: Sequence[Row], metric: str, measured: Candidates, rule: Rule) -> _Found:
        within = reach(measured.ap, rule)
        equal = np.flatnonzero(tied(measured, rule, within)[0]).tolist()
        return cls(rows, metric, measured, within, equal, winners(measured, rule, within))

    def order(self, fitting: Sequence[int]) -> list[int]:
        """Return the places of all that fit the rule: the tied ones by speed, then the others by accuracy."""
        ap, p50 = self.measured.ap[0], self.measured.p50_ms[0]
        others = sorted(set(fitting) - set(self.equal), key=lambda place: -ap[place])
        return [*sorted(self.equal, key=lambda place: (p50[place], -ap[place])), *others]

    def figures(self, place: int) -> dict[str, Any]:
        row = self.rows[place]
        return {
            "detector": cell_label(row.cell),
            f"exact_{self.metric}": round(float(self.measured.ap[0, place]), 4),
            "p50_ms": round(float(self.measured.p50_ms[0, place]), 2),
            "p90_ms": round(float(self.measured.p90_ms[0, place]), 2),
            "peak_memory_mb": row.cell.get("peak_rss_mb"),
            "threads": row.cell["threads"],
        }

    def reasons(self, order: Sequence[int], rule: Rule) -> list[str]:
        winner, ap, p50 = order[0], self.measured.ap[0], self.measured.p50_ms[0]
        best = max(self.equal, key=lambda place: ap[place])
        others = [cell_label(self.rows[place].cell) for place in order[1:] if place in self.equal]
        tie = "tied with the best on these pictures" if rule.tie is None else f"within {rule.tie:g} of the best"
        reasons = [f"exact {self.metric} {ap[winner]:.3f}, the best"]
        if winner != best:
            reasons = [
                f"exact {self.metric} {ap[winner]:.3f}; the best is {cell_label(self.rows[best].cell)} with "
                f"{ap[best]:.3f}; up to {self.within[best, winner]:.3f} between them counts as a tie"
            ]
        if others:
            reasons.append(f"p50 {p50[winner]:.1f} ms, the lowest of all {tie}: {', '.join(others)}")
        else:
            reasons.append(f"p50 {p50[winner]:.1f} ms; no other detector is {tie}")
        same = share(self.measured, self.chosen, winner)
        reasons.append(f"the same rule chooses it in {same:.0%} of {len(self.chosen) - 1:,} resamples of the pictures")
        if any("WIDER" in item for item in self.rows[winner].cell["info"]["trained_on"]):
            reasons.append("it was trained on WIDER FACE train: expect less on pictures of another kind")
        return reasons

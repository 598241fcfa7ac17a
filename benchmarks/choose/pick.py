"""Choose a detector of a run by a declared rule, with reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...detectors import Setting
from ...errors import InconclusiveError, UsageError, did_you_mean
from ..analysis.table import Row, Summary
from ..scoring.thresholds import ThresholdChoice
from ..store.run_folder import RunFolder
from ..store.truth import RunReader
from .candidates import accuracy, aimed_at, load_candidates, metrics, threshold_for
from .default import SCHEMA, SCHEMA_VERSION
from .left_out import UNFINISHED, why_not
from .reasons import Found
from .requirement import Judged, cell_like, judge
from .rule import Rule, pareto, reach, shares, winners


def pick(
    summary: Summary,
    rule: Rule,
    *,
    demo: bool = False,
    required_on: RunFolder | None = None,
    accept_noise: bool = False,
    accept_unfinished: bool = False,
) -> dict[str, Any]:
    """Choose by the rule.

    Args:
        summary: a scored run.
        rule: how to choose.
        demo: accept a run on a demonstration data set.
        required_on: run on which the rule's requirements are judged, of the same detectors in the same settings; None:
            the run itself.
        accept_noise: choose by the latencies as they are, where the noise that the run itself marks leaves it open.
        accept_unfinished: choose without the cells that have no result yet.

    Returns:
        The content of default_detector.json: what to load, the rule, the winner and the runner-up, why, the Pareto set
        (AP against p50) of all candidates, how often draws of the images choose the same and whom else, who was left
        out and why, what each candidate has of the requirements, and the run.

    Raises:
        UsageError: the run is a demonstration and `demo` is false, the metric is unknown, or nothing fits the rule.
        InconclusiveError: a cell that has no result yet could be chosen, or noisy latencies leave the choice open.
        ResultsError: a table of the run is damaged.
    """
    dataset = summary.run.document.dataset
    if dataset.demo and not demo:
        raise UsageError(
            f"{summary.run.path} was measured on {summary.scope}: its winner is not a default. "
            "Run on annotated images of your kind (facebench run --dataset wider-face:val --data DIR), or add --demo"
        )
    metric = rule.metric or f"ap_{summary.primary}"
    known = metrics(summary)
    if metric not in known:
        raise UsageError(f"unknown metric {metric!r}. {did_you_mean(metric, known)}")
    left_out: dict[str, str] = {}
    rows = _kept(summary.rows, [why_not(row, rule) for row in summary.rows], left_out)
    unfinished = [name for name, why in left_out.items() if why == UNFINISHED]
    if unfinished and not accept_unfinished:
        raise InconclusiveError(
            f"not decided: {summary.run.path} is unfinished: {', '.join(unfinished)} could be chosen with a result. "
            "Finish it (the same facebench run goes on where it stopped), or choose among the others with "
            "--accept-unfinished"
        )
    rows = _kept(rows, [_why_twin(summary, row, rows, rule) for row in rows], left_out)
    elsewhere = None if required_on is None else RunReader(required_on)
    judged = [_judged(summary, row, rule, elsewhere) for row in rows]
    required = {row.cell.label: had for row, had in zip(rows, judged, strict=True) if not isinstance(had, str)}
    rows = _kept(rows, [_why_short(had) for had in judged], left_out)
    if not rows:
        raise _nothing(left_out)
    measured, on_halves = load_candidates(summary, rows, metric)
    found = Found.by_rule(rows, metric, measured, rule)
    unfit = found.why_unfit(rule)
    _kept(rows, unfit, left_out)
    fitting = [place for place, why in enumerate(unfit) if not why]
    if not fitting:
        raise _nothing(left_out)
    order = found.order(fitting)
    winner = rows[order[0]]
    undecided = found.undecided(rule)
    if undecided and not accept_noise:
        raise InconclusiveError(
            f"these latencies do not decide between {' and '.join(map(found.speed, [order[0], *undecided]))}. Measure "
            "again into another folder on a quiet machine, as facebench doctor finds it, or accept the noise with "
            "--accept-noise"
        )
    threshold, target = _threshold(summary, winner, rule)
    halves_choose = winners(on_halves, rule, reach(measured, rule))
    on_draws, on_half_draws = shares(measured, found.chosen), shares(on_halves, halves_choose)
    beaten_by = _best_of_all(summary, metric, found, order, left_out)
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "setting": Setting(
            winner.cell.spec,
            threshold,
            winner.cell.protocol.size,
            winner.cell.device,
            winner.cell.threads,
        ).to_json(),
        "own_threshold": _own_threshold(winner),
        "demo": dataset.demo,
        "rule": rule.as_json(metric),
        "winner": found.figures(order[0]),
        "runner_up": found.figures(order[1]) if len(order) > 1 else None,
        "pareto": [found.figures(place) for place in pareto(measured.ap[0], measured.p50_ms[0])],
        "stability": {
            "same_on_resamples": round(on_draws.get(order[0], 0.0), 3),
            "resamples": len(found.chosen) - 1,
            "others_on_resamples": {
                found.name(place): round(share, 3) for place, share in on_draws.items() if place != order[0]
            },
            "same_on_halves": round(on_half_draws.get(order[0], 0.0), 3),
            "halves": len(halves_choose) - 1,
        },
        "reasons": [
            *found.reasons(order, rule, among=len(fitting) if left_out else 0, beaten_by=beaten_by),
            *found.stability(order[0], on_half_draws),
            *(one.sentence for one in required[found.name(order[0])]),
            *found.card(order[0], rule),
            *([] if target is None else [aimed_at(summary, winner, target)]),
            *found.timed_at(order[0], threshold),
            *found.rounds(),
            *(f"the run is unfinished: {name} had no result yet and could be chosen with one" for name in unfinished),
            *(f"not decided: by noisy latencies it could be {found.speed(place)}" for place in undecided),
        ],
        "left_out": left_out,
        "unfinished": unfinished,
        "undecided": [found.name(place) for place in undecided],
        "required": {name: [one.to_json() for one in had] for name, had in required.items() if had},
        "measured_on": summary.scope,
        "run": {
            "created": summary.run.document.created,
            "cell": winner.cell.key,
            "dataset_fingerprint": dataset.fingerprint,
            "machine": winner.cell.machine,
        },
    }


def _kept(rows: Sequence[Row], reasons: Sequence[str], left_out: dict[str, str]) -> list[Row]:
    """Return the rows without a reason against them; note the others in `left_out`."""
    left_out |= {row.cell.label: why for row, why in zip(rows, reasons, strict=True) if why}
    return [row for row, why in zip(rows, reasons, strict=True) if not why]


def _judged(summary: Summary, row: Row, rule: Rule, elsewhere: RunReader | None) -> list[Judged] | str:
    """Judge the requirements at the threshold that a row would be handed over with, or say why that cannot be done."""
    if not rule.requirements:
        return []
    threshold, _ = _threshold(summary, row, rule)
    reader = elsewhere or summary.reader
    cell = row.cell if elsewhere is None else cell_like(elsewhere.run, row.cell, threshold)
    return cell if isinstance(cell, str) else judge(reader, cell, threshold, rule.requirements, summary.resampled)


def _why_twin(summary: Summary, row: Row, rows: Sequence[Row], rule: Rule) -> str:
    """Say which other row is the same detector, timed at the very threshold that this one would be handed over with."""
    twins = [one for one in rows if one is not row and one.cell.but_threshold == row.cell.but_threshold]
    if not twins:
        return ""
    threshold, _ = _threshold(summary, row, rule)
    exact = [one for one in twins if one.cell.threshold == threshold != row.cell.threshold]
    return f"{exact[0].cell.label} is the same, timed at the threshold that is handed over" if exact else ""


def _why_short(judged: Sequence[Judged] | str) -> str:
    """Say what a row lacks of the requirements; empty where it meets all."""
    if isinstance(judged, str):
        return judged
    return "; ".join(one.sentence for one in judged if not one.met)


def _nothing(left_out: Mapping[str, str]) -> UsageError:
    reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
    return UsageError(f"no detector fits the rule. {reasons or 'The run has no finished cell.'}")


def _own_threshold(row: Row) -> float:
    return row.cell.operating_threshold


def _threshold(summary: Summary, row: Row, rule: Rule) -> tuple[float, ThresholdChoice | None]:
    """Return the score threshold that a row is handed over with, and what was aimed at."""
    if rule.precision is None:
        return _own_threshold(row), None
    target = threshold_for(summary, row, rule.precision)
    return target.score_threshold if target.reached else _own_threshold(row), target


def _best_of_all(summary: Summary, metric: str, found: Found, order: Sequence[int], left_out: dict[str, str]) -> str:
    """Name the most accurate of those left out, with the reason, where it beats all others; else nothing."""
    done = [row for row in summary.rows if row.done and row.cell.label in left_out]
    values = {row.cell.label: accuracy(summary, row, metric) for row in done}
    name = max((one for one in values if not math.isnan(values[one])), key=values.__getitem__, default="")
    if not name or values[name] <= max(found.measured.ap[0, place] for place in order):
        return ""
    return f"the best of all is {name} with {values[name]:.3f}, left out: {left_out[name]}"

"""The comparison of two versions in words and numbers, the same for terminal and Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...benchmarks.compare.gate import Criterion, GateResult, differences_in_words, unseen_share, worst
from ...benchmarks.compare.pair import AccuracyChange, CellComparison
from ...benchmarks.compare.runs import Comparison
from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.timing.latency_verdict import Need, Verdict
from ..values.numbers import NONE, between_signed, number_of, share, signed

_NAMED = 6
WORDS = {"pass": "pass", "fail": "FAIL", "inconclusive": "inconclusive"}
_RATES = {
    "precision": "precision",
    "recall": "recall",
    "false_alarms_per_image": "false alarms per image",
}
_ADVICE: Mapping[tuple[Criterion, Need | None], str] = {
    ("latency", "one machine"): (
        "Latency: measure base and head in one job on one machine; results of two machines never compare."
    ),
    ("latency", "measurement"): "Latency: measure both sides with `facebench run`.",
    ("latency", "turns"): (
        "Latency: measure base and head in turn, a round of each at a time (the reason says with which `--rounds`), or "
        "with `--interleave`, which is the most precise."
    ),
    ("latency", "rounds"): (
        "Latency: measure with more rounds in turn (`--rounds`, best with `--interleave`), on a machine with nothing "
        "else to do, or allow a larger max_slowdown."
    ),
    ("latency", "images"): "Latency: measure on more images.",
    ("latency", "person"): (
        "Latency at the limit, which more rounds would not decide: look at the change and decide as a person, measure "
        "on more images, or allow a larger max_slowdown."
    ),
    ("accuracy", "images"): "Accuracy: measure on more annotated images; the reason says about how many.",
    ("accuracy", "person"): (
        "Accuracy at the limit, which more images would hardly decide: look at the change and decide as a person, or "
        "allow a larger max_ap_loss."
    ),
    ("memory", "measurement"): "Memory: measure both sides with `facebench run`.",
}
"""What to do about an inconclusive criterion, by what it needs; in the order in which it is said."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One detector. A cell of the table is a few short lines.

    Attributes:
        label: name of the pair.
        cells: as many as `titles` has entries.
        judged: criterion and verdict with its reason; empty without a gate.
        details: heading and text, for below the table.
        notable: whether anything changed beside the time, or a criterion is not passed.
    """

    label: str
    cells: tuple[tuple[str, ...], ...]
    judged: tuple[tuple[str, str], ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    notable: bool = True


def titles(comparison: Comparison, result: GateResult | None = None) -> list[str]:
    """Return the headings of the table."""
    verdict = [] if result is None else ["verdict"]
    return ["detector", *verdict, f"AP {comparison.primary}", "detections", "time (head / base)", "memory, start"]


def rows(comparison: Comparison, result: GateResult | None = None) -> list[ComparisonRow]:
    """Return a row for each pair, then one for each cell that has no partner."""
    found = [_row(cell, comparison.primary, result) for cell in comparison.cells]
    for side, cells in (("base", comparison.base_only), ("head", comparison.head_only)):
        for cell in cells:
            label, only = cell.label, f"in the {side} only"
            verdict = () if result is None else (_verdict(label, result),)
            found.append(ComparisonRow(label, ((label,), *verdict, (), (only,), (), ())))
    return found


def headline(result: GateResult) -> str:
    """Say the outcome in one sentence."""
    judged = list(dict.fromkeys(judgement.detector for judgement in result.judgements))
    detectors = number_of(len(judged), "detector")
    if result.outcome == "pass":
        return f"Pass: {detectors} judged, nothing lost beyond the limits."
    failed, unclear = (
        _named([f"{one.detector} ({one.criterion})" for one in result.judgements if one.verdict.outcome == outcome])
        for outcome in ("fail", "inconclusive")
    )
    if result.outcome == "inconclusive":
        return f"Inconclusive: these measurements can neither show nor rule out a loss in {unclear}."
    rest = f" Inconclusive: {unclear}." if unclear else ""
    return f"Fail: beyond the limits in {failed}.{rest}"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more} more"


def reasons(result: GateResult) -> list[str]:
    """Return a sentence for each judgement that is not a pass, the failed ones first."""
    return [
        f"{WORDS[outcome]} {one.detector}, {one.criterion}: {one.verdict.reason}."
        for outcome in ("fail", "inconclusive")
        for one in result.judgements
        if one.verdict.outcome == outcome
    ]


def what_to_do(result: GateResult) -> list[str]:
    """Say how to get an answer where there is none yet; empty where every criterion is decided."""
    unclear = {(one.criterion, one.verdict.needs) for one in result.judgements if one.verdict.outcome == "inconclusive"}
    if not unclear:
        return []
    found = [advice for case, advice in _ADVICE.items() if case in unclear]
    return [*found, "To let a pull request through meanwhile, run the gate with `--inconclusive-ok`."]


def summary_line(comparison: Comparison) -> str:
    """Say in one sentence what is the same and what is not."""
    done = [cell.detections for cell in comparison.cells if cell.detections is not None]
    same = sum(found.identical for found in done)
    unpaired = len(comparison.base_only) + len(comparison.head_only)
    left = f"; {number_of(unpaired, 'detector')} on one side only" if unpaired else ""
    return f"{number_of(len(done), 'detector')} compared, {same} with identical detections{left}."


def scope(comparison: Comparison) -> str:
    """Say what was compared, on what, and how the intervals were made."""
    drawn = comparison.resampled
    how = "measured in turn, round by round" if comparison.interleaved else "two runs"
    return (
        f"Base {comparison.base}, head {comparison.head} ({how}), {comparison.dataset.shown}, "
        f"{number_of(comparison.images, 'image')}. Differences are head less base with 95 % intervals: AP over "
        f"{drawn.draws:,} resamples of the {drawn.unit}, time over rounds and images. What none of these images shows, "
        f"up to {100 * unseen_share(comparison.images):.2g} % of others may."
    )


def _row(cell: CellComparison, primary: str, result: GateResult | None) -> ComparisonRow:
    verdict = () if result is None else (_verdict(cell.label, result),)
    judged = () if result is None else tuple((one.criterion, _judged(one.verdict)) for one in result.of(cell.label))
    label = tuple(cell.label.replace(" → ", " →\n").split("\n"))
    if cell.detections is None:
        states = tuple(f"{side}: {one.status}" for side, one in (("base", cell.base), ("head", cell.head)))
        return ComparisonRow(cell.label, (label, *verdict, (), states, (), ()), judged, tuple(_details(cell)))
    found = (label, *verdict, _accuracy(cell.accuracy_on(primary)), _detections(cell), _time(cell), _cost(cell))
    passed = result is None or all(one.verdict.outcome == "pass" for one in result.of(cell.label))
    return ComparisonRow(cell.label, found, judged, tuple(_details(cell)), not (cell.detections.identical and passed))


def _verdict(label: str, result: GateResult) -> tuple[str, ...]:
    judgements = result.of(label)
    if not judgements:
        return ("not judged",)
    outcome = worst(judgement.verdict for judgement in judgements)
    if outcome == "pass":
        return (WORDS[outcome],)
    return (WORDS[outcome], *(one.criterion for one in judgements if one.verdict.outcome == outcome))


def _accuracy(change: AccuracyChange) -> tuple[str, ...]:
    if change.difference.draws == 0:
        return (share(change.base), "no difference")
    return (f"{share(change.base)} → {share(change.head)}", _difference(change.difference))


def _detections(cell: CellComparison) -> tuple[str, ...]:
    found = cell.detections
    assert found is not None
    if found.identical:
        return ("identical",)
    return (f"differ on {found.differing:,} of {found.images:,}", f"−{found.base_only:,} +{found.head_only:,} boxes")


def _time(cell: CellComparison) -> tuple[str, ...]:
    if cell.latency is None or cell.base_latency is None or cell.head_latency is None:
        return ("not measured",)
    base, head = cell.base_latency.p50_ms, cell.head_latency.p50_ms
    change = cell.latency
    beside = ("indicative only",) if cell.indicative else ()
    return (
        f"p50 {_ratio(change.median.ratio)}",
        f"total {_ratio(change.total.ratio)}",
        f"p90 {_factor(change.p90)}",
        f"p50 {base:,.1f} → {head:,.1f} ms",
        *beside,
    )


def _cost(cell: CellComparison) -> tuple[str, ...]:
    memory, start = cell.memory_mb, cell.cold_start_s
    return (
        *((f"{memory[0]:,.0f} → {memory[1]:,.0f} MB",) if all(map(math.isfinite, memory)) else ()),
        *((f"{start[0]:.1f} → {start[1]:.1f} s",) if all(map(math.isfinite, start)) else ()),
    )


def _details(cell: CellComparison) -> list[tuple[str, str]]:
    found = []
    if cell.changed:
        found.append(("changed", "; ".join(f"{one.what}: {one.base} → {one.head}" for one in cell.changed)))
    if cell.indicative:
        found.append(("indicative", f"latencies of different conditions do not compare: {differences_in_words(cell)}"))
    if cell.detections is None:
        return [*found, *_reasons(cell)]
    found.append(("boxes", _boxes(cell)))
    found.append(("AP", "; ".join(_on_list(change) for change in cell.accuracy)))
    found.append(("at threshold", _at_threshold(cell)))
    if cell.latency is not None and cell.base_latency is not None and cell.head_latency is not None:
        found.append(("time", _time_details(cell)))
    return found


def _judged(verdict: Verdict) -> str:
    return f"{WORDS[verdict.outcome]}: {verdict.reason}"


def _reasons(cell: CellComparison) -> list[tuple[str, str]]:
    sides = (("base", cell.base), ("head", cell.head))
    return [(side, f"{one.status}: {one.reason}") for side, one in sides if not one.done]


def _boxes(cell: CellComparison) -> str:
    found = cell.detections
    assert found is not None
    if found.identical:
        text = f"the same {found.base_boxes:,} on {number_of(found.images, 'image')}"
        return text + (f"; landmarks differ on {found.landmarks_differ:,}" if found.landmarks_differ else "")
    text = (
        f"{found.base_boxes:,} → {found.head_boxes:,}; {found.base_only:,} lost, {found.head_only:,} gained, "
        f"{found.moved:,} moved"
    )
    if found.moved:
        text += f" by up to {found.largest_shift_px:.2g} px, scores by up to {found.largest_score_change:.2g}"
    return f"{text}; most on {', '.join(found.examples)}"


def _on_list(change: AccuracyChange) -> str:
    official = f"official {share(change.base_official)} → {share(change.head_official)}"
    if change.difference.draws == 0:
        return f"{change.list_name} {share(change.base)}, no difference (official {share(change.base_official)})"
    exact = f"{share(change.base)} → {share(change.head)}, {_difference(change.difference)}"
    return f"{change.list_name} {exact}, {official}"


def _at_threshold(cell: CellComparison) -> str:
    base, head = cell.threshold
    # the lowest number there is stands for every box
    names = ["every box" if value < -1e30 else f"{value:g}" for value in (base, head)]
    parts = [f"threshold {names[0]}" + (f" → {names[1]}" if names[0] != names[1] else "")]
    for rate in cell.rates:
        same = rate.difference.draws == 0
        numbers = (
            share(rate.base) if same else f"{share(rate.base)} → {share(rate.head)}, {_difference(rate.difference)}"
        )
        parts.append(f"{_RATES[rate.name]} {numbers}")
    return "; ".join(parts)


def _time_details(cell: CellComparison) -> str:
    change, base, head = cell.latency, cell.base_latency, cell.head_latency
    assert change is not None and base is not None and head is not None
    noise = "not measured (one round)" if change.floor is None else f"{change.floor:.1%}"
    left = f", {number_of(change.left_out, 'image')} left out" if change.left_out else ""
    turns = " in turn" if cell.in_turn else ""
    return (
        f"p50 {_ratio(change.median.ratio, 3)}; total {_ratio(change.total.ratio, 3)}; p90 {_factor(change.p90)}, "
        f"{base.p90_ms:,.1f} → {head.p90_ms:,.1f} ms; same-code noise {noise}; "
        f"{number_of(change.rounds, 'round')}{turns}, {number_of(change.images, 'image')}{left}"
    )


def _difference(interval: Interval) -> str:
    ends = between_signed(interval)
    return f"{signed(interval.value)} ({ends})" if ends else NONE


def _ratio(interval: Interval, digits: int = 2) -> str:
    if not math.isfinite(interval.value):
        return NONE
    return f"{_factor(interval.value)} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _factor(value: float) -> str:
    return f"×{value:.3f}" if math.isfinite(value) else NONE


def joined(lines: Sequence[str], separator: str) -> str:
    """Join the lines of a cell; a dash where there is none."""
    return separator.join(lines) or NONE

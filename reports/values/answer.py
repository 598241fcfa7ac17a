"""What a report says first: the detector to take, by the rule of `facebench pick`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...benchmarks.analysis.table import Row, Summary
from ...benchmarks.choose.pick import pick
from ...benchmarks.choose.rule import Rule
from ...detectors import Device
from ...errors import UsageError
from .numbers import row_label


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """What the report says first.

    Attributes:
        sentence: the answer.
        picked: the cell key of the detector it names first; empty where there is none.
        notes: what qualifies it, one sentence each.
    """

    sentence: str
    picked: str
    notes: Sequence[str]


def answer(summary: Summary) -> ReportAnswer:
    """Say which detector is the fastest among the best, by the rule of `facebench pick`."""
    done = [row for row in summary.rows if row.done]
    if not done:
        return ReportAnswer("No detector finished: there is nothing to compare.", "", [])
    devices = {row.cell.device for row in done}
    device: Device = "cpu" if "cpu" in devices else "cuda"
    rule = Rule(device=device)
    try:
        choice = pick(summary, rule, demo=True, accept_noise=True, accept_unfinished=True)
    except UsageError as error:
        return ReportAnswer("No detector can be chosen.", "", [str(error)])
    winner = next(row for row in done if row.cell.key == choice["run"]["cell"])
    left_out = {row_label(row): choice["left_out"].get(row_label(row), "") for row in done if row is not winner}
    best = next(row for row in done if row is winner or not left_out[row_label(row)])
    if winner is best:
        sentence = (
            f"{row_label(winner)} has the best exact AP ({summary.primary}), and no detector that is not "
            f"significantly different from it is faster: {_figures(winner, summary)}."
        )
    else:
        sentence = (
            f"{row_label(winner)} is the fastest of those not significantly different from the best in exact AP "
            f"({summary.primary}): {_figures(winner, summary)}. "
            f"The best is {row_label(best)}: {_figures(best, summary)}."
        )
    stable = choice["stability"]
    notes = [
        f"On {stable['same_on_halves']:.0%} of random halves of the images the same rule chooses it; on other "
        "images of the kind it would do so rather less often."
    ]
    if choice["undecided"]:
        others = ", ".join(choice["undecided"])
        notes.append(f"By noisy latencies it could be {others} as well: measure again on a quiet machine.")
    if choice["unfinished"]:
        notes.append(f"Not finished, and could be chosen with a result: {', '.join(choice['unfinished'])}.")
    reasons = [f"{label} ({why})" for label, why in left_out.items() if why]
    notes += [f"Left out of the choice: {'; '.join(reasons)}."] if reasons else []
    if len(done) < len(summary.rows):
        notes.append(f"{len(summary.rows) - len(done)} of {len(summary.rows)} detectors have no result: see the table.")
    return ReportAnswer(sentence, winner.cell.key, notes)


def _figures(row: Row, summary: Summary) -> str:
    assert row.latency is not None, "only finished rows are candidates"
    ap = f"{row.exact_ap(summary.primary):.3f}".removeprefix("0")
    # with no-break spaces, so that a number stays beside its unit
    return f"AP\u00a0{ap}, p50\u00a0{row.latency.p50_ms:,.1f}\u00a0ms, p90\u00a0{row.latency.p90_ms:,.1f}\u00a0ms"

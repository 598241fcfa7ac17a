"""Base against head, judged: pass, fail or inconclusive.

A gate that fails on noise is soon switched off, and one that passes what it could not see is worse. So both need proof:

- it *fails* where the whole 95 % interval lies beyond the limit;
- it *passes* where the whole interval lies within;
- else it is *inconclusive*, and the reason says what would decide it.

Each criterion is judged for itself: of many detectors without any change, now and then one interval misses the truth.
That alone cannot fail: it must miss by the limit besides.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ...errors import UsageError
from ..resampling.effective import FEW, seen_share
from ..store.records import StoredCell
from ..timing.latency_verdict import Verdict, latency_verdict, ratios_in_words
from .limits import DetectorLimits, GateLimits
from .pair import AccuracyChange, CellComparison
from .runs import Comparison

Criterion = Literal["completed", "accuracy", "latency", "memory"]
Outcome = Literal["pass", "fail", "inconclusive"]

FEWEST_IMAGES = 6
"""Below six images with a face no paired difference can be shown at 95 %: a sign test gives 2 / 2^5 at best."""

_UNSEEN_CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class Judgement:
    """One criterion of one detector.

    Attributes:
        detector: label of the pair, or of the cell that is missing.
        criterion: what is judged.
        verdict: how.
    """

    detector: str
    criterion: Criterion
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate says.

    Attributes:
        comparison: what was judged.
        limits: by what.
        judgements: in the order of the comparison.
        notes: what was not judged, and why.
    """

    comparison: Comparison
    limits: GateLimits
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst verdict: fail before inconclusive before pass."""
        return worst(judgement.verdict for judgement in self.judgements)

    def of(self, detector: str) -> tuple[Judgement, ...]:
        """Return the judgements of one detector."""
        return tuple(judgement for judgement in self.judgements if judgement.detector == detector)

    def exit_code(self, *, inconclusive_ok: bool = False) -> int:
        """Return 0 for pass, 1 for fail, 3 for inconclusive, or 0 where that is accepted."""
        return {"pass": 0, "fail": 1, "inconclusive": 0 if inconclusive_ok else 3}[self.outcome]


def worst(verdicts: Iterable[Verdict]) -> Outcome:
    """Return the worst outcome; inconclusive for none at all."""
    outcomes = {verdict.outcome for verdict in verdicts}
    for outcome in ("fail", "inconclusive", "pass"):
        if outcome in outcomes:
            return outcome
    return "inconclusive"


def gate(
    comparison: Comparison,
    limits: GateLimits | None = None,
    *,
    indicative: bool = False,
    identical_is_enough: bool = False,
) -> GateResult:
    """Judge a comparison.

    Args:
        comparison: from `compare_runs` or `compare_interleaved`.
        limits: what a change may cost.
        indicative: accept latencies of different machines, which then are inconclusive.
        identical_is_enough: accept identical detections as no loss, on however few images.

    Raises:
        UsageError: there is nothing to judge, or latencies are of different machines and `indicative` is false.
    """
    limits = limits or GateLimits()
    if not comparison.cells and not comparison.base_only:
        raise UsageError(f"{comparison.base} holds no detector, so there is nothing to judge. Measure it first")
    elsewhere = [cell for cell in comparison.cells if cell.indicative]
    if elsewhere and not indicative:
        raise UsageError(
            f"{comparison.base} and {comparison.head} were not measured under the same conditions "
            f"({differences_in_words(elsewhere[0])}): their latencies do not compare. Measure both in one job on one "
            "machine, or add --indicative to judge the rest"
        )
    judgements: list[Judgement] = []
    notes = [*comparison.notes, *limits.unused([(cell.base, cell.head) for cell in comparison.cells])]
    for cell in comparison.cells:
        if not cell.base.done:
            notes.append(f"{cell.label}: {_state('base', cell.base)}; not judged")
            continue
        found = _judge(cell, comparison.primary, limits.of(cell.base, cell.head), identical_is_enough)
        judgements += found
        if _slower_for_no_reason(cell, found):
            notes.append(
                f"{cell.label}: nothing that goes into it has changed, and its detections are identical: it is slower "
                "by what facebench does around it, or by the machine. Measure base and head in turn (see docs/ci.md)"
            )
    for missing in comparison.base_only:
        if missing.done:
            verdict = Verdict("fail", "done in the base, not in the head at all")
            judgements.append(Judgement(missing.label, "completed", verdict))
        else:
            notes.append(f"{missing.label}: {_state('base', missing)}, and not in the head; not judged")
    notes += [f"{cell.label}: in the head only ({cell.status}); not judged" for cell in comparison.head_only]
    if not judgements:
        raise UsageError(f"nothing to judge: no detector of {comparison.base} is done. {'; '.join(notes)}")
    return GateResult(comparison, limits, tuple(judgements), tuple(notes))


def accuracy_verdict(
    change: AccuracyChange, max_ap_loss: float, *, identical: bool = False, certain: bool = False
) -> Verdict:
    """Judge the difference in exact AP on the list that decides.

    An interval is made of the images that are there. What no image shows, as that head finds nothing on one in fifty,
    it cannot hold: of n images without it, up to 3 / n of all may have it (the rule of three, see `unseen_share`), and
    cost that share of AP. Detections that are identical on few images show no more than AP that is equal there, unless
    nothing has changed that could make them differ elsewhere.

    - *pass*: the interval of head less base begins at or above −max_ap_loss, and so does the difference with what the
      unseen share could cost taken off; or the detections are identical and that is certain;
    - *fail*: the whole interval lies below −max_ap_loss;
    - *inconclusive*: neither, or fewer than six images with a face.

    Args:
        change: of one list.
        max_ap_loss: limit, AP from 0 to 1.
        identical: the detections are the same on these images.
        certain: they would be on others too, since nothing that goes into them has changed, or may be taken to be.
    """
    may_differ = f"up to {100 * unseen_share(change.images):.2g} % of images may differ"
    if identical and certain:
        return Verdict("pass", "identical detections")
    found, name = change.difference, change.list_name
    if not math.isfinite(found.low):
        why = f"AP ({name}) cannot be computed: no face counts. Use annotated images"
        return Verdict("inconclusive", why, "images")
    numbers = (
        f"AP ({name}) {change.base:.4f} → {change.head:.4f}, {found.value:+.4f} "
        f"({100 * found.confidence:.4g} %: {found.low:+.4f} to {found.high:+.4f}), limit −{max_ap_loss:g}"
    ).replace("-", "−")
    if identical:
        numbers = f"identical detections, {numbers}"
    needed = _needed_images(change, max_ap_loss)
    count = f"{change.images:,} image{'s' * (change.images != 1)} with a face"
    if change.images < FEWEST_IMAGES:
        enough = max(FEWEST_IMAGES, needed or 0)
        few = f"{count} can show nothing, use {FEWEST_IMAGES} or more"
        if enough > FEWEST_IMAGES:
            few += f"; about {enough:,} would decide it"
        if identical:
            few += ", or --identical-is-enough"
        return Verdict("inconclusive", f"{numbers}; {few}", "images")
    if found.high < -max_ap_loss:
        return Verdict("fail", numbers)
    seen = f"no {'loss' if found.low >= 0 else 'loss beyond it'} seen on {count}; {may_differ}"
    if min(found.low, found.value - unseen_share(change.images) * change.base) >= -max_ap_loss:
        return Verdict("pass", f"{numbers}; {seen}")
    if found.low >= -max_ap_loss:
        numbers += f"; {seen}"
    if needed is None:
        return Verdict(
            "inconclusive", f"{numbers}; the difference is at the limit: more images would hardly decide it", "person"
        )
    about = f"about {needed:,} images with a face would decide it"
    if identical:
        about += ", or --identical-is-enough"
    return Verdict("inconclusive", f"{numbers}; {about}", "images")


def unseen_share(images: int) -> float:
    """Return the largest share of all images that may have what none of these has, in 95 of 100 cases."""
    return 1.0 - float(seen_share(images, _UNSEEN_CHANCE))


def differences_in_words(cell: CellComparison) -> str:
    """Say why the latencies of a pair do not compare."""
    return "; ".join(f"{change.what}: {change.base} and {change.head}" for change in cell.indicative)


def _judge(cell: CellComparison, primary: str, limits: DetectorLimits, identical_is_enough: bool) -> list[Judgement]:
    found: list[tuple[Criterion, Verdict]] = [("completed", _completed(cell))]
    if cell.detections is not None:
        same, certain = cell.detections.identical, identical_is_enough or not cell.changed
        change = cell.accuracy_on(primary)
        found.append(("accuracy", accuracy_verdict(change, limits.max_ap_loss, identical=same, certain=certain)))
        if cell.base.rounds or cell.head.rounds:
            found.append(("latency", _latency(cell, limits.max_slowdown)))
        if limits.max_memory_growth is not None:
            found.append(("memory", _memory(cell, limits.max_memory_growth)))
    return [Judgement(cell.label, criterion, verdict) for criterion, verdict in found]


def _slower_for_no_reason(cell: CellComparison, found: list[Judgement]) -> bool:
    same = cell.detections is not None and cell.detections.identical and not cell.changed
    return same and any(one.criterion == "latency" and one.verdict.outcome == "fail" for one in found)


def _completed(cell: CellComparison) -> Verdict:
    if not cell.head.done:
        return Verdict("fail", f"done in the base, {_state('head', cell.head)}")
    new = sorted(set(cell.head.failed_images) - set(cell.base.failed_images))
    if new:
        reason = cell.head.failed_images[new[0]]
        count = f"{len(new)} image{'s' * (len(new) > 1)}"
        return Verdict("fail", f"head fails on {count} that the base can do: {new[0]}: {reason}")
    return Verdict("pass", "done in both")


def _latency(cell: CellComparison, max_slowdown: float) -> Verdict:
    if cell.latency is None:
        why = "one side has no timings: predictions from a file, or a run by an executor; measure it: facebench run"
        return Verdict("inconclusive", why, "measurement")
    if cell.indicative:
        return Verdict(
            "inconclusive",
            f"{ratios_in_words(cell.latency)}, indicative only: {differences_in_words(cell)}. Measure both in one job",
            "one machine",
        )
    if cell.in_turn:
        return latency_verdict(cell.latency, max_slowdown)
    # without the floor it cannot fail, and passes only with room for what processes differ by
    verdict = latency_verdict(dataclasses.replace(cell.latency, floor=None), max_slowdown)
    if verdict.outcome == "pass":
        return verdict
    base, head = cell.base.rounds, cell.head.rounds
    return Verdict(
        "inconclusive",
        f"{ratios_in_words(cell.latency)}, but base and head were measured one after the other: what changed on the "
        "machine in between looks the same. Rounds measured at once do not count, however many. Add three or more to "
        f"each, one of base and one of head at a time (facebench run --rounds {base + 1} and --rounds {head + 1}, then "
        f"{base + 2} and {head + 2}, …), or use --interleave",
        "turns",
    )


def _memory(cell: CellComparison, max_growth: float) -> Verdict:
    base, head = cell.memory_mb
    if not (math.isfinite(base) and math.isfinite(head)):
        return Verdict("inconclusive", "memory was not measured on both sides", "measurement")
    numbers = f"{base:,.0f} → {head:,.0f} MB, {head / base:.3f} times, limit {1 + max_growth:.6g}"
    return Verdict("fail" if head > base * (1 + max_growth) else "pass", numbers)


def _needed_images(change: AccuracyChange, max_ap_loss: float) -> int | None:
    """Say about how many images would decide, should the difference stay where it is.

    An interval shrinks with the square root of their number, what an unseen share could cost with the number itself, as
    does an interval that reaches as far as that.
    Where the difference lies so near the limit that a hundred times as many would not, as many as make half of the
    interval as narrow as the limit: before that nobody can say that it is at the limit. None where it already is.
    """
    found = change.difference
    room = found.value + max_ap_loss
    half = found.value - found.low if room > 0 else found.high - found.value
    unseen = -math.log(_UNSEEN_CHANCE) * change.base if room > 0 else 0.0
    if abs(room) * 10 < half or room == 0:
        if half <= max_ap_loss or max_ap_loss == 0:
            return None
        room = max_ap_loss
    shrinks = 1 if found.effective < FEW else 2
    needed = max(change.images * (half / abs(room)) ** shrinks, unseen / abs(room))
    return math.ceil(round(needed, 6))


def _state(side: str, cell: StoredCell) -> str:
    reason = f": {cell.reason}" if cell.reason else ""
    return f"{cell.status} in the {side}{reason}"

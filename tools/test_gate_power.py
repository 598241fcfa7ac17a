"""How often the gate is right: a detector slowed by a known share, and one that is not slowed at all.

    pytest tools/test_gate_power.py --gate-runs 20

A run of the gate is the real one: three fresh children a round, turn by turn, five rounds, judged by the default limit
of 5 %. Slowed by 5 %, which is the limit itself, no verdict but inconclusive can be expected to be usual.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from facebench.benchmarks.compare.gate import gate
from facebench.benchmarks.compare.interleaved import ROUNDS, compare_sides
from facebench.benchmarks.measure.interleave import Side
from facebench.datasets import load
from facebench.detectors.models import store as model_store

if TYPE_CHECKING:
    from facebench.benchmarks.timing.latency_verdict import Verdict

SLOWED = "facebench.tools.slowed:Slowed"
IMAGES = 18


def judge(percent: float) -> Verdict:
    """Return what the gate says of the latency of a detector slowed by so much."""
    dataset = load(f"scenes?count={IMAGES}")
    base, head = Side(f"{SLOWED}:percent=0"), Side(f"{SLOWED}:percent={percent:g}")
    comparison = compare_sides(base, head, dataset)
    assert comparison.cells[0].detections is not None and comparison.cells[0].detections.identical
    return next(one.verdict for one in gate(comparison).judgements if one.criterion == "latency")


@pytest.mark.benchmark(group="power of the gate")
@pytest.mark.parametrize("percent", [0, 5, 10, 20])
def test_power(percent: int, benchmark: Any, say: list[str], pytestconfig: pytest.Config) -> None:
    runs = pytestconfig.getoption("--gate-runs")
    if not runs:
        pytest.skip("takes 21 s a run: ask for it with --gate-runs 20")
    model_store.fetch("yunet")
    verdicts: list[Verdict] = []
    benchmark.pedantic(lambda: verdicts.append(judge(percent)), rounds=runs)
    counts = Counter(verdict.outcome for verdict in verdicts)
    told = ", ".join(f"{outcome} {counts[outcome]}" for outcome in ("pass", "fail", "inconclusive"))
    say.append(f"slowed by {percent} %: {told} of {len(verdicts)} gate runs ({ROUNDS} rounds, {IMAGES} images)")
    say += [f"    {verdict.outcome}: {verdict.reason}" for verdict in verdicts]
    reasons = [verdict.reason for verdict in verdicts]
    benchmark.extra_info |= {"percent": percent, "reasons": reasons} | counts
    # what no amount of noise may turn around
    if percent == 0:
        assert counts["fail"] == 0, "the gate failed a detector that did not change"
    if percent == 20:
        assert counts["pass"] == 0, "the gate passed a detector that lost 20 %"

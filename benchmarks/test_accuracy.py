"""How well detectors find faces: `pytest benchmarks --benchmark-save=NAME`, later `--benchmark-compare`.

What pytest-benchmark times here is the scoring of a detector's stored detections; the accuracy stands in `extra_info`.
Against a saved run a detector fails when its exact AP is lower by more than `--max-ap-loss` beyond doubt: on the same
resamples of the images, the whole 95 % interval of the difference lies below. What cannot be compared is said and fails
nothing, as pytest-benchmark does with times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from facebench.benchmarks.compare.gate import accuracy_verdict, differences_in_words
from facebench.benchmarks.scoring import score

if TYPE_CHECKING:
    from facebench.benchmarks.analysis.table import Row, Summary
    from facebench.benchmarks.compare.runs import Comparison


def test_accuracy(
    benchmark: Any,
    summary: Summary,
    row: Row,
    run_id: str,
    baselines: dict[str, Comparison | str],
    say: list[str],
    pytestconfig: pytest.Config,
) -> None:
    run, label = summary.run, row.cell.label
    truth, found = summary.reader.truth, summary.reader.matched(row.cell)
    lists = run.document.dataset.lists
    benchmark.group = label
    scores = benchmark.pedantic(
        score,
        args=(truth.faces, found.boxes, found.scores),
        kwargs={
            "score_threshold": row.cell.operating_threshold,
            "ignore": ~truth.masks["overall"],
            "lists": {name: truth.masks[name] for name in lists},
        },
        rounds=3,
    )
    fresh = {name: scores.overall if name == "overall" else scores.lists[name] for name in truth.masks}
    assert {name: (row.exact_ap(name), row.official_ap(name)) for name in fresh} == {
        name: pytest.approx((one.exact_ap, one.official_ap), abs=1e-12, nan_ok=True) for name, one in fresh.items()
    }, "the run's table and a fresh scoring of its detections differ"
    ends = row.intervals.exact[summary.primary]
    benchmark.extra_info |= {
        "run": run_id,
        "cell": row.cell.key,
        "protocol": row.cell.protocol.to_json(),
        "dataset": summary.scope,
        **{f"exact_ap_{name}": row.exact_ap(name) for name in summary.lists},
        **{f"official_ap_{name}": row.official_ap(name) for name in summary.lists},
        f"exact_ap_{summary.primary}_interval": [ends.low, ends.high],
        "precision": scores.overall.at_threshold.precision,
        "recall": scores.overall.at_threshold.recall,
        "mean_iou": scores.overall.at_threshold.mean_iou,
    }
    lost = []
    for name, change in baselines.items():
        if isinstance(change, str):
            say.append(f"accuracy is not compared with {name}: {change}")
            continue
        pair = next((pair for pair in change.cells if pair.head.key == row.cell.key), None)
        if pair is None or pair.detections is None:
            say.append(f"{label}: not measured in {name}, so its accuracy is not compared")
            continue
        if pair.indicative:
            say.append(
                f"{name} was measured elsewhere ({differences_in_words(pair)}): its times are indicative only, and a "
                "small difference in accuracy may come from there"
            )
        deciding = pair.accuracy_on(change.primary)
        limit = pytestconfig.getoption("--max-ap-loss")
        same, certain = pair.detections.identical, not pair.changed
        verdict = accuracy_verdict(deciding, limit, identical=same, certain=certain)
        told = f"{label} against {name}: {verdict.outcome}: {verdict.reason}"
        benchmark.extra_info.setdefault("against_saved", {})[name] = [verdict.outcome, verdict.reason]
        say.append(told)
        lost += [told] if verdict.outcome == "fail" else []
    assert not lost, "; ".join(lost)

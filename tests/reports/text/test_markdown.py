"""The summary for a CI page: the verdict first, every number with its interval, what to do where it is open."""

from __future__ import annotations

import json

import pytest
from facebench.benchmarks.compare.gate import Criterion, GateResult, Judgement, gate
from facebench.benchmarks.compare.limits import DetectorLimits, GateLimits
from facebench.benchmarks.compare.runs import Comparison, compare_runs
from facebench.benchmarks.timing.latency_verdict import Need, Verdict
from facebench.reports.text.comparison import headline, rows, titles, what_to_do
from facebench.reports.text.json import comparison_json
from facebench.reports.text.markdown import comparison_markdown
from facebench.tests.support import two_runs
from facebench.tests.support.two_runs import found, runs, times, two


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> tuple[Comparison, GateResult]:
    """A detector unchanged, one slower, one with a loss within noise, one missing, one broken, one new."""
    folder = tmp_path_factory.mktemp("mixed")
    base, head = two_runs.start_run(folder / "base"), two_runs.start_run(folder / "the-head")
    for spec in ("same", "slower", "lossy", "missing", "broken|<b>"):
        two_runs.add(base, spec)
    two_runs.add(head, "same")
    two_runs.add(head, "slower", ms=times(factor=1.5, seed=5), parameters={"size": 900})
    two_runs.add(head, "lossy", found([4]))
    runs.add_cell(head, "broken|<b>", status="failed", reason="no <script>memory</script> | left")
    two_runs.add(head, "new")
    comparison = compare_runs(base, head)
    return comparison, gate(comparison, identical_is_enough=True)


def table_of(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in lines]


def test_the_first_line_is_the_verdict_and_names_what_fails(mixed):
    first = comparison_markdown(*mixed).splitlines()[0]
    assert first == (
        "**Fail: beyond the limits in slower (latency), broken\\|&lt;b> (completed), missing (completed). "
        "Inconclusive: lossy (accuracy).**"
    )


def test_the_table_has_a_row_for_every_cell_of_either_run(mixed):
    head, rule, *body = table_of(comparison_markdown(*mixed))
    assert head == ["detector", "verdict", "AP hard", "detections", "time (head / base)", "memory, start"]
    assert {len(row) for row in (rule, *body)} == {6}
    assert [(row[0], row[1]) for row in body] == [
        ("same", "pass"), ("slower", "FAIL<br>latency"), ("lossy", "inconclusive<br>accuracy"),
        ("broken¦&lt;b>", "FAIL<br>completed"), ("missing", "FAIL<br>completed"), ("new", "not judged"),
    ]  # fmt: skip
    same, slower, lossy, broken, missing, _ = body
    assert same[2:4] == ["1.000<br>no difference", "identical"]
    ratio = mixed[0].cells[1].latency.median.ratio
    assert slower[4].startswith(f"p50 ×{ratio.value:.3f} ({ratio.low:.2f} to {ratio.high:.2f})<br>total ×1.")
    assert lossy[2].startswith("1.000 → .988<br>−.01") and lossy[2].endswith(")")
    assert lossy[3] == "differ on 1 of 40<br>−1 +0 boxes"
    assert broken[3] == "base: done<br>head: failed" and missing[3] == "in the base only"


def test_what_fails_is_told_outside_the_folded_details_and_what_to_do_follows(mixed):
    text = comparison_markdown(*mixed)
    open_part = text.partition("<details>")[0]
    for words in (
        "- FAIL slower, latency: p50 1.", "limit 1.05", "- FAIL missing, completed: done in the base, not in the head",
        "- inconclusive lossy, accuracy: AP (hard) 1.0000 → 0.9875", "images with a face would decide it",
        "What to do:", "more annotated images", "`--inconclusive-ok`", "new: in the head only (done); not judged",
        "no &lt;script>memory&lt;/script> \\| left",
    ):  # fmt: skip
        assert words in open_part
    assert "<script>" not in text
    assert text.count("<details>") == text.count("</details>") == 4
    assert "changed: parameter size: 300 → 900" in text
    assert "made-up:val?sample=3&seed=1, 40 images." in text and "1,000 resamples of the images" in text


@pytest.mark.parametrize(
    ("base", "head", "words", "advice"),
    [
        ({}, {}, "Pass: 1 detector judged, nothing lost beyond the limits.", []),
        ({"ms": times(1)}, {"ms": times(1, seed=3)}, "nor rule out a loss in haar (latency)", ["in turn"]),
        ({}, {"boxes": found([4])}, "in haar (accuracy)", ["more annotated images"]),
        ({}, {"boxes": found(range(20))}, "Fail: beyond the limits in haar (accuracy).", []),
    ],
    ids=["pass", "one round", "a loss within noise", "fail"],
)  # fmt: skip
def test_headline_and_advice(tmp_path, base, head, words, advice):
    result = gate(compare_runs(*two(tmp_path, base=base, head=head)))
    assert words in headline(result)
    given = what_to_do(result)
    assert bool(given) == bool(advice) and all(word in " ".join(given) for word in advice)


OPEN: dict[tuple[Criterion, Need], str] = {
    ("latency", "one machine"): "measure base and head in one job on one machine",
    ("latency", "measurement"): "Latency: measure both sides with `facebench run`",
    ("latency", "turns"): "measure base and head in turn, a round of each at a time",
    ("latency", "rounds"): "measure with more rounds",
    ("latency", "images"): "Latency: measure on more images",
    ("latency", "person"): "Latency at the limit, which more rounds would not decide",
    ("accuracy", "images"): "more annotated images",
    ("accuracy", "person"): "Accuracy at the limit, which more images would hardly decide",
    ("memory", "measurement"): "Memory: measure both sides with `facebench run`",
}


@pytest.mark.parametrize("several", [1, 2, len(OPEN)])
def test_the_advice_is_what_the_findings_need_and_nothing_else(mixed, several):
    """A finding that more rounds would not decide it must not stand beside the advice to measure more of them."""
    cases = list(OPEN)
    for place in range(len(cases)):
        here = [cases[(place + more) % len(cases)] for more in range(several)]
        judged = [Judgement("d", criterion, Verdict("inconclusive", "open", needs)) for criterion, needs in here]
        *advice, last = what_to_do(GateResult(mixed[0], GateLimits(), tuple(judged)))
        assert len(advice) == several and "`--inconclusive-ok`" in last
        assert {case for case, words in OPEN.items() if any(words in line for line in advice)} == set(here)


ONE_SIDE = {"predictions": {"remarks": []}, "rounds": 0}
BASE_FIRST = ({"rounds_started": [0, 1, 2, 3]}, {"rounds_started": [4, 5, 6, 7], "ms": times(factor=1.3, seed=5)})


@pytest.mark.parametrize(
    ("base", "head", "limits", "case"),
    [
        ({}, ONE_SIDE, DetectorLimits(), ("latency", "measurement")),
        (*BASE_FIRST, DetectorLimits(), ("latency", "turns")),
        ({}, {"ms": times(factor=1.045, seed=5)}, DetectorLimits(), ("latency", "rounds")),
        ({}, {"ms": times(factor=1.0575, seed=5)}, DetectorLimits(), ("latency", "person")),
        ({}, {"boxes": found([4])}, DetectorLimits(), ("accuracy", "images")),
        ({}, {"peak_rss_mb": None}, DetectorLimits(max_memory_growth=0.1), ("memory", "measurement")),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else "",
)
def test_every_finding_has_its_advice(tmp_path, base, head, limits, case):
    result = gate(compare_runs(*two(tmp_path, base=base, head=head)), GateLimits(limits))
    open_ones = [(one.criterion, one.verdict.needs) for one in result.judgements if one.verdict.outcome != "pass"]
    assert open_ones == [case]
    assert OPEN[case] in what_to_do(result)[0] and len(what_to_do(result)) == 2


def test_a_headline_stays_a_line_however_much_fails(mixed):
    failed = [Judgement(f"d{number}", "completed", Verdict("fail", "gone")) for number in range(9)]
    result = GateResult(mixed[0], GateLimits(), tuple(failed))
    assert headline(result).endswith("d4 (completed), d5 (completed) and 3 more.")


def test_indicative_latencies_are_marked_and_the_machines_named(tmp_path):
    comparison = compare_runs(*two(tmp_path, environment={"machine": "Other, 8 cores"}))
    result = gate(comparison, indicative=True)
    text = comparison_markdown(comparison, result)
    assert "indicative only" in text and "machine: Abacus &lt;2 cores> and Other, 8 cores" in text
    assert "measure base and head in one job on one machine" in text


def test_without_limits_the_first_line_says_what_differs(mixed):
    text = comparison_markdown(mixed[0])
    assert text.startswith("**3 detectors compared, 2 with identical detections; 2 detectors on one side only.**")
    assert "verdict" not in titles(mixed[0]) and "What to do" not in text and "FAIL" not in text


def test_rows_without_a_change_are_not_notable(mixed):
    assert [row.label for row in rows(*mixed) if not row.notable] == ["same"]


def test_json_is_strict_and_complete(mixed):
    document = json.loads(json.dumps(comparison_json(*mixed), allow_nan=False))
    assert (document["schema"], document["schema_version"], document["outcome"]) == ("facebench.comparison", 2, "fail")
    assert [cell["label"] for cell in document["cells"]] == ["same", "slower", "lossy", "broken|<b>"]
    lossy = document["cells"][2]
    difference = next(one["difference"] for one in lossy["accuracy"] if one["list_name"] == "hard")
    assert difference["value"] == pytest.approx(-0.0125)
    assert difference["low"] < difference["value"] < 0 < difference["high"], "one image of 40"
    assert lossy["detections"]["differing"] == 1 and lossy["latency"]["median"]["ratio"]["draws"] > 0
    assert document["cells"][3]["memory_mb"] == [100.0, 100.0] and document["cells"][3]["latency"] is None
    assert len(document["judgements"]) == len(mixed[1].judgements)
    assert comparison_json(mixed[0])["outcome"] is None

"""The declared rule, applied to runs made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from facebench.benchmarks.analysis.intervals import RowIntervals
from facebench.benchmarks.analysis.table import Row, Summary
from facebench.benchmarks.choose import pick as ranking
from facebench.benchmarks.choose.pick import pick
from facebench.benchmarks.choose.rule import PRESETS, Candidates, Rule
from facebench.benchmarks.resampling.bootstrap import CONFIDENCE, Interval, Resampled
from facebench.benchmarks.resampling.ranking import reach
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.store.truth import RunReader
from facebench.benchmarks.timing.latency import summarise
from facebench.errors import InconclusiveError, UsageError
from facebench.tests.support.records import document, stored


def row(
    name: str,
    ap: float,
    p50: float,
    *,
    p90: float | None = None,
    device: str = "cpu",
    failed: int = 0,
    memory: float | None = 100,
    licence: str = "MIT",
    weights: str = "MIT",
    trained: str = "WIDER FACE",
    noise: tuple[float, float] | None = None,
    **changes: object,
) -> Row:
    estimate = {"overall": Interval(ap, ap, ap, CONFIDENCE, 9)}
    usual: dict[str, object] = {
        "key": name,
        "device": device,
        "failed_images": {str(index): "" for index in range(failed)},
        "info": {"trained_on": [trained], "licence": licence, "weights_licence": weights},
        "peak_rss_mb": memory,
    }
    cell = stored(name, **usual | changes)
    latency = replace(summarise([p50]), p90_ms=p90 or p50)
    timing = noise and SimpleNamespace(noise=noise, warnings=["had 49 % of its core"])
    return Row(cell, latency, RowIntervals(exact=estimate, official=estimate), timing=timing)


def running(name: str, **changes: object) -> Row:
    """A cell whose measurement was interrupted."""
    return Row(replace(row(name, 0.5, 5, **changes).cell, status="running"))


def not_done(name: str) -> Row:
    return Row(stored(name, status="failed", reason="aborted", start=None))


def summary(tmp_path, *rows: Row, demo: bool = False) -> Summary:
    run = RunFolder(tmp_path, document(dataset={"demo": demo}))
    return Summary(RunReader(run), rows, ("overall",), "overall", 3, 0)


@pytest.fixture(autouse=True)
def candidates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let rows have the numbers they were made with; under draws, AP scatters alike for all, by what the list holds."""
    spread = [0.0]

    def load(summary: Summary, rows: list[Row], metric: str) -> tuple[Candidates, Candidates]:
        rng = np.random.default_rng(0)
        ap = np.array([[one.exact_ap("overall") for one in rows]])
        noise = rng.normal(0, spread[0], (200, len(rows)))
        ap = np.concatenate([ap, ap + noise])
        p50, p90 = (
            np.repeat([[getattr(one.latency, name) for one in rows]], len(ap), axis=0) for name in ("p50_ms", "p90_ms")
        )
        images = np.tile([1.0, -1.0], 500)
        resampled = [Resampled(of[0], of[1:], images * place) for place, of in enumerate(ap.T)]
        found = Candidates(ap, p50, p90, reach(resampled))
        return found, found

    monkeypatch.setattr(ranking, "load_candidates", load)
    choice = SimpleNamespace(reached=True, score_threshold=0.25, statement="precision of at least 0.95: threshold 0.25")
    monkeypatch.setattr(ranking, "threshold_for", lambda *_: choice)
    monkeypatch.setattr(ranking, "aimed_at", lambda *of: of[-1].statement)
    return spread


WITHIN = Rule(tie=0.01)


@pytest.mark.parametrize(
    ("rows", "rule", "winner"),
    [
        ([row("a", 0.9, 50), row("b", 0.8, 5)], WITHIN, "a"),
        ([row("a", 0.9, 50), row("b", 0.895, 5)], WITHIN, "b"),
        ([row("a", 0.9, 50), row("b", 0.89, 5)], WITHIN, "b"),
        ([row("a", 0.9, 50), row("b", 0.895, 5)], Rule(tie=0), "a"),
        ([row("a", 0.9, 50), row("b", 0.895, 5), row("c", 0.885, 1)], WITHIN, "b"),
        ([row("a", 0.9, 50, p90=90), row("b", 0.7, 5)], Rule(max_p90_ms=60), "b"),
        ([row("a", 0.9, 50), row("b", 0.9, 50)], WITHIN, "a"),
        ([row("a", 0.9, 5, device="cuda"), row("b", 0.7, 50)], Rule(), "b"),
        ([row("a", 0.9, 5, device="cuda"), row("b", 0.7, 50)], Rule(device="cuda"), "a"),
        ([row("a", 0.9, 5, failed=1), row("b", 0.7, 50)], Rule(), "b"),
        ([row("a", 0.9, 5, memory=300), row("b", 0.7, 50)], Rule(max_memory_mb=256), "b"),
        ([row("a", 0.9, 5, memory=256), row("b", 0.7, 50)], Rule(max_memory_mb=256), "a"),
        ([row("a", 0.9, 5, memory=None), row("b", 0.7, 50)], Rule(max_memory_mb=256), "b"),
        ([row("a", 0.9, 5, licence="GPL-3.0"), row("b", 0.7, 50)], Rule(licences=("mit", "Apache-2.0")), "b"),
        ([row("a", 0.9, 5, weights="CC0-1.0"), row("b", 0.7, 50)], Rule(licences=("MIT",)), "b"),
        ([row("a", 0.9, 5, licence="MIT-0"), row("b", 0.7, 50)], Rule(licences=("MIT",)), "b"),
        ([row("a", 0.9, 5, weights="unknown"), row("b", 0.7, 50)], Rule(licences=("MIT",)), "b"),
        ([row("a", 0.9, 5, weights="unknown"), row("b", 0.7, 50)], Rule(licences=("MIT", "unknown")), "a"),
        ([row("a", 0.9, 5, licence="Apache-2.0"), row("b", 0.7, 50)], Rule(licences=("MIT", "apache-2.0")), "a"),
        ([row("a", 0.9, 5, weights="MIT AND CC0-1.0"), row("b", 0.7, 50)], Rule(licences=("MIT",)), "b"),
        ([row("a", 0.9, 5, weights="MIT AND CC0-1.0"), row("b", 0.7, 50)], Rule(licences=("MIT", "CC0-1.0")), "a"),
        ([row("a", 0.9, 5), row("b", 0.7, 50, trained="LFW")], Rule(not_trained_on=("wider",)), "b"),
        ([row("a", 0.9, 5, trained="unknown"), row("b", 0.7, 50, trained="LFW")], Rule(not_trained_on=("wider",)), "b"),
        (
            [row("a", 0.9, 5, trained="unpublished"), row("b", 0.7, 50, trained="LFW")],
            Rule(not_trained_on=("wider",)),
            "b",
        ),
        (
            [row("a", 0.9, 5, trained="unknown"), row("b", 0.7, 50, trained="LFW")],
            Rule(not_trained_on=("wider",), unknown_training=True),
            "a",
        ),
        ([not_done("a"), row("b", 0.7, 50)], Rule(), "b"),
        ([row("a", math.nan, 5), row("b", 0.7, 50)], Rule(), "b"),
    ],
)
def test_the_rule(tmp_path, rows, rule, winner):
    choice = pick(summary(tmp_path, *rows), rule)
    assert choice["setting"]["spec"] == winner
    assert choice["reasons"] and choice["rule"]["text"]
    assert set(choice["left_out"]) == {item.cell.label for item in rows} - {
        one["detector"] for one in (choice["winner"], choice["runner_up"]) if one
    } - {"c"}


@pytest.mark.parametrize(
    ("short", "spread", "rule", "winner"),
    [
        (0.02, 0.02, Rule(), "b"),  # the difference scatters by 0.028
        (0.02, 0.005, Rule(), "a"),
        (0.02, 0.02, Rule(tie=0.01), "a"),
        (0.06, 0.2, Rule(), "a"),  # nothing can be told, but that much is not given up
        (0.06, 0.2, Rule(most_given_up=0.1), "b"),
        (0.0, 0.0, Rule(), "b"),
    ],
)
def test_who_cannot_be_told_from_the_best_is_tied(tmp_path, candidates, short, spread, rule, winner):
    candidates[0] = spread
    assert pick(summary(tmp_path, row("a", 0.9, 50), row("b", 0.9 - short, 5)), rule)["setting"]["spec"] == winner


def test_stability_is_the_share_of_draws_that_choose_the_same(tmp_path, candidates):
    shown = summary(tmp_path, row("a", 0.9, 50), row("b", 0.88, 5))
    assert pick(shown, Rule(tie=0.01))["stability"]["same_on_resamples"] == 1
    candidates[0] = 0.05
    stability = pick(shown, Rule(tie=0))["stability"]
    # a wins where noise of deviation 0.05 * sqrt(2) stays above -0.02: 61 %
    assert stability["same_on_resamples"] == pytest.approx(0.61, abs=0.08)
    assert stability["same_on_halves"] == stability["same_on_resamples"], "the same draws here, and a fixed tie"


@pytest.mark.parametrize(
    ("precision", "reached", "threshold"), [(0.95, True, 0.25), (0.95, False, 0.5), (None, True, 0.5)]
)
def test_the_threshold_is_chosen_for_a_precision(tmp_path, monkeypatch, precision, reached, threshold):
    target = SimpleNamespace(reached=reached, score_threshold=0.25 if reached else math.nan, statement="as it is")
    monkeypatch.setattr(ranking, "threshold_for", lambda *_: target)
    choice = pick(summary(tmp_path, row("a", 0.9, 50)), Rule(precision=precision))
    assert (choice["setting"]["threshold"], choice["own_threshold"]) == (threshold, 0.5)
    assert ("as it is" in choice["reasons"]) is (precision is not None)


def test_the_pareto_set_holds_whom_no_other_beats(tmp_path):
    rows = [row("a", 0.9, 50), row("b", 0.5, 5), row("c", 0.8, 60), row("d", 0.4, 7)]
    choice = pick(summary(tmp_path, *rows), WITHIN)
    assert [one["detector"] for one in choice["pareto"]] == ["b", "a"]


def test_presets_are_rules(tmp_path):
    rows = [row("best", 0.9, 500, memory=900), row("quick", 0.6, 5, memory=600), row("tiny", 0.5, 50, memory=90)]
    chosen = {name: pick(summary(tmp_path, *rows), rule)["setting"]["spec"] for name, rule in PRESETS.items()}
    assert chosen == {"realtime-cpu": "quick", "far-faces": "best", "accuracy": "best", "tiny-memory": "tiny"}


def test_the_runner_up_is_the_next_by_the_same_rule(tmp_path):
    choice = pick(summary(tmp_path, row("a", 0.9, 50), row("b", 0.895, 5), row("c", 0.5, 1)), WITHIN)
    assert (choice["setting"]["spec"], choice["runner_up"]["detector"]) == ("b", "a")


def test_a_demonstration_is_no_default_unless_said(tmp_path):
    shown = summary(tmp_path, row("a", 0.9, 50), demo=True)
    with pytest.raises(UsageError, match=r"its winner is not a default.*--demo"):
        pick(shown, Rule())
    assert pick(shown, Rule(), demo=True)["demo"] is True


@pytest.mark.parametrize(
    ("rows", "rule", "words"),
    [
        ([], Rule(), "no finished cell"),
        ([not_done("a")], Rule(), "a: failed: aborted"),
        ([row("a", 0.9, 50)], Rule(max_p90_ms=10), r"a: p90 50.0 ms is over 10 ms"),
        ([row("a", 0.9, 50)], Rule(metric="ap_overal"), "Did you mean ap_overall"),
    ],
)
def test_nothing_to_pick_says_why(tmp_path, rows, rule, words):
    with pytest.raises(UsageError, match=words):
        pick(summary(tmp_path, *rows), rule)


def test_cells_of_one_name_are_told_apart(tmp_path):
    """A run folder holds a detector twice when its code changed in between: one of them may fail."""
    shown = summary(tmp_path, row("a", 0.9, 50, failed=1), row("a", 0.8, 50))
    assert pick(shown, Rule())["winner"]["exact_ap_overall"] == 0.8
    with pytest.raises(UsageError, match="no detector fits"):
        pick(summary(tmp_path, row("a", 0.9, 50, failed=1), row("a", 0.8, 50, failed=1)), Rule())


@pytest.mark.parametrize(
    ("changed", "rule", "why"),
    [
        ({"weights": "CC0-1.0"}, Rule(licences=("MIT",)), "the licence of its weights is CC0-1.0; allowed: MIT"),
        ({"licence": "unknown"}, Rule(licences=("MIT",)), "the licence of its code is unknown; allowed: MIT"),
        ({"trained": "unknown"}, Rule(not_trained_on=("WIDER",)), "its training data are unknown"),
        ({"trained": "WIDER FACE"}, Rule(not_trained_on=("WIDER",), unknown_training=True), "trained on WIDER FACE"),
    ],
)
def test_who_is_left_out_is_told_why(tmp_path, changed, rule, why):
    choice = pick(summary(tmp_path, row("a", 0.9, 5, **changed), row("b", 0.7, 50, trained="LFW")), rule)
    assert choice["left_out"] == {"a": why}
    assert (
        f"the best of the 1 that meet the limits; the best of all is a with 0.900, left out: {why}"
        in (choice["reasons"][0])
    )


def test_unknown_training_is_not_called_none(tmp_path):
    rule = Rule(not_trained_on=("WIDER",), unknown_training=True)
    choice = pick(summary(tmp_path, row("a", 0.9, 5, trained="unknown")), rule)
    assert choice["rule"]["text"].endswith("no known training on WIDER")
    assert "its training data are unknown: images of this kind may be among them" in choice["reasons"]


def test_licences_of_code_and_weights_are_said_where_they_mattered(tmp_path):
    shown = summary(tmp_path, row("a", 0.9, 5, licence="Apache-2.0"))
    said = "licence of its code Apache-2.0, of its weights MIT"
    assert said in pick(shown, Rule(licences=("Apache-2.0", "MIT")))["reasons"]
    assert said not in pick(shown, Rule())["reasons"]


def test_the_best_of_all_is_named_only_where_it_was_left_out(tmp_path):
    rows = [row("a", 0.9, 50), row("b", 0.8, 5), not_done("c")]
    assert pick(summary(tmp_path, *rows), WITHIN)["reasons"][0] == (
        "exact ap_overall 0.900, the best of the 2 that could be chosen"
    )
    assert pick(summary(tmp_path, *rows[:2]), WITHIN)["reasons"][0] == "exact ap_overall 0.900, the best"


def test_noise_that_leaves_the_choice_open_is_refused(tmp_path):
    """b would take 6 ms on a core of its own: it may be the faster one."""
    shown = summary(tmp_path, row("a", 0.9, 10), row("b", 0.895, 12, noise=(0.5, 1.0)))
    words = (
        r"do not decide between a \(p50 10.0 ms, p90 10.0 ms\) and b \(p50 12.0 ms, p90 12.0 ms, noisy: had 49 % "
        r"of its core\).*again.*quiet.*--accept-noise"
    )
    with pytest.raises(InconclusiveError, match=words):
        pick(shown, WITHIN)
    choice = pick(shown, WITHIN, accept_noise=True)
    assert (choice["setting"]["spec"], choice["undecided"]) == ("a", ["b"])
    assert "not decided: by noisy latencies it could be b (p50 12.0 ms" in choice["reasons"][-1]


def test_noise_that_does_not_matter_is_said_and_not_refused(tmp_path):
    shown = summary(tmp_path, row("a", 0.9, 10, noise=(0.9, 1.0)), row("b", 0.895, 12))
    choice = pick(shown, WITHIN)
    assert choice["undecided"] == []
    assert "p50 10.0 ms, noisy: had 49 % of its core, the lowest of all" in choice["reasons"][1]


def test_an_unfinished_run_decides_nothing_while_others_could_be_chosen(tmp_path):
    shown = summary(tmp_path, row("a", 0.9, 10), running("b"))
    with pytest.raises(InconclusiveError, match=r"is unfinished: b could be chosen.*goes on.*--accept-unfinished"):
        pick(shown, Rule())
    choice = pick(shown, Rule(), accept_unfinished=True)
    assert choice["unfinished"] == ["b"]
    assert choice["left_out"] == {"b": "unfinished: it has no result yet"}
    assert "the run is unfinished: b had no result yet and could be chosen with one" in choice["reasons"]


@pytest.mark.parametrize(
    ("changes", "rule", "why"),
    [
        ({"device": "cuda"}, Rule(), "measured on cuda"),
        ({"weights": "unknown"}, Rule(licences=("MIT",)), "the licence of its weights is unknown; allowed: MIT"),
        ({"trained": "WIDER FACE"}, Rule(not_trained_on=("WIDER",)), "trained on WIDER FACE"),
    ],
)
def test_an_unfinished_cell_that_could_never_be_chosen_holds_nothing_up(tmp_path, changes, rule, why):
    choice = pick(summary(tmp_path, row("a", 0.9, 10, trained="LFW"), running("b", **changes)), rule)
    assert (list(choice["left_out"].values()), choice["unfinished"]) == ([why], [])


def test_a_choice_that_flips_is_called_unstable_and_names_the_others(tmp_path, candidates):
    candidates[0] = 0.05
    shown = summary(tmp_path, row("a", 0.9, 50), row("b", 0.88, 5))
    choice = pick(shown, Rule(tie=0))
    stability = choice["stability"]
    assert stability["others_on_resamples"] == {"b": pytest.approx(1 - stability["same_on_resamples"])}
    (said,) = [reason for reason in choice["reasons"] if "random halves" in reason]
    share = f"{1 - stability['same_on_halves']:.0%}"
    assert said.startswith("unstable: ") and said.endswith(f"of random halves of the images, b in {share}")
    candidates[0] = 0.0
    (said,) = [reason for reason in pick(shown, Rule(tie=0))["reasons"] if "random halves" in reason]
    assert said == "the rule chooses it on 100% of random halves of the images"


@pytest.mark.parametrize(("timed_from", "said"), [(0.25, False), (0.5, True)])
def test_a_threshold_other_than_the_timed_one_is_said(tmp_path, timed_from, said):
    """The pick hands over a threshold of 0.25."""
    start = {"operating_threshold": 0.5, "score_floor": 0.02, "timed_from": timed_from}
    choice = pick(summary(tmp_path, row("a", 0.9, 10, start=start)), Rule())
    timed = f"p50 and p90 were timed at threshold {timed_from}"
    assert any(reason.startswith(timed) for reason in choice["reasons"]) is said


def test_fewer_rounds_are_said(tmp_path):
    rows = [row("a", 0.9, 10, rounds=3), row("b", 0.8, 5, rounds=1)]
    assert "timed in fewer rounds than others (3): b (1)" in pick(summary(tmp_path, *rows), WITHIN)["reasons"]
    assert not any("rounds" in reason for reason in pick(summary(tmp_path, rows[0]), WITHIN)["reasons"])


@pytest.mark.parametrize(("timed_at", "taken"), [(0.25, True), (0.3, False)])
def test_the_row_that_was_timed_as_it_is_handed_over_stands_for_its_detector(tmp_path, timed_at, taken):
    """The pick hands over a threshold of 0.25: a row timed there is the one to judge, fast or slow."""
    rows = [row("a", 0.9, 10), row("a", 0.9, 12, threshold=timed_at, key="a again")]
    choice = pick(summary(tmp_path, *rows), Rule())
    assert choice["winner"]["p50_ms"] == (12 if taken else 10)
    said = {"a": "a, from 0.25 is the same, timed at the threshold that is handed over"} if taken else {}
    assert (choice["setting"]["threshold"], choice["left_out"]) == (0.25, said)

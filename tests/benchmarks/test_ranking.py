"""The declared rule, applied to runs made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from facebench.benchmarks import ranking
from facebench.benchmarks.cell import cell_label
from facebench.benchmarks.latency import summarise
from facebench.benchmarks.pick_rule import PRESETS, Candidates, Rule
from facebench.benchmarks.ranking import pick
from facebench.benchmarks.results import RunFolder
from facebench.benchmarks.scoring import PictureBoxes, score
from facebench.benchmarks.summary import Row, Summary
from facebench.errors import UsageError


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
    trained: str = "WIDER FACE",
) -> Row:
    boxes = PictureBoxes.from_pictures([[[0, 0, 9, 9]]])
    scores = score(boxes, boxes, np.array([0.9]), score_threshold=0.5)
    overall = replace(scores.overall, exact_ap=ap, official_ap=ap)
    cell = {
        "spec": name,
        "status": "done",
        "protocol": {"size": "original", "score_floor": None},
        "device": device,
        "threads": 1,
        "key": name,
        "machine": "test",
        "failed_pictures": {str(index): "" for index in range(failed)},
        "start": {"operating_threshold": 0.5},
        "info": {"trained_on": [trained], "licence": licence},
        "peak_rss_mb": memory,
    }
    latency = replace(summarise([p50]), p90_ms=p90 or p50)
    return Row(cell, replace(scores, overall=overall), latency)


def not_done(name: str) -> Row:
    return Row(
        {
            "spec": name,
            "protocol": {"size": "original"},
            "device": "cpu",
            "threads": 1,
            "status": "failed",
            "reason": "aborted",
        },
        None,
        None,
    )


def summary(tmp_path, *rows: Row, demo: bool = False) -> Summary:
    dataset = {"name": "d", "coverage": "3 pictures", "demo": demo, "fingerprint": "f", "lists": []}
    run = RunFolder(tmp_path, {"dataset": dataset, "created": "now", "cells": []})
    return Summary(run, rows, ("overall",), "overall", 3, 0)


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
        found = Candidates(ap, p50, p90)
        return found, found

    monkeypatch.setattr(ranking, "load_candidates", load)
    choice = SimpleNamespace(reached=True, score_threshold=0.25, statement="precision of at least 0.95: threshold 0.25")
    monkeypatch.setattr(ranking, "threshold_for", lambda *_: choice)
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
        ([row("a", 0.9, 5, licence="GPL-3.0"), row("b", 0.7, 50)], Rule(licences=("mit", "Apache")), "b"),
        ([row("a", 0.9, 5), row("b", 0.7, 50, trained="unknown")], Rule(not_trained_on=("wider",)), "b"),
        ([not_done("a"), row("b", 0.7, 50)], Rule(), "b"),
        ([row("a", math.nan, 5), row("b", 0.7, 50)], Rule(), "b"),
    ],
)
def test_the_rule(tmp_path, rows, rule, winner):
    choice = pick(summary(tmp_path, *rows), rule)
    assert choice["detector"] == winner
    assert choice["reasons"] and choice["rule"]["text"]
    assert set(choice["left_out"]) == {cell_label(item.cell) for item in rows} - {
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
    assert pick(summary(tmp_path, row("a", 0.9, 50), row("b", 0.9 - short, 5)), rule)["detector"] == winner


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
    wish = SimpleNamespace(reached=reached, score_threshold=0.25 if reached else math.nan, statement="as it is")
    monkeypatch.setattr(ranking, "threshold_for", lambda *_: wish)
    choice = pick(summary(tmp_path, row("a", 0.9, 50)), Rule(precision=precision))
    assert (choice["threshold"], choice["own_threshold"]) == (threshold, 0.5)
    assert ("as it is" in choice["reasons"]) is (precision is not None)


def test_the_pareto_set_holds_whom_no_other_beats(tmp_path):
    rows = [row("a", 0.9, 50), row("b", 0.5, 5), row("c", 0.8, 60), row("d", 0.4, 7)]
    choice = pick(summary(tmp_path, *rows), WITHIN)
    assert [one["detector"] for one in choice["pareto"]] == ["b", "a"]


def test_presets_are_rules(tmp_path):
    rows = [row("best", 0.9, 500, memory=900), row("quick", 0.6, 5, memory=600), row("tiny", 0.5, 50, memory=90)]
    chosen = {name: pick(summary(tmp_path, *rows), rule)["detector"] for name, rule in PRESETS.items()}
    assert chosen == {"realtime-cpu": "quick", "far-faces": "best", "accuracy": "best", "tiny-memory": "tiny"}


def test_the_runner_up_is_the_next_by_the_same_rule(tmp_path):
    choice = pick(summary(tmp_path, row("a", 0.9, 50), row("b", 0.895, 5), row("c", 0.5, 1)), WITHIN)
    assert (choice["detector"], choice["runner_up"]["detector"]) == ("b", "a")


def test_a_demonstration_is_no_default_unless_said(tmp_path):
    shown = summary(tmp_path, row("a", 0.9, 50), demo=True)
    with pytest.raises(UsageError, match=r"its winner is no default.*--demo"):
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

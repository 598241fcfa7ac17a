"""The search: its rule, its two rounds, and its table."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from facebench.emotions.training.ship import NETWORK
from facebench.errors import DataError, UsageError
from facebench.tests.support.paths import ROOT
from facebench.tests.support.small_fer import stripes
from facebench.tools.emotions import search as module
from facebench.tools.emotions.search import NETWORK_ROUND, RECIPES, Trial, plan_of, read_table, search, winner

PAGE = (ROOT / "docs" / "emotions.md").read_text(encoding="utf-8")


def trial(network: str, recipe: str, accuracy: float) -> Trial:
    return Trial(network, recipe, 4, 1, accuracy, 1.5, 1000, 60.0)


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    """What the trials will give; asking for one takes it out, so that none can run twice."""
    table = {("a", "sgd"): 0.5, ("b", "sgd"): 0.6, ("c", "sgd"): 0.6, ("b", "adamw"): 0.55}
    monkeypatch.setattr(
        module, "_run", lambda network, recipe, *_: trial(network, recipe, table.pop((network, recipe)))
    )
    return table


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        pytest.param([0.5], 0, id="one"),
        pytest.param([0.5, 0.7, 0.6], 1, id="the highest"),
        pytest.param([0.5, 0.7, 0.7], 1, id="of equal ones the first"),
    ],
)
def test_the_rule(accuracies: list[float], expected: int) -> None:
    trials = [trial(str(index), "sgd", accuracy) for index, accuracy in enumerate(accuracies)]
    assert winner(trials) is trials[expected]


def test_no_trial_has_no_winner() -> None:
    with pytest.raises(DataError, match="no trial"):
        winner([])


def test_recipes_compete_on_the_network_that_won(tmp_path: Path, scores: dict[tuple[str, str], float]) -> None:
    table = tmp_path / "trials.jsonl"
    best = search(stripes(), stripes(9), table, networks="abc", recipes=("sgd", "adamw"))
    assert (best.network, best.recipe) == ("b", "sgd")
    assert [(t.network, t.recipe) for t in read_table(table)] == [
        ("a", "sgd"),
        ("b", "sgd"),
        ("c", "sgd"),
        ("b", "adamw"),
    ]
    assert not scores


def test_trials_in_the_table_are_not_run_again(tmp_path: Path, scores: dict[tuple[str, str], float]) -> None:
    table = tmp_path / "trials.jsonl"
    table.write_text(json.dumps(dataclasses.asdict(trial("b", "sgd", 0.9))) + "\n")
    best = search(stripes(), stripes(9), table, networks="abc", recipes=("sgd", "adamw"))
    assert best.public_accuracy == 0.9
    assert list(scores) == [("b", "sgd")]


@pytest.mark.parametrize(
    "line", ["", "{}", "[1]", "not json", '{"network": "a"}'], ids=["blank", "empty", "list", "text", "too few keys"]
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    table = tmp_path / "trials.jsonl"
    table.write_text(json.dumps(dataclasses.asdict(trial("a", "sgd", 0.5))) + f"\n{line}\n")
    with pytest.raises(DataError, match=r"trials\.jsonl:2"):
        read_table(table)


def test_no_table_is_an_empty_one(tmp_path: Path) -> None:
    assert read_table(tmp_path / "none.jsonl") == ()


def test_each_recipe_makes_a_plan_and_changes_something() -> None:
    plans = [plan_of("residual-4", recipe) for recipe in RECIPES]
    assert len({json.dumps(dataclasses.asdict(plan)) for plan in plans}) == len(RECIPES)
    with pytest.raises(UsageError, match="known: sgd"):
        plan_of("residual-4", "sdg")


def test_the_network_that_comes_with_facebench_won_a_whole_search_under_one_protocol() -> None:
    trials = read_table(module.TABLE)
    first = [t for t in trials if t.recipe == next(iter(RECIPES))]
    assert {t.network for t in first} == set(NETWORK_ROUND)
    assert len(trials) >= 3
    assert {(t.epochs, t.seed) for t in trials} == {(module.TRIAL_EPOCHS, module.TRIAL_SEED)}
    best = winner(first)
    assert {t.recipe for t in trials if t.network == best.network} == set(RECIPES)
    assert all(t.network == best.network for t in trials if t.recipe != first[0].recipe)
    assert best.network == NETWORK
    for t in trials:
        assert f"| {t.network} | {t.recipe} | {t.parameters:,} | {100 * t.public_accuracy:.1f} |" in PAGE


@pytest.mark.parametrize("log", ["training-adamw", "training-soft-labels", "training"])
def test_the_page_shows_what_the_logs_of_long_trainings_say(log: str) -> None:
    plan, *epochs = map(json.loads, (module.TABLE.parent / f"{log}.jsonl").read_text().splitlines())
    assert plan["network"] == NETWORK
    best = max(epochs, key=lambda epoch: epoch["public_accuracy"])
    soft = f"soft labels {plan['soft_labels']:g}" if "soft_labels" in plan else "taught"
    row = [
        f"{plan['optimiser']}, batch {plan['batch_size']}, mixup {plan['mixup']:g}, {soft}",
        f"{len(epochs)} of {plan['epochs']}",
        f"{100 * best['public_accuracy']:.1f}",
        str(best["epoch"]),
        f"{100 * epochs[-1]['public_accuracy']:.1f}",
    ]
    assert f"| {' | '.join(row)} |" in PAGE

"""What a pick can demand of a slice: read, judged on a run made by hand, and used by the pick."""

from __future__ import annotations

from pathlib import Path

import pytest
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.choose.pick import pick
from facebench.benchmarks.choose.requirement import Requirement, cell_like, judge
from facebench.benchmarks.choose.rule import Rule
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.store.truth import RunReader
from facebench.errors import UsageError
from facebench.tests.support import runs


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("recall[share>=.2] >= .95", "recall[share>=0.2] >= 0.95"),
        ("  recall [ share >= .2 ]>=.95 ", "recall[share>=0.2] >= 0.95"),
        ("precision[height<400]>0.5", "precision[height<400] > 0.5"),
        ("recall[height<=1e3] >= 1", "recall[height<=1000] >= 1"),
        ("recall[share>0] >= 0", "recall[share>0] >= 0"),
        ("precision >= .9", "precision >= 0.9"),
    ],
)
def test_what_is_read_is_what_is_written(text: str, read: str) -> None:
    assert str(Requirement.parse(text)) == read
    assert Requirement.parse(read) == Requirement.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot read the requirement ''"),
        ("recall", 'such as "recall\\[share>=.2\\] >= .95"'),
        ("recall[share>=.2]", "expected METRIC\\[ATTRIBUTE OP NUMBER\\] OP NUMBER"),
        ("recall share>=.2 >= .9", "cannot read"),
        ("recall[share>=.2 >= .9", "cannot read"),
        ("recal[share>=.2] >= .9", "unknown metric 'recal'. Did you mean recall"),
        ("recall[shares>=.2] >= .9", "unknown attribute 'shares'. Did you mean share"),
        ("recall[share] >= .9", r"got \[share\], expected an attribute, one of >=, <=, >, <, and a number"),
        ("recall[share==.2] >= .9", r"got \[share==.2\], expected an attribute"),
        ("recall[share>=20%] >= .9", "got '20%', expected a number"),
        ("recall[share>=20] >= .9", "got a share of 20, expected 0 to 1"),
        ("recall[height>=nan] >= .9", "got 'nan', expected a number"),
        ("recall[share>=.2] >= 95", "got a recall of 95, expected 0 to 1, such as .95 for 95 %"),
        ("recall[share>=.2] <= .95", "got recall <= .95, expected >= or >"),
        ("recall[share>=.2] >= high", "got 'high', expected a number"),
    ],
)
def test_what_cannot_be_read_is_told_how_to_write_it(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Requirement.parse(text)


@pytest.mark.parametrize(("text", "value", "met"), [("recall >= .5", 0.5, True), ("recall > .5", 0.5, False)])
def test_at_the_limit(text: str, value: float, met: bool) -> None:
    assert Requirement.parse(text).met_by(value) is met
    assert not Requirement.parse(text).met_by(float("nan"))


FACES = {
    # a face of a quarter of its image, one of a hundredth, and an ignored one of a quarter
    "a.jpg": [((0, 0, 100, 50), False), ((0, 80, 20, 90), False), ((100, 50, 200, 100), True)],
    # a box that ends outside: half of it covers a quarter
    "b.jpg": [((150, 0, 250, 100), False)],
}
HALF = {"a.jpg": [((0, 0, 100, 50), 0.9), ((0, 80, 20, 90), 0.4), ((120, 0, 150, 30), 0.6)]}
ALL = {name: [(box, 0.9) for box, _ in faces] for name, faces in FACES.items()}


def make_run(path: Path, **found: runs.Found) -> RunFolder:
    run = runs.make_run(path, faces=FACES, sizes=dict.fromkeys(FACES, (200, 100)))
    for place, (spec, boxes) in enumerate(found.items()):
        runs.add_cell(run, spec, boxes, 20 - 5 * place)
    return run


@pytest.mark.parametrize(
    ("text", "threshold", "value", "faces"),
    [
        ("recall >= 0", 0.5, 1 / 3, 3),
        ("recall >= 0", 0.4, 2 / 3, 3),  # a float32 score of 0.4 reaches a threshold of 0.4
        ("recall[share>=.2] >= 0", 0.5, 1 / 2, 2),
        ("recall[share<.2] >= 0", 0.5, 0, 1),
        ("recall[height>=100] >= 0", 0.5, 0, 1),
        ("precision[share>=.2] >= 0", 0.5, 1 / 2, 2),
        ("precision[share>=.2] >= 0", 0.7, 1, 2),
    ],
)
def test_a_slice_is_judged_at_a_threshold(
    tmp_path: Path, text: str, threshold: float, value: float, faces: int
) -> None:
    run = make_run(tmp_path, half=HALF)
    (judged,) = judge(RunReader(run), run.cells[0], threshold, [Requirement.parse(text)], Resampling())
    assert (judged.value.value, judged.faces) == (pytest.approx(value), faces)
    assert judged.to_json()["value"] == round(value, 4)


def test_a_judgement_as_json(tmp_path: Path) -> None:
    """Of one face in each of two images one is found: a resample includes 0, 1 or 2 of them."""
    run = make_run(tmp_path, half=HALF)
    (judged,) = judge(RunReader(run), run.cells[0], 0.5, [Requirement.parse("recall[share>=.2] >= .6")], Resampling())
    assert judged.to_json() == {
        "requirement": "recall[share>=0.2] >= 0.6",
        "value": 0.5,
        "interval": [0.0, 1.0],
        "dataset": "made-up:val?sample=3&seed=1",
        "faces": 2,
        "threshold": 0.5,
        "met": False,
    }


def test_an_empty_slice_judges_nobody(tmp_path: Path) -> None:
    run = make_run(tmp_path, half=HALF)
    with pytest.raises(UsageError, match=r"none of the 3 faces of .* is in recall\[height>=1000\].*--require-on"):
        judge(RunReader(run), run.cells[0], 0.5, [Requirement.parse("recall[height>=1000] >= 0")], Resampling())


CLOSE = Rule(requirements=(Requirement.parse("recall[share>=.2] >= .95"),), precision=None)


def test_the_fastest_that_meets_the_requirement_is_picked(tmp_path: Path) -> None:
    summary = summarise_run(make_run(tmp_path, all=ALL, half=HALF))
    assert pick(summary, Rule(tie=1, precision=None))["setting"]["spec"] == "half"
    choice = pick(summary, CLOSE)
    said = "recall[share>=0.2] is 0.5 (95 %: 0 to 1) on 2 faces of made-up:val?sample=3&seed=1 at threshold 0.5"
    assert choice["setting"]["spec"] == "all"
    assert choice["left_out"] == {"half": f"{said}, demanded is >= 0.95"}
    assert any(
        reason.startswith("recall[share>=0.2] is 1 (95 %: 0.158 to 1) on 2 faces") for reason in choice["reasons"]
    )
    assert choice["rule"]["requirements"] == ["recall[share>=0.2] >= 0.95"]
    assert choice["rule"]["text"].endswith("among those with recall[share>=0.2] >= 0.95")
    assert {name: [one["met"] for one in had] for name, had in choice["required"].items()} == {
        "all": [True],
        "half": [False],
    }
    with pytest.raises(UsageError, match=r"no detector fits the rule. half: recall\[share>=0.2\] is 0.5"):
        pick(summarise_run(make_run(tmp_path / "other", half=HALF)), CLOSE)


def test_it_is_judged_at_the_threshold_that_is_handed_over(tmp_path: Path) -> None:
    """At its own threshold of 0.5 it finds no face; at the one that a precision of 0.95 leads to, all."""
    low = {name: [(box, 0.3) for box, _ in faces] for name, faces in FACES.items()}
    summary = summarise_run(make_run(tmp_path, low=low))
    with pytest.raises(UsageError, match=r"is 0 \(95 %: 0 to 0.842\) on 2 faces"):
        pick(summary, CLOSE)
    choice = pick(summary, Rule(requirements=CLOSE.requirements, precision=0.95))
    assert choice["setting"]["threshold"] == choice["required"]["low"][0]["threshold"] == pytest.approx(0.3)


def test_it_is_judged_on_another_run_where_one_is_given(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", all=ALL, half=HALF)
    other = make_run(tmp_path / "other", half=ALL)
    choice = pick(summarise_run(run), CLOSE, required_on=other)
    assert choice["setting"]["spec"] == "half"
    assert choice["left_out"] == {"all": f"{other.path} has no cell of it with the same size, device and threads"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"threads": 2}, "no cell of it with the same size, device and threads"),
        ({"device": "cuda"}, "no cell of it with the same size, device and threads"),
        ({"protocol": {"size": "long=640", "score_floor": None}}, "no cell of it with the same size"),
        ({"status": "failed"}, "failed in "),
        (
            {"start": {"operating_threshold": 0.5, "score_floor": 0.4}},
            "keeps its boxes from a score of 0.4 on, not 0.3",
        ),
    ],
)
def test_the_cell_of_another_run_has_the_same_setting(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    cell = make_run(tmp_path / "run", all=ALL).cells[0]
    other = runs.make_run(tmp_path / "other")
    runs.add_cell(other, "all", runs.EXACT, **changes)
    found = cell_like(other, cell, 0.3)
    assert why in found if why else found is other.cells[0]

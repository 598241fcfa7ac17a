"""`facebench compare` and `facebench gate` as a person or a CI job meets them."""

from __future__ import annotations

import json
import os
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from facebench.tests.support import two_runs
from facebench.tests.support.paths import SUPPORT
from facebench.tests.support.two_runs import found, times, two

SLOWER, LOSS, WITHIN_NOISE = {"ms": times(factor=1.3, seed=5)}, {"boxes": found(range(20))}, {"boxes": found([4])}

LARGEST = np.isin(np.arange(40), times(1, seed=1)[0].argsort()[-12:])
A_THIRD_TWICE = {"ms": times(seed=5) * np.where(LARGEST, 2.0, 1.0)}


@pytest.mark.parametrize(
    ("head", "options", "code", "words"),
    [
        ({}, [], 0, "Pass: 1 detector judged"),
        (SLOWER, [], 1, "Fail: beyond the limits in haar (latency)"),
        (SLOWER, ["--max-slowdown", "0.5"], 0, "Pass"),
        (LOSS, [], 1, "haar (accuracy)"),
        (LOSS, ["--max-ap-loss", "0.9"], 0, "Pass"),
        (LOSS, ["--metric", "ap_easy"], 3, "AP easy"),
        (WITHIN_NOISE, [], 3, "Inconclusive: these measurements can neither show nor rule out a loss"),
        (WITHIN_NOISE, ["--inconclusive-ok"], 0, "Inconclusive"),
        (LOSS, ["--inconclusive-ok"], 1, "Fail"),
        (A_THIRD_TWICE, [], 1, "FAIL haar, latency: p50 1.0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_gate_says_it_in_words_and_in_its_exit_code(facebench, tmp_path, head, options, code, words):
    base, changed = two(tmp_path, head=head)
    got, out, err = facebench("gate", base.path, changed.path, *options)
    assert got == code, err
    assert words in out


@pytest.mark.parametrize("slower", [1.1, 1.3, 1.46])
def test_one_round_in_turn_does_not_make_up_for_rounds_at_once(facebench, tmp_path, slower):
    """Five rounds of base, then five of head on a machine that grew slower, then one of each: nothing changed."""
    machine = np.array([1.0] * 5 + [slower] * 7)[:, None]
    base, head = [0, 1, 2, 3, 4, 10], [5, 6, 7, 8, 9, 11]
    changed = two(
        tmp_path,
        base={"ms": times(6, seed=1) * machine[base], "rounds_started": base, "rounds": 6},
        head={"ms": times(6, seed=2) * machine[head], "rounds_started": head, "rounds": 6},
    )
    code, out, _ = facebench("gate", *(run.path for run in changed))
    told = " ".join(out.split())
    assert code == 3 and "measured one after the other" in told
    assert "(facebench run --rounds 7 and --rounds 7, then 8 and 8, …)" in told


def test_the_gate_writes_markdown_junit_and_json(facebench, tmp_path):
    base, head = two(tmp_path, head=LOSS)
    files = tmp_path / "out" / "gate.md", tmp_path / "out" / "gate.xml"
    code, out, err = facebench("gate", base.path, head.path, "--markdown", files[0], "--junit", files[1], "--json")
    assert code == 1, err
    document = json.loads(out)
    assert document["outcome"] == "fail"
    assert files[0].read_text(encoding="utf-8").startswith("**Fail: beyond the limits in haar (accuracy).")
    (suite,) = ET.parse(files[1]).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")


def test_limits_from_a_file(facebench, tmp_path):
    base, head = two(tmp_path, head=SLOWER)
    limits = tmp_path / "limits.toml"
    limits.write_text('[detector."haar"]\nmax_slowdown = 0.6')
    assert facebench("gate", base.path, head.path, "--limits", limits)[0] == 0
    limits.write_text("[default]\nmax_slowdwon = 0.6")
    code, _, err = facebench("gate", base.path, head.path, "--limits", limits)
    assert code == 2 and f"{limits}: [default]: unknown key 'max_slowdwon'. Did you mean max_slowdown?" in err


def test_compare_prints_every_difference_with_its_interval(facebench, tmp_path):
    base, head = two(tmp_path, head=SLOWER | LOSS | {"parameters": {"size": 900}})
    code, out, _ = facebench("compare", base.path, head.path)
    assert code == 0
    for words in (
        "1 detector compared, 0 with identical detections.", "AP hard", "differ on 20 of 40", "×1.2",
        "changed: parameter size: 300 → 900", "same-code noise", "boxes: 80 → 60; 20 lost, 0 gained, 0 moved",
        "threshold 0.5; precision 1.000 → 1.000", "95 % intervals: AP over 1,000 resamples of the images",
    ):  # fmt: skip
        assert words in " ".join(out.split())
    assert "1,000 resamples of the events" in facebench("compare", base.path, head.path, "--by-event")[1]
    assert facebench("compare", base.path, head.path, "--markdown")[1].startswith("**1 detector compared")
    assert json.loads(facebench("compare", base.path, head.path, "--json")[1])["outcome"] is None
    assert json.loads(facebench("compare", base.path, head.path, "--json", "--seed", "3")[1])["resampled"]["seed"] == 3


def test_pairs(facebench, tmp_path):
    base, head = two_runs.start_run(tmp_path / "a"), two_runs.start_run(tmp_path / "b")
    two_runs.add(base, "haar")
    for spec in ("haar", "haar:scale_factor=1.05"):
        two_runs.add(head, spec)
    pair = ("--pair", "haar=haar:scale_factor=1.05")
    labels = [
        [cell["label"] for cell in json.loads(facebench("compare", base.path, head.path, *more, "--json")[1])["cells"]]
        for more in ((), pair)
    ]
    assert labels == [["haar"], ["haar → haar:scale_factor=1.05"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "nowhere", "nowhere"], "holds no run"),
        (["gate", "BASE", "HEAD", "--pair", "haar"], "expected BASE=HEAD"),
        (["gate", "BASE", "HEAD", "--pair", "hog=haar"], "The base has haar; the head has haar"),
        (["gate", "BASE", "HEAD", "--metric", "hard"], "Did you mean ap_hard?"),
        (["gate", "BASE", "HEAD", "--max-slowdown", "-0.1"], "--max-slowdown: max_slowdown is -0.1"),
        (["gate", "BASE", "HEAD", "--limits", "nowhere.toml"], "cannot read the limits from nowhere.toml"),
        (["gate", "BASE", "HEAD", "--rounds", "3"], "--rounds: only with --interleave"),
        (["gate", "haar", "haar", "--interleave", "--pair", "a=b"], "with --interleave BASE and HEAD are the pair"),
        (["gate", "haar", "harr", "--interleave"], "Did you mean haar?"),
        (
            ["compare", "haar", "haar", "--interleave", "--dataset", "scenes?count=1", "--head-python", "no/python"],
            "cannot run no/python",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(facebench, tmp_path, monkeypatch, arguments, words):
    base, head = two(tmp_path)
    monkeypatch.chdir(tmp_path)
    places = {"BASE": str(base.path), "HEAD": str(head.path)}
    code, _, err = facebench(*(places.get(argument, argument) for argument in arguments))
    assert code == 2 and words in " ".join(err.split())


def test_results_of_another_machine_are_refused_unless_told(facebench, tmp_path):
    base, head = two(tmp_path, environment={"machine": "Other, 8 cores"})
    code, _, err = facebench("gate", base.path, head.path)
    assert code == 2 and "--indicative" in err and "Other, 8 cores" in err
    assert facebench("gate", base.path, head.path, "--indicative")[0] == 3
    code, out, _ = facebench("compare", base.path, head.path)
    assert code == 0 and "indicative only" in out


@pytest.fixture
def good(monkeypatch) -> str:
    """A detector that takes no time to load, importable here and in children."""
    monkeypatch.syspath_prepend(str(SUPPORT))
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)
    return "hostile_detectors:Good"


MEASURED = ("--interleave", "--dataset", "scenes?count=2", "--rounds", "2", "--json")


@pytest.mark.slow
def test_two_detectors_measured_in_turn(facebench, good):
    """Two detectors, the base measured twice; no run folder."""
    code, out, err = facebench("compare", good, "hostile_detectors:Nothing", *MEASURED)
    assert code == 0, err
    document = json.loads(out)
    (cell,) = document["cells"]
    assert document["interleaved"] and (document["base"], document["head"]) == (good, "hostile_detectors:Nothing")
    found, latency = cell["detections"], cell["latency"]
    assert (found["identical"], found["differing"], found["base_only"], found["head_boxes"]) == (False, 2, 2, 0)
    assert (latency["rounds"], latency["images"]) == (2, 2) and latency["floor"] > 0
    assert [change["what"] for change in cell["changed"]] == ["spec"] and cell["indicative"] == []


@pytest.mark.slow
def test_another_environment_describes_its_own_side(facebench, good):
    code, out, err = facebench("compare", good, good, *MEASURED, "--head-python", sys.executable)
    assert code == 0, err
    document = json.loads(out)
    assert document["head"] == f"{good} ({sys.executable})"
    (cell,) = document["cells"]
    assert cell["detections"]["identical"] and cell["changed"] == [] and cell["indicative"] == []

"""The declared rule, applied to summaries made by hand; the file it writes; the detector that comes back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from facebench import load_default
from facebench.benchmarks.cell import cell_label
from facebench.benchmarks.latency import summarise
from facebench.benchmarks.ranking import Rule, default_file, pick, read_pick, write_pick
from facebench.benchmarks.results import RunFolder
from facebench.benchmarks.scoring import PictureBoxes, score
from facebench.benchmarks.summary import Row, Summary
from facebench.detectors import Detections
from facebench.detectors.stages import StageClock
from facebench.errors import ResultsError, UsageError


def row(name: str, ap: float, p50: float, *, p90: float | None = None, device: str = "cpu", failed: int = 0) -> Row:
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
        "info": {"trained_on": ["WIDER FACE"]},
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


@pytest.mark.parametrize(
    ("rows", "rule", "winner"),
    [
        ([row("a", 0.9, 50), row("b", 0.8, 5)], Rule(), "a"),
        ([row("a", 0.9, 50), row("b", 0.895, 5)], Rule(), "b"),
        ([row("a", 0.9, 50), row("b", 0.895, 5)], Rule(tie=0), "a"),
        ([row("a", 0.9, 50), row("b", 0.895, 5), row("c", 0.885, 1)], Rule(), "b"),
        ([row("a", 0.9, 50, p90=90), row("b", 0.7, 5)], Rule(max_p90_ms=60), "b"),
        ([row("a", 0.9, 5, device="cuda"), row("b", 0.7, 50)], Rule(), "b"),
        ([row("a", 0.9, 5, device="cuda"), row("b", 0.7, 50)], Rule(device="cuda"), "a"),
        ([row("a", 0.9, 5, failed=1), row("b", 0.7, 50)], Rule(), "b"),
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


def test_the_runner_up_is_the_next_by_the_same_rule(tmp_path):
    choice = pick(summary(tmp_path, row("a", 0.9, 50), row("b", 0.895, 5), row("c", 0.5, 1)), Rule())
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


def test_the_file_comes_back_as_a_working_detector(tmp_path):
    choice = pick(summary(tmp_path, row("haar", 0.9, 50)), Rule())
    file = tmp_path / "default_detector.json"
    write_pick(choice, file)
    assert read_pick(file) == json.loads(file.read_text())
    detector = load_default(file)
    from facebench.detectors.conformance import FACE, portrait

    found = detector.detect(portrait())
    assert np.abs(found.boxes[0] - FACE).max() < 30
    assert detector.device_used() == "cpu" and detector.threads_used() == 1
    detector.close()


def test_a_pick_of_a_size_comes_back_at_that_size(tmp_path):
    """A detector that won at 320 px must not be used at another size."""
    chosen = row("haar", 0.9, 5)
    chosen.cell["protocol"]["size"] = "long=320"
    write_pick(pick(summary(tmp_path, chosen), Rule()), tmp_path / "pick.json")
    detector = load_default(tmp_path / "pick.json")
    picture = np.zeros((480, 640, 3), np.uint8)
    seen = []
    inner = detector._detector._detector
    inner.detect = lambda image: seen.append(image.shape) or Detections.from_arrays([[10, 20, 30, 40]], [99.0])
    np.testing.assert_allclose(detector.detect(picture).boxes, [[20, 40, 60, 80]])
    assert seen == [(240, 320, 3)]


def test_a_pick_of_version_1_is_read_at_the_original_size(tmp_path):
    write_pick(pick(summary(tmp_path, row("haar", 0.9, 5)), Rule()), tmp_path / "pick.json")
    content = json.loads((tmp_path / "pick.json").read_text())
    old = {name: value for name, value in content.items() if name not in ("size", "threads")} | {"schema_version": 1}
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert (read_pick(tmp_path / "old.json")["size"], read_pick(tmp_path / "old.json")["threads"]) == ("original", 1)


def test_only_what_reaches_the_threshold_comes_back(tmp_path):
    from facebench.benchmarks.ranking import ThresholdedDetector

    inner = SimpleNamespace(
        info=None,
        device="cpu",
        threads=1,
        score_floor=0.0,
        clock=StageClock(),
        detect=lambda image: Detections.from_arrays([[0, 0, 1, 1]] * 3, [0.9, 0.5, 0.4]),
    )
    assert ThresholdedDetector(inner, 0.5).detect(None).scores.tolist() == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize("content", [None, "", "[]", '{"schema": "facebench.default", "schema_version": 99}'])
def test_a_file_that_is_no_default(tmp_path, content):
    file = tmp_path / "x.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ResultsError, match="facebench pick"):
        load_default(file)


def test_where_the_default_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("FACEBENCH_DEFAULT", raising=False)
    monkeypatch.chdir(tmp_path)
    built_in = default_file()
    assert built_in.is_file() and built_in.parent != tmp_path
    (tmp_path / "default_detector.json").write_text("{}")
    assert default_file().resolve() == tmp_path / "default_detector.json"
    monkeypatch.setenv("FACEBENCH_DEFAULT", "elsewhere.json")
    assert str(default_file()) == "elsewhere.json"

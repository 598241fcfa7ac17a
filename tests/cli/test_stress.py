"""`facebench stress`: what is wrong is said before anything runs; a run is printed, stored and shown."""

from __future__ import annotations

import json
import os

import pytest
from facebench.tests.support.paths import SUPPORT


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kinds", "fog"), "There is no degradation 'fog'. Known: blur"),
        (("--kinds", "blurr"), "Did you mean blur?"),
        (("--severities", "0"), "Got severity 0 of blur, expected a whole number from 1 to 5"),
        (("--severities", "1,x"), "--severities 1,x: expected whole numbers from 1 to 5"),
        (("--severities", ","), "--severities ,: expected whole numbers from 1 to 5"),
        (("--severities", "²"), "expected whole numbers from 1 to 5"),
        (("--detectors", "harr"), "Did you mean haar?"),
        (("--dataset", "scenes?count=1&degrade=blur:1"), "is degraded already"),
        (("--executor", "nobody"), "nobody"),
    ],
)
def test_wrong_use(facebench, tmp_path, options, words):
    code, out, err = facebench(
        "stress", "--dataset", "scenes?count=1", "--detectors", "haar", "--out", tmp_path / "run", *options
    )
    assert (code, out) == (2, "") and words in " ".join(err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_from_the_command_to_the_report(facebench, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SUPPORT))
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)
    detectors = "hostile_detectors:Good,hostile_detectors:Raises"
    command = ("stress", "--dataset", "scenes?count=2", "--detectors", detectors, "--out", tmp_path / "run")
    chosen = ("--kinds", "jpeg,scale", "--severities", "1,4")
    code, out, err = facebench(*command, *chosen)
    assert code == 1, err
    assert "the cascade of doom" in err and "done hostile_detectors:Good on scale:4" in err
    assert "hostile_detectors:Raises on" not in err
    assert "kept, jpeg" in out and "not real night, fog or mask" in out

    code, out, err = facebench(*command, "--kinds", "jpeg", "--severities", "4", "--json")
    document = json.loads(out)
    assert [(one["kind"], one["severity"]) for one in document["degradations"]] == [
        ("jpeg", 1), ("jpeg", 4), ("scale", 1), ("scale", 4)
    ]  # fmt: skip
    assert [row["detector"] for row in document["rows"]] == ["hostile_detectors:Good"]
    # a detector that answers by the size of the image alone finds as much in one that is saved as JPEG
    unseen = 1 - 0.025 ** (1 / 2)
    assert document["rows"][0]["points"][0]["change"] == [0.0, pytest.approx(-unseen), pytest.approx(unseen)]

    code, _, err = facebench("report", tmp_path / "run", "-o", tmp_path / "r.html")
    assert code == 0, err
    assert 'id="stress"' in (tmp_path / "r.html").read_text(encoding="utf-8")

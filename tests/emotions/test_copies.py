"""What copies are worth: which pictures each training sees, which ones it is scored on, and the whole way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.scoring.bootstrap import Interval
from facebench.datasets.duplicates import audit
from facebench.emotions import copies, shipping
from facebench.emotions.evaluation_text import copies_table
from facebench.tests.emotions.test_shipping import fer


def test_near_copies_are_left_in_alone_and_then_equal_ones_too() -> None:
    """Training picture 0 is pixel-equal to one of PublicTest, 6 is the mirror of one of PrivateTest."""
    pictures = fer()
    learnt = copies.learnt_from(pictures, audit(pictures))
    train = pictures.part == "train"
    assert tuple(learnt) == copies.LEFT_IN
    assert set(np.flatnonzero(train & ~learnt["none"])) == {0, 6}
    assert set(np.flatnonzero(train & ~learnt["near"])) == {0}
    assert (learnt["all"] == train).all()


def test_held_out_pictures_are_told_apart_by_whether_training_repeats_them() -> None:
    pictures = fer()
    parts = copies.held_out_parts(pictures, audit(pictures))
    assert set(np.flatnonzero(parts["public-repeated"])) == {4}
    assert set(np.flatnonzero(parts["private-repeated"])) == {5}
    for name in copies.HELD_OUT:
        assert (parts[f"{name}-new"] ^ parts[f"{name}-repeated"] == pictures.is_in(name)).all()


def test_the_whole_way_gains_on_what_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise can only be learnt by heart: with all copies left in, the repeated picture is known and no other is."""
    pytest.importorskip("torch")
    from facebench.emotions import training as module
    from facebench.emotions.augment import Augmentation
    from facebench.emotions.networks import residual
    from facebench.emotions.training_plan import TrainingPlan

    monkeypatch.setattr(module, "create_network", lambda _: residual(stem=8, widths=(16, 32), blocks=(1, 1)))
    pictures = fer()
    still = Augmentation(mirror=0, rotation_deg=0, scale=0, stretch=0, shift=0, gamma=0, erase=0)
    plan = TrainingPlan(network="tiny", epochs=25, batch_size=14, mixup=0, average_decay=0.5, augmentation=still)
    found, seen = audit(pictures), []
    pictures.labels[4] = pictures.labels[0]
    trials = copies.measure_copies(
        pictures,
        copies.learnt_from(pictures, found),
        copies.held_out_parts(pictures, found),
        plan,
        folder=tmp_path,
        observer=lambda name, report: seen.append((name, report.epoch)),
    )
    assert seen == [(name, epoch) for name in copies.LEFT_IN for epoch in range(1, 26)]
    assert [trial.pictures for trial in trials] == [28, 29, 30]
    assert trials[2].accuracy["public-repeated"].value == 1
    assert trials[2].accuracy["private-new"].value < 0.7
    assert trials[2].counts["public-new"] == 9

    path = tmp_path / "copies.json"
    copies.write_trials(trials, plan, "cpu", path)
    document = json.loads(path.read_text())
    assert document["plan"]["epochs"] == 25
    assert document["trials"][2]["accuracy"]["public-repeated"][0] == 1
    assert [trial["left_in"] for trial in document["trials"]] == list(copies.LEFT_IN)


def test_the_table_has_a_row_a_training() -> None:
    half = Interval(0.5, 0.4, 0.6, 0.95, 100)
    text = copies_table([copies.CopiesTrial("all", 1234, {"public": half}, {"public": 10})])
    assert text.startswith("copies left in")
    assert "all" in text and "1,234" in text and "50.0 (40.0 to 60.0)" in text and "public (10)" in text


def test_the_page_shows_what_the_committed_file_says() -> None:
    document = json.loads(shipping.COPIES.read_text())
    page = (shipping.MODELS.parents[1] / "docs" / "emotions.md").read_text()
    for trial in document["trials"]:
        shown = [
            "{:.1f} ({:.1f} to {:.1f})".format(*(100 * number for number in trial["accuracy"][part]))
            for part in ("private", "private-new", "private-repeated", "public")
        ]
        assert f"| {trial['pictures']:,} | {' | '.join(shown)} |" in page

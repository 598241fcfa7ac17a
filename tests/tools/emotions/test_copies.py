"""What copies are worth: which images each training sees, which ones it is scored on, and the whole way."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.datasets.faces.duplicates import audit
from facebench.datasets.faces.fer import EMOTIONS
from facebench.errors import DataError
from facebench.tests.support.paths import ROOT
from facebench.tests.support.small_fer import noise as fer
from facebench.tools.emotions import copies
from facebench.tools.emotions.__main__ import app
from typer.testing import CliRunner


def test_near_copies_are_left_in_alone_and_then_equal_ones_too() -> None:
    """Training image 0 is pixel-equal to one of PublicTest, 6 is the mirror of one of PrivateTest; 7 repeats 1."""
    images = fer()
    images.images[1], images.images[2] = images.images[7], 0  # a repetition within training, and a blank
    images.labels[1] = images.labels[7]
    learnt = copies.learnt_from(images, audit(images))
    train = images.part == "train"
    assert tuple(learnt) == copies.LEFT_IN
    assert set(np.flatnonzero(train & ~learnt["none"])) == {0, 2, 6, 7}
    assert set(np.flatnonzero(train & ~learnt["near"])) == {0}
    assert (learnt["all"] == train).all()


def test_held_out_images_are_told_apart_by_whether_training_repeats_them() -> None:
    images = fer()
    parts = copies.held_out_parts(images, audit(images))
    assert set(np.flatnonzero(parts["public-repeated"])) == {4}
    assert set(np.flatnonzero(parts["private-repeated"])) == {5}
    for name in copies.HELD_OUT:
        assert (parts[f"{name}-new"] ^ parts[f"{name}-repeated"] == images.is_in(name)).all()


def test_each_training_gets_its_images_and_is_scored_on_each_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in for training knows by heart what it was given, mirrored too, and calls all else class 6."""
    torch = pytest.importorskip("torch")
    from facebench.emotions.training import train as module
    from facebench.emotions.training.plan import TrainingPlan, TrainingResult

    given = fer()
    given.labels[[4, 5]] = given.labels[[0, 6]] = 1, 2
    given.labels[given.labels == 6] = 0
    seen: list[tuple[set[bytes], Path]] = []

    def know_by_heart(plan, training, public, *, checkpoint, device, observer):
        known = {}
        for image, label in zip(training.images, training.labels, strict=True):
            known[image.tobytes()] = known[image[:, ::-1].tobytes()] = int(label)

        class Memory(torch.nn.Module):
            def forward(self, batch):
                answers = [known.get(image.numpy().astype(np.uint8).tobytes(), 6) for image in batch[:, 0]]
                return 9 * torch.nn.functional.one_hot(torch.tensor(answers), 7).float()

        seen.append(({image.tobytes() for image in training.images}, checkpoint))
        assert (public.images == given.images[given.usage == "PublicTest"]).all()
        return TrainingResult(plan, Memory(), 1, ())

    monkeypatch.setattr(module, "train", know_by_heart)
    found, plan, path = audit(given), TrainingPlan(), tmp_path / "new" / "c.json"
    learnt, parts = copies.learnt_from(given, found), copies.held_out_parts(given, found)
    trials = copies.measure_copies(given, learnt, parts, plan, output=path)
    for trial, (images, checkpoint) in zip(trials, seen, strict=True):
        assert images == {image.tobytes() for image in given.images[learnt[trial.left_in]]}
        assert trial.images == len(images) and checkpoint == path.with_suffix(f".{trial.left_in}.checkpoint")
        assert trial.counts == {name: int(mask.sum()) for name, mask in parts.items()}
        assert trial.accuracy["public-new"].value == trial.accuracy["private-new"].value == 0
    right = [[trial.accuracy[f"{name}-repeated"].value for name in copies.HELD_OUT] for trial in trials]
    assert right == [[0, 0], [0, 1], [1, 1]]
    assert trials[2].accuracy["private"].value == 0.1

    copies.write_trials(trials, plan, path)
    document = json.loads(path.read_text())
    assert document["plan"]["network"] == plan.network
    assert [trial["left_in"] for trial in document["trials"]] == list(copies.LEFT_IN)
    assert document["trials"][1]["accuracy"]["private-repeated"][0] == 1


def test_the_table_has_a_row_a_training() -> None:
    half = Interval(0.5, 0.4, 0.6, 0.95, 100)
    text = copies.copies_table([copies.CopiesTrial("all", 1234, {"public": half}, {"public": 10})])
    assert text.startswith("copies left in")
    assert "all" in text and "1,234" in text and "50.0 (40.0 to 60.0)" in text and "public (10)" in text


def test_without_the_names_that_tell_the_split_it_is_said_at_once(tmp_path: Path) -> None:
    for number, emotion in enumerate(EMOTIONS):
        for part in ("train", "test"):
            where = tmp_path / f"kaggle_dataset_{part}" / emotion / f"face{number}.png"
            where.parent.mkdir(parents=True)
            where.write_bytes(cv2.imencode(".png", np.full((48, 48), 7 * number, np.uint8))[1].tobytes())
    result = CliRunner().invoke(app, ["copies", "--data", str(tmp_path), "-o", str(tmp_path / "c.json")])
    assert isinstance(result.exception, DataError) and "PublicTest" in str(result.exception)


def test_the_page_shows_what_the_committed_file_says() -> None:
    docs = ROOT / "docs"
    document = json.loads((docs / "copies.json").read_text())
    assert document["plan"] == dataclasses.asdict(copies.copies_plan())
    page = (docs / "emotions.md").read_text()
    for trial in document["trials"]:
        shown = [
            "{:.1f} ({:.1f} to {:.1f})".format(*(100 * number for number in trial["accuracy"][part]))
            for part in ("private", "private-new", "private-repeated", "public")
        ]
        assert f"| {trial['pictures']:,} | {' | '.join(shown)} |" in page

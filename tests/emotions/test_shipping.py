"""From FER2013 to a file: who may be learnt from, the whole way on a few pictures, and what is measured."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets.ckplus import CkPictures
from facebench.datasets.duplicates import audit
from facebench.datasets.fer import EMOTIONS, FerPictures
from facebench.emotions import shipping
from facebench.emotions.classifier import EmotionClassifier
from facebench.emotions.search import Trial
from facebench.emotions.shipping import as_json, latency_ms, measure, measure_shared_classes, require_torch
from facebench.errors import DataError, UnavailableError
from facebench.tests.emotions.test_classifier import levels, model


def fer(n: int = 60) -> FerPictures:
    """Noise in seven classes: half to learn from, the rest held out, some of it repeated in training."""
    random = np.random.default_rng(4)
    images = random.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    part = np.array(["train", "train", "train", "validate", "test", "test"] * (n // 6), "U8")
    usage = np.array(["Training"] * 4 + ["PublicTest", "PrivateTest"], "U11")[np.arange(n) % 6]
    images[0], images[6] = images[4], images[5][:, ::-1]  # a copy of PublicTest, a mirrored one of PrivateTest
    return FerPictures(tuple(f"{i}.jpg" for i in range(n)), images, (np.arange(n) % 7).astype(np.int8), usage, part)


def test_nothing_held_out_and_nothing_that_repeats_it_is_learnt_from() -> None:
    pytest.importorskip("torch")
    pictures = fer()
    training, public = shipping.training_and_public(pictures, audit(pictures))
    learnt = {image.tobytes() for image in training.images}
    assert len(learnt) == 30 - 2
    held = pictures.images[pictures.part != "train"]
    assert not learnt & {image.tobytes() for image in held}
    assert not learnt & {image[:, ::-1].tobytes() for image in held}
    assert (public.images == pictures.images[pictures.usage == "PublicTest"]).all()


def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from facebench.emotions import training as module
    from facebench.emotions.networks import residual

    monkeypatch.setattr(module, "create_network", lambda _: residual(stem=8, widths=(8, 16), blocks=(1, 1)))
    pictures = fer()
    plan = module.TrainingPlan(network="tiny", epochs=2, batch_size=16)
    output, log = tmp_path / "new" / "e.onnx", tmp_path / "log.jsonl"
    result = shipping.train_and_export(pictures, audit(pictures), output, plan=plan, log=log)
    classifier = EmotionClassifier(output, name="e")
    with torch.inference_mode():
        expected = result.network(torch.from_numpy(pictures.images).float()[:, None]).softmax(1).numpy()
    np.testing.assert_allclose(classifier.classify(pictures.images), expected, atol=1e-4)
    first, *epochs = map(json.loads, log.read_text().splitlines())
    assert first["epochs"] == 2
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert epochs[-1] == dataclasses.asdict(result.log[-1])

    table = tmp_path / "trials.jsonl"
    table.write_text(json.dumps(dataclasses.asdict(Trial("tiny", "sgd", 4, 1, 0.1234, 1.5, 1000, 60.0))) + "\n")
    ckplus = CkPictures(("a", "b"), pictures.images[:2], np.array([0, -1], np.int8))
    other = EmotionClassifier(model(), name="other")
    scores = shipping.write_card(
        pictures, audit(pictures), result, output, trials=table, command="make it", baselines=[other], ckplus=ckplus
    )
    assert json.loads(output.with_name("scores.json").read_text()) == scores
    assert {name: list(splits) for name, splits in scores.items()} == {
        name: ["public", "private", "validate", "ckplus"] for name in ("facebench", "other")
    }
    assert scores["facebench"]["ckplus"]["pictures"] == 1  # contempt is no class of ours
    card = output.with_name("README.md").read_text()
    for part in (classifier.sha256, "| tiny | sgd | 4 | 1,000 | 12.3 |", "    make it", "CK+"):
        assert part in card


def test_without_torch_the_command_that_brings_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnavailableError) as caught:
        require_torch()
    assert "facebench[torch]" in caught.value.mend


def test_a_split_is_measured_on_its_own_pictures() -> None:
    """The network of `model` answers the last class for any light picture, so its score is that class's share."""
    pictures = fer()
    classifier = EmotionClassifier(model(), name="m")
    report = measure(classifier, pictures, "public")
    labels = pictures.labels[pictures.usage == "PublicTest"]
    assert report.pictures == len(labels)
    assert report.accuracy.value == pytest.approx((labels == 6).mean())
    assert report.confusion.sum(0).tolist() == [0] * 6 + [len(labels)]


def test_classes_that_nobody_shows_are_no_answer() -> None:
    """`model` puts surprise first and sad second: without surprise and neutral shown, all answers are sad."""
    labels = np.array([0, 5, 5, 3])
    report = measure_shared_classes(EmotionClassifier(model(), name="m"), levels(4) + 50, labels)
    assert report.classes == ("angry", "happy", "sad")
    assert report.confusion.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 2]]
    with pytest.raises(DataError):
        measure_shared_classes(EmotionClassifier(model(), name="m"), levels(0), np.zeros(0, int))


def test_latency_is_per_face_and_leaves_the_first_calls_out() -> None:
    """A clock whose first three calls take a second and the others 64 ms."""
    ticks = iter(np.cumsum([0, 1] * 3 + [0, 0.064] * 10).tolist())
    median, p90 = latency_ms(EmotionClassifier(model(), name="m"), 64, repetitions=10, clock=lambda: next(ticks))
    assert (median, p90) == (pytest.approx(1.0), pytest.approx(1.0))
    assert next(ticks, None) is None


def test_a_report_becomes_plain_values_and_back_the_same() -> None:
    report = measure(EmotionClassifier(model(), name="m"), fer(), "private")
    plain = json.loads(json.dumps(as_json(report)))
    assert plain["accuracy"] == pytest.approx(
        [report.accuracy.value, report.accuracy.low, report.accuracy.high], abs=1e-5
    )
    assert list(plain["recall"]) == list(EMOTIONS)
    assert plain["confusion"] == report.confusion.tolist()

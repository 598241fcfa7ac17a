"""From FER2013 to a file: who may be learnt from, the whole way on a few images, and what is measured."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets.faces.duplicates import audit
from facebench.emotions.pipeline.classifier import EmotionClassifier
from facebench.emotions.scoring.evaluation import as_document, evaluate
from facebench.emotions.training import ship as shipping
from facebench.emotions.training.ship import latency_ms, require_torch
from facebench.errors import UnavailableError
from facebench.tests.support.small_classifier import model
from facebench.tests.support.small_fer import noise as fer


def test_nothing_held_out_and_nothing_that_repeats_it_is_learnt_from() -> None:
    pytest.importorskip("torch")
    images = fer()
    training, public = shipping.training_and_public(images, audit(images))
    learnt = {image.tobytes() for image in training.images}
    assert len(learnt) == 30 - 2
    held = images.images[images.part != "train"]
    assert not learnt & {image.tobytes() for image in held}
    assert not learnt & {image[:, ::-1].tobytes() for image in held}
    assert (public.images == images.images[images.usage == "PublicTest"]).all()


def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from facebench.emotions.training import train as module
    from facebench.emotions.training.networks import residual
    from facebench.emotions.training.plan import TrainingPlan

    monkeypatch.setattr(module, "create_network", lambda _: residual(stem=8, widths=(8, 16), blocks=(1, 1)))
    images = fer()
    plan = TrainingPlan(network="tiny", epochs=2, batch_size=16, teaching=0.5)
    teacher = TrainingPlan(network="wide", epochs=1, batch_size=16)
    output, seen = tmp_path / "new" / "e.onnx", []
    results = shipping.train_and_export(
        images,
        audit(images),
        output,
        plan=plan,
        teachers=[teacher],
        observer=lambda name, report: seen.append((name, report.epoch)),
    )
    assert seen == [("wide", 1), ("tiny", 1), ("tiny", 2)]
    assert [result.plan for result in results] == [plan, teacher]
    result = results[0]
    classifier = EmotionClassifier(output, name="facebench")
    with torch.inference_mode():
        expected = result.network(torch.from_numpy(images.images).float()[:, None]).softmax(1).numpy()
    np.testing.assert_allclose(classifier.classify(images.images), expected, atol=1e-4)
    first, *epochs = map(json.loads, (output.parent / "training.jsonl").read_text().splitlines())
    assert first["epochs"] == 2 and first["teaching"] == 0.5
    assert len((output.parent / "training-wide.jsonl").read_text().splitlines()) == 2
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert epochs[-1] == dataclasses.asdict(result.log[-1])

    others = [classifier, EmotionClassifier(model(), name="other")]
    evaluations = [evaluate(one, images) for one in others]
    shipping.write_card(images, audit(images), results, output, evaluations, command="make it")
    assert json.loads(output.with_name("scores.json").read_text()) == as_document(evaluations)
    card = output.with_name("README.md").read_text()
    for part in (
        classifier.sha256,
        "| wide | sgd, batch 16, mixup 0.2 | 1 of 1 |",
        "    make it",
        "| FER2013 PublicTest | other | 10 |",
    ):
        assert part in card


def test_without_torch_the_command_that_fetches_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnavailableError) as caught:
        require_torch()
    assert "facebench[torch]" in caught.value.remedy


def test_latency_is_per_face_and_leaves_the_first_calls_out() -> None:
    """A clock whose first three calls take a second and the others 64 ms."""
    ticks = iter(np.cumsum([0, 1] * 3 + [0, 0.064] * 10).tolist())
    median, p90 = latency_ms(EmotionClassifier(model(), name="m"), 64, repetitions=10, clock=lambda: next(ticks))
    assert (median, p90) == (pytest.approx(1.0), pytest.approx(1.0))
    assert next(ticks, None) is None


def test_the_pupil_has_teachers() -> None:
    pytest.importorskip("torch")
    pupil, teachers = shipping.pupil_plan(), shipping.teacher_plans()
    assert pupil.network == shipping.NETWORK and 0 < pupil.teaching <= 1
    assert [plan.network for plan in teachers] == list(shipping.TEACHERS)
    assert all(plan.teaching == 0 for plan in teachers)
    assert {plan.epochs for plan in (shipping.pupil_plan(epochs=3), *shipping.teacher_plans(epochs=3))} == {3}

"""The card says what it was given, number for number."""

from __future__ import annotations

import numpy as np
from facebench.datasets.faces.fer import EMOTIONS
from facebench.emotions.scoring.classification import classification_report
from facebench.emotions.scoring.evaluation import as_json
from facebench.emotions.training.card import CardFacts, render


def report(seed: int) -> dict[str, object]:
    random = np.random.default_rng(seed)
    labels = np.arange(140) % 7
    probabilities = 0.5 * np.eye(7)[labels] + 0.5 * random.dirichlet(np.ones(7), 140)
    return as_json(classification_report(labels, probabilities, EMOTIONS, draws=50))


def plan(network: str, **changes: object) -> dict[str, object]:
    return {"network": network, "optimiser": "sgd", "batch_size": 128, "augmentation": {"mirror": 0.5}} | changes


def epochs(*accuracies: float) -> list[dict[str, float]]:
    return [{"epoch": number, "public_accuracy": value} for number, value in enumerate(accuracies, start=1)]


def test_every_number_reaches_the_card() -> None:
    scores = {
        "facebench": {"private": report(1), "validate": report(2), "public": report(3)},
        "mini-xception": {"private": report(4)},
    }
    log = [{"epoch": i, "train_loss": 2 - i / 10, "public_accuracy": 0.5 + i / 100, "seconds": 40.0} for i in (1, 2, 3)]
    text = render(
        CardFacts(
            sha256="ab" * 32,
            bytes=6_938_580,
            network="b",
            parameters=7654321,
            plan=plan("b", epochs=3, teaching=0.7),
            best_epoch=2,
            log=log,
            teachers=[[plan("wide", epochs=9, mixup=0.2), *epochs(0.671, 0.682, 0.68)]],
            audit=["12 images repeat an image held out."],
            training_images=22232,
            difference=3e-7,
            latency={"1": (1.234, 1.5), "64": (0.876, 0.9)},
            machine="a machine",
            command="facebench emotions train",
            scores=scores,
        )
    )
    expected = [
        "ab" * 32,
        "6,938,580 bytes",
        "at most 3e-07",
        "1 face a call: 1.23 ms a face (p90 1.50); 64 faces a call: 0.88 ms a face (p90 0.90)",
        "22,232 are left",
        "12 images repeat an image held out.",
        "Kept: epoch 2",
        "| wide | sgd, batch 128, mixup 0.2 | 3 of 9 | 68.2 | 2 | 68.0 | teacher |",
        "| b | sgd, batch 128 | 3 of 3 | 53.0 | 3 | 53.0 | shipped |",
        "takes 70% of each target",
        "| 2 | 1.800 | 52.0 | 40 |",
        "    facebench emotions train",
    ]
    for part in expected:
        assert part in text, part
    for reports in scores.values():
        for numbers in reports.values():
            value, low, high = (f"{100 * number:.1f}" for number in numbers["accuracy"])  # type: ignore[union-attr]
            assert f"{value} ({low} to {high})" in text
    recalls = {name: numbers[0] for name, numbers in scores["facebench"]["private"]["recall"].items()}  # type: ignore[union-attr]
    assert f"{min(recalls, key=recalls.__getitem__)} is found worst" in text
    assert "CK+" not in text.split("## Scores")[1].split("###")[0]  # nobody measured it

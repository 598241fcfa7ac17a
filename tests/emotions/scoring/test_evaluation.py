"""The classification report of a classifier on every data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets.faces.ckplus import CkImages
from facebench.datasets.faces.fer import EMOTIONS, FerImages
from facebench.emotions.pipeline.classifier import EmotionClassifier
from facebench.emotions.scoring.evaluation import (
    TITLES,
    as_json,
    evaluate,
    mean_of_precisions,
    measure,
    measure_shared_classes,
    write_evaluation,
)
from facebench.emotions.scoring.evaluation_text import text_table
from facebench.errors import DataError
from facebench.tests.support.small_classifier import levels, model

CLASSIFIER = EmotionClassifier(model(), name="always the last")
"""Its highest logit is that of the last class, surprise, on every image that is not black."""


def fer(usages: dict[str, int], part: str = "test") -> FerImages:
    """Grey images, the classes in turn."""
    usage = np.array([name for name, count in usages.items() for _ in range(count)], "U11")
    n = len(usage)
    parts = np.where(usage == "Training", "validate", part).astype("U8")
    images = np.full((n, 48, 48), 90, np.uint8)
    return FerImages(tuple(f"{i}.jpg" for i in range(n)), images, (np.arange(n) % 7).astype(np.int8), usage, parts)


def ck(labels: list[int]) -> CkImages:
    images = np.full((len(labels), 48, 48), 90, np.uint8)
    return CkImages(tuple(f"{i}.png" for i in range(len(labels))), images, np.array(labels, np.int8))


def test_every_data_set_that_is_there_is_reported():
    told: list[str] = []
    both = fer({"Training": 7, "PublicTest": 14, "PrivateTest": 21})
    found = evaluate(CLASSIFIER, both, ck([0, 6, 6, -1]), observer=told.append)
    assert told == [TITLES[name] for name in found.reports]
    assert {name: report.images for name, report in found.reports.items()} == {
        "private": 21,
        "public": 14,
        "validate": 7,
        "ckplus": 3,
    }
    assert found.reports["private"].accuracy.value == pytest.approx(1 / 7)
    # of CK+ contempt is left out; what is shown is angry and surprise
    assert found.reports["ckplus"].classes == ("angry", "surprise")
    assert found.reports["ckplus"].accuracy.value == pytest.approx(2 / 3)


def test_private_test_is_told_apart_by_what_repeats_training():
    repeated = np.zeros(42, bool)
    repeated[[0, 21, 22, 23]] = True  # one of Training, which counts nowhere, and three of PrivateTest
    found = evaluate(CLASSIFIER, fer({"Training": 7, "PublicTest": 14, "PrivateTest": 21}), repeated=repeated).reports
    assert {name: report.images for name, report in found.items()} == {
        "private": 21,
        "private-new": 18,
        "private-repeated": 3,
        "public": 14,
        "validate": 7,
    }
    assert (found["private-new"].confusion + found["private-repeated"].confusion == found["private"].confusion).all()


def test_a_csv_without_the_studys_split_has_no_row_of_it():
    found = evaluate(CLASSIFIER, fer({"PublicTest": 7, "PrivateTest": 7}))
    assert list(found.reports) == ["private", "public"]


@pytest.mark.parametrize("contempt", [[], [-1, -1]])
def test_nothing_to_classify_is_refused(contempt):
    with pytest.raises(DataError, match="no image"):
        evaluate(CLASSIFIER, None, ck(contempt))


@pytest.mark.parametrize(
    ("why", "confusion", "mean", "accuracy"),
    [
        ("all right", [[3, 0], [0, 5]], 1, 1),
        ("a rare class answered surely lifts the mean", [[1, 0, 9], [0, 1, 9], [0, 0, 10]], (1 + 1 + 10 / 28) / 3, 0.4),
        ("a common class answered well lifts the accuracy", [[90, 10], [5, 5]], (90 / 95 + 5 / 15) / 2, 95 / 110),
        ("a class never answered is left out", [[4, 0], [6, 0]], 0.4, 0.4),
    ],
)
def test_a_mean_of_precisions_is_no_accuracy(why, confusion, mean, accuracy):
    found = mean_of_precisions(np.array(confusion), draws=200)
    assert found.mean.value == pytest.approx(mean), why
    assert found.less_accuracy.value == pytest.approx(mean - accuracy)


def test_its_intervals_are_those_of_resampled_images():
    """Drawn image by image, as the definition says, with another generator."""
    confusion = np.array([[60, 20, 5], [10, 90, 10], [5, 15, 25]])
    found = mean_of_precisions(confusion, draws=2000)
    shown = np.repeat(np.arange(9), confusion.ravel())
    random = np.random.default_rng(99)
    means = []
    for _ in range(2000):
        drawn = np.bincount(random.choice(shown, len(shown)), minlength=9).reshape(3, 3)
        means.append((np.diagonal(drawn) / drawn.sum(axis=0)).mean())
    assert (found.mean.low, found.mean.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.008)


@pytest.mark.parametrize("confusion", [np.zeros((2, 2), int), np.ones((2, 3), int)])
def test_a_matrix_of_nothing_is_refused(confusion):
    with pytest.raises(DataError, match="confusion matrix"):
        mean_of_precisions(confusion)


def test_the_file_is_json_without_nan_and_says_the_same(tmp_path: Path):
    found = evaluate(CLASSIFIER, fer({"PrivateTest": 21}))
    write_evaluation([found], tmp_path / "report.json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    document = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    report = document["classifiers"][0]["reports"]["private"]
    assert report["classes"] == list(EMOTIONS)
    assert report["confusion"] == found.reports["private"].confusion.tolist()
    assert report["confusion_rows"][0] == [0, 0, 0, 0, 0, 0, 1]
    assert report["precision"]["angry"] == [None, None, None]
    assert report["mean_precision"][0] == pytest.approx(1 / 7, abs=1e-5)
    assert document["classifiers"][0]["sha256"] == CLASSIFIER.sha256


def test_the_text_has_a_row_a_data_set_and_every_class():
    found = evaluate(CLASSIFIER, fer({"PublicTest": 14, "PrivateTest": 21}), ck([0, 6]))
    lines = text_table([found, found]).splitlines()
    overall = [line for line in lines[1:] if line.startswith(("FER2013", "CK+"))]
    assert [line.split("  ")[0] for line in overall[:6]] == [
        *["FER2013 PrivateTest"] * 2,
        *["FER2013 PublicTest"] * 2,
        *["CK+, six shared classes"] * 2,
    ]
    assert "14.3 (" in overall[0]
    by_class = lines[lines.index("always the last, FER2013 PrivateTest, by class") + 3 :][:7]
    assert [line.split()[:2] for line in by_class] == [[name, "3"] for name in EMOTIONS]
    # a class never answered has no precision
    assert by_class[0].split()[2] == "–"
    assert any(line.startswith("CK+: the probabilities of the six classes") for line in lines)


def test_a_split_is_measured_on_its_own_images() -> None:
    """The network of `model` answers the last class for any light image, so its score is that class's share."""
    images = fer({"PublicTest": 10, "PrivateTest": 11})
    classifier = EmotionClassifier(model(), name="m")
    report = measure(classifier, images, "public")
    labels = images.labels[images.usage == "PublicTest"]
    assert report.images == len(labels)
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


def test_a_report_becomes_plain_values_and_back_the_same() -> None:
    report = measure(EmotionClassifier(model(), name="m"), fer({"PrivateTest": 21}), "private")
    plain = json.loads(json.dumps(as_json(report)))
    assert plain["accuracy"] == pytest.approx(
        [report.accuracy.value, report.accuracy.low, report.accuracy.high], abs=1e-5
    )
    assert list(plain["recall"]) == list(EMOTIONS)
    assert plain["confusion"] == report.confusion.tolist()

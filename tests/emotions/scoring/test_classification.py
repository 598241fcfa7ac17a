"""Rates of a classification against plain loops, by hand, and where they are undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.resampling.bootstrap import draw_weights
from facebench.emotions.scoring.classification import (
    ClassificationReport,
    classification_report,
    rates_of,
)
from facebench.errors import DataError
from facebench.tests.support.plain_ends import plain_ends  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

CLASSES = ("a", "b", "c")


def loops(labels: list[int], answers: list[int], classes: int) -> dict[str, object]:
    """Return the rates with nothing but loops, as the textbook has them."""
    pairs = list(zip(labels, answers, strict=True))
    precision, recall, f1 = [], [], []
    for name in range(classes):
        hits = sum(shown == answered == name for shown, answered in pairs)
        shown = sum(label == name for label in labels)
        answered = sum(answer == name for answer in answers)
        recall.append(hits / shown if shown else math.nan)
        precision.append(hits / answered if answered else math.nan)
        f1.append(2 * hits / (shown + answered) if shown + answered else math.nan)

    def mean(values: list[float]) -> float:
        defined = [value for value in values if not math.isnan(value)]
        return sum(defined) / len(defined) if defined else math.nan

    right = sum(shown == answered for shown, answered in pairs)
    return {
        "accuracy": right / len(pairs) if pairs else math.nan,
        "balanced_accuracy": mean(recall),
        "macro_f1": mean(f1),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def confident(answers: list[int], classes: int = 3, confidence: float = 0.8) -> np.ndarray:
    probabilities = np.full((len(answers), classes), (1 - confidence) / (classes - 1))
    probabilities[np.arange(len(answers)), answers] = confidence
    return probabilities


def report(labels: list[int], answers: list[int], **options: int) -> ClassificationReport:
    return classification_report(np.array(labels), confident(answers), CLASSES, **options)


@pytest.mark.parametrize(
    ("labels", "answers"),
    [
        pytest.param([0], [0], id="one image, right"),
        pytest.param([0], [1], id="one image, wrong"),
        pytest.param([0, 0, 0], [0, 0, 1], id="one class shown"),
        pytest.param([0, 1, 2], [2, 2, 2], id="one class answered"),
        pytest.param([0, 1, 2], [1, 2, 0], id="all wrong"),
        pytest.param([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0], id="usual"),
        pytest.param([0, 0, 0, 0, 1], [0, 0, 0, 0, 0], id="the common class always"),
    ],
)
def test_rates_are_those_of_loops(labels: list[int], answers: list[int]) -> None:
    expected = loops(labels, answers, 3)
    got = report(labels, answers, draws=20)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert getattr(got, name).value == pytest.approx(expected[name], nan_ok=True), name
    for name in ("precision", "recall", "f1"):
        assert [part.value for part in getattr(got, name)] == pytest.approx(expected[name], nan_ok=True), name
    assert got.confusion.sum() == got.images == len(labels)
    assert got.confusion.trace() == sum(a == b for a, b in zip(labels, answers, strict=True))


def test_the_rows_are_what_is_shown() -> None:
    got = report([0, 0, 0, 1], [0, 0, 1, 1], draws=1)
    assert got.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert got.confusion_rows[:2].tolist() == [[2 / 3, 1 / 3, 0], [0, 1, 0]]
    assert np.isnan(got.confusion_rows[2]).all()


def test_nothing_shown_has_no_rates() -> None:
    rates = rates_of(np.zeros((2, 2), int))
    assert all(np.isnan(value).all() for value in rates.values())


def test_intervals_are_those_of_images_really_repeated() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 40)
    probabilities = random.dirichlet(np.ones(3), 40)
    answers = probabilities.argmax(1)
    samples: dict[str, list[float]] = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for weights in draw_weights(40, draws=200, seed=5):
        drawn = np.repeat(np.arange(40), weights)
        rates = loops(labels[drawn].tolist(), answers[drawn].tolist(), 3)
        for name, values in samples.items():
            values.append(rates[name])  # type: ignore[arg-type]
    got = classification_report(labels, probabilities, CLASSES, draws=200, seed=5)
    for name, values in samples.items():
        interval = getattr(got, name)
        assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975]))), name
        assert interval.draws == 200


def test_calibration_error_by_loops() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 40)
    probabilities = random.dirichlet(np.ones(3), 40)
    got = classification_report(labels, probabilities, CLASSES, draws=0)
    right = probabilities.argmax(1) == labels
    assert got.calibration_error == pytest.approx(ece_by_loops(probabilities.max(1), right, 15))


def ece_by_loops(confidences: np.ndarray, right: np.ndarray, bins: int) -> float:
    total = 0.0
    for index in range(bins):
        inside = [
            i
            for i, value in enumerate(confidences)
            if index / bins < value <= (index + 1) / bins or (index == 0 and value == 0)
        ]
        if inside:
            gap = np.mean([confidences[i] for i in inside]) - np.mean([float(right[i]) for i in inside])
            total += len(inside) / len(confidences) * abs(gap)
    return total


@pytest.mark.parametrize(
    ("confidences", "right", "expected"),
    [
        pytest.param([1.0, 1.0], [True, True], 0.0, id="sure and right"),
        pytest.param([1.0, 1.0], [False, False], 1.0, id="sure and wrong"),
        pytest.param([0.5, 0.5], [True, False], 0.0, id="half sure, half right"),
        pytest.param([0.8] * 5, [True, True, True, True, False], 0.0, id="as sure as right"),
        pytest.param([0.2, 0.9], [False, True], 0.15, id="two bins: 0.2 and 0.1, half of the images each"),
    ],
)
def test_calibration_error_by_hand(confidences: list[float], right: list[bool], expected: float) -> None:
    """Of ten classes the first is answered; the others share what is left."""
    probabilities = np.array([[one, *[(1 - one) / 9] * 9] for one in confidences])
    labels = np.where(right, 0, 1)
    found = classification_report(labels, probabilities, list("abcdefghij"), draws=0)
    assert found.calibration_error == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30), st.randoms())
def test_the_order_of_images_says_nothing(pairs: list[tuple[int, int]], random: object) -> None:
    shuffled = pairs[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a, b = (report([p[0] for p in some], [p[1] for p in some], draws=0) for some in (pairs, shuffled))
    assert (a.confusion == b.confusion).all()
    assert a.macro_f1.value == pytest.approx(b.macro_f1.value)
    assert 0 <= a.calibration_error <= 1


@pytest.mark.parametrize(
    ("labels", "probabilities", "says"),
    [
        pytest.param([], np.zeros((0, 3)), "n > 0", id="no image"),
        pytest.param([0, 1], confident([0]), r"\(n, 3\)", id="fewer probabilities than labels"),
        pytest.param([0], confident([0], classes=4), r"\(1, 4\)", id="another number of classes"),
        pytest.param([3], confident([0]), "0 to 2", id="a label without a class"),
        pytest.param([-1], confident([0]), "0 to 2", id="a negative label"),
        pytest.param([0], np.array([[5.0, -2.0, -2.0]]), "softmax", id="logits"),
        pytest.param([0], np.array([[0.5, 0.2, 0.2]]), "sums", id="sum below 1"),
        pytest.param([0], np.array([[np.nan, 0.5, 0.5]]), "softmax", id="not a number"),
    ],
)
def test_bad_input_is_refused(labels: list[int], probabilities: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        classification_report(np.array(labels, np.int64), probabilities, CLASSES)

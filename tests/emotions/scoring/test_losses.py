"""The end-to-end score: degenerate answers, known ones, and that the losses add up whatever is found."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from facebench.benchmarks.resampling.bootstrap import draw_weights
from facebench.datasets.faces.fer import EMOTIONS
from facebench.emotions.scoring.losses import (
    COUNTS,
    MISSED,
    RATES,
    SIZES_PX,
    Answers,
    EndToEnd,
    LabelledFaces,
    count_images,
    differences,
    end_to_end,
    ratios_of,
)
from facebench.errors import DataError, UsageError
from hypothesis import given, settings
from hypothesis import strategies as st

ONCE = np.ones((1, 3), np.int32)


def known(labels, image, heights=None, images: int = 3) -> LabelledFaces:
    heights = np.full(len(labels), 50.0) if heights is None else np.array(heights, np.float64)
    return LabelledFaces(np.array(labels, np.int8), np.array(image, np.int64), heights, images)


def answers(faces, alarms=()) -> Answers:
    images, emotions = zip(*alarms, strict=True) if alarms else ((), ())
    return Answers(np.array(faces, np.int8), np.array(images, np.int64), np.array(emotions, np.int8))


def oracle(*emotions: int) -> np.ndarray:
    return np.array(emotions, np.int8)


FOUR = known([0, 1, 2, 3], [0, 0, 1, 2])


@pytest.mark.parametrize(
    ("what", "right_on_boxes", "found", "expected"),
    [
        ("perfect detector and classifier", (0, 1, 2, 3), (0, 1, 2, 3), (1, 1, 1, 1, 0, 0)),
        ("finds nothing", (0, 1, 2, 3), (-1, -1, -1, -1), (1, 0, math.nan, 0, 1, 0)),
        ("misses half", (0, 1, 2, 3), (0, -1, 2, -1), (1, 0.5, 1, 0.5, 0.5, 0)),
        ("misses what the classifier cannot name", (0, 1, 6, 6), (0, 1, -1, -1), (0.5, 0.5, 1, 0.5, 0, 0)),
        ("shifted boxes", (0, 1, 2, 3), (0, 6, 6, 3), (1, 1, 0.5, 0.5, 0, 0.5)),
        ("better boxes than annotated", (0, 1, 6, 6), (0, 1, 2, 6), (0.5, 1, 0.75, 0.75, 0, -0.25)),
        ("one of each", (0, 1, 2, 6), (0, 6, -1, 3), (0.75, 0.75, 2 / 3, 0.5, 0.25, 0)),
        ("a classifier that is never right", (6, 6, 6, 6), (6, 6, -1, 6), (0, 0.75, 0, 0, 0, 0)),
    ],
)
def test_who_loses_what(what, right_on_boxes, found, expected):
    score = end_to_end(FOUR, oracle(*right_on_boxes), answers(found), ONCE)
    assert [score.rates[name].value for name in RATES[:6]] == pytest.approx(expected, nan_ok=True), what
    assert score.rates["false_alarms_per_picture"].value == 0


def test_no_face_gives_no_rate():
    score = end_to_end(known([], []), oracle(), answers([]), ONCE)
    assert all(math.isnan(score.rates[name].value) for name in RATES[:6])
    assert (score.by_emotion, score.by_size, score.totals.faces) == ((), (), 0)
    assert score.totals.images == 3


def test_false_alarms_change_no_accuracy_and_are_counted_by_emotion():
    without = end_to_end(FOUR, oracle(0, 1, 2, 3), answers((0, 1, -1, 3)), ONCE)
    score = end_to_end(FOUR, oracle(0, 1, 2, 3), answers((0, 1, -1, 3), [(0, 3), (2, 3), (2, 5)]), ONCE)
    assert [score.rates[name].value for name in RATES[:6]] == [without.rates[name].value for name in RATES[:6]]
    assert score.rates["false_alarms_per_picture"].value == 1
    assert dict(zip(EMOTIONS, score.alarm_emotions.tolist(), strict=True)) == dict.fromkeys(EMOTIONS, 0) | {
        "happy": 2,
        "sad": 1,
    }


def test_groups_share_the_faces_out():
    faces = known([0, 3, 3, 3], [0, 0, 1, 2], [31.9, 32, 96, 159.9])
    score = end_to_end(faces, oracle(0, 3, 3, 0), answers((0, -1, 3, 3)), ONCE)
    emotions = {group.name: group.totals for group in score.by_emotion}
    assert {name: (one.faces, one.right, one.missed_right) for name, one in emotions.items()} == {
        "angry": (1, 1, 0),
        "happy": (3, 2, 1),
    }
    assert {group.name: group.totals.faces for group in score.by_size} == {"below 32": 1, "32 to 48": 1, "96 to 160": 2}
    assert "false_alarms_per_picture" not in score.by_size[0].rates


def test_the_sizes_leave_no_gap():
    edges = list(SIZES_PX.values())
    assert [low for low, _ in edges[1:]] == [high for _, high in edges[:-1]]
    assert (edges[0][0], edges[-1][1]) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("why", "make"),
    [
        ("a label too high", lambda: known([7], [0])),
        ("a label of no emotion", lambda: known([-1], [0])),
        ("an image that is not there", lambda: known([0], [3])),
        ("heights of another number of faces", lambda: known([0], [0], [1.0, 2.0])),
        ("labels of another type", lambda: LabelledFaces(np.zeros(1, int), np.zeros(1, int), np.ones(1), 3)),
        ("an answer below missed", lambda: answers([-2])),
        ("an alarm without an emotion", lambda: answers([0], [(0, MISSED)])),
        ("an oracle that finds nothing", lambda: end_to_end(FOUR, oracle(0, 1, 2, -1), answers((0, 1, 2, 3)), ONCE)),
        ("an oracle of other faces", lambda: end_to_end(FOUR, oracle(0, 1), answers((0, 1, 2, 3)), ONCE)),
        ("answers for other faces", lambda: end_to_end(FOUR, oracle(0, 1, 2, 3), answers((0,)), ONCE)),
    ],
)
def test_what_does_not_fit_is_refused(why, make):
    with pytest.raises(DataError, match="must"):
        make()


def test_weights_of_other_images_are_refused():
    with pytest.raises(UsageError, match="weights"):
        end_to_end(FOUR, oracle(0, 1, 2, 3), answers((0, 1, 2, 3)), np.ones((1, 2), np.int32))


def probabilities(*emotions: int) -> np.ndarray:
    return np.eye(7, dtype=np.float32)[list(emotions)].reshape(-1, 7)


def test_probabilities_become_answers():
    found = Answers.from_probabilities(
        np.array([2, -1, 0]),
        probabilities(3, 4, 5, 6, 1),
        np.array([0, 0, 1, 1, 2]),
        np.array([False, True, False, False, True]),
    )
    assert found.faces.tolist() == [5, MISSED, 3]
    assert list(zip(found.alarm_image, found.alarm_emotion, strict=True)) == [(0, 4), (2, 1)]


def test_no_detection_misses_every_face():
    found = Answers.from_probabilities(np.array([-1, -1]), probabilities(), np.zeros(0, int), np.zeros(0, bool))
    assert found.faces.tolist() == [MISSED, MISSED]


@pytest.mark.parametrize(
    ("why", "matched", "alarm"),
    [
        ("one box on two faces", [0, 0], [False, False]),
        ("a box that is not there", [2, -1], [False, False]),
        ("a hit that is a false alarm too", [0, -1], [True, False]),
        ("verdicts on fewer boxes", [0, -1], [False]),
    ],
)
def test_matches_that_contradict_are_refused(why, matched, alarm):
    with pytest.raises(DataError, match="expected"):
        Answers.from_probabilities(np.array(matched), probabilities(1, 2), np.zeros(2, int), np.array(alarm))


@st.composite
def cases(draw) -> tuple[LabelledFaces, np.ndarray, Answers]:
    images = draw(st.integers(1, 6))
    n = draw(st.integers(0, 25))
    emotion, place = st.integers(0, 2), st.integers(0, images - 1)
    faces = known(
        draw(st.lists(emotion, min_size=n, max_size=n)),
        draw(st.lists(place, min_size=n, max_size=n)),
        draw(st.lists(st.floats(1, 400), min_size=n, max_size=n)),
        images,
    )
    truth = oracle(*draw(st.lists(emotion, min_size=n, max_size=n)))
    found = draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    return faces, truth, answers(found, draw(st.lists(st.tuples(place, emotion), max_size=8)))


def by_hand(faces: LabelledFaces, truth: np.ndarray, found: Answers) -> dict[str, Fraction]:
    """The definitions, one face after the other."""
    n = len(faces)
    rows = list(zip(faces.labels.tolist(), truth.tolist(), found.faces.tolist(), strict=True))
    return {
        "oracle_accuracy": Fraction(sum(label == best for label, best, _ in rows), n),
        "detected_rate": Fraction(sum(answer >= 0 for *_, answer in rows), n),
        "e2e_accuracy": Fraction(sum(label == answer for label, _, answer in rows), n),
        "miss_loss": Fraction(sum(label == best for label, best, answer in rows if answer < 0), n),
        "crop_loss": Fraction(
            sum((label == best) - (label == answer) for label, best, answer in rows if answer >= 0), n
        ),
    }


@given(cases())
def test_the_losses_add_up_exactly(case):
    faces, truth, found = case
    score = end_to_end(faces, truth, found, np.ones((1, faces.images), np.int32))
    for part in (score.totals, *(group.totals for group in (*score.by_emotion, *score.by_size))):
        assert part.oracle_right - part.right == part.missed_right + (part.crop_lost - part.crop_gained)
        assert part.right + part.crop_lost + part.missed_right + part.own_errors == part.faces
        assert part.own_errors >= 0
    for groups in (score.by_emotion, score.by_size):
        assert sum(group.totals.right for group in groups) == score.totals.right
    if len(faces):
        expected = by_hand(faces, truth, found)
        assert expected["oracle_accuracy"] - expected["e2e_accuracy"] == expected["miss_loss"] + expected["crop_loss"]
        for name, value in expected.items():
            assert score.rates[name].value == float(value)


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_faces_and_images_is_no_matter(case, random):
    faces, truth, found = case
    order = list(range(len(faces)))
    random.shuffle(order)
    number = list(range(faces.images))
    random.shuffle(number)
    renumbered = np.array(number, np.int64)
    moved = LabelledFaces(faces.labels[order], renumbered[faces.image[order]], faces.heights_px[order], faces.images)
    elsewhere = Answers(found.faces[order], renumbered[found.alarm_image], found.alarm_emotion)
    ones = np.ones((1, faces.images), np.int32)
    a = end_to_end(faces, truth, found, ones)
    b = end_to_end(moved, truth[order], elsewhere, ones)
    assert a.totals == b.totals
    assert [group.totals for group in a.by_size] == [group.totals for group in b.by_size]
    assert (a.alarm_emotions == b.alarm_emotions).all()


@settings(max_examples=50)
@given(cases(), st.data())
def test_weights_are_repeated_images(case, data):
    faces, truth, found = case
    weights = np.array([data.draw(st.lists(st.integers(0, 3), min_size=faces.images, max_size=faces.images))])
    alarms = np.bincount(found.alarm_image, minlength=faces.images)
    counts = count_images(faces, truth, found, np.ones(len(faces), bool), alarms)
    of_face = np.repeat(np.arange(len(faces)), weights[0][faces.image])
    of_alarm = np.repeat(np.arange(len(found.alarm_image)), weights[0][found.alarm_image])
    repeated = end_to_end(
        known(faces.labels[of_face], faces.image[of_face], faces.heights_px[of_face], faces.images),
        truth[of_face],
        Answers(found.faces[of_face], found.alarm_image[of_alarm], found.alarm_emotion[of_alarm]),
        np.ones((1, faces.images), np.int32),
    )
    drawn = {name: one(weights) for name, one in ratios_of(counts).items()}
    for name in RATES[:6]:
        assert drawn[name][0] == pytest.approx(repeated.rates[name].value, nan_ok=True)
    totals = dict(zip(COUNTS, (weights @ counts)[0].tolist(), strict=True))
    assert totals["pictures"] == weights.sum()
    assert totals["false_alarms"] == repeated.totals.false_alarms


def many(seed: int, right: float) -> EndToEnd:
    """300 faces on 60 images, a share of them right."""
    random = np.random.default_rng(seed)
    faces = known(np.zeros(300, int), np.arange(300) % 60, images=60)
    found = np.where(random.random(300) < right, 0, 1)
    return end_to_end(faces, np.zeros(300, np.int8), answers(found), draw_weights(60, draws=400))


def test_intervals_hold_the_value_and_narrow_with_certainty():
    score = many(0, 0.7)
    e2e = score.rates["e2e_accuracy"]
    # the standard error of 300 independent faces is 0.0265
    assert e2e.low < e2e.value < e2e.high
    assert e2e.high - e2e.low == pytest.approx(4 * 0.0265, rel=0.3)
    all_right = score.rates["oracle_accuracy"]
    assert (all_right.low, all_right.high) == (pytest.approx(0.025 ** (1 / 60)), 1), "60 images, and others may exist"


def test_every_draw_is_the_score_of_the_drawn_images():
    faces = known([0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 2])
    weights = np.array([[3, 0, 0], [1, 2, 0], [0, 1, 2], [0, 0, 0]], np.int32)
    score = end_to_end(faces, oracle(*[0] * 6), answers([0, 0, -1, 0, -1, -1]), weights)
    # right of all: 2 of 3, 1 of 2, 0 of 1 in the three images
    expected = [6 / 9, (2 + 2) / (3 + 4), (0 + 1) / (2 + 2), math.nan]
    assert score.e2e.samples == pytest.approx(expected, nan_ok=True)
    assert score.rates["e2e_accuracy"].draws == 3
    assert (score.rates["e2e_accuracy"].low, score.rates["e2e_accuracy"].high) == (0, 1), "three images"


def test_differences_are_paired_and_of_every_pair():
    scores = {"good": many(1, 0.9), "fair": many(2, 0.6), "twin": many(2, 0.6)}
    found = differences(scores)
    assert list(found) == [("good", "fair"), ("good", "twin"), ("fair", "twin")]
    best = found["good", "fair"].interval
    assert best.value == pytest.approx(scores["good"].e2e.value - scores["fair"].e2e.value)
    assert not best.holds_zero
    same = found["fair", "twin"].interval
    assert same.value == 0 and -0.1 < same.low < 0 < same.high < 0.1, "images that were not seen could tell them apart"

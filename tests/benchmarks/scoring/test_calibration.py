"""Scores that claim to be probabilities against the share of hits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.scoring import ImageBoxes, Matches, match
from facebench.benchmarks.scoring.calibration import BINS, Calibration, calibration
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

FACE = np.array([0.0, 0.0, 20.0, 20.0])


def detector(scores: ArrayLike, right: ArrayLike) -> tuple[Matches, NDArray[np.bool_]]:
    """Return one image a detection, with one face that it hits or not."""
    right = np.asarray(right, dtype=np.bool_)
    offsets = np.arange(len(right) + 1, dtype=np.int64)
    faces = ImageBoxes(np.tile(FACE, (len(right), 1)), offsets)
    detections = ImageBoxes(faces.boxes + 500.0 * ~right[:, None], offsets)
    return match(faces, detections, scores), np.ones(len(right), dtype=np.bool_)


def judge(scores: ArrayLike, right: ArrayLike, **options: float) -> Calibration:
    return calibration(*detector(scores, right), score_kind="probability", **options)


def test_by_hand() -> None:
    """Bins of two and of one: 0.1 and 0.16, of which one hits, mean 0.13 against 1/2; 0.8 and 1.0, both hits."""
    result = judge([0.1, 0.16, 0.8, 1.0], [False, True, True, True])
    assert result.count.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 1, 1]
    assert result.mean_score[[1, 8, 9]].tolist() == pytest.approx([0.13, 0.8, 1.0])
    assert result.hit_share[[1, 8, 9]].tolist() == [0.5, 1.0, 1.0]
    assert result.expected_error == pytest.approx((2 * 0.37 + 0.2 + 0) / 4)
    assert result.brier == pytest.approx((0.01 + 0.84**2 + 0.04 + 0) / 4)
    assert (result.detections, result.hits, result.score_floor) == (4, 3, 0.0)
    assert result.statement == (
        "ECE 0.235, Brier score 0.189, over 4 detections with a score of at least 0, 3 of them hits"
    )


def test_empty_bins_are_nan_and_cost_nothing() -> None:
    result = judge([0.05, 0.95], [False, True])
    assert result.count.tolist() == [1, *[0] * 8, 1]
    assert np.isnan(result.mean_score[1:-1]).all()
    assert np.isnan(result.hit_share[1:-1]).all()
    assert result.expected_error == pytest.approx(0.05)


@pytest.mark.parametrize(("score", "bin_number"), [(0.0, 0), (0.1, 1), (0.3, 3), (0.7, 7), (0.999, 9), (1.0, 9)])
def test_a_bin_holds_its_lower_edge(score: float, bin_number: int) -> None:
    assert judge([score], [True]).count.argmax() == bin_number


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100), st.lists(st.booleans(), min_size=1, max_size=30))
def test_constant_score_is_off_by_its_distance_from_the_share_of_hits(percent: int, right: list[bool]) -> None:
    score = percent / 100
    share = sum(right) / len(right)
    result = judge([score] * len(right), right)
    assert result.expected_error == pytest.approx(abs(score - share))
    # Brier = calibration + variance of the outcome
    assert result.brier == pytest.approx((score - share) ** 2 + share * (1 - share))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_every_detection_is_in_one_bin(pairs: list[tuple[float, bool]]) -> None:
    scores, right = zip(*pairs, strict=True)
    result = judge(scores, right)
    some = result.count > 0
    assert result.count.sum() == len(pairs)
    assert (result.count * np.where(some, result.hit_share, 0)).sum() == pytest.approx(sum(right))
    edges = np.arange(BINS + 1) / BINS
    assert (result.mean_score[some] >= edges[:-1][some] - 1e-12).all()
    assert (result.mean_score[some] <= edges[1:][some] + 1e-12).all()
    assert 0 <= result.expected_error <= 1 + 1e-12


def test_error_of_true_probabilities_goes_to_zero() -> None:
    rng = np.random.default_rng(1)
    errors = {}
    for n in (100, 5_000, 250_000):
        scores = rng.random(n)
        result = judge(scores, rng.random(n) < scores)
        errors[n] = result.expected_error
        assert result.brier == pytest.approx(1 / 6, abs=2 / n**0.5)
    assert errors[100] > errors[5_000] > errors[250_000]
    assert errors[250_000] < 0.004


def test_overconfidence_shows() -> None:
    """Hits at half of what the score says: the mean gap is half of the mean score."""
    rng = np.random.default_rng(2)
    scores = rng.random(50_000)
    assert judge(scores, rng.random(50_000) < scores / 2).expected_error == pytest.approx(0.25, abs=0.01)


def test_duplicates_are_wrong_and_detections_on_ignored_faces_are_left_out() -> None:
    box, other = (0.0, 0.0, 20.0, 20.0), (50.0, 0.0, 70.0, 20.0)
    images = [Image([box, other], [True, False], [box, box, other], [0.9, 0.8, 0.7])]
    faces, detections, scores, counted = oracle.to_arrays(images)
    result = calibration(match(faces, detections, scores), counted, score_kind="probability")
    assert (result.detections, result.hits) == (2, 1)
    assert result.brier == pytest.approx((0.01 + 0.64) / 2)


def test_floor_is_part_of_the_result() -> None:
    scores, right = [0.1, 0.1, 0.1, 0.5, 0.9], [False, False, False, True, True]
    result = judge(scores, right, score_floor=0.5)
    assert (result.detections, result.score_floor) == (2, 0.5)
    assert result.expected_error == pytest.approx(0.3)
    assert "2 detections with a score of at least 0.5" in result.statement
    assert judge(scores, right).expected_error == pytest.approx((3 * 0.1 + 0.5 + 0.1) / 5)


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(images: list[Image]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    if not ((scores >= 0) & (scores <= 1)).all():
        with pytest.raises(UsageError, match="from 0 to 1"):
            calibration(match(faces, detections, scores), counted, score_kind="probability")
        return
    result = calibration(match(faces, detections, scores), counted, score_kind="probability")
    point = oracle.at_threshold(images, 0.0)
    assert (result.detections, result.hits) == (point["hits"] + point["false_alarms"], point["hits"])
    assert result.count.sum() == result.detections
    for number in (result.expected_error, result.brier):
        assert math.isnan(number) is (result.detections == 0)


def test_nothing_above_the_floor() -> None:
    result = judge([0.1], [True], score_floor=0.5)
    assert result.statement == "no detection with a score of at least 0.5 to judge"
    assert math.isnan(result.expected_error)


@pytest.mark.parametrize("kind", ["margin", "none"])
def test_scores_that_claim_nothing_are_refused(kind: str) -> None:
    with pytest.raises(UsageError, match=f'kind "probability", got "{kind}": a score that does not claim'):
        calibration(*detector([0.5], [True]), score_kind=kind)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ([0.5, 1.5], {}, "got scores from 0.5 to 1.5"),
        ([-0.5, 1.0], {}, "got scores from -0.5 to 1"),
        ([0.5], {"score_floor": 1.5}, "score_floor must be from 0 to 1"),
        ([0.5], {"score_floor": math.nan}, "score_floor must be from 0 to 1"),
    ],
)
def test_values_that_are_refused(scores: list[float], options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        judge(scores, [True] * len(scores), **options)

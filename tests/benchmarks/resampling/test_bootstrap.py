"""Resampled scores equal scoring the repeated images; intervals and comparisons behave as intervals should."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from facebench.benchmarks.resampling import average_precision as resampled_curves
from facebench.benchmarks.resampling import statistics as resampling
from facebench.benchmarks.resampling.average_precision import CocoAP, ExactAP
from facebench.benchmarks.resampling.bootstrap import (
    Interval,
    Resampled,
    draw_weights,
    interval,
    paired_difference,
    percentile_interval,
    resample,
)
from facebench.benchmarks.resampling.official import OfficialAP
from facebench.benchmarks.resampling.ranking import first_shares, gap, tied_with_best
from facebench.benchmarks.resampling.statistics import Ratio, operating_ratios
from facebench.benchmarks.scoring import (
    ImageBoxes,
    count,
    exact_average_precision,
    match,
    official_average_precision,
    operating_point,
)
from facebench.benchmarks.scoring.coco import COCO_THRESHOLDS, coco_overlaps, coco_verdicts
from facebench.benchmarks.scoring.verdicts import verdicts
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE, A, B, images_with_ties, ones, repeat, scene, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

many = settings(max_examples=60, deadline=None)
RATES = ("precision", "recall", "f1", "false_alarms_per_image", "mean_iou")


def resampled_numbers(images: list[Image], weights: NDArray[np.int32]) -> dict[str, list[float]]:
    """Every statistic under each draw."""
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches, overlaps = match(faces, detections, scores), coco_overlaps(faces, detections, scores)
    statistics = {
        "exact": ExactAP(matches, counted),
        "official": OfficialAP(matches, counted),
        "ap": CocoAP(overlaps, counted),
        "ap50": CocoAP(overlaps, counted, COCO_THRESHOLDS[:1]),
        **operating_ratios(matches, counted, 0.5),
    }
    return {name: statistic(weights).tolist() for name, statistic in statistics.items()}


def without_ties(images: list[Image]) -> list[Image]:
    """Ranks instead of scores: in the COCO form equal scores keep their order, each a point of its own."""
    scores = oracle.to_arrays(images)[2]
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(len(scores), 0, -1)
    ends = np.cumsum([len(image.scores) for image in images], dtype=int)
    return [p._replace(scores=ranks[end - len(p.scores) : end].tolist()) for p, end in zip(images, ends, strict=True)]


def numbers_of_copies(originals: list[Image], weights: list[int]) -> dict[str, float]:
    """The same by scoring the repeated images, by the plain loops where these know the statistic."""
    images = repeat(originals, weights)
    faces, detections, scores, counted = oracle.to_arrays(repeat(without_ties(originals), weights))
    found = coco_verdicts(coco_overlaps(faces, detections, scores), counted)
    coco = [oracle.coco_area(row.tolist(), int(counted.sum())) for row in found]
    point = oracle.at_threshold(images, 0.5)
    return {
        "exact": oracle.exact_ap(images),
        "official": oracle.official_ap(images),
        "ap": float(np.mean(coco)),
        "ap50": coco[0],
        **{name: point[name] for name in RATES},
    }


def assert_equal_to_repeating(images: list[Image], weights: list[int]) -> None:
    got = resampled_numbers(images, np.array([weights], dtype=np.int32).reshape(1, len(images)))
    expected = numbers_of_copies(images, weights)
    assert {name: values[0] for name, values in got.items()} == pytest.approx(expected, abs=1e-12, rel=0, nan_ok=True)


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
@pytest.mark.parametrize("weight", [0, 1, 3])
def test_equal_weights(images: list[Image], weight: int) -> None:
    assert_equal_to_repeating(images, [weight] * len(images))


@many
@given(seeds, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_weight_is_a_number_of_copies(seed: int, weights: list[int]) -> None:
    images = scene(seed)
    assert_equal_to_repeating(images, weights[: len(images)])


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(images_with_ties(), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_a_weight_is_a_number_of_copies_with_ties_of_score(images: list[Image], weights: list[int]) -> None:
    assert_equal_to_repeating(images, weights[: len(images)])


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_many_draws_are_the_draws_one_by_one(seed: int) -> None:
    images = scene(seed)
    weights = draw_weights(len(images), draws=70, seed=seed)
    together = resampled_numbers(images, weights)
    for draw in (0, 33, 69):
        alone = resampled_numbers(images, weights[draw : draw + 1])
        for name, values in together.items():
            assert values[draw] == pytest.approx(alone[name][0], abs=1e-12, nan_ok=True)


@many
@given(seeds)
def test_all_weights_one_is_the_plain_score(seed: int) -> None:
    images = scene(seed)
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    counts = count(matches, counted)
    got = resampled_numbers(images, ones(images))
    assert got["exact"] == pytest.approx([exact_average_precision(counts)], abs=1e-12, nan_ok=True)
    assert got["official"] == pytest.approx([official_average_precision(counts)], abs=1e-12, nan_ok=True)
    point = operating_point(counts, 0.5)
    assert [got[name][0] for name in RATES] == pytest.approx([getattr(point, name) for name in RATES], nan_ok=True)


@pytest.mark.parametrize("draws_a_block", [1, 7, 64])
def test_a_block_of_draws_is_as_good_as_all_of_them(draws_a_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit; but a mean of numbers that are not whole may be rounded otherwise in another block."""
    images = crowd()
    weights = draw_weights(len(images), draws=70)
    together = resampled_numbers(images, weights)
    monkeypatch.setattr(resampling, "NUMBERS_PER_BLOCK", draws_a_block * len(images))
    in_blocks = resampled_numbers(images, weights)
    assert together.pop("mean_iou") == pytest.approx(in_blocks.pop("mean_iou"), rel=1e-15, abs=0)
    assert in_blocks == together


def test_a_block_is_as_long_as_its_numbers_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "NUMBERS_PER_BLOCK", 900)
    weights = draw_weights(30, draws=70)
    blocks = list(resampling.blocks_of_draws(weights))
    assert [len(weights[some]) for some in blocks] == [30, 30, 10]
    assert np.concatenate([np.arange(70)[some] for some in blocks]).tolist() == list(range(70))


def test_of_no_draws_there_is_one_empty_block() -> None:
    assert list(resampling.blocks_of_draws(draw_weights(30, draws=0))) == [slice(0, 0)]
    (nothing,) = resampling.weighted_sums(draw_weights(30, draws=0), np.ones((30, 2)))
    assert nothing.shape == (0, 2)


def test_sums_hold_no_more_than_a_block_of_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is laid out beside the weights and the answer does not grow with the draws."""
    monkeypatch.setattr(resampling, "NUMBERS_PER_BLOCK", 8_000)
    held, values = [], np.arange(2_000.0)
    for draws in (100, 400):
        weights = draw_weights(2_000, draws=draws)
        tracemalloc.start()
        resampling.weighted_sums(weights, values, values)
        held.append(tracemalloc.get_traced_memory()[1] - 2 * 8 * draws)
        tracemalloc.stop()
    # two blocks of 64 kB: one is made before the last is gone
    assert max(held) < 135_000


def test_weights_take_a_byte_each() -> None:
    assert draw_weights(3, draws=2).dtype == np.int8


def test_official_ap_is_normalised_again_in_every_draw() -> None:
    """Without the image of the highest score the others spread over the whole range of thresholds."""
    images = [
        Image([A], [True], [A], [1e6]),
        Image([A, B], [True, True], [A, (90, 90, 99, 99), B], [3.0, 2.0, 1.0]),
    ]
    official = resampled_numbers(images, np.array([[1, 1], [0, 2]], dtype=np.int32))["official"]
    assert official == pytest.approx([oracle.official_ap(images), oracle.official_ap([images[1]] * 2)], abs=1e-12)
    assert official[0] != official[1]


def crowd(images: int = 40) -> list[Image]:
    """Ten faces each; of these most are found, in no order of score, and as many boxes hold nothing."""
    rng = np.random.default_rng(5)
    boxes = [(x, 0, x + 9, 9) for x in range(0, 400, 20)]
    return [
        Image(boxes[:10], [True] * 10, [boxes[i] for i in rng.permutation(20)[:14]], rng.random(14).round(3).tolist())
        for _ in range(images)
    ]


@pytest.mark.parametrize("name", ["exact", "official", "ap", "ap50"])
def test_a_value_depends_on_nothing_that_is_not_drawn(name: str) -> None:
    """To the last bit: where two detectors found the same, their difference is zero and not nearly zero."""
    images = crowd()
    blind_on_first = [images[0]._replace(boxes=[], scores=[]), *images[1:]]
    weights = draw_weights(len(images), draws=300)
    one, other = (np.array(resampled_numbers(found, weights)[name]) for found in (images, blind_on_first))
    assert ((one == other) == (weights[:, 0] == 0)).all()


def test_exact_ap_is_the_sum_without_rounding() -> None:
    images = crowd()
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    weights = draw_weights(len(images), draws=20)
    for row, value in zip(weights, resampled_numbers(images, weights)["exact"], strict=True):
        judged = verdicts(matches, counted)
        at_end = np.append(np.diff(matches.scores) != 0, True)
        copies = row[matches.image]
        hits, proposals = (
            np.cumsum(copies * chosen)[at_end] for chosen in (judged.hit, judged.hit | judged.false_alarm)
        )
        best = np.maximum.accumulate((hits / np.maximum(proposals, 1))[::-1])[::-1]
        assert value == math.fsum(np.repeat(best, np.diff(hits, prepend=0)).tolist()) / (10 * row.sum())


@pytest.mark.parametrize(
    ("draws_a_block", "numbers_a_block", "steps"), [(1, 1, 1), (16, 1, 7), (3, 1 << 17, 32), (16, 500, 1000)]
)
def test_average_precision_is_the_same_however_draws_are_put_together(
    draws_a_block: int, numbers_a_block: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = crowd()
    weights = draw_weights(len(images), draws=70)
    expected = resampled_numbers(images, weights)
    monkeypatch.setattr(resampled_curves, "_STEPS", steps)
    monkeypatch.setattr(resampled_curves, "_DRAWS_PER_BLOCK", draws_a_block)
    monkeypatch.setattr(resampled_curves, "_NUMBERS_PER_BLOCK", numbers_a_block)
    assert resampled_numbers(images, weights) == expected


@pytest.mark.parametrize("copies", [(1 << 24) - 1, (1 << 24) + 1, (1 << 30) + 1])
def test_counts_beyond_single_precision_are_not_rounded(copies: int) -> None:
    """A face that is found in so many copies of an image, and one box on no face before all of them."""
    images = [Image([A], [True], [A], [0.8]), Image([B], [True], [A], [0.9])]
    exact = resampled_numbers(images, np.array([[copies, 1]], dtype=np.int64))["exact"]
    assert exact == [pytest.approx((copies / (copies + 1)) ** 2, rel=1e-15, abs=0)]


def test_weights_that_are_refused() -> None:
    recall = Ratio(np.ones(3), np.ones(3))
    for weights in (np.ones((2, 4), np.int32), np.ones(3, np.int32), np.ones((2, 3))):
        with pytest.raises(UsageError, match=r"whole numbers \(draws, 3\)"):
            recall(weights)
        with pytest.raises(UsageError, match=r"whole numbers \(draws, 3\)"):
            resample(recall, weights)


def test_draws_are_the_same_in_any_process() -> None:
    """Pinned: made of the raw stream of PCG64, which NumPy promises to keep."""
    assert draw_weights(6, draws=3, seed=5).tolist() == [[1, 1, 1, 1, 2, 0], [2, 1, 1, 1, 0, 1], [0, 0, 3, 0, 0, 3]]


def test_draws_are_multinomial() -> None:
    weights = draw_weights(40, draws=5000, seed=3)
    assert (weights.sum(axis=1) == 40).all()
    assert np.abs(weights.mean(axis=0) - 1).max() < 0.06
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 40, rel=0.02)
    off_diagonal = np.cov(weights.T)[~np.eye(40, dtype=bool)]
    assert off_diagonal.mean() == pytest.approx(-1 / 40, rel=0.1)


def test_a_draw_does_not_depend_on_how_many_follow_but_on_the_seed() -> None:
    assert draw_weights(9, draws=50, seed=1)[:7].tolist() == draw_weights(9, draws=7, seed=1).tolist()
    assert draw_weights(9, draws=7, seed=1).tolist() != draw_weights(9, draws=7, seed=2).tolist()


def test_clusters_are_drawn_whole() -> None:
    events = ["parade", "fair", "parade", "meeting", "fair"]
    weights = draw_weights(5, draws=200, seed=0, clusters=events)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weights[:, [0, 1, 3]].tolist() == draw_weights(3, draws=200, seed=0).tolist()


@pytest.mark.parametrize(("images", "draws"), [(0, 4), (3, 0), (0, 0)])
def test_nothing_to_draw(images: int, draws: int) -> None:
    assert draw_weights(images, draws=draws).shape == (draws, images)


@pytest.mark.parametrize("wrong", [{"images": -1}, {"draws": -1}, {"seed": -1}, {"clusters": ["one"]}])
def test_draws_that_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        draw_weights(**{"images": 3, **wrong})


def test_clusters_widen_the_interval_where_images_of_one_are_alike() -> None:
    rng = np.random.default_rng(0)
    event = np.repeat(np.arange(20), 15)
    recall = Ratio((rng.random(300) < np.repeat(rng.random(20), 15)).astype(float), np.ones(300))
    by_image = interval(resample(recall, draw_weights(300, seed=1)))
    by_event = interval(resample(recall, draw_weights(300, seed=1, clusters=event.tolist())))
    assert by_event.value == by_image.value
    assert by_event.high - by_event.low > 1.8 * (by_image.high - by_image.low)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """400 data sets of 150 images with 1 to 8 faces, each found with a chance of the image's own; mean 0.6."""
    rng = np.random.default_rng(11)
    covered = 0
    for data_set in range(400):
        faces = rng.integers(1, 9, 150)
        found = rng.binomial(faces, rng.beta(3, 2, 150))
        weights = draw_weights(150, draws=300, seed=data_set)
        one = interval(resample(Ratio(found.astype(float), faces.astype(float)), weights))
        covered += one.low <= 0.6 <= one.high
    assert 0.92 <= covered / 400 <= 0.98


def test_interval_by_hand() -> None:
    samples = np.array([*range(1, 100), math.nan, math.nan], dtype=float)
    found, mirrored = percentile_interval(50.0, samples), percentile_interval(-50.0, -samples)
    assert (found.low, found.high, found.draws) == (pytest.approx(3.45), pytest.approx(96.55), 99)
    assert mirrored == found.reversed
    undefined = percentile_interval(math.nan, np.full(5, math.nan))
    assert (math.isnan(undefined.low), math.isnan(undefined.high), undefined.draws) == (True, True, 0)
    assert undefined.holds_zero


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(-1, 1, True), (0, 1, True), (-1, 0, True), (0.1, 1, False), (-1, -0.1, False)]
)
def test_interval_that_holds_zero(low: float, high: float, holds: bool) -> None:
    assert Interval(0.0, low, high, 0.95, 100).holds_zero is holds


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    """A detector and a slightly worse one on the same images: each scatters widely, the difference does not."""
    rng = np.random.default_rng(2)
    hard = rng.random(400) < 0.5
    found = hard | (rng.random(400) < 0.1)
    worse = found & (rng.random(400) < 0.92)
    weights = draw_weights(400)
    a, b = (resample(Ratio(one.astype(float), np.ones(400)), weights) for one in (found, worse))
    paired = paired_difference(a, b)
    other = paired_difference(a, resample(Ratio(worse.astype(float), np.ones(400)), draw_weights(400, seed=99)))
    assert not paired.interval.holds_zero
    assert other.interval.holds_zero
    assert paired.interval.value == pytest.approx(float((found & ~worse).mean()))
    assert paired.share_above > 0.99


def test_a_detector_is_tied_with_itself_and_other_images_could_tell_more() -> None:
    same = resample(Ratio(np.arange(50.0), np.full(50, 60.0)), draw_weights(50, draws=100))
    difference = paired_difference(same, same)
    unseen = 1 - 0.025 ** (1 / 50)
    assert (difference.interval.low, difference.interval.high) == (pytest.approx(-unseen), pytest.approx(unseen))
    assert difference.share_above == 0.5
    assert tied_with_best({"one": same, "other": same}) == ("one", "other")
    assert first_shares({"one": same, "other": same}) == {"one": 0.5, "other": 0.5}


def samples(*values: float) -> Resampled:
    value = float(np.nanmean(values)) if not np.isnan(values).all() else math.nan
    return Resampled(value, np.array(values, dtype=float), many_images())


def many_images() -> NDArray[np.float64]:
    """Influences of images on which a number rests alike."""
    return np.tile([1.0, -1.0], 500)


def test_first_shares() -> None:
    nan = math.nan
    detectors = {
        "a": samples(3, 1, 2, nan, nan),
        "b": samples(2, 1, 3, 1, nan),
        "c": samples(1, 1, 3, nan, nan),
        "d": samples(nan, nan, nan, nan, nan),
    }
    assert first_shares(detectors) == pytest.approx(
        {"a": (1 + 1 / 3) / 4, "b": (1 / 3 + 1 / 2 + 1) / 4, "c": (1 / 3 + 1 / 2) / 4, "d": 0}
    )
    assert first_shares({}) == {}
    assert math.isnan(first_shares({"d": detectors["d"]})["d"])


def test_tied_with_best() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (4, 500))
    detectors = {
        "worst": Resampled(0.5, 0.5 + noise[0], many_images()),
        "near": Resampled(0.795, 0.795 + noise[1], 0.9 * many_images()),
        "best": Resampled(0.8, 0.8 + noise[2], 0.8 * many_images()),
        "undefined": samples(*[math.nan] * 500),
    }
    assert tied_with_best(detectors) == ("best", "near")
    assert tied_with_best({}) == ()


def test_gap() -> None:
    groups = {
        "young": samples(0.8, 0.9),
        "old": samples(0.5, 0.4),
        "adult": samples(0.7, 0.7),
        "none": samples(math.nan),
    }
    found = gap({name: one for name, one in groups.items() if name != "none"}, by_chance=0.1)
    assert found is not None
    assert (found.best, found.worst, found.by_chance) == ("young", "old", 0.1)
    assert found.interval.value == pytest.approx(0.4)
    assert found.interval.low < 0.305 and found.interval.high > 0.495, "no narrower than that of the two alone"
    assert gap({"young": groups["young"], "none": groups["none"]}, by_chance=0.1) is None


def test_different_numbers_of_draws_are_not_compared() -> None:
    with pytest.raises(UsageError, match="same draws"):
        paired_difference(samples(1, 2), samples(1, 2, 3))
    with pytest.raises(UsageError, match="same draws"):
        first_shares({"a": samples(1, 2), "b": samples(1, 2, 3)})


def test_draws_without_a_counted_face_are_undefined_and_said_so() -> None:
    faces = ImageBoxes.from_images([[A], *[[] for _ in range(3)]])
    statistic = ExactAP(match(faces, faces, [0.5]), np.array([True]))
    one = interval(resample(statistic, draw_weights(4, draws=300)))
    assert (one.value, one.low, one.high) == (1.0, pytest.approx(0.025), 1.0), "one image with a face"
    assert 150 < one.draws < 250

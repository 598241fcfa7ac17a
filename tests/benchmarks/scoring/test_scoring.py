"""Each function of the scoring by itself: values computed by hand, degenerate input, refusals."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.scoring import (
    ImageBoxes,
    average_precision,
    count,
    exact_average_precision,
    iou_matrix,
    match,
    official_average_precision,
    operating_point,
    score,
)
from facebench.benchmarks.scoring.wider_protocol import accepted_by_official
from facebench.errors import UsageError

FACE = [10.0, 10.0, 29.0, 29.0]
OTHER = [40.0, 10.0, 59.0, 29.0]
NOWHERE = [200.0, 200.0, 220.0, 220.0]


def array(*rows: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


@pytest.mark.parametrize(
    ("a", "b", "plus_one", "plain"),
    [
        ([0, 0, 9, 9], [0, 0, 9, 9], 1.0, 1.0),
        ([0, 0, 9, 9], [0, 0, 9, 4], 50 / 100, 36 / 81),
        ([0, 0, 9, 9], [9, 9, 18, 18], 1 / 199, 0.0),
        ([0, 0, 9, 9], [10, 0, 19, 9], 0.0, 0.0),
        ([0, 0, 9, 9], [9.5, 0, 19, 9], 5 / (100 + 105 - 5), 0.0),
        ([5, 5, 5, 5], [5, 5, 5, 5], 1.0, 0.0),
        ([5, 5, 5, 9], [5, 5, 5, 9], 1.0, 0.0),
        ([0, 0, 9, 9], [8, 2, 6, 4], 0.0, 0.0),
    ],
)
def test_iou(a: list[float], b: list[float], plus_one: float, plain: float) -> None:
    assert iou_matrix(array(a), array(b), plus_one=True).item() == pytest.approx(plus_one)
    assert iou_matrix(array(a), array(b), plus_one=False).item() == pytest.approx(plain)
    assert iou_matrix(array(b), array(a), plus_one=True).item() == pytest.approx(plus_one)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_iou_matrix_shape(n: int, m: int) -> None:
    assert iou_matrix(np.zeros((n, 4)), np.zeros((m, 4)), plus_one=True).shape == (n, m)


def test_match_takes_the_first_of_equal_faces_and_looks_at_ignored_ones() -> None:
    left, right = [0.0, 0.0, 9.0, 9.0], [4.0, 0.0, 13.0, 9.0]
    between = [2.0, 0.0, 11.0, 9.0]
    for faces in ([left, right], [right, left]):
        matches = match(ImageBoxes.from_images([faces]), ImageBoxes.from_images([[between]]), [0.5])
        assert matches.best_face.tolist() == [0]


def test_match_orders_all_detections_by_score_and_keeps_the_order_of_ties() -> None:
    faces = ImageBoxes.from_images([[FACE], [OTHER]])
    detections = ImageBoxes.from_images([[FACE, NOWHERE], [OTHER, FACE, OTHER]])
    matches = match(faces, detections, [0.5, 0.9, 0.5, 0.9, 0.5])
    assert matches.detection.tolist() == [1, 3, 0, 2, 4]
    assert matches.image.tolist() == [0, 1, 0, 1, 1]
    assert matches.best_face.tolist() == [-1, -1, 0, 1, 1]
    assert matches.iou.tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        matches.scores[0] = 2.0


@pytest.mark.parametrize("seed", range(20))
def test_match_equals_a_dense_search(seed: int) -> None:
    """Boxes of all sizes on a coarse grid: ties, edges that touch, faces that reach far over their detections."""
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        corners = rng.integers(0, 60, (n, 2)) / 2
        return np.hstack([corners, corners + rng.integers(-1, rng.choice([3, 60]), (n, 2)) / 2])

    faces = ImageBoxes.from_images([boxes(n) for n in (6, 0, 1, 9, 4)])
    detections = ImageBoxes.from_images([boxes(n) for n in (30, 5, 30, 30, 0)])
    matches = match(faces, detections, np.zeros(95))
    overlaps = iou_matrix(detections.boxes, faces.boxes, plus_one=True)
    overlaps[detections.image[:, None] != faces.image[None, :]] = 0
    best = overlaps.argmax(axis=1)
    highest = overlaps[np.arange(95), best]
    plain = iou_matrix(detections.boxes, faces.boxes, plus_one=False)[np.arange(95), best]
    assert matches.detection.tolist() == list(range(95))
    assert matches.iou.tolist() == highest.tolist()
    assert matches.best_face.tolist() == np.where(highest > 0, best, -1).tolist()
    assert matches.plain_iou.tolist() == np.where(highest > 0, plain, 0).tolist()


@pytest.mark.parametrize("shift", [(19.5, 0), (-19.5, 0), (0, 19.5), (0, -19.5)])
def test_match_sees_boxes_half_a_pixel_apart(shift: tuple[float, float]) -> None:
    """Under the plus-one rule they overlap by half a pixel, 10 of 800 - 10 square pixels."""
    detection = array(FACE) + np.array([*shift, *shift])
    matches = match(ImageBoxes.from_images([[FACE]]), ImageBoxes.from_images([detection]), [0.5])
    assert (matches.best_face.item(), matches.iou.item()) == (0, 10 / 790)


def test_match_of_far_and_huge_boxes() -> None:
    huge = [-1e7, -1e7, 1e7, 1e7]
    far = [1e7 + 0.5, 0.0, 1e7 + 20, 20.0]
    faces = ImageBoxes.from_images([[huge, FACE, far], [FACE]])
    matches = match(faces, ImageBoxes.from_images([[FACE, huge, far], [far, huge]]), [5, 4, 3, 2, 1])
    assert matches.best_face.tolist() == [1, 0, 2, -1, 3]


def test_match_never_holds_all_pairs() -> None:
    """3,000 faces under one another and as many detections: a dense matrix of float64 would take 72 MB."""
    tops = np.arange(3000.0)[:, None] * 30
    boxes = np.hstack([0 * tops, tops, 0 * tops + 20, tops + 20])
    stacked = ImageBoxes.from_images([boxes])
    tracemalloc.start()
    matches = match(stacked, stacked, np.arange(3000.0))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert matches.best_face.tolist() == list(range(2999, -1, -1))
    assert peak_bytes < 20e6


@pytest.mark.parametrize(
    ("boxes", "offsets", "message"),
    [
        (np.zeros((2, 4), np.float32), np.array([0, 2]), "got float32"),
        (np.zeros((2, 5)), np.array([0, 2]), r"got float64 \(2, 5\)"),
        (np.zeros((2, 4)), np.array([0.0, 2.0]), "offsets must be int64"),
        (np.zeros((2, 4)), np.array([], np.int64), "offsets must be int64"),
        (np.zeros((2, 4)), np.array([0, 1]), "the number of boxes, 2"),
        (np.zeros((2, 4)), np.array([1, 2]), "the number of boxes, 2"),
        (np.zeros((2, 4)), np.array([0, 3, 2]), "the number of boxes, 2"),
        (array(FACE, [0, 0, math.nan, 1]), np.array([0, 1, 2]), "nan.* in image 1"),
        (array(FACE, [0, 0, math.inf, 1]), np.array([0, 0, 2]), "inf.* in image 1"),
    ],
)
def test_boxes_that_are_refused(boxes: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ImageBoxes(boxes, offsets)


def test_boxes_of_a_image_need_four_numbers() -> None:
    with pytest.raises(UsageError, match=r"\(2, 2\) for image 1"):
        ImageBoxes.from_images([[FACE], [[1, 2], [3, 4]]])


def test_match_refuses_what_does_not_fit_together() -> None:
    one, two = ImageBoxes.from_images([[FACE]]), ImageBoxes.from_images([[FACE], []])
    with pytest.raises(UsageError, match="faces of 1 images and detections of 2"):
        match(one, two, [0.5])
    with pytest.raises(UsageError, match="each of 1 detections"):
        match(one, one, [0.5, 0.6])
    with pytest.raises(UsageError, match="finite, got nan"):
        match(one, one, [math.nan])


def test_count_refuses_a_wrong_mask_and_a_wrong_threshold() -> None:
    one = ImageBoxes.from_images([[FACE]])
    matches = match(one, one, [0.5])
    with pytest.raises(UsageError, match="int64"):
        count(matches, np.array([1]))
    with pytest.raises(UsageError, match=r"got bool \(2,\)"):
        count(matches, np.array([True, True]))
    for threshold in (0.0, 1.5, math.nan):
        with pytest.raises(UsageError, match="iou_threshold"):
            count(matches, np.array([True]), iou_threshold=threshold)


@pytest.mark.parametrize(
    ("recall", "precision", "area"),
    [
        ([], [], 0.0),
        ([1.0], [1.0], 1.0),
        ([0.5], [1.0], 0.5),
        ([0.25, 0.5, 0.5, 1.0], [1.0, 0.5, 0.4, 0.6], 0.25 + 0.75 * 0.6),
        ([0.0, 0.5], [0.0, 0.8], 0.4),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
    ],
)
def test_average_precision(recall: list[float], precision: list[float], area: float) -> None:
    assert average_precision(np.array(recall), np.array(precision)) == pytest.approx(area)


@pytest.mark.parametrize(
    ("recall", "precision"),
    [([0.5], [0.5, 0.5]), ([0.5, 0.4], [1.0, 1.0]), ([math.nan], [1.0]), ([0.5], [1.1]), ([-0.1], [1.0])],
)
def test_average_precision_refuses_what_is_no_curve(recall: list[float], precision: list[float]) -> None:
    with pytest.raises(UsageError):
        average_precision(np.array(recall), np.array(precision))


@pytest.mark.parametrize(
    ("scores", "accepted"),
    [([], {0: 0, 999: 0}), ([7.0], {0: 1}), ([0.3, 0.3], {0: 2}), ([2.0, 0.0, -2.0], {0: 1, 498: 1, 499: 2, 999: 3})],
)
def test_official_thresholds(scores: list[float], accepted: dict[int, int]) -> None:
    """Known fault of other evaluators: all scores equal divides by zero."""
    found = accepted_by_official(np.array(scores), min(scores, default=0.0), max(scores, default=0.0))
    assert {place: found[place] for place in accepted} == accepted


def test_counts_by_hand() -> None:
    """Two images with faces, one counted and hit twice, one ignored; a third image without a face."""
    faces = ImageBoxes.from_images([[FACE, OTHER], [FACE], []])
    detections = ImageBoxes.from_images([[FACE, [10.0, 10.0, 29.0, 27.0], OTHER, NOWHERE], [NOWHERE], [FACE]])
    matches = match(faces, detections, [0.7, 0.9, 0.8, 0.7, 0.2, 0.5])
    counts = count(matches, np.array([True, False, True]))
    assert counts.thresholds.tolist() == [0.9, 0.8, 0.7, 0.5, 0.2]
    assert counts.hits.tolist() == [1, 1, 1, 1, 1]
    assert counts.false_alarms.tolist() == [0, 0, 2, 2, 3]
    assert counts.false_alarms_on_empty.tolist() == [0, 0, 0, 1, 1]
    assert counts.hit_iou.tolist() == pytest.approx([17 / 19] * 5)
    assert (counts.faces, counts.images) == (2, 3)
    assert exact_average_precision(counts) == 0.5
    assert official_average_precision(counts) == 0.5


def test_false_alarms_on_empty_images_cost_exact_ap_and_never_official_ap() -> None:
    faces = ImageBoxes.from_images([[FACE], []])
    counts = count(match(faces, ImageBoxes.from_images([[FACE], [FACE]]), [0.5, 0.9]), np.array([True]))
    assert exact_average_precision(counts) == 0.5
    assert official_average_precision(counts) == 1.0
    assert operating_point(counts, 0.0).false_alarms_per_image == 0.5


def test_iou_threshold() -> None:
    faces = ImageBoxes.from_images([[FACE]])
    matches = match(faces, ImageBoxes.from_images([[[10, 10, 29, 24]]]), [0.5])
    assert matches.iou.tolist() == [0.75]
    for threshold, hits in ((0.5, 1), (0.75, 1), (0.76, 0)):
        assert count(matches, np.array([True]), iou_threshold=threshold).hits.tolist() == [hits]


def test_detector_without_scores_has_a_curve_of_one_point() -> None:
    """One hit of two faces and one false alarm, all scores 1: area = recall times precision."""
    faces = ImageBoxes.from_images([[FACE, OTHER]])
    result = score(faces, ImageBoxes.from_images([[FACE, NOWHERE]]), np.ones(2, np.float32), score_threshold=1.0)
    assert (result.overall.official_ap, result.overall.exact_ap) == (0.25, 0.25)


def test_no_detections_score_zero_and_no_faces_score_nan() -> None:
    some, none = ImageBoxes.from_images([[FACE]]), ImageBoxes.from_images([[]])
    silent = score(some, none, np.empty(0), score_threshold=0.5).overall
    assert (silent.official_ap, silent.exact_ap, silent.at_threshold.recall) == (0.0, 0.0, 0.0)
    assert math.isnan(silent.at_threshold.precision)
    assert math.isnan(silent.at_threshold.mean_iou)
    nothing = score(none, some, np.array([0.9]), score_threshold=0.5).overall
    assert math.isnan(nothing.official_ap)
    assert math.isnan(nothing.exact_ap)
    assert math.isnan(nothing.at_threshold.recall)
    assert (nothing.at_threshold.precision, nothing.at_threshold.false_alarms) == (0.0, 1)


@pytest.mark.parametrize(
    ("threshold", "hits", "false_alarms", "precision_recall_f1", "mean_iou"),
    [
        (-math.inf, 2, 1, [2 / 3, 1.0, 0.8], 1.0),
        (0.5, 2, 1, [2 / 3, 1.0, 0.8], 1.0),
        (0.6, 1, 1, [1 / 2, 1 / 2, 1 / 2], 1.0),
        (0.9, 1, 0, [1.0, 1 / 2, 2 / 3], 1.0),
        (0.91, 0, 0, [math.nan, 0.0, 0.0], math.nan),
    ],
)
def test_operating_point(
    threshold: float, hits: int, false_alarms: int, precision_recall_f1: list[float], mean_iou: float
) -> None:
    faces = ImageBoxes.from_images([[FACE, OTHER]])
    found = ImageBoxes.from_images([[OTHER, NOWHERE, FACE]])
    point = score(faces, found, np.array([0.5, 0.7, 0.9]), score_threshold=threshold).overall.at_threshold
    assert (point.hits, point.false_alarms, point.false_alarms_per_image) == (hits, false_alarms, false_alarms)
    assert [point.precision, point.recall, point.f1] == pytest.approx(precision_recall_f1, nan_ok=True)
    assert point.mean_iou == pytest.approx(mean_iou, nan_ok=True)


def test_threshold_is_compared_in_the_precision_of_the_scores() -> None:
    """The float32 nearest to 0.7 is below the float64 nearest to 0.7, and still passes a threshold of 0.7."""
    faces = ImageBoxes.from_images([[FACE]])
    assert score(faces, faces, np.array([0.7], np.float32), score_threshold=0.7).overall.at_threshold.hits == 1
    assert score(faces, faces, np.array([0.7]), score_threshold=0.7).overall.at_threshold.hits == 1


def test_threshold_must_be_a_number() -> None:
    faces = ImageBoxes.from_images([[FACE]])
    with pytest.raises(UsageError, match="nan"):
        score(faces, faces, np.array([0.7]), score_threshold=math.nan)


def test_ignored_faces_are_left_out_of_overall_and_lists_stand_alone() -> None:
    faces = ImageBoxes.from_images([[FACE, OTHER]])
    result = score(
        faces,
        ImageBoxes.from_images([[FACE, OTHER]]),
        np.array([0.9, 0.8]),
        score_threshold=0.0,
        ignore=np.array([False, True]),
        lists={"other": np.array([False, True])},
    )
    assert (result.images, result.detections) == (1, 2)
    for part in (result.overall, result.lists["other"]):
        assert (part.at_threshold.faces, part.at_threshold.hits, part.at_threshold.false_alarms) == (1, 1, 0)

"""How hits overlap, the box habit of a detector, and AP with it taken out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from facebench.benchmarks.resampling.boxes import hit_overlap
from facebench.benchmarks.scoring import ImageBoxes, Matches, match
from facebench.benchmarks.scoring.localisation import (
    BoxBias,
    UnbiasedPrecision,
    box_bias,
    unbiased_average_precision,
    without_bias,
)
from facebench.benchmarks.scoring.verdicts import first_half
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import DEGENERATE
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

FACE = (100.0, 100.0, 200.0, 200.0)


def far_apart(images: int, per_image: int = 4, seed: int = 0) -> ImageBoxes:
    """Return faces of 40 to 120 pixels, none near another, so that a wrong box cannot land on a neighbour."""
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(40, 120, (images * per_image, 2))
    corners = np.tile(1000.0 * np.arange(per_image), images)[:, None] + rng.uniform(0, 50, sizes.shape)
    offsets = per_image * np.arange(images + 1)
    return ImageBoxes(np.hstack([corners, corners + sizes]), offsets.astype(np.int64))


def drawn(faces: ImageBoxes, bias: BoxBias) -> ImageBoxes:
    """Return the faces as a detector of this habit draws them."""
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    centre = faces.boxes[:, :2] + size / 2 + size * [bias.dx, bias.dy]
    size = size * np.exp([bias.log_width, bias.log_height])
    return ImageBoxes(np.hstack([centre - size / 2, centre + size / 2]), faces.offsets)


def scaled(faces: ImageBoxes, scale: float) -> ImageBoxes:
    return drawn(faces, BoxBias(0, 0, math.log(scale), math.log(scale), hits=0))


def all_of(faces: ImageBoxes) -> NDArray[np.bool_]:
    return np.ones(len(faces), dtype=np.bool_)


def falling_scores(boxes: ImageBoxes) -> NDArray[np.float64]:
    return np.linspace(1, 0.1, len(boxes))


def no_draws(matches: Matches) -> NDArray[np.int8]:
    return np.empty((0, matches.images), dtype=np.int8)


def unbiased(
    faces: ImageBoxes,
    detections: ImageBoxes,
    scores: NDArray[np.float64],
    counted: NDArray[np.bool_] | None = None,
    iou: float = 0.5,
) -> UnbiasedPrecision:
    matches = match(faces, detections, scores)
    counted = all_of(faces) if counted is None else counted
    return unbiased_average_precision(matches, faces, detections, counted)[iou]


def fits(faces: ImageBoxes, detections: ImageBoxes) -> tuple[BoxBias, BoxBias]:
    """Return the habit in each half of the images."""
    matches, half = match(faces, detections, falling_scores(detections)), first_half(faces.images)
    first, second = (box_bias(matches, faces, detections, all_of(faces), images=part) for part in (half, ~half))
    return first, second


def test_overlap_of_hits_by_hand() -> None:
    """Boxes of the full width and of 60, 80, 80 and 100 of 100 rows; a second box on the last face is not a hit."""
    images = [[FACE]] * 4
    found = [[(100.0, 100.0, 200.0, 100.0 + rows)] for rows in (60, 80, 80)] + [[FACE, FACE]]
    faces, detections = ImageBoxes.from_images(images), ImageBoxes.from_images(found)
    matches = match(faces, detections, [0.9, 0.8, 0.7, 0.6, 0.5])
    overlap = hit_overlap(matches, all_of(faces), no_draws(matches))
    found = (overlap.hits, overlap.mean.value, overlap.p05, overlap.median.value, overlap.p95)
    assert found == pytest.approx((4, 0.8, 0.63, 0.8, 0.97))
    above = hit_overlap(matches, all_of(faces), no_draws(matches), score_threshold=0.8)
    assert (above.hits, above.mean.value) == (2, pytest.approx(0.7))


def test_plain_overlap_of_a_small_face_may_lie_below_the_threshold() -> None:
    """Under the plus-one rule 6 of 11 rows overlap, otherwise 5 of 10 and a bit less."""
    faces = ImageBoxes.from_images([[(0, 0, 10, 10)]])
    matches = match(faces, ImageBoxes.from_images([[(0, 0, 10, 4.8)]]), [0.5])
    overlap = hit_overlap(matches, all_of(faces), no_draws(matches))
    assert (overlap.hits, overlap.mean.value) == (1, pytest.approx(0.48))


@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate(images: list[Image]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    hits = oracle.at_threshold(images, -math.inf)
    overlap = hit_overlap(matches, counted, no_draws(matches))
    assert overlap.hits == hits["hits"]
    assert overlap.mean.value == pytest.approx(hits["mean_iou"], nan_ok=True)
    assert all(math.isnan(one) is (overlap.hits == 0) for one in (overlap.p05, overlap.median.value, overlap.p95))
    bias = box_bias(matches, faces, detections, counted)
    assert math.isnan(bias.dx) is (bias.hits == 0)
    result = unbiased(faces, detections, scores, counted)
    assert result.before == pytest.approx(oracle.exact_ap(images), nan_ok=True)
    if not len(detections):
        assert result.after == pytest.approx(result.before, nan_ok=True)
    if not counted.any():
        assert math.isnan(result.after)


def test_habit_by_hand() -> None:
    """The detection is 20 to the right and 10 up, 1.2 times as wide and 0.9 times as high."""
    faces = ImageBoxes.from_images([[FACE]])
    detections = ImageBoxes.from_images([[(110.0, 95.0, 230.0, 185.0)]])
    bias = box_bias(match(faces, detections, [0.5]), faces, detections, all_of(faces))
    assert (bias.dx, bias.dy, bias.width_ratio, bias.height_ratio, bias.hits) == (
        pytest.approx(0.2), pytest.approx(-0.1), pytest.approx(1.2), pytest.approx(0.9), 1,
    )  # fmt: skip
    assert bias.removed_from(detections.boxes).tolist() == [pytest.approx(FACE)]


small = st.floats(-0.1, 0.1)


@settings(max_examples=50, deadline=None)
@given(small, small, small, small, st.integers(0, 1000))
def test_a_habit_is_found_and_removed_exactly(dx: float, dy: float, width: float, height: float, seed: int) -> None:
    habit = BoxBias(dx, dy, width, height, hits=12)
    faces = far_apart(3, seed=seed)
    detections = drawn(faces, habit)
    found = box_bias(match(faces, detections, falling_scores(faces)), faces, detections, all_of(faces))
    for name in ("dx", "dy", "log_width", "log_height", "hits"):
        assert getattr(found, name) == pytest.approx(getattr(habit, name), abs=1e-9)
    assert found.removed_from(detections.boxes) == pytest.approx(faces.boxes, abs=1e-6)


@pytest.mark.parametrize(("scale", "iou"), [(1.3, 0.75), (1.5, 0.5), (0.65, 0.5)])
def test_boxes_of_another_scale_are_not_worse(scale: float, iou: float) -> None:
    """All boxes 1.3 times as large have IoU 1 / 1.69 = 0.59: no hit at 0.75, and all hits once the habit is out."""
    faces = far_apart(10)
    result = unbiased(faces, scaled(faces, scale), falling_scores(faces), iou=iou)
    assert (result.before, result.after, result.gain) == (0.0, 1.0, 1.0)
    for fit in fits(faces, scaled(faces, scale)):
        assert (fit.width_ratio, fit.height_ratio) == (pytest.approx(scale), pytest.approx(scale))
        assert (fit.dx, fit.hits) == (pytest.approx(0, abs=1e-9), 20)


def test_a_detector_that_misses_faces_gains_nothing() -> None:
    """Every second face missed, boxes exact: worse, and not otherwise."""
    faces = far_apart(10)
    half = ImageBoxes(faces.boxes[::2], faces.offsets // 2)
    result = unbiased(faces, half, falling_scores(half))
    assert (result.before, result.after, result.gain) == (0.5, 0.5, 0.0)


def test_random_placement_is_no_habit() -> None:
    """Boxes shifted by a fifth of their size in random directions: IoU 0.64 / 1.36 = 0.47, and no way to fix it."""
    faces = far_apart(200)
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    signs = np.random.default_rng(5).choice([-1.0, 1.0], size.shape)
    shifted = ImageBoxes(faces.boxes + np.tile(signs * size * 0.2, 2), faces.offsets)
    result = unbiased(faces, shifted, falling_scores(faces))
    assert result.before == 0.0
    assert result.after < 0.4
    assert sum(fit.hits for fit in fits(faces, shifted)) == 800


def test_each_half_is_corrected_by_the_other() -> None:
    """The first half is drawn too large, the second too small: each correction makes the other half worse."""
    faces = far_apart(10)
    first = np.repeat(first_half(10), 4)
    detections = ImageBoxes(np.where(first[:, None], scaled(faces, 1.2).boxes, scaled(faces, 0.8).boxes), faces.offsets)
    assert [fit.width_ratio for fit in fits(faces, detections)] == pytest.approx([1.2, 0.8])
    result = unbiased(faces, detections, falling_scores(faces))
    assert (result.before, result.after) == (1.0, 0.0)


def test_without_hits_in_a_half_nothing_is_claimed() -> None:
    """One image leaves the other half empty, so there is no habit that the image had no say in."""
    faces = far_apart(1)
    first, second = fits(faces, scaled(faces, 1.5))
    assert (first.hits, second.hits) == (4, 0)
    assert without_bias(scaled(faces, 1.5), first, second) is None
    result = unbiased(faces, scaled(faces, 1.5), falling_scores(faces))
    assert result.before == 0.0
    assert math.isnan(result.after)
    assert math.isnan(result.gain)


def test_only_hits_above_the_threshold_show_the_habit() -> None:
    """Four sure boxes of 1.1 and twelve unsure ones of 1.6: the medians follow the unsure, unless told not to."""
    faces = far_apart(4)
    sure = np.arange(16) % 4 == 0
    detections = ImageBoxes(np.where(sure[:, None], scaled(faces, 1.1).boxes, scaled(faces, 1.6).boxes), faces.offsets)
    scores = np.where(sure, 0.9, 0.1)
    matches = match(faces, detections, scores)
    for threshold, ratio, hits in ((0.0, 1.6, 16), (0.9, 1.1, 4)):
        bias = box_bias(matches, faces, detections, all_of(faces), score_threshold=threshold)
        assert (bias.width_ratio, bias.hits) == (pytest.approx(ratio), hits)


def test_faces_without_area_show_no_habit() -> None:
    """WIDER FACE val has 11 faces of no width or height; under the plus-one rule they can be hit."""
    line, thin = (10.0, 10.0, 10.0, 40.0), (10.0, 10.0, 11.0, 40.0)
    for face, found in ((line, thin), (thin, line), (line, line)):
        faces, detections = ImageBoxes.from_images([[face, FACE]]), ImageBoxes.from_images([[found, FACE]])
        bias = box_bias(match(faces, detections, [0.9, 0.8]), faces, detections, all_of(faces))
        assert (bias.dx, bias.log_width, bias.hits) == (0.0, 0.0, 1)


def test_ignored_faces_show_no_habit() -> None:
    faces = far_apart(2, per_image=2)
    counted = np.array([True, False, True, False])
    boxes = np.where(counted[:, None], faces.boxes, scaled(faces, 1.4).boxes)
    detections = ImageBoxes(boxes, faces.offsets)
    bias = box_bias(match(faces, detections, falling_scores(faces)), faces, detections, counted)
    assert (bias.log_width, bias.hits) == (pytest.approx(0), 2)

"""What must hold of any scoring, whatever the boxes."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.benchmarks.scoring import ImageBoxes, Scores, score
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.scored_images import scene, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

many = settings(max_examples=60, deadline=None)


def score_images(images: list[Image]) -> Scores:
    faces, detections, scores, counted = oracle.to_arrays(images)
    return score(faces, detections, scores, score_threshold=0.5, ignore=~counted)


def numbers(scores: Scores) -> list[float]:
    point = scores.overall.at_threshold
    return [
        scores.overall.official_ap,
        scores.overall.exact_ap,
        point.hits,
        point.false_alarms,
        point.precision,
        point.recall,
        point.mean_iou,
    ]


def same(a: float | list[float]) -> object:
    return pytest.approx(a, abs=1e-12, rel=0, nan_ok=True)


@many
@given(seeds)
def test_order_of_images_faces_and_boxes_does_not_matter(seed: int) -> None:
    images = scene(seed)
    rng = np.random.default_rng(seed)

    def shuffled(image: Image) -> Image:
        by_face, by_box = rng.permutation(len(image.faces)), rng.permutation(len(image.boxes))
        return Image(
            [image.faces[i] for i in by_face],
            [image.counted[i] for i in by_face],
            [image.boxes[i] for i in by_box],
            [image.scores[i] for i in by_box],
        )

    mixed = [shuffled(images[i]) for i in rng.permutation(len(images))]
    assert numbers(score_images(mixed)) == same(numbers(score_images(images)))


@many
@given(seeds, st.sampled_from([lambda s: s**8, np.log, lambda s: 100 * s - 3, lambda s: np.where(s > 0.9, s + 50, s)]))
def test_exact_ap_depends_on_the_order_of_scores_alone(seed: int, rising: np.ufunc) -> None:
    faces, detections, scores, counted = oracle.to_arrays(scene(seed))
    before = score(faces, detections, scores, score_threshold=0, ignore=~counted).overall.exact_ap
    after = score(faces, detections, rising(scores), score_threshold=0, ignore=~counted).overall.exact_ap
    assert after == same(before)


def test_official_ap_depends_on_more_than_the_order_of_scores() -> None:
    """Known fault of the official form, and why detectors are compared by the exact one."""
    faces, detections, scores, counted = oracle.to_arrays(scene(3))
    before = score(faces, detections, scores, score_threshold=0, ignore=~counted).overall.official_ap
    after = score(faces, detections, scores**2000, score_threshold=0, ignore=~counted).overall.official_ap
    assert abs(after - before) > 0.01


@many
@given(seeds, st.booleans())
def test_one_more_detection_below_all_others_never_raises_exact_ap(seed: int, duplicate: bool) -> None:
    images = scene(seed)
    before = score_images(images).overall.exact_ap
    for i, image in enumerate(images):
        extra = image.boxes[0] if duplicate and image.boxes else (500.0, 500.0, 520.0, 520.0)
        worse = [*images]
        worse[i] = image._replace(boxes=[*image.boxes, extra], scores=[*image.scores, 0.01])
        after = score_images(worse).overall.exact_ap
        assert np.isnan(before) or after <= before + 1e-12


@many
@given(seeds)
def test_perfect_detections_give_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [
        image._replace(boxes=image.faces, scores=rng.uniform(0.5, 1, len(image.faces)).tolist())
        for image in scene(seed)
    ]
    scores = score_images(images)
    if any(any(image.counted) for image in images):
        assert numbers(scores)[:2] == same([1.0, 1.0])
        assert numbers(scores)[4:] == same([1.0, 1.0, 1.0])
    else:
        assert np.isnan(scores.overall.exact_ap)


@many
@given(seeds)
def test_images_are_not_mixed(seed: int) -> None:
    """Moving each image's boxes and faces far from those of the others changes nothing."""

    def moved(boxes: list[oracle.Box], by: float) -> list[oracle.Box]:
        return [(x1 + by, y1, x2 + by, y2) for x1, y1, x2, y2 in boxes]

    images = scene(seed)
    apart = [
        image._replace(faces=moved(image.faces, 4096.0 * i), boxes=moved(image.boxes, 4096.0 * i))
        for i, image in enumerate(images)
    ]
    assert numbers(score_images(apart)) == pytest.approx(numbers(score_images(images)), abs=1e-9, nan_ok=True)


@many
@given(seeds)
def test_lists_are_scored_as_if_alone(seed: int) -> None:
    faces, detections, scores, counted = oracle.to_arrays(scene(seed))

    def alone(mask: NDArray[np.bool_]) -> Scores:
        return score(faces, detections, scores, score_threshold=0.5, ignore=~mask)

    masks = {"some": counted, "others": ~counted, "all": np.ones_like(counted), "none": np.zeros_like(counted)}
    together = score(faces, detections, scores, score_threshold=0.5, lists=masks)
    assert list(together.lists) == list(masks)
    for name, mask in masks.items():
        assert repr(together.lists[name]) == repr(alone(mask).overall)


def test_input_is_not_changed() -> None:
    faces, detections, scores, counted = oracle.to_arrays(scene(5))
    copies = [array.copy() for array in (faces.boxes, detections.boxes, detections.offsets, scores, counted)]
    score(ImageBoxes(faces.boxes, faces.offsets), detections, scores, score_threshold=0.5, lists={"list": counted})
    for array, copy in zip((faces.boxes, detections.boxes, detections.offsets, scores, counted), copies, strict=True):
        assert np.array_equal(array, copy)
        assert array.flags.writeable

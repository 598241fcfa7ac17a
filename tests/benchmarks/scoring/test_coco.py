"""COCO-style AP equals pycocotools, with its cap on detections out of the way."""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.resampling.average_precision import CocoAP
from facebench.benchmarks.scoring import ImageBoxes
from facebench.benchmarks.scoring.coco import (
    COCO_THRESHOLDS,
    RECALLS,
    coco_overlaps,
    coco_verdicts,
)
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Image
from facebench.tests.support.reference import load_reference
from facebench.tests.support.scored_images import (
    DEGENERATE,
    A,
    B,
    C,
    crowd,
    crowded_scene,
    images_with_crowds,
    images_with_ties,
    scene,
    seeds,
)
from hypothesis import given, settings
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval, Params

many = settings(max_examples=60, deadline=None)


def row(number: int, image_id: int, box: oracle.Box, **more: Any) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    return {"id": number, "image_id": image_id, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], **more}


def pycocotools(given: list[Image]) -> list[float]:
    """AP at each threshold; nan for pycocotools' -1.

    pycocotools overwrites "ignore" by "iscrowd", and a crowd has another IoU: an area out of range ignores a face.
    """
    images = [{"id": i} for i in range(len(given))]
    faces = [(i, *face) for i, p in enumerate(given) for face in zip(p.faces, p.counted, p.regions, strict=True)]
    found = [(i, box, s) for i, p in enumerate(given) for box, s in zip(p.boxes, p.scores, strict=True)]
    truth, results = COCO(), COCO()
    category = [{"id": 1, "name": "face"}]
    truth.dataset = {
        "images": images,
        "categories": category,
        "annotations": [
            row(k + 1, i, b, area=1.0 if counted or region else 9.0, iscrowd=int(region))
            for k, (i, b, counted, region) in enumerate(faces)
        ],
    }
    results.dataset = {
        "images": images,
        "categories": category,
        "annotations": [row(k + 1, i, b, area=1.0, iscrowd=0, score=s) for k, (i, b, s) in enumerate(found)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results.createIndex()
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.params.maxDets = [10**6]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 2]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    values = evaluation.eval["precision"][:, :, 0, 0, 0].mean(axis=1)
    return np.where(values == -1, np.nan, values).tolist()


def ours(images: list[Image]) -> list[float]:
    """AP at each threshold."""
    faces, detections, scores, counted = oracle.to_arrays(images)
    once = np.ones((1, len(images)), np.int8)
    found: list[float] = CocoAP(coco_overlaps(faces, detections, scores), counted).by_threshold(once)[:, 0].tolist()
    return found


def exact(images: list[Image]) -> list[Image]:
    """Coordinates in steps of 1/64: x + (x2 - x) is x2 to the last bit, so that ties are ties for pycocotools too."""

    def rounded(boxes: list[oracle.Box]) -> list[oracle.Box]:
        return [tuple(round(value * 64) / 64 for value in box) for box in boxes]

    return [p._replace(faces=rounded(p.faces), boxes=rounded(p.boxes)) for p in images]


def assert_equal_to_pycocotools(images: list[Image]) -> None:
    assert ours(images) == pytest.approx(pycocotools(images), abs=1e-9, rel=0, nan_ok=True)


MORE = {
    "second choice when the best face is taken": [
        Image([(0, 0, 10, 10), (2, 0, 12, 10)], [True, True], [(0, 0, 10, 10), (0, 0, 10, 10)], [0.9, 0.8])
    ],
    "a counted face of lower IoU goes before an ignored one": [
        Image([(0, 0, 10, 10), (2, 0, 12, 10)], [False, True], [(0, 0, 10, 10), (30, 0, 40, 10)], [0.9, 0.95])
    ],
    "an ignored face takes one detection only": [
        Image([A, B], [False, True], [A, A, A, B], [0.9, 0.8, 0.7, 0.6]),
    ],
    "of equal overlaps the later face": [
        Image([(0, 0, 10, 10), (4, 0, 14, 10)], [True, True], [(2, 0, 12, 10), (0, 0, 10, 10)], [0.9, 0.8])
    ],
    "a chain of second choices": [
        Image(
            [(x, 0, x + 20, 10) for x in (0, 2, 4, 6, 8)],
            [True] * 5,
            [(4, 0, 24, 10)] * 7,
            [0.9 - i / 10 for i in range(7)],
        )
    ],
    "equal scores in several images": [
        Image([A], [True], [B, A], [0.5, 0.5]),
        Image([A, B], [True, True], [A, C, B], [0.5, 0.5, 0.5]),
    ],
    "overlap of exactly .6 and .75": [
        Image([(0, 0, 10, 10), (50, 0, 60, 4)], [True, True], [(0, 0, 10, 6), (50, 0, 60, 3)], [0.9, 0.8])
    ],
    "identical boxes at the largest threshold": [Image([A, B], [True, True], [A, B], [0.9, 0.8])],
}


@pytest.mark.parametrize("images", [*DEGENERATE.values(), *MORE.values()], ids=[*DEGENERATE, *MORE])
def test_degenerate(images: list[Image]) -> None:
    assert_equal_to_pycocotools(images)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(images_with_ties())
def test_random_with_ties(images: list[Image]) -> None:
    assert_equal_to_pycocotools(exact(images))


@many
@given(seeds)
def test_random_without_ties(seed: int) -> None:
    assert_equal_to_pycocotools(scene(seed))


CROWD = Image([B, (0, 0, 100, 100)], [True, False], [B], [0.5], [False, True])
CROWDS = {
    "a region takes any number": [CROWD._replace(boxes=[A, C, A, A, B], scores=[0.9, 0.8, 0.7, 0.6, 0.5])],
    "a counted face in it goes first": [CROWD._replace(boxes=[B, B], scores=[0.9, 0.8])],
    "part of a box inside": [CROWD._replace(boxes=[(80, 0, 120, 10), (90, 0, 140, 10)], scores=[0.9, 0.8])],
    "a box around it": [CROWD._replace(boxes=[(0, 0, 200, 200)])],
    "an ignored face in it stays free for the next": [
        Image(
            [(20, 0, 40, 20), (0, 0, 21, 21), C],
            [False, False, True],
            [(5, 0, 15, 20), (10, 0, 30, 20), (22, 0, 42, 20), C],
            [0.9, 0.8, 0.7, 0.6],
            [False, True, False],
        )
    ],
    "only a region": [Image([A], [False], [A, B], [0.9, 0.8], [True]), CROWD],
}


@pytest.mark.parametrize("images", CROWDS.values(), ids=CROWDS)
def test_crowds_by_hand(images: list[Image]) -> None:
    assert_equal_to_pycocotools(images)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(images_with_crowds())
def test_random_crowds_with_ties(images: list[Image]) -> None:
    assert_equal_to_pycocotools(exact(images))


@many
@given(seeds)
def test_random_crowds(seed: int) -> None:
    assert_equal_to_pycocotools(crowded_scene(seed))


@pytest.mark.slow
def test_more_than_700_faces_in_a_image() -> None:
    rng = np.random.default_rng(7)
    assert_equal_to_pycocotools([crowd(rng, 20, 30), crowd(rng, 750, 900), crowd(rng, 1, 5)])


@pytest.mark.slow
def test_real_detections(shared: Path) -> None:
    """Every 40th image of WIDER FACE val, hard list."""
    reference = load_reference(shared / "data" / "wider_face")
    assert_equal_to_pycocotools(reference.images(reference.lists["hard"])[::40])


def test_thresholds_and_recalls_are_those_of_pycocotools() -> None:
    params = Params(iouType="bbox")
    assert COCO_THRESHOLDS.tolist() == params.iouThrs.tolist()
    assert RECALLS.tolist() == params.recThrs.tolist()


def test_a_cap_of_100_detections_hides_faces() -> None:
    """Known fault: the usual cap of 100 detections an image; 59 images of WIDER FACE val have more faces."""
    boxes = [(30.0 * i, 0.0, 30.0 * i + 20, 20.0) for i in range(150)]
    perfect = Image(boxes, [True] * 150, boxes, np.linspace(0.9, 0.1, 150).tolist())
    capped = perfect._replace(boxes=boxes[:100], scores=perfect.scores[:100])
    assert ours([perfect]) == [1.0] * 10
    assert ours([capped]) == pytest.approx([67 / 101] * 10)


@many
@given(seeds)
def test_order_of_boxes_faces_and_images_does_not_matter(seed: int) -> None:
    images = scene(seed)
    turned = [Image(*(values[::-1] for values in image)) for image in images[::-1]]
    assert ours(turned) == pytest.approx(ours(images), abs=1e-12, nan_ok=True)


@many
@given(seeds)
def test_depends_on_the_order_of_scores_alone(seed: int) -> None:
    images = scene(seed)
    mapped = [image._replace(scores=[100 * score**8 - 3 for score in image.scores]) for image in images]
    assert ours(mapped) == pytest.approx(ours(images), abs=1e-12, nan_ok=True)


@many
@given(seeds)
def test_one_more_detection_below_all_others_elsewhere_never_raises_it(seed: int) -> None:
    images = scene(seed)
    first = images[0]
    more = first._replace(boxes=[*first.boxes, (500.0, 500.0, 520.0, 520.0)], scores=[*first.scores, 0.01])
    before, after = np.mean(ours(images)), np.mean(ours([more, *images[1:]]))
    assert math.isnan(before) or after <= before + 1e-12


def test_perfect_detections_give_one_and_no_detections_zero() -> None:
    perfect = Image([A, B, C], [True, False, True], [A, B, C], [0.3, 0.2, 0.1])
    assert ours([perfect]) == [1.0] * 10
    assert ours([perfect._replace(boxes=[], scores=[])]) == [0.0] * 10
    assert np.isnan(ours([perfect._replace(counted=[False] * 3)])).all()


def test_verdicts_by_hand() -> None:
    """Highest score on the ignored face first: it is dropped once, then a false alarm."""
    faces, detections = ImageBoxes.from_images([[A, B]]), ImageBoxes.from_images([[A, B, A]])
    overlaps = coco_overlaps(faces, detections, [0.9, 0.8, 0.7])
    rows = coco_verdicts(overlaps, np.array([False, True]), np.array([0.5, 0.95]))
    assert rows.tolist() == [[-1, 1, 0], [-1, 1, 0]]


def test_what_is_refused() -> None:
    one = ImageBoxes.from_images([[A]])
    overlaps = coco_overlaps(one, one, [0.5])
    with pytest.raises(UsageError, match=r"bool \(1,\)"):
        coco_verdicts(overlaps, np.array([True, True]))
    with pytest.raises(UsageError, match="int64"):
        coco_verdicts(overlaps, np.array([1]))
    for threshold in (0.4, 1.1, math.nan):
        with pytest.raises(UsageError, match="thresholds must be"):
            coco_verdicts(overlaps, np.array([True]), np.array([threshold]))
    for lowest in (0.0, 1.5, math.nan):
        with pytest.raises(UsageError, match="lowest must be"):
            coco_overlaps(one, one, [0.5], lowest=lowest)
    with pytest.raises(UsageError, match="finite"):
        coco_overlaps(one, one, [math.inf])
    with pytest.raises(UsageError, match="images"):
        coco_overlaps(one, ImageBoxes.from_images([]), [])

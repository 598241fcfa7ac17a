"""Faults that existing evaluators or prediction files have, and what they cost, on the reference predictions.

Unsorted files are in `test_scoring_reference`, missing files and names that `rstrip` eats in `test_predictions`, a cap
in `test_scoring_coco`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.scoring import ImageBoxes, Scores, score
from facebench.tests.support.reference import Reference, load_reference
from numpy.typing import NDArray


@pytest.fixture(scope="module")
def reference(shared: Path) -> Reference:
    return load_reference(shared / "data" / "wider_face")


def rescore(
    reference: Reference,
    *,
    boxes: NDArray[np.float64] | None = None,
    scores: NDArray[np.float64] | None = None,
    kept: NDArray[np.bool_] | None = None,
) -> Scores:
    boxes = reference.detections.boxes if boxes is None else boxes
    scores = reference.scores if scores is None else scores
    offsets = reference.detections.offsets
    if kept is not None:
        per_image = np.bincount(reference.detections.image[kept], minlength=len(reference.names))
        boxes, scores = boxes[kept], scores[kept]
        offsets = np.concatenate([[0], np.cumsum(per_image)]).astype(np.int64)
    return score(reference.faces, ImageBoxes(boxes, offsets), scores, score_threshold=0.5, lists=reference.lists)


def exact(scores: Scores) -> NDArray[np.float64]:
    return np.array([one.exact_ap for one in scores.lists.values()])


def official(scores: Scores) -> NDArray[np.float64]:
    return np.array([one.official_ap for one in scores.lists.values()])


def test_scores_rounded_to_two_decimals_cost_ap(reference: Reference) -> None:
    """Ties join thresholds, so the best of them are no longer ahead."""
    loss = exact(rescore(reference)) - exact(rescore(reference, scores=reference.scores.round(2)))
    assert (loss > 0.0005).all()
    assert (loss < 0.02).all()


def test_ties_are_one_threshold_whatever_order_they_placeholder(reference: Reference) -> None:
    """Exact AP of rounded scores does not depend on the order of equal scores of different images."""
    rng = np.random.default_rng(0)
    rounded = reference.scores.round(2)
    images = rng.permutation(len(reference.names))

    def joined(owner: ImageBoxes) -> NDArray[np.int64]:
        return np.concatenate([np.arange(owner.offsets[i], owner.offsets[i + 1]) for i in images])

    def moved(owner: ImageBoxes) -> ImageBoxes:
        sizes = np.diff(owner.offsets)[images]
        return ImageBoxes(owner.boxes[joined(owner)], np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    face = joined(reference.faces)
    again = score(
        moved(reference.faces),
        moved(reference.detections),
        rounded[joined(reference.detections)],
        score_threshold=0.5,
        lists={name: mask[face] for name, mask in reference.lists.items()},
    )
    before = rescore(reference, scores=rounded)
    assert exact(again).tolist() == exact(before).tolist()
    assert official(again).tolist() == official(before).tolist()


def test_all_scores_equal_give_one_point_not_a_division_by_zero(reference: Reference) -> None:
    scores = rescore(reference, scores=np.ones(len(reference.scores)))
    points = [one.at_threshold for one in scores.lists.values()]
    assert exact(scores) == pytest.approx([point.recall * point.precision for point in points], abs=1e-12)
    assert official(scores).tolist() == exact(scores).tolist()


def test_boxes_cut_to_whole_pixels_cost_ap(reference: Reference) -> None:
    """The reference boxes are whole already: a made-up detector draws a box around each face, off by some of its size.

    Cutting x, y, width and height moves every edge up and to the left, half a pixel or one on average.
    """
    rng = np.random.default_rng(0)
    size = np.tile(reference.faces.boxes[:, 2:] - reference.faces.boxes[:, :2], 2)
    boxes = reference.faces.boxes + rng.normal(0, 0.12, size.shape) * size
    corner, extent = np.trunc(boxes[:, :2]), np.trunc(boxes[:, 2:] - boxes[:, :2])
    cut = np.hstack([corner, corner + extent])
    scores = rng.random(len(boxes))

    def ap(drawn: NDArray[np.float64]) -> float:
        found = ImageBoxes(drawn, reference.faces.offsets)
        return score(reference.faces, found, scores, score_threshold=0.5, lists=reference.lists).lists["hard"].exact_ap

    assert 0.01 < ap(boxes) - ap(cut) < 0.1


def test_one_outlier_among_the_scores_moves_official_ap_and_not_exact_ap(reference: Reference) -> None:
    outlier = reference.scores.copy()
    outlier[np.argmax(outlier)] = 100.0
    before, after = rescore(reference), rescore(reference, scores=outlier)
    assert exact(after) == pytest.approx(exact(before), abs=1e-9)
    assert (np.abs(official(after) - official(before)) > 0.005).all()


def test_a_monotone_change_of_the_scores_moves_official_ap_and_not_exact_ap(reference: Reference) -> None:
    before, after = rescore(reference), rescore(reference, scores=reference.scores**8)
    assert exact(after) == pytest.approx(exact(before), abs=1e-9)
    assert np.abs(official(after) - official(before)).max() > 0.005


@pytest.mark.parametrize("floor", [0.1, 0.3, 0.5])
def test_a_score_floor_costs_ap(reference: Reference, floor: float) -> None:
    cut = rescore(reference, kept=reference.scores >= floor)
    loss = exact(rescore(reference)) - exact(cut)
    assert (loss > 0).all()
    assert loss[-1] < 0.15
    if floor == 0.5:
        assert loss[-1] > 0.05


def test_a_cap_of_100_detections_costs_ap_on_hard(reference: Reference) -> None:
    """59 images have more than 100 faces and hold 37 % of all."""
    rank = np.empty(len(reference.scores), dtype=np.int64)
    image = reference.detections.image
    order = np.lexsort((-reference.scores, image))
    rank[order] = np.arange(len(order)) - reference.detections.offsets[image[order]]
    loss = exact(rescore(reference)) - exact(rescore(reference, kept=rank < 100))
    assert loss[-1] > 0.03


def test_recall_is_not_reported_as_average_precision(reference: Reference) -> None:
    """A known fault elsewhere: recall under the name mAP. A flood of surer false alarms leaves recall, and ruins AP."""
    found = rescore(reference)
    images = len(reference.names)
    nowhere = np.tile([[-900.0, -900.0, -800.0, -800.0]], (images, 1))
    boxes = [
        np.vstack([nowhere[i : i + 1], reference.detections.boxes[a:b]])
        for i, (a, b) in enumerate(zip(reference.detections.offsets, reference.detections.offsets[1:], strict=False))
    ]
    flooded_boxes = ImageBoxes.from_images(boxes)
    scores = np.ones(len(flooded_boxes))
    own = np.ones(len(scores), dtype=bool)
    own[flooded_boxes.offsets[:-1]] = False
    scores[own] = reference.scores * 0.9
    flooded = score(reference.faces, flooded_boxes, scores, score_threshold=0.45, lists=reference.lists)
    for name, one in flooded.lists.items():
        assert one.at_threshold.recall == pytest.approx(found.lists[name].at_threshold.recall, abs=1e-12)
        assert one.exact_ap < found.lists[name].exact_ap - 0.05

"""Slices select what they say, and scoring one equals scoring a data set made of it."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.benchmarks.resampling.average_precision import ExactAP
from facebench.benchmarks.resampling.bootstrap import draw_weights, resample
from facebench.benchmarks.resampling.ranking import gap
from facebench.benchmarks.resampling.statistics import operating_ratios
from facebench.benchmarks.scoring import ImageBoxes, count, match, score
from facebench.benchmarks.scoring.slices import (
    DEMOGRAPHICS_CAVEAT,
    HEIGHT,
    SHARE,
    Slice,
    event_parts,
    face_sizes,
    label_slices,
    slice_matches,
    slice_weights,
    standard_slices,
)
from facebench.benchmarks.scoring.wider_protocol import exact_average_precision
from facebench.errors import UsageError
from facebench.tests.support import oracle
from facebench.tests.support.scored_images import scene, seeds
from hypothesis import given, settings
from numpy.typing import NDArray

many = settings(max_examples=60, deadline=None)


def column(*heights: float) -> list[list[float]]:
    return [[0.0, 100.0 * i, 20.0, 100.0 * i + height] for i, height in enumerate(heights)]


def sides(faces: ImageBoxes) -> NDArray[np.int64]:
    """Images of 200 by 100 pixels."""
    return np.tile([200, 100], (faces.images, 1))


def by_name(slices: tuple[Slice, ...]) -> dict[tuple[str, str], Slice]:
    return {(part.group, part.name): part for part in slices}


def test_height() -> None:
    faces = ImageBoxes.from_images(
        [column(15.9, 16, 31.9), [], column(32, 95.9, 96, 199.9, 200, 399.9, 400, 999.9, 1000, 5000, 0, -2)]
    )
    slices = by_name(standard_slices(faces, np.array([True] * 14 + [False]), sides(faces)))
    assert {name: np.flatnonzero(part.faces).tolist() for (group, name), part in slices.items() if group == HEIGHT} == {
        "below 16": [0, 13],
        "16–32": [1, 2],
        "32–96": [3, 4],
        "96–200": [5, 6],
        "200–400": [7, 8],
        "400–1,000": [9, 10],
        "from 1,000": [11, 12],
    }
    assert slices[HEIGHT, "below 16"].size == 2
    assert slices[HEIGHT, "below 16"].images.all()


def test_share_of_the_image() -> None:
    """Of 20,000 pixels; the last image's size is not known, so its face is in no slice by share."""
    areas = [199, 200, 999, 1000, 3999, 4000, 9999, 10_000, 20_000, 500]
    faces = ImageBoxes.from_images([[[0, 0, area / 100, 100] for area in areas], [], [[0, 0, 150, 90]]])
    counted = np.arange(11) != 9
    slices = by_name(standard_slices(faces, counted, np.array([[200, 100], [5, 5], [0, 0]])))
    assert {name: np.flatnonzero(part.faces).tolist() for (group, name), part in slices.items() if group == SHARE} == {
        "below 1 %": [0],
        "1–5 %": [1, 2],
        "5–20 %": [3, 4],
        "20–50 %": [5, 6],
        "from 50 %": [7, 8],
    }


@pytest.mark.parametrize(
    ("faces", "name"),
    [(1, "1"), (2, "2-5"), (5, "2-5"), (6, "6-20"), (20, "6-20"), (21, "21-100"), (100, "21-100"), (101, "over 100")],
)
def test_faces_a_image(faces: int, name: str) -> None:
    boxes = ImageBoxes.from_images([[], column(*[20] * faces)])
    slices = [
        part for part in standard_slices(boxes, np.ones(faces, bool), sides(boxes)) if part.group == "faces an image"
    ]
    assert [(part.name, part.size) for part in slices if part.images.any()] == [(name, faces)]
    assert sum(part.images for part in slices).tolist() == [0, 1]


def test_a_crowd_region_is_not_a_face_of_its_image() -> None:
    boxes = ImageBoxes(np.array(column(20, 90, 20), np.float64), np.array([0, 2, 3]), np.array([False, True, False]))
    slices = by_name(standard_slices(boxes, np.array([True, False, True]), sides(boxes)))
    assert slices["faces an image", "1"].images.tolist() == [True, True]


def test_labels() -> None:
    faces = ImageBoxes.from_images([column(20, 20), column(20), column(20)])
    counted = np.array([True, True, True, False])
    attributes = {"blur": np.array([0, 2, 1, 2], np.int8), "invalid": np.zeros(4, np.int8), "pose": np.ones(4, np.int8)}
    slices = by_name(standard_slices(faces, counted, sides(faces), attributes=attributes))
    assert {key: np.flatnonzero(part.faces).tolist() for key, part in slices.items() if key[0] in ("blur", "pose")} == {
        ("blur", "clear"): [0],
        ("blur", "normal"): [2],
        ("blur", "heavy"): [1],
        ("pose", "typical"): [],
        ("pose", "atypical"): [0, 1, 2],
    }
    assert {group for group, _ in slices} == {HEIGHT, SHARE, "blur", "pose", "faces an image"}


def test_the_share_of_a_face_is_what_its_box_covers_of_the_image() -> None:
    boxes = [
        [[0, 0, 20, 10], [-20, 90, 20, 110], [-5, -5, 205, 105], [300, 0, 310, 10], [50, 50, 50, 60], [9, 9, 5, 3]],
        [],
        [[0, 0, 20, 10]],
    ]
    faces = ImageBoxes.from_images(boxes)
    sizes = face_sizes(faces, np.array([[200, 100], [10, 10], [0, 0]]))
    assert sizes["height"].tolist() == [10, 20, 110, 10, 10, -6, 10]
    # whole, cut at a corner, larger than its image, outside, of no area, turned inside out, in an image of unknown size
    np.testing.assert_allclose(sizes["share"], [0.01, 0.01, 1, 0, 0, 0, np.nan])


def test_events() -> None:
    faces = ImageBoxes.from_images([column(20, 20), column(20), column(20)])
    matches = match(faces, ImageBoxes.from_images([[], [], []]), [])
    parts = dict(event_parts(matches, np.array([True, True, True, False]), ["fair", "parade", "fair"]))
    assert list(parts) == ["fair", "parade"]
    assert [part.images.tolist() for part in parts.values()] == [[0, 2], [1]]
    assert [part.faces.tolist() for part in parts.values()] == [[0, 1, 3], [2]]
    assert [part.counted.tolist() for part in parts.values()] == [[True, True, False], [True]]


def test_faces_without_a_label_are_in_no_group() -> None:
    faces = ImageBoxes.from_images([column(20, 20, 20)])
    slices = label_slices(faces, np.ones(3, bool), "gender", np.array([1, -1, 0], np.int8), ("Female", "Male"))
    assert [(part.group, part.name, part.faces.tolist()) for part in slices] == [
        ("gender", "Female", [False, False, True]),
        ("gender", "Male", [True, False, False]),
    ]


@many
@given(seeds)
def test_an_event_scores_like_its_images_alone(seed: int) -> None:
    images = scene(seed)
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    events = [str(i % 2) for i in range(len(images))]
    for event, part in event_parts(matches, counted, events):
        alone = [image for image, label in zip(images, events, strict=True) if label == event]
        counts = count(part.matches, part.counted)
        assert exact_average_precision(counts) == pytest.approx(oracle.exact_ap(alone), abs=1e-12, nan_ok=True)
        assert counts.images == len(alone)


@many
@given(seeds)
def test_a_slice_of_faces_scores_like_a_list(seed: int) -> None:
    images = scene(seed)
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    for part in standard_slices(faces, counted, sides(faces)):
        if part.group in (HEIGHT, SHARE):
            listed = score(faces, detections, scores, score_threshold=0, lists={"list": part.faces}).lists["list"]
            got = exact_average_precision(count(*slice_matches(matches, part)))
            assert got == pytest.approx(listed.exact_ap, abs=1e-12, nan_ok=True)


@many
@given(seeds)
def test_groups_of_images_share_out_all_hits_and_false_alarms(seed: int) -> None:
    faces, detections, scores, counted = oracle.to_arrays(scene(seed))
    matches = match(faces, detections, scores)
    whole = count(matches, counted)
    parts = [part for part in standard_slices(faces, counted, sides(faces)) if part.group == "faces an image"]
    empty = Slice("0", "faces an image", np.zeros(len(faces), bool), np.diff(faces.offsets) == 0)
    counts = [count(*slice_matches(matches, part)) for part in [*parts, empty]]

    def last(one: object, name: str) -> int:
        return int(np.append(0, getattr(one, name))[-1])

    for name in ("hits", "false_alarms", "false_alarms_on_empty"):
        assert sum(last(one, name) for one in counts) == last(whole, name)


@many
@given(seeds)
def test_a_slice_shares_the_draws_of_the_whole_set(seed: int) -> None:
    images = scene(seed)
    faces, detections, scores, counted = oracle.to_arrays(images)
    matches = match(faces, detections, scores)
    weights = draw_weights(len(images), draws=3, seed=seed)
    even = np.arange(len(images)) % 2 == 0
    part = Slice("even", "half", counted & np.repeat(even, np.diff(faces.offsets)), even)
    got = ExactAP(*slice_matches(matches, part))(slice_weights(part, weights))
    for value, row in zip(got, weights.tolist(), strict=True):
        drawn = [p for p, inside, times in zip(images, part.images, row, strict=True) if inside for _ in range(times)]
        assert value == pytest.approx(oracle.exact_ap(drawn), abs=1e-12, nan_ok=True)


def test_gap_between_groups_in_recall() -> None:
    """Eight of ten faces of one group are found in every image, and four of ten of the other."""
    found = [True] * 8 + [False] * 2 + [True] * 4 + [False] * 6
    faces = ImageBoxes.from_images([column(*[20] * 20)] * 30)
    detections = ImageBoxes.from_images([np.array(column(*[20] * 20))[found]] * 30)
    matches = match(faces, detections, np.full(len(detections), 0.9))
    codes = np.tile(np.repeat([0, 1], 10), 30)
    weights = draw_weights(30, draws=50)
    slices = label_slices(faces, np.ones(600, bool), "age", codes, ("young", "old"))
    recalls = {
        part.name: resample(operating_ratios(matches, part.faces, 0.5)["recall"], slice_weights(part, weights))
        for part in slices
    }
    found_gap = gap(recalls, by_chance=0.0)
    assert found_gap is not None
    assert (found_gap.best, found_gap.worst) == ("young", "old")
    assert found_gap.interval.value == pytest.approx(0.4)
    # all images are alike, but 30 say only so much of others
    assert 0 < found_gap.interval.low < 0.4 < found_gap.interval.high < 0.7


def test_the_caveat_is_one_sentence_that_names_both_sides() -> None:
    assert DEMOGRAPHICS_CAVEAT.count(".") == 1
    assert "what annotators saw" in DEMOGRAPHICS_CAVEAT
    assert "does not show the cause" in DEMOGRAPHICS_CAVEAT


def test_what_is_refused() -> None:
    faces = ImageBoxes.from_images([column(20, 20)])
    both = np.ones(2, bool)
    with pytest.raises(UsageError, match="counted must have 2 values, got 3"):
        standard_slices(faces, np.ones(3, bool), sides(faces))
    with pytest.raises(UsageError, match="image_sizes must have 1 values, got 2"):
        face_sizes(faces, np.ones((2, 2)))
    with pytest.raises(UsageError, match="blur must have 2 values, got 1"):
        standard_slices(faces, both, sides(faces), attributes={"blur": np.zeros(1, np.int8)})
    with pytest.raises(UsageError, match="events must have 1 values, got 2"):
        event_parts(match(faces, faces, [0.9, 0.8]), both, ["a", "b"])

"""`close-ups`: faces of the sizes it promises, exactly where it says they are, the same for everybody."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from facebench.datasets import Dataset, decode, load
from facebench.datasets.images import upright_size
from facebench.datasets.manage.statistics import statistics
from facebench.datasets.scenes import close_ups
from facebench.datasets.scenes.backgrounds import load_backgrounds
from facebench.datasets.scenes.portraits import Ellipse, Portrait, load_portraits
from facebench.errors import UsageError


@pytest.fixture(scope="module")
def closeups() -> Dataset:
    return load("close-ups")


def test_what_it_says_of_itself(closeups: Dataset) -> None:
    assert (closeups.name, closeups.lists, closeups.demo, closeups.coverage) == ("close-ups", (), True, "40 images")
    assert "Demonstration on two people" in closeups.description and "enlarged" in closeups.description
    assert len({sample.image_id for sample in closeups.samples}) == 40


def test_one_face_wholly_inside_every_image(closeups: Dataset) -> None:
    for sample in closeups.samples:
        size = upright_size(sample.source)
        assert size is not None
        (box,) = sample.faces.boxes
        assert (box[:2] >= -0.01).all() and (box[2:] <= np.array(size) + 0.01).all(), sample.image_id
    assert not any(sample.faces.ignore.any() for sample in closeups.samples)


def test_faces_fill_small_and_large_images_little_and_nearly_whole(closeups: Dataset) -> None:
    found = statistics(closeups)
    shares, heights = found["faces_by_share"], found["faces_by_height_px"]
    assert shares["below 1 %"] == shares["1–5 %"] == 0
    assert min(shares["5–20 %"], shares["20–50 %"], shares["from 50 %"]) >= 7
    assert min(heights["96–200"] + heights["200–400"], heights["400–1,000"], heights["from 1,000"]) >= 7
    sizes = np.array([upright_size(sample.source) for sample in closeups.samples], np.float64)
    boxes = np.concatenate([sample.faces.boxes for sample in closeups.samples])
    share = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) / sizes.prod(axis=1)
    assert 0.05 <= share.min() < 0.06 and 0.85 < share.max() <= 0.901
    megapixels = sizes.prod(axis=1) / 1e6
    assert 0.29 < megapixels.min() < 0.4 and 10 < megapixels.max() < 12.1
    assert np.median(megapixels) < 1.5, "few are large: they take long"
    assert abs(np.corrcoef(np.log(share), np.log(megapixels))[0, 1]) < 0.3
    aspect = sizes[:, 0] / sizes[:, 1]
    assert ((aspect < 0.8).sum(), (aspect > 1.2).sum()) >= (7, 7) and aspect.min() >= 0.55 and aspect.max() <= 1.8
    people = np.concatenate([sample.faces.attributes["person"] for sample in closeups.samples])
    assert np.bincount(people).min() >= 10


def test_images_decode_and_have_their_background(closeups: Dataset) -> None:
    for sample in closeups.samples[:4]:
        image = decode(sample.source).image
        assert image is not None and image.std() > 10
    small = load("close-ups?count=1&seed=3").samples[0]
    assert isinstance(small.source, bytes) and small.source.startswith(b"\xff\xd8")


def test_same_seed_same_bytes(closeups: Dataset) -> None:
    again = load("close-ups?seed=0&count=3")
    assert [sample.source for sample in again.samples] == [sample.source for sample in closeups.samples[:3]]
    code = "import facebench.datasets as d; print(d.load('close-ups?count=3').fingerprint)"
    fresh = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert fresh == again.fingerprint != closeups.fingerprint
    assert load("close-ups?seed=1&count=3").fingerprint != fresh


@pytest.mark.parametrize("query", ["count=0", "count=501", "count=x", "seed=-1", "sed=1", "events=Picnic"])
def test_wrong_options(query: str) -> None:
    with pytest.raises(UsageError):
        load(f"close-ups?{query}")


@pytest.mark.parametrize("number", range(12))
def test_boxes_are_where_the_pixels_are(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ellipse drawn into the portrait, enlarged or shrunk, comes out exactly in the box that was computed for it."""
    face = Ellipse(200.0, 180.0, 60.0, 70.0)
    rows, columns = np.mgrid[:400, :380] + 0.5
    inside = ((columns - face.x) / face.a) ** 2 + ((rows - face.y) / face.b) ** 2 <= 1
    layer = np.repeat(np.where(inside, 255, 0).astype(np.uint8)[..., None], 4, axis=2)
    monkeypatch.setattr(close_ups, "draw_background", lambda rng, files, w, h: np.zeros((h, w, 3), np.uint8))
    image, faces = close_ups.compose(0, number, [Portrait(layer, face)], {})
    light = image[..., 1] / 255
    seen = []
    for axis in (0, 1):
        on = np.flatnonzero(light.max(axis=axis) >= 0.5)
        seen.append((on[0], on[-1] + 1))
    (x1, x2), (y1, y2) = seen
    (box,) = faces.boxes
    pixel = (box[3] - box[1]) / (2 * face.b)
    np.testing.assert_allclose(box, [x1, y1, x2, y2], atol=max(1.0, 0.8 * pixel))
    centre = [(light.sum(axis=axis) @ (np.arange(light.shape[1 - axis]) + 0.5)) / light.sum() for axis in (0, 1)]
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, centre, atol=max(0.2, 0.05 * pixel))


def test_a_mirrored_portrait_is_mirrored_and_a_positive_angle_turns_counter_clockwise() -> None:
    plain, mirrored, turned = (
        close_ups._turn(angle, mirrored=flip) @ np.array([1.0, 0.0, 0.0])
        for angle, flip in ((0, False), (0, True), (30, False))
    )
    assert plain.tolist() == [1, 0] and mirrored.tolist() == [-1, 0]
    assert turned[1] < 0, "to the right of the centre is up, y counting downwards"


def test_haar_finds_the_faces_where_they_are_marked() -> None:
    """A detector that knows nothing of this data set agrees with the boxes, once images are small enough for it."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    portraits, backgrounds = load_portraits(), load_backgrounds()
    overlaps = []
    for number in range(16):
        image, faces = close_ups.compose(0, number, portraits, backgrounds)
        (box,) = faces.boxes.astype(np.float64)
        scale = 100 / (box[3] - box[1])
        grey = cv2.cvtColor(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        grey = cv2.copyMakeBorder(grey, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
        hits = np.array(cascade.detectMultiScale(grey, 1.1, 3, minSize=(50, 50)), float).reshape(-1, 4)
        corners = np.column_stack([hits[:, :2], hits[:, :2] + hits[:, 2:]]) - 40
        there = box * scale
        shared = np.clip(np.minimum(corners[:, 2:], there[2:]) - np.maximum(corners[:, :2], there[:2]), 0, None).prod(1)
        union = hits[:, 2:].prod(1) + (there[2:] - there[:2]).prod() - shared
        overlaps.append((shared / union).max(initial=0))
    found = [one for one in overlaps if one >= 0.5]
    assert len(found) >= 13 and np.mean(found) > 0.65

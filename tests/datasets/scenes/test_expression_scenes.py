from __future__ import annotations

import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from facebench.datasets import Dataset, decode, load
from facebench.datasets.faces.fer import EMOTIONS, load_fer
from facebench.datasets.scenes.expression_scenes import _new_faces, _order
from facebench.errors import DataError, UsageError

from ...support.small_fer import some_images, write_folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "fer2013", some_images(each=46)).parent


@pytest.fixture(scope="module")
def composed(root: Path) -> Dataset:
    return load("expression-scenes?count=40", root=root)


def test_images_and_faces(composed: Dataset) -> None:
    assert (composed.name, composed.demo, composed.lists) == ("expression-scenes?count=40", False, ())
    assert len({sample.image_id for sample in composed.samples}) == 40
    sizes, counts = [], []
    for sample in composed.samples:
        image, faces = decode(sample.source).image, sample.faces
        height, width = image.shape[:2]
        assert 560 <= height <= 720 <= width <= 960
        x1, y1, x2, y2 = faces.boxes.T
        assert ((x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)).all(), sample.image_id
        np.testing.assert_allclose(x2 - x1, y2 - y1, rtol=1e-4)
        sizes += (x2 - x1).tolist()
        counts.append(len(faces))
        assert faces.emotions.shape == (len(faces),)
    assert 31.9 <= min(sizes) < 45 and 200 < max(sizes) <= 300.1
    assert [i for i, n in enumerate(counts) if n == 0] == [9, 19, 29, 39]
    assert sum(n > 1 for n in counts) > 20
    for name, kinds in (("blur", 3), ("illumination", 2)):
        values = np.concatenate([sample.faces.attributes[name] for sample in composed.samples])
        assert set(values.tolist()) == set(range(kinds))


def test_faces_do_not_overlap(composed: Dataset) -> None:
    for sample in composed.samples:
        boxes = sample.faces.boxes
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        area = np.clip(high - low, 0, None).prod(axis=2)
        np.fill_diagonal(area, 0)
        assert area.max(initial=0) == 0, sample.image_id


def test_the_crop_in_a_box_is_the_face_of_its_label(composed: Dataset, root: Path) -> None:
    """Cut every clear face out, fetch it back to 48 pixels: it must agree with one image, of its label."""
    images = load_fer(root, "test")
    rows, columns = np.mgrid[:48, :48] + 0.5
    oval = np.hypot((columns - 24) / 24.5, (rows - 24) / 26.5) < 0.8

    def unit(image: np.ndarray) -> np.ndarray:
        values = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1)[oval]
        values -= values.mean()
        return values / np.linalg.norm(values)

    known = np.stack([unit(image) for image in images.images])
    seen = 0
    for sample in composed.samples:
        grey = cv2.cvtColor(decode(sample.source).image, cv2.COLOR_RGB2GRAY)
        clear = (sample.faces.attributes["blur"] == 0) & (sample.faces.attributes["illumination"] == 0)
        for box, emotion in zip(sample.faces.boxes[clear], sample.faces.emotions[clear], strict=True):
            scale = (box[2] - box[0]) / 48
            if scale < 1:
                continue
            # by pixel index, whose centre lies one half further
            back = np.array([[scale, 0, box[0] + scale / 2 - 0.5], [0, scale, box[1] + scale / 2 - 0.5]])
            crop = cv2.warpAffine(grey, back, (48, 48), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            agreement = known @ unit(crop)
            best = int(agreement.argmax())
            assert agreement[best] > 0.95 and np.sort(agreement)[-2] < 0.5
            assert images.labels[best] == emotion
            seen += 1
    assert seen > 30


def test_determined_by_seed_split_and_number(composed: Dataset, root: Path) -> None:
    again = load("expression-scenes?count=5", root=root)
    assert [s.source for s in again.samples] == [s.source for s in composed.samples[:5]]
    assert again.fingerprint == load("expression-scenes?count=5&seed=0&split=test", root=root).fingerprint
    others = [
        load(f"expression-scenes?count=5&{q}", root=root).fingerprint
        for q in ("seed=1", "split=train", "classes=balanced")
    ]
    assert len({again.fingerprint, *others}) == 4


@pytest.mark.parametrize(("classes", "most"), [("natural", 40), ("balanced", 40)])
def test_no_face_comes_twice(root: Path, classes: str, most: int) -> None:
    assert len(load(f"expression-scenes?classes={classes}", root=root).samples) == most, (
        "as many as there are faces for"
    )
    with pytest.raises(UsageError, match=f"Got count={most + 1}, expected at most {most}: .* come again"):
        load(f"expression-scenes?count={most + 1}&classes={classes}", root=root)


def test_of_a_rare_emotion_faces_come_again_sooner() -> None:
    order = _order(np.repeat(np.arange(7), (50, 5, 40, 90, 60, 60, 40)).astype(np.int8), 3, balanced=True)
    assert 5 * 7 <= _new_faces(order) < 6 * 7


def test_every_face_comes_before_any_comes_again() -> None:
    labels = np.repeat(np.arange(7), (50, 5, 40, 90, 60, 60, 40)).astype(np.int8)
    natural = _order(labels, 3, balanced=False)
    assert sorted(natural.tolist()) == list(range(len(labels)))
    balanced = _order(labels, 3, balanced=True)
    turns = labels[balanced].reshape(-1, 7)
    assert (np.sort(turns, axis=1) == np.arange(7)).all()
    assert len(turns) == 90 and set(balanced.tolist()) == set(range(len(labels)))
    assert len({tuple(turn) for turn in turns}) > 50, "the place in a scene must not tell the emotion"


@pytest.mark.parametrize("query", ["count=0", "count=2001", "classes=even", "split=tests", "sed=1"])
def test_wrong_options(query: str, root: Path) -> None:
    with pytest.raises(UsageError):
        load(f"expression-scenes?{query}", root=root)


def test_without_the_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no FER2013"):
        load("expression-scenes", root=tmp_path)


def test_blank_images_are_left_out(tmp_path: Path) -> None:
    images = some_images({"test": "PublicTest"}, each=2)
    blank = {name: np.zeros((48, 48), np.uint8) for name in images}
    half = {**images, "test/sad/PublicTest_0.png": np.full((48, 48), 9, np.uint8)}
    assert "1 blank images" in load("expression-scenes?count=1", root=write_folder(tmp_path / "half", half)).notes[0]
    with pytest.raises(DataError, match="only blank images in the split test"):
        load("expression-scenes?count=1", root=write_folder(tmp_path / "blank", blank))


def test_the_demo_needs_nothing_and_says_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    dataset = load("expression-scenes:demo?count=12", root=tmp_path / "absent")
    assert (len(dataset), dataset.demo) == (12, True)
    assert "Demonstration on two portraits" in dataset.description and "measures nothing" in dataset.description
    assert "judged neutral" in dataset.notes[0]
    faces = [sample.faces for sample in dataset.samples]
    person = np.concatenate([f.attributes["person"] for f in faces])
    emotions = np.concatenate([f.emotions for f in faces])
    assert set(person.tolist()) == {0, 1}
    assert [{EMOTIONS[e] for e in emotions[person == p]} for p in (0, 1)] == [{"neutral"}, {"happy"}]
    heights = np.concatenate([f.boxes[:, 3] - f.boxes[:, 1] for f in faces])
    assert heights.min() >= 32
    assert not np.concatenate([f.attributes["occlusion"] for f in faces]).any()
    scenes = {s.image_id: s.source for s in load("scenes?count=28").samples}
    assert all(scenes[s.image_id] == s.source for s in dataset.samples)
    longer = load("expression-scenes:demo?count=14")
    assert [s.source for s in longer.samples[:12]] == [s.source for s in dataset.samples]
    with pytest.raises(UsageError, match="no option 'split'"):
        load("expression-scenes:demo?split=test")


@pytest.mark.slow
def test_a_detector_finds_real_faces_where_they_are_marked(shared: Path) -> None:
    """Haar cascades know nothing of this data set; without the drawn heads modern networks would find few."""
    dataset = load("expression-scenes?count=30", root=shared / "data")
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    clear = found = 0
    for sample in dataset.samples:
        plain = (sample.faces.attributes["blur"] == 0) & (sample.faces.attributes["illumination"] == 0)
        plain &= sample.faces.boxes[:, 3] - sample.faces.boxes[:, 1] >= 48
        grey = cv2.cvtColor(decode(sample.source).image, cv2.COLOR_RGB2GRAY)
        hits = np.array(cascade.detectMultiScale(grey, 1.1, 3), float).reshape(-1, 4)
        corners = np.column_stack([hits[:, :2], hits[:, :2] + hits[:, 2:]])
        for box in sample.faces.boxes[plain].astype(float):
            clear += 1
            inter = np.clip(np.minimum(corners[:, 2:], box[2:]) - np.maximum(corners[:, :2], box[:2]), 0, None).prod(1)
            union = hits[:, 2:].prod(1) + (box[2:] - box[:2]).prod() - inter
            found += bool((inter / union).max(initial=0) >= 0.5)
    assert clear >= 25
    assert found >= 0.7 * clear

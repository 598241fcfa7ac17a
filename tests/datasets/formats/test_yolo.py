"""YOLO as it is found: landmarks, outlines, names in every way of YAML, lists and splits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from facebench.datasets.formats.choice import Choice, read_folder
from facebench.errors import AnnotationError, DataError, UsageError
from facebench.tests.support.annotation_files import only, write

BOX, CORNERS = "0 .5 .5 .2 .25", [40, 30, 60, 50]
SHAPE = {"data.yaml": "kpt_shape: [2, 2]\nnames: [face]\n"}


@pytest.mark.parametrize(
    ("rows", "more", "expected", "noted"),
    [
        pytest.param([BOX + " .45" * 10], {}, [CORNERS], "landmarks, which are not used: 1.", id="15 columns"),
        pytest.param([BOX + " -1" * 10], {}, [CORNERS], "landmarks, which are not used: 1.", id="15, not seen"),
        pytest.param([BOX + " .45 .45 2" * 5], {}, [CORNERS], "landmarks, which are not used: 1.", id="20 columns"),
        pytest.param([BOX, BOX + " .4" * 10], {}, [CORNERS] * 2, "landmarks, which are not used: 1.", id="some"),
        pytest.param(
            [BOX + " .4 .4 .5 .5"], SHAPE, [CORNERS], "landmarks, which are not used: 1.", id="2 by kpt_shape"
        ),
        pytest.param([BOX + " .4 .4 1" * 2], SHAPE, [CORNERS], "landmarks, which are not used: 1.", id="3 a point"),
        pytest.param([BOX, "0 .1 .1 .5 .1 .5 .5 .1 .5"], {}, [CORNERS, [10, 8, 50, 40]], "Outlines", id="outline"),
        pytest.param(
            ["0 .1 .1 .5 .1 .5 .5", "0" + " .2 .2" * 6 + " .4 .8"],
            {},
            [[10, 8, 50, 40], [20, 16, 40, 64]],
            "Outlines, taken as their upright hull: 2.",
            id="outlines of several lengths",
        ),
        pytest.param(["0.0000e+00 5.0e-01 .5 .2 .25"], {}, [CORNERS], "", id="class of a float"),
    ],
)
def test_rows_of_yolo(tmp_path, rows, more, expected, noted):
    image, notes = only(tmp_path, {"labels/a.txt": "\n".join(rows), **more}, ("images/a.png",))
    assert np.allclose(image.boxes, expected)
    assert noted in notes and bool(noted) is bool(notes)


@pytest.mark.parametrize(
    "row", ["0 .5 .5 .2 .25 .9", "0 .5 .5 .2", "0.5 .5 .5 .2 .25", "-1 .5 .5 .2 .25", "0 .1 .1 .5 .1 9 9"]
)
def test_rows_that_are_neither_boxes_nor_outlines_of_yolo(tmp_path, row):
    with pytest.raises(AnnotationError, match=r"a\.txt:2: got"):
        only(tmp_path, {"labels/a.txt": f"{BOX}\n{row}\n"}, ("images/a.png",))


@pytest.mark.parametrize("name", ["a.PNG", "a.JPEG", "a.bmp", "a.webp", "a.tif"])
def test_labels_beside_images_of_any_suffix(tmp_path, name):
    write(tmp_path, {"a.txt": BOX}, ("x.png",))
    (tmp_path / "x.png").rename(tmp_path / name)
    image, _ = only(tmp_path, {}, ())
    assert image.name == name and np.allclose(image.boxes, [CORNERS])


@pytest.mark.parametrize(
    "text",
    [
        "names: {0: hand, 1: face}\n",
        "nc: 2\nnames: ['hand', \"face\"]  # classes\n",
        "names:\n  0: hand  # first\n  1: face\nnc: 2\n",
        "names:\n- hand\n- face\n",
        "names: [\n  hand,\n  face,\n]\n",
        "names: {0: 'no', 1: face}\nroboflow: {version: 2024-13-45}\n",
    ],
)
def test_names_of_classes_in_every_way_of_yaml(tmp_path, text):
    image, notes = only(tmp_path, {"data.yaml": text, "labels/a.txt": f"{BOX}\n1 .5 .5 1 1\n"}, ("images/a.png",))
    assert image.boxes.tolist() == [[0, 0, 100, 80]]
    assert "Only boxes of the category 'face' count; 1 of others" in notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path: .\nnames: {0: face\n", r"data\.yaml:\d: got .*expected YAML"),
        ("- a\n", "data.yaml:1: got no entries"),
        ("names: {x: face}\n", "data.yaml: got names .*NUMBER: NAME"),
        ("names: face\n", "data.yaml: got names 'face'"),
        ("names: [[a]]\n", "data.yaml: got names"),
        ("a: " + "[" * 5000, r"data\.yaml:\d: got"),
    ],
)
def test_a_data_yaml_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"data.yaml": text, "labels/a.txt": BOX}, ("images/a.png",))


LISTED = {f"labels/{name}.txt": BOX for name in "abcd"}
LISTED_IMAGES = tuple(f"images/{name}.png" for name in "abcd")


@pytest.mark.parametrize(
    ("files", "split", "names"),
    [
        ({"data.yaml": "val: val.txt\ntrain: train.txt\n", "train.txt": "./images/a.png\n"}, None, "abc"),
        ({"data.yaml": "val: val.txt\ntrain: train.txt\n", "train.txt": "./images/a.png\n"}, "val", "bc"),
        ({"data.yaml": "path: .\nval: [val.txt, more.txt]\n", "more.txt": "images\\d.png\n"}, "val", "bcd"),
        ({"data.yaml": "val: images\n"}, "val", "abcd"),
        ({"data.yaml": "path: ../datasets/mine\nval: val.txt\n"}, "val", "bc"),
        ({"data.yaml": "train: images\n"}, "val", "bc"),
        ({}, "val", "bc"),
        ({}, None, "abcd"),
    ],
)
def test_lists_of_images_are_followed_and_split_chooses(tmp_path, files, split, names):
    val = "/home/somebody/mine/images/b.png\n\nc.png\n"
    write(tmp_path, {**LISTED, "val.txt": val, **files}, LISTED_IMAGES)
    found = read_folder(tmp_path, Choice(split=split))
    assert [image.name for image in found.images] == [f"{name}.png" for name in names]
    assert set(found.sources) == {image.name for image in found.images}


def test_a_listed_image_of_which_there_are_two_is_the_one_with_the_longer_ending(tmp_path):
    files = {"labels/x/a.txt": BOX, "labels/y/a.txt": BOX, "val.txt": "D:\\set\\y\\a.png\ngone.png\n"}
    write(tmp_path, files, ("images/x/a.png", "images/y/a.png"))
    found = read_folder(tmp_path, Choice(split="val"))
    assert [image.name for image in found.images] == ["y/a.png"]
    assert "1 images of val.txt have no file." in found.notes


def test_a_folder_as_split(tmp_path):
    files = {
        "labels/train/a.txt": BOX,
        "labels/val/b.txt": BOX,
        "data.yaml": "train: ../images/train\nval: ../images/val\n",
    }
    write(tmp_path, files, ("images/train/a.png", "images/val/b.png"))
    assert [image.name for image in read_folder(tmp_path, Choice(split="val")).images] == ["val/b.png"]


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"data.yaml": "train: images\n"}, UsageError, "split=val, expected one of train, or a list val.txt"),
        ({"data.yaml": "val: val2.txt\n"}, UsageError, "whose list val2.txt is not in"),
        ({"val.txt": "other.png\n"}, DataError, "none of the images that val.txt name"),
    ],
)
def test_splits_that_are_not_there(tmp_path, files, error, message):
    with pytest.raises(error, match=message):
        read_folder(write(tmp_path, {**LISTED, **files}, LISTED_IMAGES), Choice(split="val"))


COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}],
        "categories": [{"id": 1, "name": "face"}],
    }
)


def test_other_numbers_beside_images_are_no_labels(tmp_path):
    image, _ = only(tmp_path, {"a.json": COCO, "images/a.txt": "68 120.5 90 130 95 140 99\n"}, ("images/a.png",))
    assert len(image.boxes) == 1

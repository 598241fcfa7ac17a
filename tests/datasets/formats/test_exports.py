"""Files as people's programs write them: odd values, encodings and turned boxes."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from facebench.datasets.formats.choice import read_folder
from facebench.errors import AnnotationError
from facebench.tests.support.annotation_files import TURNED, only, voc_object, write


def coco(*annotations: dict, image: dict | None = None, categories: list | None = None) -> str:
    default = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png", **(image or {})}],
            "annotations": [{**default, **one} for one in annotations],
            "categories": [{"id": 1, "name": "face"}] if categories is None else categories,
        },
        indent=1,
    )


def voc(objects: str, head: str = "") -> str:
    return f"{head}<annotation><filename>a.png</filename>{objects}</annotation>"


@pytest.mark.parametrize(
    ("value", "ignored"),
    [(1, True), (1.0, True), ("1", True), (True, True), ("true", True), (0, False), ("0", False), (None, False)],
)
@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_flags_of_coco(tmp_path, key, value, ignored):
    image, _ = only(tmp_path, {"a.json": coco({key: value})})
    assert image.ignore.tolist() == [ignored]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": [1, 1]}, r"a\.json:\d+: got .*expected the image_id of one of the images"),
        ({"category_id": [1, 2]}, r"a\.json:\d+: got category_id \[1, 2\], expected one of 1"),
        ({"category_id": None}, r"a\.json:\d+: got category_id None"),
        ({"iscrowd": [1]}, r"a\.json:\d+: got iscrowd \[1\], expected 0 or 1"),
        ({"ignore": 2}, "got ignore 2, expected 0 or 1"),
        ({"bbox": "1 2 3 4"}, "got the bbox"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_fault_with_its_place(tmp_path, change, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"a.json": coco(change)})


@pytest.mark.parametrize("change", [{"image_id": [1]}, {"category_id": [1]}])
def test_a_list_of_one_id_is_that_id_and_its_place_is_noted(tmp_path, change):
    _, notes = only(tmp_path, {"a.json": coco(change)})
    assert re.search(r"in lists of one.*: 1, the first in .*a\.json:\d+", notes)


@pytest.mark.parametrize("image", [{"id": [1, 2]}, {"id": None}, {"file_name": ["a.png"]}])
def test_an_image_without_id_or_name_is_a_fault_with_its_place(tmp_path, image):
    with pytest.raises(AnnotationError, match=r"a\.json:3: got .*expected an id and file_name"):
        only(tmp_path, {"a.json": coco({}, image=image)})


@pytest.mark.parametrize(
    ("image", "annotation", "categories"),
    [
        ({}, {"category_id": "1"}, [{"id": "1", "name": "face"}]),
        ({}, {"category_id": 1}, [{"id": "1", "name": "face"}]),
        ({"id": "1"}, {"image_id": 1.0}, None),
        ({"id": "a", "width": 0, "height": 0}, {"image_id": "a"}, None),
    ],
)
def test_ids_may_be_texts_and_a_size_of_0_is_unknown(tmp_path, image, annotation, categories):
    found, _ = only(tmp_path, {"a.json": coco(annotation, image=image, categories=categories)})
    assert found.boxes.tolist() == [[10, 10, 30, 30]]
    assert found.size is None


@pytest.mark.parametrize("group", ["faces", "face"])
def test_a_category_that_groups_others_and_has_no_boxes_is_none(tmp_path, group):
    both = [{"id": 0, "name": group, "supercategory": "none"}, {"id": 1, "name": "head", "supercategory": group}]
    image, _ = only(tmp_path, {"a.json": coco({}, categories=both)})
    assert len(image.boxes) == 1


def test_the_only_category_with_boxes_counts_where_none_is_called_face(tmp_path):
    image, _ = only(tmp_path, {"a.json": coco({}, categories=[{"id": 0, "name": "hand"}, {"id": 1, "name": "head"}])})
    assert len(image.boxes) == 1


ROTATION = "<attributes><attribute><name>rotation</name><value>45.0</value></attribute></attributes></object>"
ROBNDBOX = (
    "<object><type>robndbox</type><name>face</name><difficult>0</difficult><robndbox><cx>35</cx><cy>35</cy>"
    f"<w>10</w><h>50</h><angle>{np.pi / 4}</angle></robndbox></object>"
)


@pytest.mark.parametrize(
    "files",
    [
        {"a.json": coco({"bbox": [30, 10, 10, 50], "attributes": {"rotation": 45.0, "blur": 2.0}})},
        {"a.json": coco({"bbox": [30, 10, 10, 50], "attributes": {"rotation": "45", "blur": "2"}})},
        {"a.xml": voc(voc_object((31, 11, 40, 60)).replace("</object>", ROTATION))},
        {"a.xml": voc(ROBNDBOX)},
    ],
    ids=["coco", "coco, texts", "voc of CVAT", "voc of roLabelImg"],
)
def test_a_rotated_box_is_its_upright_hull_and_that_is_noted(tmp_path, files):
    image, notes = only(tmp_path, files)
    assert np.allclose(image.boxes, [TURNED])
    assert "Rotated boxes, taken as their upright hull: 1." in notes
    assert {key: values.tolist() for key, values in image.attributes.items()} in ({}, {"blur": [2]})


def test_a_box_turned_by_0_degrees_is_not_noted(tmp_path):
    image, notes = only(tmp_path, {"a.json": coco({"attributes": {"rotation": 0.0}})})
    assert image.boxes.tolist() == [[10, 10, 30, 30]] and notes == ""


@pytest.mark.parametrize(
    ("declared", "written", "name"),
    [
        ("GB2312", "ascii", "a.png"),
        ("GBK", "gbk", "脸.png"),
        ("Shift_JIS", "shift_jis", "顔.png"),
        ("ISO-2022-JP", "iso2022_jp", "顔.png"),
        ("windows-1252", "cp1252", "é.png"),
        ("ISO-8859-1", "utf-8", "é.png"),
        ("GBK", "utf-8", "脸.png"),
        ("utf-16", "utf-8", "é.png"),
        ("utf-16", "utf-16", "é.png"),
        ("no-such", "utf-8", "é.png"),
    ],
)
def test_xml_is_read_as_declared_or_as_utf_8(tmp_path, declared, written, name):
    text = voc(voc_object((1, 1, 10, 10)), f'<?xml version="1.0" encoding="{declared}"?>').replace("a.png", name)
    write(tmp_path, {}, (name,))
    (tmp_path / "a.xml").write_bytes(text.encode(written))
    image, _ = only(tmp_path, {}, (name,))
    assert image.name == name and image.boxes.tolist() == [[0, 0, 10, 10]]


@pytest.mark.parametrize("declared", ["no-such", "utf-8", "ascii"])
def test_xml_in_another_encoding_than_declared_is_a_fault(tmp_path, declared):
    write(tmp_path, {}, ("a.png",))
    text = f'<?xml version="1.0" encoding="{declared}"?>{voc("").replace("a.png", "é.png")}'
    (tmp_path / "a.xml").write_bytes(text.encode("latin-1"))
    with pytest.raises(AnnotationError, match=r"a\.xml:1: got bytes that are not UTF-8, and"):
        read_folder(tmp_path)


@pytest.mark.parametrize(("text", "ignored"), [("True", True), ("1.0", True), ("0", False), ("", False)])
def test_difficult_is_a_flag(tmp_path, text, ignored):
    image, _ = only(tmp_path, {"a.xml": voc(voc_object((1, 1, 9, 9), difficult=text))})
    assert image.ignore.tolist() == [ignored]


def test_another_value_of_difficult_is_a_fault(tmp_path):
    with pytest.raises(AnnotationError, match=r"a\.xml:1: got <difficult> 'very', expected 0 or 1"):
        only(tmp_path, {"a.xml": voc(voc_object((1, 1, 9, 9), difficult="very"))})


def test_a_note_in_another_encoding_beside_an_annotation_does_no_harm(tmp_path):
    for name in ("read me.txt", "other.json", "other.csv", "labels/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes("Gefäß".encode("latin-1"))
    image, _ = only(tmp_path, {"a.json": coco({})})
    assert len(image.boxes) == 1


@pytest.mark.parametrize(
    "text",
    [
        ",image,x1,y1,x2,y2,ignore,blur\n0,a.png,1.0,2.0,30.0,40.0,0.0,2.0\n1,a.png,1.0,2.0,3.0,4.0,True,\n",
        "Unnamed: 0,image,x1,y1,x2,y2,ignore,blur\n0,a.png,1,2,30,40,False,2\n1,a.png,1,2,3,4,1.0,NaN\n",
    ],
)
def test_a_table_that_pandas_wrote(tmp_path, text):
    image, notes = only(tmp_path, {"f.csv": text})
    assert image.boxes.tolist() == [[1, 2, 30, 40], [1, 2, 3, 4]]
    assert image.ignore.tolist() == [False, True]
    assert {name: values.tolist() for name, values in image.attributes.items()} == {"blur": [2, -1]}
    assert notes == ""


def test_what_pandas_makes_of_our_own_table_is_the_same(tmp_path):
    import pandas as pd

    text = "image,x1,y1,x2,y2,ignore,blur\na.png,1.5,2.0,30.0,40.0,1,2\nb.png,,,,,,\n"
    write(tmp_path / "ours", {"f.csv": text}, ("a.png", "b.png"))
    write(tmp_path / "theirs", {}, ("a.png", "b.png"))
    pd.read_csv(tmp_path / "ours" / "f.csv").to_csv(tmp_path / "theirs" / "f.csv")
    ours, theirs = (read_folder(tmp_path / name).images for name in ("ours", "theirs"))
    for one, two in zip(ours, theirs, strict=True):
        assert one.name == two.name and one.boxes.tolist() == two.boxes.tolist()
        assert one.ignore.tolist() == two.ignore.tolist()
        assert {k: v.tolist() for k, v in one.attributes.items()} == {k: v.tolist() for k, v in two.attributes.items()}


@pytest.mark.parametrize(("encoding", "noted"), [("latin-1", True), ("utf-8", False), ("utf-16", False)])
def test_a_table_under_latin_1(tmp_path, encoding, noted):
    write(tmp_path, {}, ("é.png",))
    (tmp_path / "f.csv").write_bytes("image,x1,y1,x2,y2\né.png,1,2,3,4\n".encode(encoding))
    image, notes = only(tmp_path, {}, ("é.png",))
    assert image.boxes.tolist() == [[1, 2, 3, 4]]
    assert ("f.csv is not UTF-8 and is read as Windows-1252 (Latin-1)." in notes) is noted


@pytest.mark.parametrize("text", ["a.png\n0\n", "a.png\n0", f"a.png\n0\n{'0 ' * 10}\n"])
def test_wider_without_the_row_of_zeros(tmp_path, text):
    image, _ = only(tmp_path, {"gt.txt": text})
    assert image.boxes.shape == (0, 4)


def test_wider_whose_first_image_has_no_face(tmp_path):
    write(tmp_path, {"gt.txt": "a.png\n0\nb.png\n1\n1 2 3 4 0 0 0 0 0 0\n"}, ("a.png", "b.png"))
    assert [len(image.boxes) for image in read_folder(tmp_path).images] == [0, 1]

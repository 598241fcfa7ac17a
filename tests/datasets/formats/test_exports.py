"""Files as people's programs write them: odd values, encodings, turned boxes, and the formats that are only read."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from facebench.datasets.base import read_source
from facebench.datasets.formats.choice import Choice, read_folder
from facebench.datasets.manage.conversion import convert
from facebench.errors import AnnotationError, DataError, UsageError
from facebench.tests.support.annotation_files import voc_object, write

TURNED = [30 + 5 - 15 * 2**0.5, 35 - 15 * 2**0.5, 35 + 15 * 2**0.5, 35 + 15 * 2**0.5]
"""The hull of 30, 10, 40, 60 turned by 45 degrees about its centre."""


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


def only(root, files, images=("a.png",)):
    """Return the one image of a folder, and what is noted."""
    found = read_folder(write(root, files, images))
    (image,) = found.images
    assert set(found.sources) == {image.name}
    return image, " ".join(found.notes)


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
        ({"image_id": [1]}, r"a\.json:\d+: got .*expected the image_id of one of the images"),
        ({"category_id": [1]}, r"a\.json:\d+: got category_id \[1\], expected one of 1"),
        ({"category_id": None}, r"a\.json:\d+: got category_id None"),
        ({"iscrowd": [1]}, r"a\.json:\d+: got iscrowd \[1\], expected 0 or 1"),
        ({"ignore": 2}, "got ignore 2, expected 0 or 1"),
        ({"bbox": "1 2 3 4"}, "got the bbox"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_fault_with_its_place(tmp_path, change, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"a.json": coco(change)})


@pytest.mark.parametrize("image", [{"id": [1]}, {"id": None}, {"file_name": ["a.png"]}])
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


RETINA = "12.0 13.0 0.0 14.0 15.0 0.0 16.0 17.0 0.0 18.0 19.0 0.0 19.0 20.0 0.0"


@pytest.mark.parametrize("more", ["", f" {RETINA}", f" {RETINA} 0.9", " -1" * 16])
def test_label_txt_of_retinaface(tmp_path, more):
    text = f"# 0--Parade/a.png\n10 10 20 30.5{more}\n# 0--Parade/b.png\n"
    found = read_folder(write(tmp_path, {"label.txt": text}, ("images/0--Parade/a.png", "images/0--Parade/b.png")))
    assert found.format == "retinaface"
    assert [image.boxes.tolist() for image in found.images] == [[[10, 10, 30, 40.5]], []]
    assert set(found.sources) == {"0--Parade/a.png", "0--Parade/b.png"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# a.png\n1 2 3 4\n1 2 3\n", r"label\.txt:3: got '1 2 3'"),
        ("# a.png\n1 2 3 4\n# a.png\n", r"label\.txt:3: .*each once"),
        ("# a.png\n1 2 -3 4\n", r"label\.txt:2: got a box of -3 x 4"),
        ("# a.png\n# ..\n", r"label\.txt:2: .*expected the name of an image"),
    ],
)
def test_faults_of_retinaface(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"label.txt": text})


def cvat(shapes: str, image: str = 'id="0" name="a.png" width="100" height="80"') -> str:
    body = f"<annotations><version>1.1</version>\n<image {image}>\n{shapes}</image>\n</annotations>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}'


@pytest.mark.parametrize(
    ("shape", "expected", "noted"),
    [
        ('<box label="face" occluded="0" xtl="10" ytl="10.5" xbr="30" ybr="30"/>', [[10, 10.5, 30, 30]], False),
        ('<box label="face" xtl="30" ytl="10" xbr="40" ybr="60" rotation="45.0"/>', [TURNED], True),
        ('<polygon label="face" points="10.0,20;30,10;25,40"/>', [[10, 10, 30, 40]], True),
        ('<ellipse label="face" cx="35" cy="35" rx="5" ry="25"/>', [[30, 10, 40, 60]], True),
        ('<tag label="face"/>', [], False),
    ],
)
def test_cvat_xml(tmp_path, shape, expected, noted):
    image, notes = only(tmp_path, {"annotations.xml": cvat(shape)}, ("images/a.png",))
    assert np.allclose(image.boxes, np.reshape(expected, (-1, 4))) and image.size == (100, 80)
    assert ("taken as their upright hull: 1." in notes) is noted


def test_categories_and_attributes_of_cvat_xml(tmp_path):
    values = {"blur": "2", "who": "me", "ignore": "true"}
    more = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in values.items())
    corners = 'xtl="1" ytl="2" xbr="3" ybr="4"'
    shapes = f'<box label="face" {corners}>{more}</box><box label="hand" {corners}/><box label="face" {corners}/>'
    image, notes = only(tmp_path, {"a.xml": cvat(shapes)})
    assert image.ignore.tolist() == [True, False]
    assert {name: values.tolist() for name, values in image.attributes.items()} == {"blur": [2, -1]}
    assert "1 of others are left out" in notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (cvat('<box label="face" xtl="a" ytl="2" xbr="3" ybr="4"/>'), r"a\.xml:4: got the corners"),
        (cvat('<box label="face" xtl="9" ytl="2" xbr="3" ybr="4"/>'), r"a\.xml:4: got a box of -6 x 2"),
        (cvat("", 'name=".."'), r"a\.xml:3: got the image '..'"),
        ("<annotations><track/></annotations>", r"a\.xml:1: got <track>.*CVAT for images"),
    ],
)
def test_faults_of_cvat_xml(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"a.xml": text})


OPEN_IMAGES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n"


def test_open_images(tmp_path):
    rows = "a,xclick,/m/0dzct,1,0.1,0.3,0.25,0.5,0,0\na,x,/m/0dzct,1,0,1,0,1,0,1\n"
    rows += "a,x,/m/1,1,0,1,0,1,-1,-1\nz,x,/m/1,1,0,1,0,1,0,0\n"
    image, notes = only(tmp_path, {"f.csv": OPEN_IMAGES + rows}, ("deep/a.png",))
    assert image.name == "deep/a.png" and np.allclose(image.boxes, [[10, 20, 30, 40], [0, 0, 100, 80]])
    assert image.ignore.tolist() == image.crowd.tolist() == [False, True]
    assert "1 of others are left out" in notes and "1 rows name an image that is not there." in notes


@pytest.mark.parametrize(
    ("row", "images", "message"),
    [
        ("a,x,/m/0dzct,1,0.4,0.3,0.1,0.4,0,0", ("a.png",), r"f\.csv:2: got a box of -10"),
        ("a,x,/m/0dzct,1,x,0.3,0.1,0.4,0,0", ("a.png",), r"f\.csv:2: got no numbers"),
        ("a,x,/m/0dzct,1,10,30,10,40,0,0", ("a.png",), r"f\.csv:2: .*parts of the image"),
        ("a,x,/m/0dzct,1,0.1,0.3,0.1,0.4,0,0", ("x/a.png", "y/a.png"), r"f\.csv:2: .*x/a.png and y/a.png"),
    ],
)
def test_faults_of_open_images(tmp_path, row, images, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"f.csv": f"{OPEN_IMAGES}{row}\n"}, images)


def metadata(objects: object, name: str = "a.png", **more: object) -> str:
    return json.dumps({"file_name": name, **more, "objects": objects}) + "\n"


@pytest.mark.parametrize(
    "objects",
    [
        {"bbox": [[1, 2, 30, 40]], "categories": [0], "blur": [2]},
        [{"bbox": [1, 2, 30, 40], "category": "face", "blur": 2}],
        {"bbox": [[1, 2, 30, 40], [0, 0, 1, 1]], "categories": ["face", "hand"], "blur": [2, 1]},
    ],
)
def test_metadata_jsonl_of_an_imagefolder(tmp_path, objects):
    text = metadata(objects) + metadata({"bbox": [], "categories": []}, "b.png")
    found = read_folder(write(tmp_path, {"train/metadata.jsonl": text}, ("train/a.png", "train/b.png")))
    assert found.format == "imagefolder" and set(found.sources) == {"a.png", "b.png"}
    assert [image.boxes.tolist() for image in found.images] == [[[1, 2, 31, 42]], []]
    assert found.images[0].attributes["blur"].tolist() == [2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (metadata({"bbox": [[1, 2, 3]]}), r"metadata\.jsonl:1: got the bbox"),
        (metadata({"bbox": [[1, 2, 3, 4]]}) + "{\n", r"metadata\.jsonl:2: got '{'"),
        (metadata({"bbox": [[1, 2, 3, 4]]}) * 2, r"metadata\.jsonl:2: .*each once"),
        (metadata({"bbox": [[1, 2, 3, 4]], "ignore": [7]}), "another value of ignore"),
    ],
)
def test_faults_of_metadata_jsonl(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        only(tmp_path, {"metadata.jsonl": text})


def wider_face_rows(root, names, boxes):
    write(root, {}, names)
    for name, some in zip(names, boxes, strict=True):
        n = len(some)
        faces = {"bbox": some, "blur": [2] * n, "invalid": [False] * (n - 1) + [True] * bool(n)}
        yield {"image": {"bytes": (root / name).read_bytes(), "path": name}, "faces": faces}


def test_parquet_in_the_layout_of_wider_face(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    names = ["a.png", "b.png", "c.png"]
    boxes = [[[1.0, 2.0, 30.0, 40.0], [5.0, 5.0, 6.0, 7.5]], [], [[0.0, 0.0, 9.0, 9.0]]]
    face = pa.struct(
        {"bbox": pa.list_(pa.list_(pa.float32())), "blur": pa.list_(pa.int64()), "invalid": pa.list_(pa.bool_())}
    )
    schema = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "faces": face})
    rows = list(wider_face_rows(tmp_path / "images", names, boxes))
    (tmp_path / "data").mkdir()
    for number, some in enumerate((rows[:2], rows[2:])):
        table = pa.Table.from_pylist(some, schema=schema)
        parquet.write_table(table, tmp_path / "data" / f"val-0000{number}-of-00002.parquet", row_group_size=1)
    found = read_folder(tmp_path / "data")
    assert found.format == "parquet" and [image.name for image in found.images] == names
    assert [image.boxes.tolist() for image in found.images] == [
        [[1, 2, 31, 42], [5, 5, 11, 12.5]],
        [],
        [[0, 0, 9, 9]],
    ]
    assert [image.ignore.tolist() for image in found.images] == [[False, True], [], [True]]
    assert found.images[0].attributes["blur"].tolist() == [2, 2]
    for name, source in found.sources.items():
        assert read_source(pickle.loads(pickle.dumps(source))) == (tmp_path / "images" / name).read_bytes()
    (tmp_path / "data" / "val-00001-of-00002.parquet").unlink()
    with pytest.raises(AnnotationError, match=r"val-00001-of-00002\.parquet: is not there"):
        read_folder(tmp_path / "data")


def test_an_export_becomes_a_format_that_is_written(tmp_path):
    write(tmp_path / "in", {"label.txt": "# a.png\n1 2 3 4\n"}, ("a.png",))
    found = read_folder(tmp_path / "in")
    convert(found, tmp_path / "out", "coco")
    assert read_folder(tmp_path / "out").images[0].boxes.tolist() == [[1, 2, 4, 6]]
    with pytest.raises(UsageError, match="no format 'retinaface' to write"):
        convert(found, tmp_path / "again", "retinaface")


def test_other_numbers_beside_images_are_no_labels(tmp_path):
    image, _ = only(tmp_path, {"a.json": coco({}), "images/a.txt": "68 120.5 90 130 95 140 99\n"}, ("images/a.png",))
    assert len(image.boxes) == 1

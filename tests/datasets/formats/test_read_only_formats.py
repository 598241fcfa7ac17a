"""Formats that are read and never written: RetinaFace, CVAT, Open Images, imagefolder, Parquet."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from facebench.datasets.base import read_source
from facebench.datasets.formats.choice import read_folder
from facebench.datasets.manage.conversion import convert
from facebench.errors import AnnotationError, UsageError
from facebench.tests.support.annotation_files import TURNED, only, write

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

"""Each format read: what the numbers mean, what is refused with file and line, what is recognised."""

from __future__ import annotations

import json

import pytest
from facebench.datasets.formats.choice import FORMATS, Choice, read_folder
from facebench.datasets.formats.json_lines import line_of
from facebench.errors import AnnotationError, DataError, MissingDataError, UsageError
from facebench.tests.support.annotation_files import VOC, voc_object, write

IMAGES = ("images/a.png", "images/b.png")
ROW = "0 0 0 0 0 0"


def coco(images=None, annotations=None, categories=None) -> str:
    images = images if images is not None else [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    annotations = annotations if annotations is not None else [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]
    categories = categories if categories is not None else [{"id": 1, "name": "face"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories}, indent=1)


def face(bbox, **more) -> dict:
    return {"image_id": 1, "category_id": 1, "bbox": bbox, **more}


# What the numbers of each format mean, and what it says of an image without faces.
CONVENTIONS = [
    pytest.param(
        "coco",
        {"a.json": coco(annotations=[face([1.25, 2, 3.5, 4])])},
        IMAGES,
        {"a.png": [[1.25, 2, 4.75, 6]], "b.png": []},
        id="coco: x, y, width, height",
    ),
    pytest.param(
        "voc",
        {
            "Annotations/a.xml": VOC.format(name="a.png", objects=voc_object((1, 1, 10, 20))),
            "Annotations/b.xml": VOC.format(name="b.png", objects=""),
        },
        ("JPEGImages/a.png", "JPEGImages/b.png", "JPEGImages/unlisted.png"),
        {"a.png": [[0, 0, 10, 20]], "b.png": []},
        id="voc: from 1, both ends inside; no file, not annotated",
    ),
    pytest.param(
        "yolo",
        {"labels/a.txt": "0 0.5 0.5 0.2 0.25\n"},
        IMAGES,
        {"a.png": [[40, 30, 60, 50]], "b.png": []},
        id="yolo: parts of 100 x 80; no file, no face",
    ),
    pytest.param(
        "yolo", {"a.txt": "0 .5 .5 1 1\n"}, ("a.png",), {"a.png": [[0, 0, 100, 80]]}, id="yolo: beside the images"
    ),
    pytest.param(
        "csv",
        {"f.csv": "image,x1,y1,x2,y2\na.png,1.5,2,3,4\nb.png,,,,\n"},
        IMAGES,
        {"a.png": [[1.5, 2, 3, 4]], "b.png": []},
        id="csv: corners; empty cells, no face",
    ),
    pytest.param(
        "csv",
        {"f.csv": "filename;x;y;w;h\na.png;1;2;3;4\n"},
        IMAGES,
        {"a.png": [[1, 2, 4, 6]]},
        id="csv: sides, semicolons",
    ),
    pytest.param(
        "csv",
        {"f.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,100,80,face,1,2,3,4\n"},
        IMAGES,
        {"a.png": [[1, 2, 3, 4]]},
        id="csv: beside corners, width and height are the image's",
    ),
    pytest.param(
        "json",
        {"t.json": '[{"iname": "a.png", "bbox": [1.5, 2, 3, 4]}, {"iname": "b.png", "bbox": null}]'},
        IMAGES,
        {"a.png": [[1.5, 2, 4.5, 6]], "b.png": []},
        id="json rows: x, y, width, height; null, no face",
    ),
    pytest.param(
        "wider",
        {"gt.txt": f"a.png\n1\n1 2 3 4 {ROW}\nb.png\n0\n0 0 0 0 {ROW}\n"},
        IMAGES,
        {"a.png": [[1, 2, 4, 6]], "b.png": []},
        id="wider: x, y, width, height; count 0, no face",
    ),
]


@pytest.mark.parametrize(("name", "files", "images", "expected"), CONVENTIONS)
def test_what_the_numbers_mean(tmp_path, name, files, images, expected):
    found = read_folder(write(tmp_path, files, images))
    assert found.format == name
    assert {one.name: one.boxes.tolist() for one in found.images} == expected
    assert set(found.sources) == set(expected)


@pytest.mark.parametrize(
    ("files", "ignored"),
    [
        pytest.param({"a.json": coco(annotations=[face([1, 1, 2, 2], iscrowd=1), face([1, 1, 2, 2])])}, [True, False]),
        pytest.param({"a.json": coco(annotations=[face([1, 1, 2, 2], ignore=1, iscrowd=0)])}, [True]),
        pytest.param({"a.xml": VOC.format(name="a.png", objects=voc_object((1, 1, 9, 9), difficult=1))}, [True]),
        pytest.param({"f.csv": "image,x1,y1,x2,y2,ignore\na.png,1,1,2,2,1\na.png,1,1,3,3,\n"}, [True, False]),
        pytest.param({"t.json": '[{"image": "a.png", "bbox": [1, 1, 2, 2], "ignore": 1}]'}, [True]),
        pytest.param({"t.txt": "a.png\n1\n1 1 2 2 0 0 0 1 0 0\n"}, [True]),
    ],
    ids=["coco iscrowd", "coco ignore", "voc difficult", "csv", "json rows", "wider invalid"],
)
def test_faces_that_are_neither_to_be_found_nor_background(tmp_path, files, ignored):
    assert read_folder(write(tmp_path, files, IMAGES)).images[0].ignore.tolist() == ignored


CSV_REGIONS = "image,x1,y1,x2,y2,iscrowd,ignore\na.png,1,1,9,9,1.0,0\na.png,2,2,5,5,,\na.png,3,3,5,5,False,True\n"
JSON_REGIONS = """[{"image": "a.png", "bbox": [1, 1, 8, 8], "iscrowd": 1}, {"image": "a.png", "bbox": [2, 2, 3, 3]},
{"image": "a.png", "bbox": [3, 3, 2, 2], "iscrowd": "0", "ignore": 1}]"""


@pytest.mark.parametrize("files", [{"f.csv": CSV_REGIONS}, {"t.json": JSON_REGIONS}], ids=["csv", "json rows"])
def test_crowd_regions_of_rows(tmp_path, files):
    (image,) = read_folder(write(tmp_path, files, ("a.png",))).images
    assert image.crowd.tolist() == [True, False, False] and image.ignore.tolist() == [True, False, True]
    assert dict(image.attributes) == {}


FAULTS = [
    pytest.param(
        {"f.csv": "image,x1,y1,x2,y2,iscrowd\na.png,1,1,9,9,2\n"},
        "f.csv:2: got iscrowd '2', expected 0 or 1",
        id="csv: 2",
    ),
    pytest.param({"a.json": '{"images": [], "annotations": [1,,]}'}, "a.json:1: got", id="coco: no JSON"),
    pytest.param(
        {
            "a.json": '{"images": [\n{"id": 1, "file_name": "a.png"},\n{"id": 1, "file_name": "b.png"}],'
            '\n"annotations": []}'
        },
        r"a\.json:3: got the image b\.png \(id 1\) twice",
        id="coco: id twice",
    ),
    pytest.param({"a.json": coco(images=[{"id": 1}])}, r"a\.json:3: .*file_name", id="coco: no name"),
    pytest.param({"a.json": coco(images=[{"id": 1, "file_name": ".."}])}, "name of an image", id="coco: no file"),
    pytest.param({"a.json": coco(annotations=[face([1, 2, 3])])}, r":\d+: got the bbox \[1, 2, 3\]", id="coco: three"),
    pytest.param({"a.json": coco(annotations=[face([1, 2, -3, 4])])}, r"-3 x 4 pixels", id="coco: negative side"),
    pytest.param({"a.json": coco(annotations=[face([1, 2, float("nan"), 4])])}, "expected numbers", id="coco: NaN"),
    pytest.param({"a.json": coco(annotations=[face([1, 2, 10**400, 4])])}, "too large", id="coco: huge"),
    pytest.param(
        {"a.json": coco(annotations=[{**face([1, 2, 3, 4]), "image_id": 9}])}, "image_id", id="coco: no image"
    ),
    pytest.param(
        {"a.json": coco(annotations=[{**face([1, 2, 3, 4]), "category_id": 9}])}, "category_id 9", id="coco: cat"
    ),
    pytest.param({"a.xml": "<annotation><object>"}, r"a\.xml:1: got .*expected whole XML", id="voc: cut"),
    pytest.param(
        {"a.xml": '<!DOCTYPE x [<!ENTITY a "b">]><annotation/>'}, "entities are not accepted", id="voc: entities"
    ),
    pytest.param(
        {"a.xml": VOC.format(name="a.png", objects="\n" + voc_object((5, 5, 1, 9)))},
        r"a\.xml:5: got a box of -3 x 5 pixels",
        id="voc: negative side",
    ),
    pytest.param(
        {"a.xml": VOC.format(name="a.png", objects=voc_object(("x", 5, 1, 9)))},
        r"got the corners \['x'",
        id="voc: text",
    ),
    pytest.param({"labels/a.txt": "0 .5 .5 .1 .1\n0 .5 .5 .1\n"}, r"labels/a\.txt:2: got", id="yolo: four"),
    pytest.param({"labels/a.txt": "0 .5 .5 .1 .1\n0 .5 .5 .1 .1 .9\n"}, "detections", id="yolo: score"),
    pytest.param({"labels/a.txt": "0 .5 .5 .1 .1\n0 50 50 10 10\n"}, "parts of the image", id="yolo: pixels"),
    pytest.param({"labels/a.txt": "0 .5 .5 .1 .1\n0 .5 .5 -.1 .1\n"}, "a.txt:2: got a box of -10", id="yolo: negative"),
    pytest.param({"f.csv": "image,x1,y1,x2,y2\na.png,1,2,3,four\n"}, r"f\.csv:2: .*'four'", id="csv: text"),
    pytest.param({"f.csv": "image,x1,y1,x2,y2\na.png,1,2,3\n"}, r"f\.csv:2", id="csv: a cell too few"),
    pytest.param({"f.csv": "image,x1,y1,x2,y2\na.png,1,2,3,4,5\n"}, "more cells", id="csv: a cell too many"),
    pytest.param({"f.csv": "image,x1,y1,x2,y2\na.png,9,2,3,4\n"}, r"f\.csv:2: .*-6 x 2", id="csv: negative side"),
    pytest.param({"f.csv": "image,x1,y1,x2,y2,ignore\na.png,1,2,3,4,maybe\n"}, "ignore 'maybe'", id="csv: ignore"),
    pytest.param(
        {"t.json": '[{"image": "a.png", "bbox": [1, 1, 2, 2]},\n{"bbox": [1, 1, 2, 2]}]'}, r":2: got the ima", id="rows"
    ),
    pytest.param({"t.txt": f"a.png\n2\n1 1 2 2 {ROW}\n"}, r"t\.txt:4", id="wider: count"),
]


@pytest.mark.parametrize(("files", "message"), FAULTS)
def test_faults_name_file_and_line(tmp_path, files, message):
    with pytest.raises(AnnotationError, match=message):
        read_folder(write(tmp_path, files, (*IMAGES, "a.png")))


def test_faults_are_told_together_and_counted(tmp_path):
    rows = "".join(f"a.png,1,2,3,bad{i}\n" for i in range(8))
    with pytest.raises(AnnotationError) as caught:
        read_folder(write(tmp_path, {"f.csv": f"image,x1,y1,x2,y2\n{rows}"}, IMAGES))
    assert [f"f.csv:{line}:" in str(caught.value) for line in range(2, 10)] == [True] * 5 + [False] * 3
    assert "and 3 more faults" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("[1]", (0,), 1),
        ('{"a": [],\n"b": {"c]": "}\\"",\n"d": [[],\n 5]}}', ("b", "d", 1), 4),
        ('\n\n[\n{"x": "\\n"}\n,\n7 ]', (1,), 6),
    ],
)
def test_the_line_of_a_value(text, path, line):
    assert line_of(text, *path) == line


TWO = {"id": 1, "name": "person"}, {"id": 2, "name": "Face"}


@pytest.mark.parametrize(
    ("files", "category", "count"),
    [
        pytest.param({"a.json": coco(categories=TWO, annotations=[face([1, 1, 1, 1])])}, None, 0, id="coco: face"),
        pytest.param({"a.json": coco(categories=TWO, annotations=[face([1, 1, 1, 1])])}, "person", 1, id="coco: named"),
        pytest.param({"a.json": coco(categories=[{"id": 1, "name": "head"}])}, None, 1, id="coco: the only one"),
        pytest.param({"a.json": coco(categories=[])}, None, 1, id="coco: none"),
        pytest.param(
            {"a.xml": VOC.format(name="a.png", objects=voc_object((1, 1, 2, 2), "dog") + voc_object((1, 1, 2, 2)))},
            None,
            1,
            id="voc",
        ),
        pytest.param(
            {"labels/a.txt": "3 .5 .5 .1 .1\n", "data.yaml": "names: [a, b, c, face]\n"}, None, 1, id="yolo: face"
        ),
        pytest.param({"labels/a.txt": "3 .5 .5 .1 .1\n", "classes.txt": "a\nb\nc\nd\n"}, "d", 1, id="yolo: named"),
        pytest.param({"labels/a.txt": "3 .5 .5 .1 .1\n"}, None, 1, id="yolo: the only number"),
        pytest.param({"labels/a.txt": "3 .5 .5 .1 .1\n1 .5 .5 .1 .1\n"}, "1", 1, id="yolo: a number"),
        pytest.param({"f.csv": "image,x1,y1,x2,y2,label\na.png,1,1,2,2,cat\na.png,1,1,2,2,face\n"}, None, 1, id="csv"),
    ],
)
def test_whose_boxes_count(tmp_path, files, category, count):
    found = read_folder(write(tmp_path, files, IMAGES), Choice(category=category))
    assert sum(len(one.boxes) for one in found.images) == count
    total = sum(text.count("bbox") + text.count("<object>") for text in files.values())
    if "a.json" in files and count < total:
        assert "are left out" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("files", "choice", "message"),
    [
        pytest.param(
            {"labels/a.txt": "3 .5 .5 .1 .1\n1 .5 .5 .1 .1\n"},
            Choice(),
            "2 categories and none is called face",
            id="two",
        ),
        pytest.param({"a.json": coco()}, Choice(category="fase"), "Did you mean face", id="misspelt"),
        pytest.param({"a.json": coco()}, Choice(format="coc"), "Did you mean coco", id="format"),
        pytest.param(
            {"a.json": coco()}, Choice(annotations="b.json"), "annotations=b.json, which is not in", id="absent"
        ),
        pytest.param({"a.json": coco()}, Choice(split="val"), "with Pascal VOC or YOLO text", id="split"),
        pytest.param(
            {"a.xml": VOC.format(name="a.png", objects="")}, Choice(split="val"), "split=val, expected", id="voc"
        ),
        pytest.param({"t.txt": f"a.png\n1\n1 2 3 4 {ROW}\n"}, Choice(category="face"), "no categories", id="wider"),
    ],
)
def test_choices_that_do_not_fit(tmp_path, files, choice, message):
    with pytest.raises(UsageError, match=message):
        read_folder(write(tmp_path, files, IMAGES), choice)


@pytest.mark.parametrize(
    ("files", "images", "choice", "message"),
    [
        pytest.param({}, IMAGES, Choice(), "2 files .png, and no annotation among them", id="images alone"),
        pytest.param({"x.json": "[]"}, IMAGES, Choice(), "is recognised. Expected one of: coco", id="another JSON"),
        pytest.param(
            {"a.json": coco(), "b.json": coco()}, IMAGES, Choice(), "format=coco&annotations=b.json", id="two"
        ),
        pytest.param({"a.json": coco()}, (), Choice(), "none of the 2 images", id="no image"),
        pytest.param({"a.json": coco()}, ("x/a.png", "y/a.png"), Choice(), "in 2 folders, x/, y/", id="twice"),
        pytest.param({"x.md": "hello"}, IMAGES, Choice(annotations="x.md"), "not a known annotation", id="named"),
        pytest.param({"labels/a.txt": "0 .5 .5 1 1\n"}, (), Choice(), "no image below", id="labels alone"),
        pytest.param({"a.json": coco(images=[], annotations=[])}, IMAGES, Choice(), "without any image", id="no image"),
    ],
)
def test_places_that_cannot_be_read(tmp_path, files, images, choice, message):
    with pytest.raises(DataError, match=message):
        read_folder(write(tmp_path, files, images), choice)


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match="where nothing lies"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        pytest.param(Choice(annotations="a.json"), {"a.png", "b.png"}, id="the file"),
        pytest.param(Choice(format="csv"), {"a.png"}, id="the format"),
        pytest.param(Choice(annotations="labels"), {"a.png", "b.png"}, id="the folder"),
    ],
)
def test_which_of_several_can_be_said(tmp_path, choice, names):
    files = {"a.json": coco(), "f.csv": "image,x1,y1,x2,y2\na.png,1,2,3,4\n", "labels/a.txt": "0 .5 .5 1 1\n"}
    found = read_folder(write(tmp_path, files, IMAGES), choice)
    assert {one.name for one in found.images} == names


def test_an_annotation_file_can_be_named_itself(tmp_path):
    write(tmp_path, {"a.json": coco(), "f.csv": "image,x1,y1,x2,y2\na.png,1,2,3,4\n"}, IMAGES)
    assert read_folder(tmp_path / "f.csv").format == "csv"


def test_a_folder_of_images_can_be_said_and_decides(tmp_path):
    write(tmp_path, {"a.json": coco()}, ("x/a.png", "y/a.png"))
    found = read_folder(tmp_path, Choice(images="y"))
    assert found.sources["a.png"] == tmp_path / "y" / "a.png"
    assert "1 of 2 annotated images have no file" in found.notes[0]


def test_splits_of_pascal_voc(tmp_path):
    files = {f"Annotations/{n}.xml": VOC.format(name=f"{n}.png", objects="") for n in "ab"}
    write(tmp_path, {**files, "ImageSets/Main/val.txt": "b\n"}, ("JPEGImages/a.png", "JPEGImages/b.png"))
    assert [one.name for one in read_folder(tmp_path, Choice(split="val")).images] == ["b.png"]


def test_attributes_are_the_same_for_every_image(tmp_path):
    text = "image,x1,y1,x2,y2,blur,remark\na.png,1,2,3,4,2,hello\na.png,1,2,3,4,,\nb.png,,,,,,\n"
    found = read_folder(write(tmp_path, {"f.csv": text}, IMAGES))
    assert [dict(one.attributes)["blur"].tolist() for one in found.images] == [[2, -1], []]
    assert "are left out: remark" in " ".join(found.notes)


def test_every_format_says_what_it_expects():
    assert all(one.title and one.expected for one in FORMATS.values())


def test_coco_agrees_with_pycocotools(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    rows = [face([1.5, 2.25, 30, 4.75], id=1, area=1), {**face([0, 0, 7, 7], id=2, area=1, iscrowd=1), "image_id": 2}]
    write(tmp_path, {"a.json": coco(annotations=rows)}, IMAGES)
    reference = COCO(str(tmp_path / "a.json"))
    for number, one in enumerate(read_folder(tmp_path).images, start=1):
        anns = reference.loadAnns(reference.getAnnIds(imgIds=[number]))
        assert [[x, y, x + w, y + h] for x, y, w, h in (ann["bbox"] for ann in anns)] == one.boxes.tolist()
        assert [bool(ann.get("iscrowd", 0)) for ann in anns] == one.ignore.tolist()
        assert reference.imgs[number]["file_name"] == one.name

"""The zips that annotation tools write, as docs/your-images.md has them: taken as they are."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from facebench.datasets import load
from facebench.errors import DataError
from PIL import Image


def jpeg() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (100, 80), "grey").save(target, "JPEG")
    return target.getvalue()


def coco(*names: str, categories: tuple[dict, ...] = ({"id": 1, "name": "face", "supercategory": ""},)) -> str:
    head = {"categories": list(categories), "info": {"contributor": ""}, "licenses": [{"id": 0, "name": "", "url": ""}]}
    box = {"category_id": categories[-1]["id"], "bbox": [10, 10, 20, 20], "area": 400, "segmentation": [], "iscrowd": 0}
    images = [{"id": i, "width": 100, "height": 80, "file_name": name} for i, name in enumerate(names, 1)]
    return json.dumps(
        head | {"images": images, "annotations": [box | {"id": i["id"], "image_id": i["id"]} for i in images]}
    )


def voc(name: str) -> str:
    box = "<xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>30</ymax>"
    return (
        f"<annotation><folder/><filename>{name}</filename><path>{name}</path>"
        f"<object><name>face</name><difficult>0</difficult><bndbox>{box}</bndbox></object></annotation>"
    )


JPEG = jpeg()
ROW = "0 0.2 0.25 0.2 0.25\n"
ROBOFLOW = ({"id": 0, "name": "faces", "supercategory": "none"}, {"id": 1, "name": "face", "supercategory": "faces"})
LABEL_STUDIO = ({"id": 0, "name": "face"},)
PARTS = ("train", "valid", "test")
YAML = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 1\nnames: ['face']\n"
CVAT = (
    '<annotations><version>1.1</version><image id="0" name="a.jpg" width="100" height="80">'
    '<box label="face" occluded="0" xtl="10" ytl="10" xbr="30" ybr="30"/></image></annotations>'
)
README = {"README.roboflow.txt": "a project", "README.dataset.txt": "# a project"}

SETS = {
    "CVAT COCO": (
        {
            "annotations/instances_default.json": coco("a.jpg", "sub/b.jpg"),
            "images/default/a.jpg": JPEG,
            "images/default/sub/b.jpg": JPEG,
        },
        "",
        2,
    ),
    "CVAT for images": ({"annotations.xml": CVAT, "images/a.jpg": JPEG}, "", 1),
    "Label Studio COCO": (
        {"result.json": coco("images/12ab34cd-a.jpg", categories=LABEL_STUDIO), "images/12ab34cd-a.jpg": JPEG},
        "",
        1,
    ),
    "Label Studio COCO of Windows": (
        {"result.json": coco("images\\12ab34cd-a.jpg", categories=LABEL_STUDIO), "images/12ab34cd-a.jpg": JPEG},
        "",
        1,
    ),
    "Label Studio COCO beside its media": (
        {
            "result.json": coco("/data/upload/1/12ab34cd-a.jpg", categories=LABEL_STUDIO),
            "upload/1/12ab34cd-a.jpg": JPEG,
        },
        "",
        1,
    ),
    "Label Studio YOLO": (
        {"classes.txt": "face\n", "notes.json": '{"info": {}}', "images/1-a.jpg": JPEG, "labels/1-a.txt": ROW},
        "",
        1,
    ),
    "Roboflow COCO": (
        README
        | {f"{one}/_annotations.coco.json": coco(f"{one}.rf.0a.jpg", categories=ROBOFLOW) for one in PARTS}
        | {f"{one}/{one}.rf.0a.jpg": JPEG for one in PARTS},
        "?split=valid",
        1,
    ),
    "Roboflow YOLO": (
        README
        | {"data.yaml": YAML}
        | {f"{one}/images/{one}.rf.0a.jpg": JPEG for one in PARTS}
        | {f"{one}/labels/{one}.rf.0a.txt": ROW for one in PARTS},
        "?split=valid",
        1,
    ),
    "Roboflow Pascal VOC": (
        README | {f"{one}/{one}.jpg": JPEG for one in PARTS} | {f"{one}/{one}.xml": voc(f"{one}.jpg") for one in PARTS},
        "?split=valid",
        1,
    ),
    "labelImg Pascal VOC": ({"a.jpg": JPEG, "a.xml": voc("a.jpg")}, "", 1),
    "labelImg YOLO": ({"a.jpg": JPEG, "a.txt": f"1{ROW[1:]}", "classes.txt": "dog\nface\n"}, "", 1),
    "Ultralytics": (
        {
            "data.yaml": "path: ../datasets/set\ntrain: images/train\nval: images/val\nnames:\n  0: face\n",
            "images/val/a.jpg": JPEG,
            "labels/val/a.txt": ROW,
        },
        "?split=val",
        1,
    ),
}


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


@pytest.mark.parametrize("tool", SETS)
def test_what_a_tool_writes_is_taken_as_it_is(tmp_path, tool):
    files, options, images = SETS[tool]
    dataset = load(f"folder:{zipped(tmp_path / 'set.zip', files)}{options}")
    assert [sample.faces.boxes.round(3).tolist() for sample in dataset.samples] == [[[10, 10, 30, 30]]] * images
    assert not dataset.missing


@pytest.mark.parametrize("tool", [tool for tool in SETS if tool.startswith("Roboflow")])
def test_the_parts_of_roboflow_are_told_where_none_is_chosen(tmp_path, tool):
    with pytest.raises(DataError, match="split=train or split=valid"):
        load(f"folder:{zipped(tmp_path / 'set.zip', SETS[tool][0])}")


def test_images_that_lie_elsewhere_need_the_annotation_beside_them(tmp_path):
    files = {"result.json": coco("/data/upload/1/a.jpg")}
    with pytest.raises(DataError, match="need the annotation beside them"):
        load(f"folder:{zipped(tmp_path / 'set.zip', files)}")

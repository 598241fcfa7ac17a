"""The layout that Roboflow exports: train, valid and test side by side, each with its images and annotation."""

from __future__ import annotations

import json

import pytest
from facebench.datasets.formats.choice import Choice, read_folder
from facebench.errors import DataError, UsageError
from facebench.tests.support.annotation_files import write

SPLITS = ("train", "valid", "test")
YAML = {"data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['face']\n"}


@pytest.mark.parametrize("described", [YAML, {}], ids=["data.yaml", "none"])
@pytest.mark.parametrize(
    ("split", "name"), [("train", "train"), ("valid", "valid"), ("val", "valid"), ("test", "test")]
)
def test_a_split_of_yolo(tmp_path, described, split, name):
    files = {f"{one}/labels/a_{one}.txt": "0 .5 .5 .2 .25\n" for one in SPLITS}
    made = write(tmp_path, files | described, [f"{one}/images/a_{one}.png" for one in SPLITS])
    found = read_folder(made, Choice(split=split))
    assert [image.name for image in found.images] == [f"a_{name}.png"]
    assert found.images[0].boxes.tolist() == [[40, 30, 60, 50]]
    with pytest.raises(DataError, match=r"Got 3 annotations.* Or say split=train or split=valid or split=test\."):
        read_folder(made)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_of_one_folder_of_labels(tmp_path, split):
    """As Ultralytics lays sets out, without a data.yaml."""
    files = {f"labels/{one}/{one}.txt": "0 .5 .5 .2 .25\n" for one in ("train", "val")}
    made = write(tmp_path, files, [f"images/{one}/{one}.png" for one in ("train", "val")])
    assert [image.name for image in read_folder(made, Choice(split=split)).images] == [f"{split}/{split}.png"]
    with pytest.raises(UsageError, match="Got split=test"):
        read_folder(made, Choice(split="test"))


@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("val", "valid")])
def test_a_split_of_coco(tmp_path, split, name):
    files = {
        f"{one}/_annotations.coco.json": json.dumps(
            {"images": [{"id": 1, "file_name": f"{one}.png"}], "annotations": [], "categories": []}
        )
        for one in SPLITS
    }
    made = write(tmp_path, files, [f"{one}/{one}.png" for one in SPLITS])
    assert [image.name for image in read_folder(made, Choice(split=split)).images] == [f"{name}.png"]
    with pytest.raises(DataError, match="Got 3 annotations"):
        read_folder(made, Choice(split="other"))

"""What the four numbers of a box mean: every layout and scale against numbers worked out by hand."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from facebench.datasets import load
from facebench.datasets.box_format import LAYOUTS, BoxFormat, are_tiny
from facebench.datasets.box_meaning import likely_meaning
from facebench.errors import AnnotationError, DataError, UsageError
from facebench.tests.support.annotation_files import write
from hypothesis import given
from hypothesis import strategies as st

CORNERS = [20.0, 10.0, 50.0, 30.0]
"""A box in an image of 100 x 80."""
WRITTEN = {
    "xywh": [20, 10, 30, 20],
    "xyxy": [20, 10, 50, 30],
    "cxcywh": [35, 20, 30, 20],
    "yxyx": [10, 20, 30, 50],
    "trbl": [10, 50, 30, 20],
    "xywh:1": [0.2, 0.125, 0.3, 0.25],
    "xyxy:100": [20, 12.5, 50, 37.5],
    "yxyx:1000": [125, 200, 375, 500],
    "cxcywh:long=50": [17.5, 10, 15, 10],
    "xyxy:letterbox=50": [10, 10, 25, 20],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_of_a_box_in_each_format(name):
    format, size = BoxFormat.parse(name), np.array([100.0, 80.0])
    assert np.allclose(format.to_corners(np.array([WRITTEN[name]], float), size), [CORNERS])
    assert np.allclose(format.to_numbers(np.array([CORNERS]), size), [WRITTEN[name]])


def test_every_layout_is_tried():
    assert {name.partition(":")[0] for name in WRITTEN} == set(LAYOUTS)


@pytest.mark.parametrize("text", ["", "xyhw", "xywh:0", "xywh:-1", "xywh:short=3", "xywh:1.5", "xywh:long"])
def test_what_is_no_format(text):
    with pytest.raises(UsageError):
        BoxFormat.parse(text)


def coco(boxes, width=100, height=80) -> str:
    images = [{"id": 1, "file_name": "a.png", "width": width, "height": height}]
    annotations = [{"image_id": 1, "category_id": 1, "bbox": list(map(float, box))} for box in boxes]
    return json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face"}]})


FILES = {
    "coco": ("a.json", lambda box: coco([box])),
    "csv": ("a.csv", lambda box: "image,x1,y1,x2,y2\na.png," + ",".join(map(str, box))),
    "csv of sides": ("a.csv", lambda box: "image,x,y,w,h\na.png," + ",".join(map(str, box))),
    "json": ("a.json", lambda box: json.dumps([{"image": "a.png", "bbox": box}])),
    "imagefolder": ("metadata.jsonl", lambda box: json.dumps({"file_name": "a.png", "objects": {"bbox": [box]}})),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", WRITTEN)
def test_files_are_read_as_box_format_says(tmp_path, kind, name):
    file, text = FILES[kind]
    made = write(tmp_path / "set", {file: text(WRITTEN[name])}, ("a.png",))
    found = load(f"folder:{made}?box_format={name}")
    assert np.allclose(found.samples[0].faces.boxes, [CORNERS])
    assert (found.box_format, found.notes) == (name, ())


def test_the_text_of_wider_is_read_as_box_format_says(tmp_path):
    made = write(tmp_path / "set", {"a.txt": "a.png\n1\n20 10 50 30 0 0 0 0 0 0\n"}, ("a.png",))
    assert load(f"folder:{made}?box_format=xyxy").samples[0].faces.boxes.tolist() == [CORNERS]
    with pytest.raises(AnnotationError, match=r"negative side, read as trbl"):
        load(f"folder:{made}?box_format=trbl")


def test_a_layout_that_gives_a_negative_side_is_named(tmp_path):
    made = write(tmp_path / "set", {"a.csv": "image,x1,y1,x2,y2\na.png,50,30,20,10\n"}, ("a.png",))
    with pytest.raises(AnnotationError, match=r"read as xyxy; box_format=… reads it otherwise"):
        load(f"folder:{made}")


def test_parts_need_the_size_of_the_image(tmp_path):
    made = write(tmp_path / "set", {"a.csv": "image,x,y,w,h\na.png,.2,.1,.3,.2\n"}, ("a.png",))
    (made / "a.png").unlink()
    with pytest.raises(DataError, match=r"Got no size of a\.png"):
        load(f"folder:{made}?box_format=xywh:1", annotation_only=True)


def test_a_format_whose_numbers_have_names_has_no_other_reading(tmp_path):
    made = write(tmp_path / "set", {"labels/a.txt": "0 .5 .5 .2 .2"}, ("images/a.png",))
    with pytest.raises(UsageError, match="Got box_format=xyxy for YOLO text"):
        load(f"folder:{made}?box_format=xyxy")


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        pytest.param([[60, 50, 90, 70]], "1 of 1 boxes reach outside .* as xyxy", id="corners"),
        pytest.param([[0.1, 0.1, 0.2, 0.25]], "sides of at most 1 pixel.*Read as xywh:1", id="parts"),
        pytest.param([[0.6, 0.5, 0.9, 0.7]], "sides of at most 1 pixel.*Read as xyxy:1", id="corners as parts"),
        pytest.param([[500, 300, 400, 300]], "Read as xywh:1000", id="per mille"),
        pytest.param([[20, 10, 30, 20]], "", id="right"),
        pytest.param([[60, 10, 45, 20], *[[10, 10, 30, 30]] * 3], "", id="one face is cut off"),
    ],
)
def test_a_note_says_how_boxes_could_be_meant(tmp_path, facebench, boxes, words):
    made = write(tmp_path / "set", {"a.json": coco(boxes)}, ("a.png",))
    for verb in ("verify", "stats"):
        _, out, _ = facebench("data", verb, made, "--json")
        noted = [note for note in json.loads(out)["notes"] if "box_format=" in note]
        assert len(noted) == bool(words)
        assert not words or re.search(words, noted[0])


def _faces(seed: int, count: int, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """Faces in images of several sizes, some of them cut off by a border, as people annotate them."""
    random = np.random.default_rng(seed)
    sizes = random.integers(200, 2000, (count, 2)).astype(float)
    sides = random.uniform(0.03, 0.4, (count, 1)) * sizes.min(axis=1, keepdims=True) * [1, 1.2]
    centres = sides / 2 + random.uniform(0, 1, (count, 2)) * (sizes - sides)
    beyond = random.uniform(size=(count, 2)) < cut
    centres = np.where(beyond, np.where(random.uniform(size=(count, 2)) < 0.5, 0, sizes), centres)
    return np.hstack([centres - sides / 2, centres + sides / 2]), sizes


@given(st.integers(0, 10**6), st.integers(1, 300), st.floats(0, 0.15))
def test_boxes_that_are_read_right_are_not_doubted(seed, count, cut):
    boxes, sizes = _faces(seed, count, cut)
    if count < 20:  # of few, the border may cut off more
        boxes = np.clip(boxes, 0, np.tile(sizes, 2))
    for layout in LAYOUTS:
        assert likely_meaning(boxes, sizes, BoxFormat(layout)) == ""


@given(st.integers(0, 10**6), st.sampled_from(["xyxy", "yxyx", "xywh:1", "xyxy:1", "cxcywh:1", "yxyx:1"]))
def test_the_true_meaning_of_many_boxes_is_named(seed, truth):
    boxes, sizes = _faces(seed, 200, 0.0)
    numbers = BoxFormat.parse(truth).to_numbers(boxes, sizes)
    said = likely_meaning(BoxFormat("xywh").to_corners(numbers), sizes, BoxFormat("xywh"))
    assert f"{truth} (" in said


def test_tiny_boxes_are_counted_without_those_of_zero_size():
    assert are_tiny(np.array([[0, 0, 0.5, 1.0], [0, 0, 0, 0]]))
    assert not are_tiny(np.array([[0, 0, 0.5, 1.5]]))
    assert not are_tiny(np.zeros((3, 4)))

"""Written in any format and read again: the same boxes, but for the rounding that the format states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import load
from facebench.datasets.formats.choice import read_folder
from facebench.datasets.manage.conversion import WRITTEN, convert, folder_of, read_any
from facebench.errors import DataError, UsageError
from facebench.tests.support.annotation_files import annotated, folder, write
from facebench.tests.support.wider_files import write_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: How far a corner may move, in pixels of an image of 100 x 80: what the module of each format says.
ROUNDING = {"coco": 1e-12, "voc": 0.5, "yolo": 1e-8, "csv": 0.0, "json": 1e-12, "wider": 0.5}

FACES = [
    annotated("a.png", [[1.25, 2.5, 30.0625, 40.75], [0, 0, 100, 80]], [False, True], blur=[2, 0]),
    annotated("deep/er/b.png", [], blur=[]),
    annotated("deep/c.png", [[-3.5, 7.1, 12.345678901, 9]], blur=[-1]),
]


def source(root: Path, images=FACES):
    for one in images:
        write_image(root / one.name)
    return folder(images, {one.name: root / one.name for one in images})


@pytest.mark.parametrize("images", ["link", "copy"])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_folder_comes_back(tmp_path, name, images):
    told = convert(source(tmp_path / "in"), tmp_path / "out", name, images=images)
    found = read_folder(tmp_path / "out")
    assert (told.images, told.faces, found.format) == (3, 3, name)
    back = {one.name: one for one in found.images}
    assert set(back) == set(found.sources) == {one.name for one in FACES}
    for one in FACES:
        assert np.abs(back[one.name].boxes - one.boxes).max(initial=0) <= ROUNDING[name]
        linked = Path(str(found.sources[one.name]))
        assert linked.is_symlink() == (images == "link")
        assert linked.read_bytes() == (tmp_path / "in" / one.name).read_bytes()


@pytest.mark.parametrize("first", WRITTEN)
@pytest.mark.parametrize("second", WRITTEN)
def test_from_each_format_to_each(tmp_path, first, second):
    convert(source(tmp_path / "in"), tmp_path / "first", first)
    convert(read_folder(tmp_path / "first"), tmp_path / "second", second)
    one = {p.name: p.boxes for p in read_folder(tmp_path / "first").images}
    two = {p.name: p.boxes for p in read_folder(tmp_path / "second").images}
    assert all(np.abs(two[name] - boxes).max(initial=0) <= ROUNDING[second] for name, boxes in one.items())
    again = {p.name: p.boxes for p in read_folder(tmp_path / "first").images}
    assert all((again[name] == boxes).all() for name, boxes in one.items())


@pytest.mark.parametrize(
    ("name", "ignore", "blur"),
    [
        ("coco", [False, True], [2, 0]),
        ("csv", [False, True], [2, 0]),
        ("json", [False, True], [2, 0]),
        ("voc", [False, True], None),
        ("wider", [False, True], [2, 0]),
        ("yolo", [False, False], None),
    ],
)
def test_what_a_format_holds_beside_boxes_and_what_it_says_it_loses(tmp_path, name, ignore, blur):
    told = " ".join(convert(source(tmp_path / "in"), tmp_path / "out", name).lost)
    back = {one.name: one for one in read_folder(tmp_path / "out").images}["a.png"]
    assert back.ignore.tolist() == ignore
    assert (back.attributes["blur"].tolist() if "blur" in back.attributes else None) == blur
    assert ("cannot hold: blur" in told) == (blur is None)
    assert ("1 faces to be ignored" in told) == (ignore == [False, False])
    assert ("half a pixel" in told) == (name in ("voc", "wider"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    boxes=st.lists(st.tuples(*[st.floats(-20, 80)] * 2, *[st.floats(0, 150)] * 2), max_size=5),
    name=st.sampled_from(sorted(WRITTEN)),
)
def test_no_box_moves_further_than_the_format_says(tmp_path_factory, boxes, name):
    root = tmp_path_factory.mktemp("any")
    one = annotated("a.png", [(x, y, x + w, y + h) for x, y, w, h in boxes])
    convert(source(root / "in", [one]), root / "out", name)
    (back,) = read_folder(root / "out").images
    assert back.boxes.shape == one.boxes.shape
    assert np.abs(back.boxes - one.boxes).max(initial=0) <= max(ROUNDING[name], 1e-13)


@pytest.mark.parametrize("name", WRITTEN)
def test_crowd_regions_come_back_or_are_named(tmp_path, name):
    """COCO and rows have a mark for them; elsewhere they are faces to be ignored, and YOLO has neither."""
    one = annotated("a.png", [[1, 2, 30, 40], [0, 0, 100, 80], [5, 5, 9, 9]], [True, True, False])
    one = replace(one, crowd=np.array([False, True, False]))
    told = " ".join(convert(source(tmp_path / "in", [one]), tmp_path / "out", name).lost)
    (back,) = read_folder(tmp_path / "out").images
    assert back.ignore.tolist() == ([False] * 3 if name == "yolo" else [True, True, False])
    marked = name in ("coco", "csv", "json")
    assert (back.crowd is not None) == marked
    assert ("1 crowd regions are written as faces to be ignored" in told) == (name in ("voc", "wider"))
    if marked:
        assert back.crowd.tolist() == [False, True, False]
        dataset = load(f"folder:{tmp_path / 'out'}")
        (again,) = folder_of(dataset).images
        assert again.crowd.tolist() == [False, True, False]


def test_a_face_without_size_is_kept_and_ignored_when_it_is_loaded(tmp_path):
    one = annotated("a.png", [[5, 5, 5, 9], [5, 5, 9, 9]])
    convert(source(tmp_path / "in", [one]), tmp_path / "out", "csv")
    dataset = load(f"folder:{tmp_path / 'out'}")
    assert dataset.samples[0].faces.ignore.tolist() == [True, False]
    assert dataset.notes == ("Boxes of zero width or height, which are ignored: 1.",)


@pytest.mark.parametrize("what", ["file", "full folder", "dangling link"])
def test_nothing_is_overwritten(tmp_path, what):
    target = tmp_path / "out"
    if what == "file":
        target.write_text("mine")
    elif what == "full folder":
        write(target, {"mine.txt": "mine"})
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="lies already"):
        convert(source(tmp_path / "out.in"), target, "csv")
    assert [path for path in sorted(tmp_path.rglob("*")) if "out.in" not in str(path)] == before


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    assert convert(source(tmp_path / "in"), tmp_path / "out", "voc").images == 3


@pytest.mark.parametrize(
    ("images", "name", "kind", "message"),
    [
        pytest.param(FACES, "cocoa", UsageError, "Did you mean coco", id="no such format"),
        pytest.param(
            [annotated("a.png", []), annotated("a.jpg", [])],
            "yolo",
            DataError,
            "two images whose file",
            id="one label file",
        ),
        pytest.param([annotated("../a.png", [])], "csv", DataError, "below a folder", id="leads out"),
        pytest.param(
            [annotated("a.png", [(0, 114, 9, 207)])], "yolo", DataError, "0, 114, 9, 207 of a.png", id="far outside"
        ),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, images, name, kind, message):
    given = source(tmp_path / "in" / "in", images)
    with pytest.raises(kind, match=message):
        convert(given, tmp_path / "out", name)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_image_that_vanished_leaves_nothing(tmp_path):
    given = source(tmp_path / "in")
    (tmp_path / "in" / "deep" / "c.png").unlink()
    with pytest.raises(DataError, match=r"No such file.*c\.png"):
        convert(given, tmp_path / "out", "csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_images_without_a_file_are_left_out_and_said(tmp_path):
    given = source(tmp_path / "in")
    part = folder(given.images, {"a.png": given.sources["a.png"]})
    told = convert(part, tmp_path / "out", "csv")
    assert told.images == 1 and "2 of 3 annotated images have no file" in told.lost[0]


def test_a_data_set_by_name_is_written_with_its_images(tmp_path):
    given = read_any("scenes?count=2")
    convert(given, tmp_path / "out", "coco")
    scenes, found = load("scenes?count=2"), load(f"folder:{tmp_path / 'out'}")
    assert [sample.image_id for sample in found.samples] == [one.name for one in folder_of(scenes).images]
    for before, after in zip(scenes.samples, found.samples, strict=True):
        assert (before.faces.boxes == after.faces.boxes).all()
        assert after.source.read_bytes() == before.source


def test_options_of_a_folder_stand_behind_its_path(tmp_path):
    write(tmp_path, {"f.csv": "image,x1,y1,x2,y2,label\na.png,1,1,2,2,cat\na.png,1,1,2,2,dog\n"}, ("a.png",))
    assert len(read_any(f"{tmp_path}?category=dog").images[0].boxes) == 1
    with pytest.raises(UsageError, match="no option 'kategory'"):
        read_any(f"{tmp_path}?kategory=dog")


@pytest.mark.parametrize("format_name", WRITTEN)
def test_names_without_a_suffix_get_that_of_their_file(tmp_path, format_name):
    found = read_folder(write(tmp_path / "in", {"f.csv": "image_id,x1,y1,x2,y2\n007,1,2,31,42\n"}, ("007.png",)))
    assert [one.name for one in found.images] == ["007"]
    convert(found, tmp_path / "out", format_name)
    assert [sample.image_id for sample in load(f"folder:{tmp_path / 'out'}").samples] == ["007.png"]

"""Which file an annotated image is: whole names, ends of names, other spellings, and what is left open."""

from __future__ import annotations

import json
import unicodedata

import pytest
from facebench.datasets.formats.choice import Choice, read_folder
from facebench.datasets.formats.image_names import image_name, match
from facebench.errors import DataError
from facebench.tests.support.annotation_files import VOC, voc_object, write

NFC = unicodedata.normalize("NFC", "é.jpg")
NFD = unicodedata.normalize("NFD", "é.jpg")


def coco(*names: str) -> str:
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    return json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "face"}]})


def voc(name: str, folder: str | None = None) -> str:
    text = VOC.format(name=name, objects=voc_object((1, 1, 9, 9)))
    return text if folder is None else text.replace("<filename>", f"<folder>{folder}</folder><filename>")


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        pytest.param(["a.jpg"], ["i/a.jpg", "i/a.JPG"], {"a.jpg": "i/a.jpg"}, id="the exact name is first"),
        pytest.param(
            [f"{i:02}.jpg" for i in range(60)],
            [f"i/{i:02}.jpg" for i in range(30, 60)],
            {f"{i:02}.jpg": f"i/{i:02}.jpg" for i in range(30, 60)},
            id="the first thirty are not there",
        ),
        pytest.param(
            ["p0.jpg", "p1.jpg", "p2.jpg"],
            ["i/x/p0.jpg", "i/y/p1.jpg", "i/z/p2.jpg"],
            {"p0.jpg": "i/x/p0.jpg", "p1.jpg": "i/y/p1.jpg", "p2.jpg": "i/z/p2.jpg"},
            id="base names in several folders",
        ),
        pytest.param(
            ["a.jpg", "b.jpg"],
            ["copy/a.jpg", "i/a.jpg", "i/b.jpg"],
            {"a.jpg": "i/a.jpg", "b.jpg": "i/b.jpg"},
            id="a copy of a part does not count",
        ),
        pytest.param(
            ["a.jpg", "x/a.jpg"], ["i/a.jpg", "i/x/a.jpg"], {"a.jpg": "i/a.jpg", "x/a.jpg": "i/x/a.jpg"}, id="both"
        ),
        pytest.param(["a.jpg", "x/a.jpg"], ["i/x/a.jpg"], {"x/a.jpg": "i/x/a.jpg"}, id="the longer name has it"),
        pytest.param(
            ["data/1/x/a.jpg", "data/1/y/a.jpg"],
            ["i/x/a.jpg", "i/y/a.jpg"],
            {"data/1/x/a.jpg": "i/x/a.jpg", "data/1/y/a.jpg": "i/y/a.jpg"},
            id="longest ending",
        ),
        pytest.param(
            ["x/1.jpg", "data/y/2.jpg"], ["i/x/1.jpg", "i/2.jpg"], {"x/1.jpg": "i/x/1.jpg", "data/y/2.jpg": "i/2.jpg"},
            id="some with folders, some of another machine",
        ),
        pytest.param(["a.jpg"], ["i/a.JPG"], {"a.jpg": "i/a.JPG"}, id="case"),
        pytest.param(["x/a.jpg"], ["i/X/a.JPG", "i/y/a.jpg"], {"x/a.jpg": "i/X/a.JPG"}, id="folders before spelling"),
        pytest.param(["a.png", "b"], ["i/a.jpg", "i/b.jpg"], {"a.png": "i/a.jpg", "b": "i/b.jpg"}, id="suffix"),
        pytest.param(["v1.2"], ["v1.2.jpg", "v1.3.jpg"], {"v1.2": "v1.2.jpg"}, id="a point is not a suffix"),
        pytest.param([NFC], [f"i/{NFD}"], {NFC: f"i/{NFD}"}, id="NFC of NFD"),
        pytest.param([NFD], [f"i/{NFC}"], {NFD: f"i/{NFC}"}, id="NFD of NFC"),
        pytest.param(["a%20b.jpg"], ["i/a b.jpg"], {"a%20b.jpg": "i/a b.jpg"}, id="%-escapes in the annotation"),
        pytest.param(["a b.jpg"], ["i/a%20b.jpg"], {"a b.jpg": "i/a%20b.jpg"}, id="%-escapes on disk"),
        pytest.param(
            ["data/local-files/?d=s%2Fa.jpg"], ["s/a.jpg", "t/a.jpg"], {"data/local-files/?d=s%2Fa.jpg": "s/a.jpg"},
            id="an address of Label Studio",
        ),
        pytest.param(["host/a.jpg?token=x.y"], ["i/a.jpg"], {"host/a.jpg?token=x.y": "i/a.jpg"}, id="an address"),
        pytest.param(["a"], ["a.txt", "labels/a.txt"], {}, id="only images stand for other spellings"),
    ],
)  # fmt: skip
def test_files_that_are_found(names, files, expected):
    found = match(names, dict.fromkeys(files))
    assert dict(found.paths) == expected
    assert set(found.missing) == set(names) - set(expected)


@pytest.mark.parametrize(
    ("names", "files", "what"),
    [
        pytest.param(["p.jpg", "q.jpg", "r.jpg"], ["x/p.jpg", "y/p.jpg", "x/q.jpg", "y/r.jpg"],
                     {"p.jpg": "could be x/p.jpg or y/p.jpg"}, id="each folder has its own"),
        pytest.param(["a"], ["i/a.jpg", "i/a.png"], {"a": "could be i/a.jpg or i/a.png"}, id="two suffixes"),
        pytest.param(["1/a.jpg", "2/a.jpg"], ["i/a.jpg"],
                     {"1/a.jpg": "could be i/a.jpg", "2/a.jpg": "could be i/a.jpg"}, id="one file for two"),
        pytest.param(["x/1.jpg", "x/2.jpg"], ["i/x/1.jpg", "i/y/2.jpg"], {"x/2.jpg": "is it i/y/2.jpg?"},
                     id="not in another folder where its own is there"),
        pytest.param(["x/1.jpg", "z/2.jpg"], ["i/x/1.jpg", "i/x/2.jpg"], {"z/2.jpg": "is it i/x/2.jpg?"},
                     id="not in the folder of others"),
        pytest.param(["s/x/1.jpg", "t/x/2.jpg"], ["i/s/x/1.jpg", "i/s/x/2.jpg"], {"t/x/2.jpg": "is it i/s/x/2.jpg?"},
                     id="nor in that of a longer name"),
        pytest.param(["123"], ["i/000123.jpg"], {"123": "is it i/000123.jpg?"}, id="zeros"),
        pytest.param(["IMG 1.jpg"], ["i/img_1.jpg"], {"IMG 1.jpg": "is it i/img_1.jpg?"}, id="signs"),
        pytest.param(["1a2b3c4d-a.jpg"], ["a.jpg"], {"1a2b3c4d-a.jpg": "is it a.jpg?"}, id="Label Studio"),
        pytest.param(["a_jpg.rf.0a1b.jpg"], ["a.jpg"], {"a_jpg.rf.0a1b.jpg": "is it a.jpg?"}, id="Roboflow"),
        pytest.param(["a.jpg", "a.png"], ["a.jpg"], {"a.png": "got no file"}, id="not the file of another image"),
    ],
)  # fmt: skip
def test_what_is_left_open_is_named_with_its_candidates(names, files, what):
    found = match(names, dict.fromkeys(files))
    assert set(found.missing) == set(what) == set(names) - set(found.paths)
    assert all(text in found.missing[name] for name, text in what.items())
    said = " ".join(found.notes)
    assert all(name in said for name in what)
    assert ("have no file, such as" in said) == any(text == "got no file" for text in what.values())


def test_what_an_image_could_be_is_not_said_to_be_without_annotation(tmp_path):
    images = ("x/p.png", "y/p.png", "x/q.png", "y/r.png", "x/other.png")
    found = read_folder(write(tmp_path, {"a.json": coco("p.png", "q.png", "r.png")}, images))
    assert set(found.sources) == {"q.png", "r.png"} and list(found.missing) == ["p.png"]
    assert "1 images there are not in the annotation and are left out." in found.notes


def test_equal_folders_are_decided_by_what_is_near_or_by_the_user():
    files = {"x/a.jpg", "y/a.jpg"}
    with pytest.raises(DataError, match="in 2 folders, x/, y/"):
        match(["a.jpg"], files)
    assert match(["a.jpg", "b.jpg"], files, near=("z", "y")).paths == {"a.jpg": "y/a.jpg"}


def test_a_folder_that_the_annotation_names_decides():
    files = {"i/x/1.jpg", "i/y/1.jpg", "i/x/2.jpg", "i/y/3.jpg"}
    found = match(["1.jpg", "2.jpg", "3.jpg"], files, folders={"1.jpg": "home/me/y"})
    assert found.paths["1.jpg"] == "i/y/1.jpg"


def test_every_note_counts():
    found = match(["a.jpg", "b.jpg", "d/1/c.jpg", "x.jpg"], {"i/a.jpg", "i/b.JPG", "i/c.jpg"})
    assert [note.partition(" annotated")[0] for note in found.notes] == ["1 of 4"] * 3
    assert "end of their names alone: d/1/c.jpg is i/c.jpg" in found.notes[0]
    assert "another spelling" in found.notes[1] and "b.jpg is i/b.JPG" in found.notes[1]
    assert "have no file, such as x.jpg" in found.notes[2]


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.png", "..\\..\\secret.png", "C:\\secret.png"])
def test_nothing_outside_the_folder_is_opened(tmp_path, name):
    write(tmp_path, {"in/a.json": coco(name, "a.png")}, ("in/a.png", "secret.png"))
    found = read_folder(tmp_path / "in")
    assert set(found.sources) == {"a.png"} and list(found.missing) == [image_name(name)]


def test_the_said_folder_limits_where_files_are_looked_for(tmp_path):
    write(tmp_path, {"a.json": coco("a.png", "/x/b.png")}, ("i/a.png", "i/s/b.png", "j/b.png"))
    found = read_folder(tmp_path, Choice(images="i"))
    assert found.sources == {"a.png": tmp_path / "i/a.png", "x/b.png": tmp_path / "i/s/b.png"}


@pytest.mark.parametrize(
    ("files", "images", "expected"),
    [
        pytest.param(
            {"A/Annotations/0.xml": voc("1.png", "x"), "A/Annotations/1.xml": voc("1.png", "y")},
            ("A/x/1.png", "A/y/1.png"),
            {"x/1.png": "A/x/1.png", "y/1.png": "A/y/1.png"},
            id="folder tells names that repeat",
        ),
        pytest.param(
            {"Annotations/0.xml": voc("0.png", "x"), "Annotations/1.xml": voc("1.png", "y")},
            ("x/0.png", "y/0.png", "y/1.png"),
            {"0.png": "x/0.png", "1.png": "y/1.png"},
            id="folder tells files that repeat",
        ),
        pytest.param(
            {"Annotations/s1/a.xml": voc("s1/a.png"), "Annotations/s2/a.xml": voc("s2/a.png", "")},
            ("JPEGImages/s1/a.png", "JPEGImages/s2/a.png"),
            {"s1/a.png": "JPEGImages/s1/a.png", "s2/a.png": "JPEGImages/s2/a.png"},
            id="nested annotations",
        ),
        pytest.param(
            {"Annotations/s1/a.xml": voc("a.png"), "Annotations/s2/a.xml": voc("a.png")},
            ("JPEGImages/s1/a.png", "JPEGImages/s2/a.png"),
            {"s1/a.png": "JPEGImages/s1/a.png", "s2/a.png": "JPEGImages/s2/a.png"},
            id="nested annotations of base names",
        ),
        pytest.param(
            {"s1/a.xml": voc("a.png"), "s2/b.xml": voc("b.png", "junk")},
            ("s1/a.png", "s2/b.png"),
            {"a.png": "s1/a.png", "b.png": "s2/b.png"},
            id="beside the images, in folders",
        ),
        pytest.param({"Annotations/a.xml": voc("a")}, ("JPEGImages/a.png",), {"a": "JPEGImages/a.png"}, id="no suffix"),
    ],
)
def test_pascal_voc(tmp_path, files, images, expected):
    found = read_folder(write(tmp_path, files, images))
    assert found.sources == {name: tmp_path / path for name, path in expected.items()} and not found.missing


def test_parts_of_a_set_in_pascal_voc_are_to_be_chosen(tmp_path):
    write(tmp_path, {"train/a.xml": voc("a.png"), "valid/b.xml": voc("b.png")}, ("train/a.png", "valid/b.png"))
    with pytest.raises(DataError, match="annotations=train; format=voc&annotations=valid"):
        read_folder(tmp_path)
    assert list(read_folder(tmp_path, Choice(annotations="valid")).sources) == ["b.png"]


def test_a_split_of_nested_annotations(tmp_path):
    files = {f"Annotations/s{i}/a.xml": voc(f"s{i}/a.png") for i in range(2)}
    write(tmp_path, {**files, "ImageSets/Main/val.txt": "s1/a\n"}, ("JPEGImages/s0/a.png", "JPEGImages/s1/a.png"))
    assert [one.name for one in read_folder(tmp_path, Choice(split="val")).images] == ["s1/a.png"]

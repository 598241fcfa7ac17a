"""`folder`: what a loaded folder says of itself, subsets, and the real set of another origin."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import load
from facebench.datasets.manage.statistics import statistics, undecodable
from facebench.datasets.query import shown_name
from facebench.datasets.registry import folder_name
from facebench.errors import UsageError
from facebench.tests.support.annotation_files import write
from PIL import Image

CSV = "image,x1,y1,x2,y2,ignore,blur\na.png,1,2,31,42,0,1\na.png,5,5,15,17,1,2\nb.png,,,,,,\nc.png,0,0,100,80,0,0\n"
IMAGES = ("a.png", "b.png", "c.png")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write(tmp_path, {"f.csv": CSV}, IMAGES)


def test_a_folder_is_loaded_by_its_path_or_as_the_data_root(made, monkeypatch):
    found = load(f"folder:{made}")
    assert (found.name, found.coverage, found.lists, found.demo) == (f"folder:{made}", "3 images", (), False)
    assert found.description == f"Images of your own, annotated as CSV ({made.name}/f.csv)."
    faces = found.samples[0].faces
    assert faces.boxes.tolist() == [[1, 2, 31, 42], [5, 5, 15, 17]] and faces.ignore.tolist() == [False, True]
    assert {name: values.tolist() for name, values in faces.attributes.items()} == {"blur": [1, 2]}
    monkeypatch.setenv("FACEBENCH_DATA", str(made))
    assert load("folder").fingerprint == load("folder", root=made).fingerprint == found.fingerprint


def test_a_folder_keeps_its_name_however_it_is_said(made, monkeypatch):
    monkeypatch.chdir(made)
    path = f"folder:{made}"
    assert load(str(made)).name == load("folder", root=made).name == load(".").name == path
    assert load("./f.csv?sample=2").name == "folder:./f.csv?sample=2"
    assert shown_name(f"{path}?sample=2") == f"{made.name}?sample=2"
    assert shown_name(f"{path}/f.csv") == f"{made.name}/f.csv"
    assert shown_name("folder:https://host/set.zip") == "set.zip" and shown_name("folder") == "folder"


def test_a_sample_is_the_same_for_everybody_and_in_order(made):
    some = [sample.image_id for sample in load(f"folder:{made}?sample=2&seed=1").samples]
    drawn = np.sort(np.random.default_rng(1).choice(3, 2, replace=False))
    assert some == [IMAGES[i] for i in drawn]
    (note,) = load(f"folder:{made}?sample=9").notes
    assert note.startswith("sample=9 asked for more than the 3 images")


def test_without_images_the_annotation_is_enough_to_score(made):
    (made / "a.png").unlink()
    assert len(load(f"folder:{made}")) == 2
    assert len(load(f"folder:{made}", annotation_only=True)) == 3
    for name in ("b.png", "c.png"):
        (made / name).unlink()
    assert len(load(f"folder:{made}", annotation_only=True)) == 3


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        pytest.param("a.png,1,1,1,5\n", "Boxes of zero width or height, which are ignored: 1.", id="zero"),
        pytest.param("a.png,1,1,5,5\na.png,1,1,5,5\n", "Repeated boxes: 1.", id="repeated"),
        pytest.param(
            "a.png,-9,1,5,5\na.png,-0.4,0,5,80.4\n", "outside their image, kept as annotated: 1.", id="outside"
        ),
    ],
)
def test_what_is_odd_is_noted(tmp_path, rows, note):
    write(tmp_path, {"f.csv": f"image,x1,y1,x2,y2\n{rows}"}, ("a.png",))
    assert note in " ".join(load(f"folder:{tmp_path}").notes)


def test_a_image_turned_by_exif_is_noted_where_the_annotation_has_its_size(tmp_path):
    shown = Image.new("RGB", (100, 80))
    exif = shown.getexif()
    exif[0x0112] = 6
    shown.save(tmp_path / "a.jpg", exif=exif)
    image = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}
    (tmp_path / "a.json").write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
    assert "upright size is not the one in the annotation" in load(f"folder:{tmp_path}").notes[0]


def test_labels_of_yolo_are_parts_of_the_upright_image(tmp_path):
    image = Image.new("RGB", (100, 80))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    write(tmp_path, {"a.txt": "0 .5 .5 1 1\n"})
    assert load(f"folder:{tmp_path}").samples[0].faces.boxes.tolist() == [[0, 0, 80, 100]]


@pytest.mark.parametrize("option", ["events=Picnic", "kategory=face", "sample=0"])
def test_options_that_do_not_fit(made, option):
    with pytest.raises(UsageError):
        load(f"folder:{made}?{option}")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("scenes", "scenes"),
        ("wider-face:val?sample=3", "wider-face:val?sample=3"),
        ("memory://set", "folder:memory://set"),
        ("a/b?format=csv", "folder:a/b?format=csv"),
        ("folder:a/b", "folder:a/b"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_path_is_told_from_a_name(typed, name):
    assert folder_name(typed) == name


def test_statistics_count_by_hand(made):
    found = statistics(load(f"folder:{made}"))
    assert {key: found[key] for key in ("pictures", "total", "without_faces", "faces", "ignored", "faults")} == {
        "pictures": 3,
        "total": 3,
        "without_faces": 1,
        "faces": 3,
        "ignored": 1,
        "faults": [],
    }
    assert found["faces_by_height_px"] == {
        "below 16": 1, "16–32": 0, "32–96": 2, "96–200": 0, "200–400": 0, "400–1,000": 0, "from 1,000": 0,
    }  # fmt: skip
    assert found["faces_by_share"] == {"below 1 %": 0, "1–5 %": 1, "5–20 %": 1, "20–50 %": 0, "from 50 %": 1}
    assert found["face_height_px"] == {"0": 12.0, "10": 17.6, "50": 40.0, "90": 72.0, "100": 80.0}
    assert found["picture_width_px"]["50"] == 100 and found["picture_height_px"]["50"] == 80
    assert found["attributes"] == {"blur": {"0": 1, "1": 1, "2": 1}}
    assert json.loads(json.dumps(found)) == found


def test_crowd_regions_are_counted_apart_from_faces(facebench, tmp_path):
    """Of three boxes one is a region, in one of two images; the other image has nothing else."""
    rows = "a.png,0,0,50,60,,,1\na.png,1,1,21,31,,1,2\na.png,4,4,14,24,,,\nb.png,0,0,90,70,1,,1\n"
    write(tmp_path / "set", {"f.csv": f"image,x1,y1,x2,y2,iscrowd,ignore,blur\n{rows}"}, ("a.png", "b.png"))
    found = statistics(load(f"folder:{tmp_path / 'set'}"))
    assert {key: found[key] for key in ("without_faces", "faces", "ignored", "crowd_regions")} == {
        "without_faces": 1,
        "faces": 3,
        "ignored": 1,
        "crowd_regions": 1,
    }
    assert found["face_height_px"]["100"] == 60 and found["attributes"] == {"blur": {"-1": 1, "1": 1, "2": 1}}
    assert sum(found["faces_by_height_px"].values()) == sum(found["faces_by_share"].values()) == 3
    code, out, _ = facebench("data", "stats", tmp_path / "set")
    (row,) = [line.strip("│ ").split() for line in out.splitlines() if "crowd regions" in line]
    assert (code, row) == (0, ["crowd", "regions", "│", "1"])
    code, out, _ = facebench("data", "stats", tmp_path / "set", "--json")
    assert json.loads(out)["crowd_regions"] == 1


def test_images_that_cannot_be_decoded_are_named(made):
    (made / "b.png").write_bytes((made / "b.png").read_bytes()[:-20])
    (made / "c.png").write_text("<html>")
    done: list[int] = []
    faults = undecodable(load(f"folder:{made}"), done.append)
    assert [(Path(fault.file).name, fault.what.partition(":")[0]) for fault in faults] == [
        ("b.png", "truncated"),
        ("c.png", "not an image"),
    ]
    assert done == [1, 2, 3]
    assert statistics(load(f"folder:{made}"))["faults"] == [
        "c.png: the size cannot be read (got 6 bytes that begin with b'<html>'; expected JPEG, PNG, WebP, GIF, BMP, "
        "TIFF, AVIF, HEIC, JPEG 2000 or PNM)"
    ]


def test_the_real_set_of_news_photographs(shared):
    found = load(f"folder:{shared / 'data' / 'fddb_like'}")
    rows = json.loads((shared / "data" / "fddb_like" / "ground-truth.json").read_text())
    assert (len(found), sum(len(sample.faces) for sample in found.samples)) == (103, len(rows)) == (103, 175)
    x, y, width, height = rows[0]["bbox"]
    assert found.samples[0].faces.boxes[0] == pytest.approx([x, y, x + width, y + height], abs=1e-3)


def test_the_text_of_wider_face_agrees_with_its_own_reader(shared):
    root = shared / "data" / "wider_face"
    official = load("wider-face:val", root=root)
    ours = load(f"folder:{root}")
    assert [sample.image_id for sample in ours.samples] == [sample.image_id for sample in official.samples]
    for one, other in zip(ours.samples, official.samples, strict=True):
        assert (one.faces.boxes == other.faces.boxes).all() and (one.faces.ignore == other.faces.ignore).all()
        assert all((values == other.faces.attributes[name]).all() for name, values in one.faces.attributes.items())

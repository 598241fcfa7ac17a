"""Images with boxes: the overlay file and the layers of the gallery."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.measure.previews import write_previews
from facebench.errors import ResultsError
from facebench.reports.figures.overlay import write_overlay
from facebench.reports.sections.gallery import gallery
from facebench.reports.values.numbers import threshold
from facebench.tests.support import runs
from PIL import Image

GREY = np.full((60, 80, 3), 128, dtype=np.uint8)


def read_only(image):
    image = image.copy()
    image.setflags(write=False)
    return image


@pytest.mark.parametrize(
    "image",
    [GREY, read_only(GREY), np.full((60, 160, 3), 128, np.uint8)[:, ::2]],
    ids=["plain", "read-only", "strided"],
)
def test_the_overlay_has_the_box_and_leaves_the_image_alone(tmp_path, image):
    path = tmp_path / "new" / "folder" / "out.jpg"
    assert write_overlay(image, np.array([[20, 10, 60, 50]], np.float32), path) == path
    with Image.open(path) as written:
        assert (written.format, written.size) == ("JPEG", (80, 60))
        changed = np.abs(np.asarray(written, dtype=int) - 128).max(axis=2) > 40
    assert changed[30, 19:23].any()
    assert changed[9:13, 40].any()
    assert not changed[20:40, 30:50].any()
    assert not changed[:5].any()
    assert (image == 128).all()


@pytest.mark.parametrize(
    ("size", "boxes"),
    [((60, 80), []), ((1, 1), [[0, 0, 1, 1]]), ((1, 500), [[-5, -5, 900, 900]]), ((60, 80), [[-1e9, 5, 1e9, 5]])],
    ids=["none", "one pixel", "one row", "far outside"],
)
def test_odd_overlays_are_written(tmp_path, size, boxes):
    path = write_overlay(np.zeros((*size, 3), np.uint8), np.array(boxes, np.float32).reshape(-1, 4), tmp_path / "a.jpg")
    with Image.open(path) as written:
        assert written.size == size[::-1]


def test_an_overlay_that_cannot_be_written_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    none = np.empty((0, 4), np.float32)
    for path in (tmp_path, tmp_path / "file" / "out.jpg"):
        with pytest.raises(ResultsError, match="cannot write"):
            write_overlay(GREY, none, path)
    with pytest.raises(ResultsError, match="70000×1 pixels are too many for JPEG"):
        write_overlay(np.zeros((1, 70_000, 3), np.uint8), none, tmp_path / "long.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def run(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    runs.add_cell(run, "poor", runs.POOR)
    runs.add_cell(run, "broken", status="failed", start=None)
    write_previews(run, runs.image)
    return run


def test_the_layers_hold_what_became_of_every_box(run):
    found = gallery(summarise_run(run))
    assert found.labels == ["exact (score ≥ 0.5)", "poor (score ≥ 0.5)"]
    images = {image.image_id: image for image in found.images}
    assert list(images) == [runs.HOSTILE, "group.jpg", "empty.jpg"]
    group = images["group.jpg"]
    assert group.ignored == "M90 10h20v20h-20z"
    exact, poor = group.layers
    assert exact.hits == exact.found == "M10 10h20v20h-20zM50 10h20v20h-20z"
    assert (exact.dropped, exact.false_alarms, exact.missed) == ("M90 10h20v20h-20z", "", "")
    assert exact.text == "2 of 2 faces found, 0 false alarms"
    assert poor.hits == poor.found == "M10 10h20v20h-20z"
    assert poor.false_alarms == "M11 10h20v20h-20zM150 50h20v20h-20z"
    assert poor.missed == "M50 10h20v20h-20z"
    assert poor.text == "1 of 2 faces found, 2 false alarms"
    assert [(layer.faces_missed, layer.alarms) for layer in group.layers] == [(0, 0), (1, 2)]
    assert [layer.text for layer in images["empty.jpg"].layers] == [
        "no face to be found, 0 false alarms",
        "no face to be found, 2 false alarms",
    ]


FACE, ELSEWHERE = runs.FACES["group.jpg"][0][0], (150.0, 50.0, 170.0, 70.0)


@pytest.mark.parametrize(
    ("second", "differs"),
    [
        ([(FACE, 0.9)], False),
        ([(FACE, 0.6), (ELSEWHERE, 0.7)], False),
        ([], True),
        ([(runs.FACES["group.jpg"][1][0], 0.9)], True),
        ([(FACE, 0.9), (runs.FACES["group.jpg"][2][0], 0.9)], False),
        ([(FACE, 0.4)], True),
    ],
    ids=["the same", "a false alarm more", "nothing", "another face", "a face to be ignored", "below the threshold"],
)
def test_detectors_differ_where_they_find_other_faces(tmp_path, second, differs):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "first", {"group.jpg": [(FACE, 0.9)]})
    runs.add_cell(run, "second", {"group.jpg": second})
    write_previews(run, runs.image)
    images = {image.image_id: image for image in gallery(summarise_run(run)).images}
    assert images["group.jpg"].differs is differs
    assert not images[runs.HOSTILE].differs, "found by neither"


def test_boxes_of_a_large_image_are_scaled_to_its_preview(run):
    shown = next(p for p in gallery(summarise_run(run)).images if p.image_id == runs.HOSTILE)
    assert (shown.width, shown.height) == (720, 450)
    assert shown.layers[0].hits == "M50 50h100v100h-100z"
    with Image.open(io.BytesIO(base64.b64decode(shown.source.partition(",")[2]))) as image:
        assert image.size == (720, 450)


def test_a_missing_preview_file_is_an_error_that_says_what_to_do(run):
    next((run.path / "previews").glob("*.jpg")).unlink()
    with pytest.raises(ResultsError, match=r"cannot read .*run again"):
        gallery(summarise_run(run))


@pytest.mark.parametrize(("value", "text"), [(0.5, "score ≥ 0.5"), (float(np.finfo(np.float32).min), "every box")])
def test_threshold(tmp_path, value, text):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "first", runs.EXACT)
    runs.add_cell(run, "second", runs.EXACT, start={"operating_threshold": value})
    assert threshold(summarise_run(run).rows[1]) == text

"""FDDB: ellipses as boxes, the official layout, faults with file and line."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import load
from facebench.datasets.sets.fddb import box_of_ellipse, read_ellipses
from facebench.errors import AnnotationError, DataError, MissingDataError, UsageError
from facebench.tests.support.wider_files import write_image

ROW = "67.36 44.51 -1.476417 105.25 87.21  1"


def make(root: Path, folds: dict[int, str], images: list[str], below: str = "originalPics") -> Path:
    for fold in range(1, 11):
        path = root / "FDDB-folds" / f"FDDB-fold-{fold:02d}-ellipseList.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(folds.get(fold, ""))
    for name in images:
        write_image(root / below / f"{name}.jpg")
    return root


@pytest.mark.parametrize("angle", [0.0, math.pi / 2, -math.pi / 2, 0.7, -1.47, 3.0])
@pytest.mark.parametrize(("major", "minor"), [(20, 10), (7, 7), (100, 1)])
def test_the_box_is_the_smallest_around_the_points_of_the_ellipse(major, minor, angle):
    turn = np.linspace(0, 2 * np.pi, 100_001)
    x = 50 + major * np.cos(turn) * np.cos(angle) - minor * np.sin(turn) * np.sin(angle)
    y = 30 + major * np.cos(turn) * np.sin(angle) + minor * np.sin(turn) * np.cos(angle)
    expected = (x.min(), y.min(), x.max(), y.max())
    assert box_of_ellipse(major, minor, angle, 50, 30) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("below", ["originalPics", "."])
@pytest.mark.parametrize("parent", ["", "fddb"])
def test_the_official_layout(tmp_path, parent, below):
    folds = {1: f"2002/a/img_1\n2\n{ROW}\n{ROW}\n2002/a/img_2\n1\n{ROW}\n", 2: f"2003/b/img_1\n1\n{ROW}\n"}
    make(tmp_path / parent, folds, ["2002/a/img_1", "2003/b/img_1"], below)
    found = load("fddb", root=tmp_path)
    assert [(sample.image_id, len(sample.faces)) for sample in found.samples] == [
        ("2002/a/img_1.jpg", 2),
        ("2003/b/img_1.jpg", 1),
    ]
    assert (found.coverage, found.notes) == ("2 of 3 images", ("1 of 3 annotated images have no file.",))
    assert len(load("fddb", root=tmp_path, annotation_only=True)) == 3
    assert [sample.image_id for sample in load("fddb?folds=2", root=tmp_path).samples] == ["2003/b/img_1.jpg"]
    assert len(load("fddb?sample=1&seed=1", root=tmp_path)) == 1


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("../x\n1\n" + ROW, 1, "expected an image such as"),
        ("/x/y\n1\n" + ROW, 1, "expected an image such as"),
        (f"a/b\none\n{ROW}", 2, "number of faces"),
        ("a/b\n1\n1 2 3", 3, "two radii"),
        ("a/b\n1\n0 2 3 4 5 1", 3, "two radii"),
        ("a/b\n1\nnan 2 3 4 5 1", 3, "two radii"),
        ("a/b\n2\n" + ROW, 4, "the end of the file"),
        (f"a/b\n1\n{ROW}\na/b\n0", 4, "expected an image such as"),
    ],
)
def test_faults_name_file_and_line(tmp_path, text, line, message):
    path = tmp_path / "FDDB-fold-01-ellipseList.txt"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=rf"ellipseList\.txt:{line}: .*{message}"):
        read_ellipses(path)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("fddb?folds=0", UsageError, "folds=0, expected some of 1 to 10"),
        ("fddb?folds=1,1", UsageError, "folds=1,1"),
        ("fddb?fold=1", UsageError, "no option 'fold'"),
        ("fddb", DataError, "none of the 1 annotated images"),
    ],
)
def test_what_cannot_be_loaded(tmp_path, name, kind, message):
    make(tmp_path, {1: f"a/b\n1\n{ROW}\n"}, [])
    with pytest.raises(kind, match=message):
        load(name, root=tmp_path)


def test_a_image_in_two_folds(tmp_path):
    make(tmp_path, {1: f"a/b\n1\n{ROW}\n", 5: f"a/b\n1\n{ROW}\n"}, ["a/b"])
    with pytest.raises(AnnotationError, match="a/b in two folds"):
        load("fddb", root=tmp_path)


def test_nothing_there_says_how_to_fetch_it(tmp_path):
    with pytest.raises(MissingDataError, match="facebench data fetch fddb"):
        load("fddb", root=tmp_path)

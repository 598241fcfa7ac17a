from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.datasets.formats.wider_annotation import read_faces
from facebench.datasets.sets.demographics import LABELS, read_demographics
from facebench.errors import AnnotationError, DataError

HEADER = ",file,perceived_gender,perceived_age,perceived_skin,face"
ROW = "0,images/0--Parade/a.jpg,Male,Young Adult,I,2"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "demographics.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def test_labels_of_each_image(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ROW,
        "1,images/0--Parade/a.jpg,Not Sure,Senior,Not Sure,0",
        '2,"images/1--Fair/b, two.jpg",Female,Middle age,VI,1',
    )
    labelled = read_demographics(path)
    assert list(labelled) == ["0--Parade/a.jpg", "1--Fair/b, two.jpg"]
    a = labelled["0--Parade/a.jpg"]
    assert a.face.tolist() == [2, 0]
    assert {column: codes.tolist() for column, codes in a.labels.items()} == {
        "perceived_gender": [1, -1],
        "perceived_age": [0, 3],
        "perceived_skin": [0, -1],
    }
    assert {column: codes.tolist() for column, codes in a.of_faces(4).items()} == {
        "perceived_gender": [-1, -1, 1, -1],
        "perceived_age": [3, -1, 0, -1],
        "perceived_skin": [-1, -1, 0, -1],
    }
    assert a.of_faces(4)["perceived_age"].dtype == np.int8
    with pytest.raises(AnnotationError, match=r"face 2 \(from 0\) of an image with 2 faces"):
        a.of_faces(2)


def test_a_file_without_rows_labels_nothing(tmp_path: Path) -> None:
    assert read_demographics(write(tmp_path)) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,images/0--Parade/a.jpg,Male,Adult,I", ":3: got 5 values, expected 6"),
        ("", ":3: got 0 values"),
        ("1,0--Parade/a.jpg,Male,Adult,I,0", r":3: got the file '0--Parade/a.jpg', expected images/<event>"),
        ("1,images/a.jpg,Male,Adult,I,0", ":3: got the file"),
        ("1,images/../x/a.jpg,Male,Adult,I,0", ":3: got the file"),
        (
            "1,images/0--Parade/a.jpg,male,Adult,I,0",
            ":3: got perceived_gender 'male', expected one of Female, Male, Not Sure",
        ),
        (
            "1,images/0--Parade/a.jpg,Male,Middle Age,I,0",
            ":3: got perceived_age 'Middle Age', expected one of Young Adult, Adult, Middle age, Senior, Not Sure",
        ),
        ("1,images/0--Parade/a.jpg,Male,Adult,VII,0", ":3: got perceived_skin 'VII'"),
        ("1,images/0--Parade/a.jpg,Male,Adult,I,-1", ":3: got the face '-1'"),
        ("1,images/0--Parade/a.jpg,Male,Adult,I,1.0", r":3: got the face '1\.0'"),
        ("1,images/0--Parade/a.jpg,Male,Adult,I,", ":3: got the face ''"),
        ("1,images/0--Parade/a.jpg,Female,Adult,I,2", ":3: face 2 of 0--Parade/a.jpg is labelled twice"),
    ],
)
def test_rows_that_are_refused(row: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, ROW, row, ROW)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_demographics(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("header", ["", ROW, "file,perceived_gender,perceived_age,perceived_skin,face"])
def test_headers_that_are_refused(header: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=":1: got the columns"):
        read_demographics(write(tmp_path, ROW, header=header))


def test_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_demographics(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\n0,images/0--Parade/\xe4.jpg".encode("latin-1"))
    with pytest.raises(AnnotationError, match="expected comma-separated UTF-8"):
        read_demographics(tmp_path / "latin.csv")
    (tmp_path / "quote.csv").write_text(f'{HEADER}\n0,"images')
    with pytest.raises(AnnotationError, match="expected comma-separated UTF-8"):
        read_demographics(tmp_path / "quote.csv")


def test_labels_of_wider_face_val(shared: Path) -> None:
    """Every labelled face is there, and is not a tiny one: the rows are rows of the official annotation."""
    root = shared / "data" / "wider_face"
    labelled = read_demographics(root / "demographics_val.csv")
    faces = read_faces(root / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    assert (len(labelled), sum(len(one.face) for one in labelled.values())) == (3049, 12_190)
    sure = dict.fromkeys(LABELS, 0)
    heights: list[int] = []
    for image_id, one in labelled.items():
        for column, codes in one.of_faces(len(faces[image_id])).items():
            sure[column] += int((codes >= 0).sum())
        heights += faces[image_id][one.face, 3].tolist()
    assert sure == {"perceived_gender": 9980, "perceived_age": 8939, "perceived_skin": 9825}
    assert np.median(heights) == 47
    assert np.median([height for rows in faces.values() for height in rows[:, 3].tolist()]) < 25

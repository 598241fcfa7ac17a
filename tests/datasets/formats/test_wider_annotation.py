from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.datasets.formats.wider_annotation import read_faces, read_list
from facebench.errors import AnnotationError, DataError
from facebench.tests.support.wider_files import write_annotation, write_list
from scipy.io import savemat

A, B = "0--Parade/a.jpg", "1--Handshaking/b.jpg"
ROW = [1, 2, 30, 40, 0, 0, 0, 0, 0, 0]


def test_rows_are_kept_in_order(tmp_path: Path) -> None:
    rows = {A: [ROW, [5, 6, 7, 8, 2, 1, 1, 1, 2, 1]], B: [ROW]}
    write_annotation(tmp_path / "gt.txt", rows)
    faces = read_faces(tmp_path / "gt.txt")
    assert list(faces) == [A, B]
    assert faces[A].tolist() == rows[A]
    assert faces[A].dtype == np.int32


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n0\n0 0 0 0 0 0 0 0 0 0\n{B}\n1\n1 2 3 4 0 0 0 0 0 0\n",
        f"{A}\n0\n{B}\n1\n1 2 3 4 0 0 0 0 0 0\n",
        f"{A}\r\n0\r\n0 0 0 0 0 0 0 0 0 0 \r\n{B}\r\n1\r\n1 2 3 4 0 0 0 0 0 0 \r\n\r\n",
    ],
    ids=["dummy row", "no dummy row", "lines of Windows"],
)
def test_a_image_without_faces_may_have_a_dummy_row(text: str, tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_bytes(text.encode())
    faces = read_faces(tmp_path / "gt.txt")
    assert [len(faces[name]) for name in (A, B)] == [0, 1]
    assert faces[A].shape == (0, 10)


def test_the_dummy_row_may_end_the_file(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text(f"{A}\n0\n0 0 0 0 0 0 0 0 0 0\n")
    assert [len(rows) for rows in read_faces(tmp_path / "gt.txt").values()] == [0]


ROWS = "1 2 3 4 0 0 0 0 0 0\n"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 1, "empty file"),
        ("\n\n", 1, "empty file"),
        ("hello\n1\n" + ROWS, 1, "expected an image name"),
        ("../../etc/a.jpg\n1\n" + ROWS, 1, "expected an image name"),
        ("../a.jpg\n1\n" + ROWS, 1, "expected an image name"),
        (f"{A}\n", 2, "expected the number of faces"),
        (f"{A}\n-1\n", 2, "expected the number of faces"),
        (f"{A}\n{'9' * 5000}\n", 2, "expected the number of faces"),
        (f"{A}\nmany\n", 2, "expected the number of faces"),
        (f"{A}\n2\n{ROWS}", 4, "announces 2 faces"),
        (f"{A}\n2\n{ROWS}{B}\n1\n{ROWS}", 4, "announces 2 faces"),
        (f"{A}\n1\n{ROWS}{ROWS}", 4, "does the count above match"),
        (f"{A}\n0\n{ROWS}", 3, "expected zeros"),
        (f"{A}\n1\n1 2 3 4 0 0 0 0 0\n", 3, "10 whole numbers"),
        (f"{A}\n1\n1 2 3 4 0 0 0 0 0 0 0\n", 3, "10 whole numbers"),
        (f"{A}\n1\n1.5 2 3 4 0 0 0 0 0 0\n", 3, "10 whole numbers"),
        (f"{A}\n1\n1e9 2 3 4 0 0 0 0 0 0\n", 3, "10 whole numbers"),
        (f"{A}\n1\n{10**30} 2 3 4 0 0 0 0 0 0\n", 3, "10 whole numbers"),
        (f"{A}\n2\n{ROWS}1 2 3 4 3 0 0 0 0 0\n", 4, "blur 3, expected 0 to 2"),
        (f"{A}\n1\n1 2 3 4 0 0 0 0 0 -1\n", 3, "pose -1, expected 0 to 1"),
        (f"{A}\n1\n{ROWS}{A}\n1\n{ROWS}", 4, "stands twice"),
    ],
)
def test_contradictions_name_file_and_line(text: str, line: int, part: str, tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text(text)
    with pytest.raises(AnnotationError) as error:
        read_faces(path)
    assert str(error.value).startswith(f"{path}:{line}: got ") or part == "stands twice"
    assert f"{path}:{line}:" in str(error.value)
    assert part in str(error.value)
    assert len(str(error.value)) < 400


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt, expected the annotation file"):
        read_faces(tmp_path / "absent.txt")
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(AnnotationError, match="not UTF-8"):
        read_faces(tmp_path / "latin.txt")


def test_a_list_holds_one_based_indices(tmp_path: Path) -> None:
    rows = {A: [ROW, ROW, [9] * 4 + [0] * 6], B: [], "1--Handshaking/c.jpg": [ROW]}
    write_annotation(tmp_path / "gt.txt", rows)
    write_list(tmp_path / "list.mat", rows, {A: [1, 3]})
    flags = read_list(tmp_path / "list.mat", read_faces(tmp_path / "gt.txt"))
    assert {name: flag.tolist() for name, flag in flags.items()} == {A: [1, 0, 1], B: [], "1--Handshaking/c.jpg": [0]}
    assert all(flag.dtype == np.int8 for flag in flags.values())


@pytest.mark.parametrize("indices", [[0], [3], [1, 1]])
def test_indices_outside_the_faces(indices: list[int], tmp_path: Path) -> None:
    rows = {A: [ROW, ROW]}
    write_annotation(tmp_path / "gt.txt", rows)
    write_list(tmp_path / "list.mat", rows, {A: indices})
    with pytest.raises(AnnotationError, match=r"list\.mat: got indices .* expected some of 1 to 2"):
        read_list(tmp_path / "list.mat", read_faces(tmp_path / "gt.txt"))


def test_a_list_must_agree_with_the_text_file(tmp_path: Path) -> None:
    other = [4, 3, 2, 1, 0, 0, 0, 0, 0, 0]
    write_annotation(tmp_path / "gt.txt", {A: [ROW, other], B: [ROW]})
    faces = read_faces(tmp_path / "gt.txt")
    cases = {
        "the boxes of 0--Parade/a.jpg differ": {A: [other, ROW], B: [ROW]},
        "the boxes of 1--Handshaking/b.jpg differ": {A: [ROW, other], B: []},
        "lacks image 1--Handshaking/b.jpg": {A: [ROW, other]},
        "holds image 2--X/c.jpg": {A: [ROW, other], B: [ROW], "2--X/c.jpg": [ROW]},
    }
    for message, rows in cases.items():
        write_list(tmp_path / "list.mat", rows, {})
        with pytest.raises(AnnotationError, match=message):
            read_list(tmp_path / "list.mat", faces)


def test_files_that_are_no_list(tmp_path: Path) -> None:
    path = tmp_path / "list.mat"
    write_list(path, {A: [ROW]}, {A: [1]})
    whole = path.read_bytes()
    for data in (b"", b"text", whole[:200], whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(AnnotationError, match=r"list\.mat: got "):
            read_list(path, {A: np.array([ROW], np.int32)})
    savemat(path, {"event_list": np.zeros((2, 2))})
    with pytest.raises(AnnotationError, match="another structure"):
        read_list(path, {})


def test_the_official_annotation(shared: Path) -> None:
    root = shared / "data" / "wider_face"
    faces = read_faces(root / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    rows = np.concatenate(list(faces.values()))
    assert len({name.split("/")[0] for name in faces}) == 61
    assert (len(faces), len(rows)) == (3226, 39708)
    assert int((rows[:, 2:4] <= 0).any(axis=1).sum()) == 11
    assert sum(len(r) - len(np.unique(r[:, :4], axis=0)) for r in faces.values()) == 1
    counts = {}
    nested = np.zeros(len(rows), np.int8)
    for difficulty in ("easy", "medium", "hard"):
        flags = read_list(root / "eval_tools" / "ground_truth" / f"wider_{difficulty}_val.mat", faces)
        members = np.concatenate([flags[name] for name in faces])
        assert (members >= nested).all()
        nested = members
        counts[difficulty] = int(members.sum())
    assert counts == {"easy": 7211, "medium": 13319, "hard": 31958}

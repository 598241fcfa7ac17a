"""Reading the official WIDER FACE annotation: the text file of boxes and the MATLAB files of evaluation lists.

Formats: `readme.txt` in wider_face_split.zip and `evaluation.m` in eval_tools.zip, http://shuoyang1213.me/WIDERFACE/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import AnnotationError, DataError
from ..regular_files import read_regular_text

#: Columns 4 to 9 of a row and the largest label in each; columns 0 to 3 are x, y, width, height in whole pixels.
LABELS = {"blur": 2, "expression": 1, "illumination": 1, "invalid": 1, "occlusion": 2, "pose": 1}
_LARGEST_LABELS = np.array(list(LABELS.values()))
_COLUMNS = 4 + len(LABELS)
# Far above any image's side, and exact in float32.
_LARGEST = 10**6


def read_faces(path: Path) -> dict[str, NDArray[np.int32]]:
    """Read a `wider_face_*_bbx_gt.txt`.

    For every image the file has its name, the number of faces and a row of ten numbers a face. An image with no face
    is followed by one row of zeros all the same.

    Returns:
        "<event>/<file>.jpg" -> int32 (n, 10) in file order: x, y, width, height, then the labels in order of `LABELS`.

    Raises:
        AnnotationError: where the file contradicts its format; names file and line.
        DataError: where it cannot be read.
    """
    try:
        lines = read_regular_text(path).splitlines()
    except OSError as error:
        raise DataError(f"Got {error.strerror or error} at {path}, expected the annotation file.") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: got bytes that are not UTF-8 text, expected the official file.") from error
    return parse_faces(lines, path)


def parse_faces(
    lines: Sequence[str], path: Path | str, *, is_name: Callable[[str], bool] | None = None
) -> dict[str, NDArray[np.int32]]:
    """Read the lines of such a file; see `read_faces`.

    Args:
        lines: of the file.
        path: how messages name it.
        is_name: tells the name of an image; else "<event>/<file>.jpg", as in the official files.
    """
    is_name = is_name or _is_name
    lines = list(lines)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise AnnotationError(f"{path}:1: got an empty file, expected image names, counts and boxes.")

    faces: dict[str, NDArray[np.int32]] = {}
    at = 0
    while at < len(lines):
        name = lines[at].strip()
        if not is_name(name):
            raise AnnotationError(
                f"{path}:{at + 1}: got {_short(name)}, expected an image name such as 0--Parade/0_Parade_1.jpg; "
                "does the count above match its rows?"
            )
        if name in faces:
            raise AnnotationError(f"{path}:{at + 1}: image {name} stands twice, expected it once.")
        count = _count(lines, at + 1, path)
        first = at + 2
        announced = f"{name} announces {count} faces, from line {first + 1}"
        faces[name] = np.array(_rows(lines, first, count, path, announced), dtype=np.int32).reshape(-1, _COLUMNS)
        _check_labels(faces[name], path, first)
        at = first + count
        if count == 0 and at < len(lines) and not is_name(lines[at].strip()):
            if any(_row(lines, at, path, announced)):
                raise AnnotationError(f"{path}:{at + 1}: got a box under the count 0 of {name}, expected zeros.")
            at += 1
    return faces


def read_list(path: Path, faces: Mapping[str, NDArray[np.int32]]) -> dict[str, NDArray[np.int8]]:
    """Read an official list such as `wider_hard_val.mat`: which faces count.

    Args:
        path: the MATLAB file. Its own boxes must equal those of the text file, in order, since the list holds indices.
        faces: what `read_faces` returned.

    Returns:
        "<event>/<file>.jpg" -> int8 (n,), 1 where the face counts.

    Raises:
        AnnotationError: where the file has not the official structure, or contradicts the text file.
    """
    flags: dict[str, NDArray[np.int8]] = {}
    try:
        for name, boxes, indices in _images_of(path):
            if name not in faces:
                raise AnnotationError(f"{path}: holds image {name}, which the text file does not have.")
            if not np.array_equal(boxes, faces[name][:, :4]):
                raise AnnotationError(f"{path}: the boxes of {name} differ from those of the text file.")
            n = len(boxes)
            chosen = set(indices.tolist())
            if len(chosen) < len(indices) or min(chosen, default=1) < 1 or max(chosen, default=n) > n:
                raise AnnotationError(f"{path}: got indices {indices.tolist()} for {name}, expected some of 1 to {n}.")
            flags[name] = np.zeros(n, np.int8)
            flags[name][indices - 1] = 1
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"{path}: got another structure ({error!r}), expected event_list, file_list, face_bbx_list and gt_list."
        ) from error
    missing = next((name for name in faces if name not in flags), None)
    if missing is not None:
        raise AnnotationError(f"{path}: lacks image {missing}, which the text file has.")
    return flags


def _images_of(path: Path) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield name, boxes (n, 4) and 1-based indices (k,) of every image in a list file."""
    from scipy.io import loadmat

    try:
        mat: dict[str, Any] = loadmat(str(path))
    except Exception as error:  # loadmat raises its own, zlib's, struct's and plain errors on damaged files
        raise AnnotationError(f"{path}: got {error or error!r}, expected a MATLAB 5 file.") from error
    events = mat["event_list"].ravel()
    for event, files, boxes, lists in zip(
        events, mat["file_list"].ravel(), mat["face_bbx_list"].ravel(), mat["gt_list"].ravel(), strict=True
    ):
        for file, box, indices in zip(files.ravel(), boxes.ravel(), lists.ravel(), strict=True):
            name = f"{_text(event)}/{_text(file)}.jpg"
            yield name, np.asarray(box, np.int64).reshape(-1, 4), np.asarray(indices, np.int64).ravel()


def _text(cell: NDArray[np.str_]) -> str:
    return str(cell.ravel()[0])


def _is_name(line: str) -> bool:
    """Whether a line is "<event>/<file>.jpg", which also keeps it inside the images' folder."""
    event, _, file = line.partition("/")
    return file.lower().endswith(".jpg") and "/" not in file and event not in ("", ".", "..")


def _count(lines: list[str], at: int, path: Path | str) -> int:
    text = lines[at].strip() if at < len(lines) else "the end of the file"
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise AnnotationError(f"{path}:{at + 1}: got {_short(text)}, expected the number of faces.")
    return int(text)


def _rows(lines: list[str], first: int, count: int, path: Path | str, announced: str) -> list[int]:
    """The whole numbers of so many lines; looked at line by line only where something is wrong."""
    words = [line.split() for line in lines[first : first + count]]
    try:
        values = list(map(int, chain.from_iterable(words)))
    except ValueError:
        values = []
    fit = len(values) == _COLUMNS * count and {len(row) for row in words} <= {_COLUMNS}
    if fit and min(values, default=0) >= -_LARGEST and max(values, default=0) <= _LARGEST:
        return values
    return [value for at in range(first, first + count) for value in _row(lines, at, path, announced)]


def _row(lines: list[str], at: int, path: Path | str, announced: str) -> list[int]:
    """Ten whole numbers of one line."""
    text = lines[at].strip() if at < len(lines) else "the end of the file"
    try:
        values = [int(token) for token in text.split()]
    except ValueError:
        values = []
    if len(values) != _COLUMNS or max(map(abs, values)) > _LARGEST:
        raise AnnotationError(
            f"{path}:{at + 1}: got {_short(text)}, expected a row of {_COLUMNS} whole numbers ({announced})."
        )
    return values


def _check_labels(rows: NDArray[np.int32], path: Path | str, first: int) -> None:
    labels = rows[:, 4:]
    bad = (labels < 0) | (labels > _LARGEST_LABELS)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        label, most = list(LABELS.items())[column]
        raise AnnotationError(f"{path}:{first + row + 1}: got {label} {labels[row, column]}, expected 0 to {most}.")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

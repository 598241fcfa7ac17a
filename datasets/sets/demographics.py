"""`demographics_val.csv`: perceived gender, age and skin tone of some faces of WIDER FACE val.

The labels say how annotators saw a face in a photograph. What scores by them can and cannot say stands beside the
scores, in `benchmarks.scoring.slices`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import AnnotationError, DataError
from ..regular_files import open_regular

UNSURE = "Not Sure"
LABELS = {
    "perceived_gender": ("Female", "Male"),
    "perceived_age": ("Young Adult", "Adult", "Middle age", "Senior"),
    "perceived_skin": ("I", "II", "III", "IV", "V", "VI"),
}
"""Column -> its values, in order; besides them every column has `UNSURE`. Skin tone is on the Fitzpatrick scale."""
UNLABELLED = -1
_HEADER = ["", "file", *LABELS, "face"]
_FOLDER = "images/"


@dataclass(frozen=True, slots=True, eq=False)
class Demographics:
    """The labelled faces of one image.

    Attributes:
        face: int64 (n,): rows of the faces in the image's annotation, from 0, each once.
        labels: column -> int8 (n,): places in its `LABELS`, or `UNLABELLED` where annotators were not sure.
    """

    face: NDArray[np.int64]
    labels: Mapping[str, NDArray[np.int8]]

    def of_faces(self, faces: int) -> dict[str, NDArray[np.int8]]:
        """Return the labels of all faces of the image, int8 (faces,), `UNLABELLED` where there is none.

        Raises:
            AnnotationError: where a labelled face is beyond the last one.
        """
        if len(self.face) and int(self.face.max()) >= faces:
            raise AnnotationError(f"Got labels of face {int(self.face.max())} (from 0) of an image with {faces} faces.")
        result = {}
        for column, codes in self.labels.items():
            result[column] = np.full(faces, UNLABELLED, dtype=np.int8)
            result[column][self.face] = codes
        return result


NOBODY_LABELLED = Demographics(
    face=np.empty(0, dtype=np.int64), labels={column: np.empty(0, dtype=np.int8) for column in LABELS}
)
"""For an image without labels."""


def read_demographics(path: Path) -> dict[str, Demographics]:
    """Read the labels of all images.

    The file has one row per face: running number, `images/<event>/<image>.jpg`, the three labels, and the face's row in
    the image's annotation, from 0.

    Returns:
        "<event>/<image>.jpg" -> its labelled faces, in file order; images without labels are not there.

    Raises:
        AnnotationError: where the file contradicts its format or itself; names file and line.
        DataError: where it cannot be read.
    """
    faces: dict[str, dict[int, list[int]]] = {}
    try:
        with io.TextIOWrapper(open_regular(path), "utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = next(rows, [])
            if header != _HEADER:
                raise AnnotationError(f"{path}:1: got the columns {header}, expected {_HEADER}.")
            for row in rows:
                image_id, face, codes = _parse(row, f"{path}:{rows.line_num}")
                if face in faces.setdefault(image_id, {}):
                    raise AnnotationError(f"{path}:{rows.line_num}: face {face} of {image_id} is labelled twice.")
                faces[image_id][face] = codes
    except OSError as error:
        raise DataError(f"Got {error.strerror or error} at {path}, expected a file of labels.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"{path}: got {error}, expected comma-separated UTF-8 text.") from error
    return {image_id: _demographics(labelled) for image_id, labelled in faces.items()}


def _parse(row: list[str], where: str) -> tuple[str, int, list[int]]:
    """Return image, face and codes of one row."""
    if len(row) != len(_HEADER):
        raise AnnotationError(f"{where}: got {len(row)} values, expected {len(_HEADER)}.")
    _, file, *labels, face = row
    image_id = file.removeprefix(_FOLDER)
    event, _, name = image_id.partition("/")
    if image_id == file or not event or not name or "/" in name:
        raise AnnotationError(f"{where}: got the file {file!r}, expected {_FOLDER}<event>/<image>.")
    if not (face.isascii() and face.isdigit() and len(face) <= 6):
        raise AnnotationError(f"{where}: got the face {face!r}, expected its row, from 0.")
    codes = []
    for (column, values), label in zip(LABELS.items(), labels, strict=True):
        if label != UNSURE and label not in values:
            known = ", ".join([*values, UNSURE])
            raise AnnotationError(f"{where}: got {column} {label!r}, expected one of {known}.")
        codes.append(UNLABELLED if label == UNSURE else values.index(label))
    return image_id, int(face), codes


def _demographics(labelled: Mapping[int, list[int]]) -> Demographics:
    codes = np.array(list(labelled.values()), dtype=np.int8).reshape(-1, len(LABELS))
    return Demographics(
        face=np.array(list(labelled), dtype=np.int64),
        labels={column: codes[:, i].copy() for i, column in enumerate(LABELS)},
    )

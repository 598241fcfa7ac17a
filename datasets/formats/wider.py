"""The text of WIDER FACE, over any folder: see `datasets.wider_annotation`, which reads the official one.

Boxes are x, y, width, height in whole pixels, so written corners move by up to half a pixel. Six labels follow, of
which `invalid` 1 means: neither to be found nor background. A count of 0 says that the image has no face. Written
files hold these labels and no other attribute.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...errors import UsageError
from ..storage.places import Tree, is_image
from .annotated import AnnotatedImage, Annotation, clean_name
from .wider_annotation import LABELS, parse_faces

TITLE = "WIDER FACE text"
EXPECTED = "a .txt file with names, counts and rows of ten numbers"
IMAGES = "images"

_MOST_TEXTS = 50
_ROW = re.compile(r"\s*-?\d+(\s+-?\d+){9}\s*")


def find(tree: Tree) -> list[str]:
    """Return the files that look like this format; folders of many text files are none, and not all read."""
    texts = [path for path in tree.files if path.lower().endswith(".txt")]
    many = {folder for folder, count in Counter(map(posixpath.dirname, texts)).items() if count > _MOST_TEXTS}
    return [path for path in texts if posixpath.dirname(path) not in many and _fits(tree.text(path, strict=False))]


def _fits(text: str) -> bool:
    name, count, row = ([line.strip() for line in text.split("\n", 3)] + [""] * 3)[:3]
    if not is_image(name) or not count.isdecimal():
        return False
    # under a count of 0, the official row of zeros may be missing
    return _ROW.fullmatch(row) is not None or (int(count) == 0 and (not row or is_image(row)))


def read(tree: Tree, path: str, category: str | None = None) -> Annotation:
    """Read one file.

    Raises:
        AnnotationError: with file and line of the first fault.
        UsageError: a category is asked for, of which the format knows none.
    """
    if category is not None:
        raise UsageError(f"Got category={category} for {TITLE}, which has no categories; leave it out.")
    found = parse_faces(tree.text(path).splitlines(), tree.where(path), is_name=_is_name)
    images = []
    for name, rows in found.items():
        boxes = rows[:, :4].astype(np.float64)
        boxes[:, 2:] += boxes[:, :2]
        labels = {label: rows[:, 4 + i].astype(np.int8) for i, label in enumerate(LABELS)}
        images.append(AnnotatedImage(clean_name(name) or name, boxes, labels["invalid"] == 1, labels))
    folder = posixpath.dirname(path)
    split = re.fullmatch(r"wider_face_(\w+)_bbx_gt\.txt", posixpath.basename(path))
    official = [posixpath.normpath(posixpath.join(folder, "..", f"WIDER_{split[1]}", "images"))] if split else []
    return Annotation(tuple(images), (*official, folder))


def write(images: Sequence[AnnotatedImage]) -> str:
    """Write the text of a file."""
    lines = []
    for image in images:
        lines += [image.name, str(len(image.boxes))]
        corners = np.rint(image.boxes).astype(np.int64)
        corners[:, 2:] -= corners[:, :2]
        none = np.zeros(len(corners), np.int64)
        labels = [np.maximum(image.attributes.get(label, none), 0) for label in LABELS]
        labels[list(LABELS).index("invalid")] = image.ignore.astype(np.int64)
        rows = np.column_stack([corners, *labels]) if len(corners) else np.zeros((1, 4 + len(LABELS)), np.int64)
        lines += [" ".join(map(str, row)) for row in rows.tolist()]
    return "\n".join([*lines, ""])


def _is_name(line: str) -> bool:
    return is_image(line) and clean_name(line) is not None

"""The text of WIDER FACE, over any folder: see `datasets.wider_annotation`, which reads the official one.

Boxes are x, y, width, height in whole pixels, so written corners move by up to half a pixel. Six labels follow, of
which `invalid` 1 means: neither to be found nor background. A count of 0 says that the image has no face. Written
files hold these labels and no other attribute.

The `label.txt` of RetinaFace, which is trained on the same images, has a line `# name` before the rows of each image;
a row is x, y, width, height and, in its training part, five landmarks and a quality, which are not used.
(https://github.com/deepinsight/insightface/tree/master/detection/retinaface). It is only read.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...errors import AnnotationError, UsageError
from ..box_format import BoxFormat
from ..storage.names import is_image
from ..storage.places import Tree
from .annotated import BAD_NAME, AnnotatedImage, Annotation, Box, Faults, fault_of_box, image_of
from .image_names import image_name
from .wider_annotation import LABELS, parse_faces

TITLE = "WIDER FACE text"
EXPECTED = "a .txt file with names, counts and rows of ten numbers"
RETINAFACE_TITLE = "RetinaFace label.txt"
RETINAFACE_EXPECTED = "a .txt file with lines of # and a name, each before rows of x, y, width, height"
IMAGES = "images"

_MOST_TEXTS = 50
_RETINAFACE = (4, 4 + 5 * 3, 4 + 5 * 3 + 1)
"""Numbers in a row of RetinaFace: a box; with five landmarks; with a quality."""
_ROW = re.compile(r"\s*-?\d+(\s+-?\d+){9}\s*")


def find(tree: Tree) -> list[str]:
    """Return the files that look like this format."""
    return [path for path in _texts(tree) if _fits(tree.text(path, strict=False))]


def find_retinaface(tree: Tree) -> list[str]:
    """Return the files that look like RetinaFace's."""
    return [path for path in _texts(tree) if _fits_retinaface(tree.text(path, strict=False))]


def _texts(tree: Tree) -> list[str]:
    """Return the text files; folders of many are passed over, so that not all are read."""
    texts = [path for path in tree.files if path.lower().endswith(".txt")]
    many = {folder for folder, count in Counter(map(posixpath.dirname, texts)).items() if count > _MOST_TEXTS}
    return [path for path in texts if posixpath.dirname(path) not in many]


def _fits_retinaface(text: str) -> bool:
    name, _, rest = text.partition("\n")
    row = rest.partition("\n")[0]
    return name.startswith("#") and is_image(name.strip()) and (row[:1] in ("", "#") or len(row.split()) in _RETINAFACE)


def _fits(text: str) -> bool:
    name, count, row = ([line.strip() for line in text.split("\n", 3)] + [""] * 3)[:3]
    if not is_image(name) or not count.isdecimal():
        return False
    # under a count of 0, the official row of zeros may be missing
    return _ROW.fullmatch(row) is not None or (not count.strip("0") and (not row or is_image(row)))


def read(tree: Tree, path: str, category: str | None = None, layout: str = "xywh") -> Annotation:
    """Read one file; for the layout of a box see `box_format`.

    Raises:
        AnnotationError: with file and line of the first fault.
        UsageError: a category is asked for, of which the format knows none.
    """
    if category is not None:
        raise UsageError(f"Got category={category} for {TITLE}, which has no categories; leave it out.")
    found = parse_faces(tree.text(path).splitlines(), tree.where(path), is_name=_is_name)
    images = []
    for name, rows in found.items():
        boxes = BoxFormat(layout).to_corners(rows[:, :4].astype(np.float64))
        if layout != "xywh" and (boxes[:, 2:] < boxes[:, :2]).any():
            raise AnnotationError(f"{tree.where(path)}: got boxes of {name} with a negative side, read as {layout}.")
        labels = {label: rows[:, 4 + i].astype(np.int8) for i, label in enumerate(LABELS)}
        images.append(AnnotatedImage(image_name(name) or name, boxes, labels["invalid"] == 1, labels))
    folder = posixpath.dirname(path)
    split = re.fullmatch(r"wider_face_(\w+)_bbx_gt\.txt", posixpath.basename(path))
    official = [posixpath.normpath(posixpath.join(folder, "..", f"WIDER_{split[1]}", "images"))] if split else []
    return Annotation(tuple(images), (*official, folder), layout=layout)


def read_retinaface(tree: Tree, path: str, category: str | None = None) -> Annotation:
    """Read one label.txt.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: a category is asked for, of which the format knows none.
    """
    if category is not None:
        raise UsageError(f"Got category={category} for {RETINAFACE_TITLE}, which has no categories; leave it out.")
    faults = Faults()
    boxes: dict[str, list[Box]] = {}
    own: list[Box] = []
    for line, text in enumerate(tree.text(path).splitlines(), start=1):
        if text.startswith("#"):
            name = image_name(text[1:])
            if name is None or name in boxes:
                faults.add(f"{tree.where(path)}:{line}", f"got {text!r}, {BAD_NAME}, each once")
            own = boxes.setdefault(name or "", [])
        elif text.strip():
            corners = _corners(text.split())
            if isinstance(corners, str) or not boxes:
                what = (
                    corners if isinstance(corners, str) else "got a row before the first image, expected # and a name"
                )
                faults.add(f"{tree.where(path)}:{line}", what)
            else:
                own.append(Box(corners))
    faults.raise_any()
    folder = posixpath.dirname(path)
    near = (posixpath.join(folder, IMAGES), folder)
    return Annotation(tuple(image_of(name, some) for name, some in boxes.items()), near)


def _corners(words: Sequence[str]) -> tuple[float, float, float, float] | str:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) not in _RETINAFACE:
        return f"got {' '.join(words)[:60]!r}, expected x, y, width, height, and 15 or 16 numbers more or none"
    x, y, width, height = numbers[:4]
    corners = (x, y, x + width, y + height)
    return fault_of_box(corners) or corners


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
    return is_image(line) and image_name(line) is not None

"""Open Images CSV of boxes: https://storage.googleapis.com/openimages/web/download_v7.html#df-boxes-format.

`XMin`, `XMax`, `YMin`, `YMax` are parts of the image's width and height, so the size of the image (upright after EXIF)
is needed. `ImageID` is the name of the image without its ending. `IsGroupOf` 1 is a crowd region. `LabelName` names the
category: `/m/0dzct` is Open Images' "Human face". Images that no row names are not annotated. The format is only read.
"""

from __future__ import annotations

import posixpath

from ...errors import DataError
from ..images import upright_size
from ..storage.places import Tree
from .annotated import (
    AnnotatedImage,
    Annotation,
    Box,
    Faults,
    choose_category,
    fault_of_box,
    image_of,
    others_left_out,
    whole_number_of,
)
from .rows import header_of, table

TITLE = "Open Images CSV"
EXPECTED = "a .csv file whose header has ImageID, LabelName, XMin, XMax, YMin, YMax"

_FACE = "/m/0dzct"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_NEEDED = {"imageid", "labelname", *_SIDES}


def find(tree: Tree) -> list[str]:
    """Return the files that look like this format."""
    tables = [path for path in tree.files if path.lower().endswith(".csv")]
    return [path for path in tables if set(header_of(tree, path).strip().lower().split(",")) >= _NEEDED]


def read(tree: Tree, path: str, category: str | None = None) -> Annotation:
    """Read one file.

    Args:
        tree: where it lies.
        path: the file.
        category: whose boxes count, by LabelName; else Human face, else the only one.

    Raises:
        AnnotationError: with file and line of each fault.
        DataError: no image is there, or one with faces has no size that can be read.
        UsageError: the category is not there, or has to be chosen.
    """
    where = tree.where(path)
    _, rows, notes = table(tree, path)
    entries = list(rows)
    labels = sorted({str(row.get("labelname")) for _, row in entries})
    chosen = choose_category(category or (_FACE if _FACE in labels else None), labels, where)
    there: dict[str, list[str]] = {}
    for image in tree.images():
        there.setdefault(posixpath.splitext(posixpath.basename(image))[0], []).append(image)
    faults = Faults()
    boxes: dict[str, list[Box]] = {}
    sizes: dict[str, tuple[int, int] | None] = {}
    left_out = missing = 0
    for place, row in entries:
        fits = there.get(str(row.get("imageid")), [])
        if not fits:
            missing += 1
            continue
        if len(fits) > 1:
            faults.add(place, f"got the ImageID of {' and '.join(fits[:5])}, expected that of one image")
            continue
        name = fits[0]
        if name not in boxes:
            boxes[name], sizes[name] = [], upright_size(tree.files[name])
        if str(row.get("labelname")) != chosen:
            left_out += 1
            continue
        size = sizes[name]
        if size is None:
            raise DataError(f"Got no size of {tree.where(name)}, which its boxes need; replace the image.")
        try:
            x1, y1, x2, y2 = (float(str(row.get(key))) for key in _SIDES)
        except ValueError:
            faults.add(place, "got no numbers as XMin, XMax, YMin, YMax, expected parts of the image's size")
            continue
        if max(x1, y1, x2, y2) > 2:
            faults.add(
                place, f"got the corners {x1:g}, {y1:g}, {x2:g}, {y2:g}, expected parts of the image's size, 0 to 1"
            )
            continue
        corners = (x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1])
        if what := fault_of_box(corners):
            faults.add(place, what)
            continue
        group = whole_number_of(row.get("isgroupof")) == 1  # -1 is unknown
        boxes[name].append(Box(corners, group, crowd=group))
    faults.raise_any()
    if entries and not boxes:
        raise DataError(
            f"Got none of the images of {where}, such as {entries[0][1].get('imageid')}, below {tree.root}."
        )
    if missing:
        notes += (f"{missing:,} rows name an image that is not there.",)
    images: list[AnnotatedImage] = [image_of(name, some, sizes[name]) for name, some in boxes.items()]
    return Annotation(tuple(images), ("",), notes + others_left_out(chosen, left_out))

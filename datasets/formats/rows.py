"""One row per face: CSV with a header, or a JSON list of objects.

The header says what the numbers are. The image is one of `image`, `file_name`, `filename`, `path`, `image_id`,
`iname`. The box is `x1, y1, x2, y2` (also `xmin, ymin, xmax, ymax`, `left, top, right, bottom`) or
`x, y, width, height` (also `x, y, w, h`), in pixels, continuous, origin top-left; or, in JSON, a `bbox` of x, y,
width, height. A row whose box is empty says that the image has no face; images that no row names are not annotated.
`ignore` 1 means: neither to be found nor background; `iscrowd` 1: a region of many faces, see `Faces`. `label`,
`class` or `category` names the category. Other columns of whole numbers from -128 to 127 are attributes. Beside
corners, `width` and `height` are the image's. Tables that pandas wrote are read: a column without a name is an index,
`1.0` and `True` are 1, `NaN` is empty. CSV that is not UTF-8 is read as Windows-1252, which is noted. Written numbers
come back as they were.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...errors import AnnotationError, DataError
from ..box_format import corners_in
from ..storage.places import Tree
from .annotated import (
    BAD_NAME,
    NOT_LABELLED,
    AnnotatedImage,
    Annotation,
    Box,
    Faults,
    choose_category,
    fault_of_box,
    flag_of,
    image_of,
    is_empty,
    label_of,
    others_left_out,
    size_of,
)
from .coco import corners_of, load_json
from .image_names import image_name
from .json_lines import place_of

TITLE, JSON_TITLE = "CSV", "JSON rows"
EXPECTED = "a .csv file whose header has image and x1, y1, x2, y2 (or x, y, width, height)"
JSON_EXPECTED = "a .json file with a list of objects that have an image and a bbox"

_IMAGE = ("image", "picture", "file_name", "filename", "path", "image_id", "iname")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_SIDES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))
_CATEGORY = ("label", "class", "category", "class_name")
_REGION = "iscrowd"
_DELIMITERS = ",;\t"
_INDEX = re.compile(r"(unnamed: \d+)?")
"""The name of a column in which pandas keeps the numbers of rows."""

_Place = str | Callable[[], str]
_Row = tuple[_Place, Mapping[str, Any]]


def find(tree: Tree) -> list[str]:
    """Return the .csv files that look like this format."""
    return [
        path
        for path in tree.files
        if path.lower().endswith((".csv", ".tsv")) and _delimiter(header_of(tree, path)) is not None
    ]


def find_json(tree: Tree) -> list[str]:
    """Return the .json files that look like this format."""
    found = []
    for path in tree.files:
        if path.lower().endswith(".json"):
            text = tree.text(path, strict=False).lstrip()
            named = any(f'"{column}"' in text for column in _IMAGE)
            if text[:1] == "[" and '"bbox"' in text and named and '"score"' not in text:
                found.append(path)
    return found


def read(tree: Tree, path: str, category: str | None = None, layout: str | None = None) -> Annotation:
    """Read one CSV file; with a layout, see `box_format`, its four columns are read so, whatever their names are.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: the category is not there, or has to be chosen.
    """
    where = tree.where(path)
    delimiter = _delimiter(header_of(tree, path))
    if delimiter is None:
        raise AnnotationError(f"{where}:1: got the header {header_of(tree, path)[:100]!r}, expected {EXPECTED}.")
    columns, rows, notes = table(tree, path, delimiter)
    found = _read(rows, columns, posixpath.dirname(path), where, category, layout)
    return replace(found, notes=notes + found.notes)


def header_of(tree: Tree, path: str) -> str:
    """Return the first line of a text file."""
    return tree.text(path, strict=False).partition("\n")[0]


def table(tree: Tree, path: str, delimiter: str = ",") -> tuple[list[str], Iterator[_Row], tuple[str, ...]]:
    """Return the columns of a CSV file in small letters, its rows each with their place, and a note on its encoding.

    Raises:
        AnnotationError: it is not CSV; also when the rows are read.
    """
    where, notes = tree.where(path), list[str]()
    try:
        text = tree.text(path)
    except DataError:
        text = tree.data(path).decode("cp1252", "replace")
        notes.append(f"{posixpath.basename(path)} is not UTF-8 and is read as Windows-1252 (Latin-1).")
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise AnnotationError(f"{where}:1: got {error}, expected CSV.") from error

    def rows() -> Iterator[_Row]:
        try:
            yield from ((f"{where}:{reader.line_num}", row) for row in reader)
        except csv.Error as error:
            raise AnnotationError(f"{where}:{reader.line_num}: got {error}, expected CSV.") from error

    return list(reader.fieldnames), rows(), tuple(notes)


def read_json(tree: Tree, path: str, category: str | None = None, layout: str | None = None) -> Annotation:
    """Read one JSON file; see `read`."""
    where, text = tree.where(path), tree.text(path)
    document = load_json(text, where)
    if not isinstance(document, list):
        raise AnnotationError(f"{where}:1: got an object, expected a list of rows.")
    faults = Faults()
    columns: dict[str, None] = {}
    rows: list[_Row] = []
    for index, entry in enumerate(document):

        def place(index: int = index) -> str:
            return f"{where}:{place_of(text, index)}"

        if not isinstance(entry, dict):
            faults.add(place, "got no object, expected one with an image and a bbox")
            continue
        row = {key.lower(): value for key, value in entry.items()}
        columns |= dict.fromkeys(row)
        rows.append((place, row))
    faults.raise_any()
    return _read(iter(rows), list(columns), posixpath.dirname(path), where, category, layout)


def write(images: Sequence[AnnotatedImage]) -> str:
    """Write the text of a CSV file; an image without faces is a row with empty cells."""
    labels = list(dict.fromkeys(label for image in images for label in image.attributes))
    marks = ["ignore", _REGION] if any(image.crowd is not None for image in images) else ["ignore"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image", "x1", "y1", "x2", "y2", *marks, *labels])
    for image in images:
        for row, corners in enumerate(image.boxes.tolist()):
            values = [int(image.attributes[label][row]) for label in labels]
            cells = ["" if value == NOT_LABELLED else value for value in values]
            flags = [int(image.ignore[row]), int(image.crowd is not None and image.crowd[row])]
            writer.writerow([image.name, *map(repr, corners), *flags[: len(marks)], *cells])
        if not len(image.boxes):
            writer.writerow([image.name, *[""] * (4 + len(marks) + len(labels))])
    return out.getvalue()


def write_json(images: Sequence[AnnotatedImage]) -> str:
    """Write the text of a JSON file; an image without faces is a row whose bbox is null."""
    rows: list[dict[str, Any]] = []
    for image in images:
        for row, (x1, y1, x2, y2) in enumerate(image.boxes.tolist()):
            labels = {name: int(values[row]) for name, values in image.attributes.items()}
            kept = {name: value for name, value in labels.items() if value != NOT_LABELLED}
            bbox = [x1, y1, x2 - x1, y2 - y1]
            region = {_REGION: 1} if image.crowd is not None and image.crowd[row] else {}
            rows.append({"image": image.name, "bbox": bbox, "ignore": int(image.ignore[row]), **region, **kept})
        if not len(image.boxes):
            rows.append({"image": image.name, "bbox": None})
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _delimiter(header: str) -> str | None:
    """What stands between the columns, where the header has those that are needed."""
    for delimiter in _DELIMITERS:
        columns = [name.strip().lower().strip('"') for name in header.lstrip("\ufeff").strip().split(delimiter)]
        if _first(_IMAGE, columns) and _box_columns(columns):
            return delimiter
    return None


def _first(names: Sequence[str], columns: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)


def _box_columns(columns: Sequence[str]) -> tuple[str, ...]:
    return next((names for names in (*_CORNERS, *_SIDES) if set(names) <= set(columns)), ())


def _read(
    rows: Iterator[_Row],
    columns: Sequence[str],
    folder: str,
    where: str,
    category: str | None,
    layout: str | None,
) -> Annotation:
    named, labelled = _first(_IMAGE, columns), _first(_CATEGORY, columns)
    box = () if "bbox" in columns else _box_columns(columns)
    if named is None or not (box or "bbox" in columns):
        raise AnnotationError(f"{where}:1: got the columns {', '.join(columns)}; expected an image and a box.")
    layout = layout or ("xyxy" if box in _CORNERS else "xywh")
    sized = box in _CORNERS and {"width", "height"} <= set(columns)
    used = {named, labelled, "bbox", "ignore", _REGION, *box, *(("width", "height") if sized else ())}
    others = [name for name in columns if name not in used and not _INDEX.fullmatch(name)]
    unusable: set[str] = set()
    faults = Faults()
    faces: list[tuple[str, str, Box]] = []
    sizes: dict[str, tuple[int, int] | None] = {}
    for place, row in rows:
        text = row.get(named)
        name = image_name(str(text)) if isinstance(text, str | int) else None
        if name is None or None in row:
            got = f"the image {row.get(named)!r}, {BAD_NAME}" if name is None else "more cells than the header has"
            faults.add(place, f"got {got}")
            continue
        sizes[name] = sizes.get(name) or (size_of(row.get("width"), row.get("height")) if sized else None)
        corners = _corners(row, box, layout)
        if corners is None:
            continue
        ignore, region = flag_of(row.get("ignore")), flag_of(row.get(_REGION))
        if ignore is None or region is None:
            flag = "ignore" if ignore is None else _REGION
            corners = f"got {flag} {row[flag]!r}, expected 0 or 1"
        if isinstance(corners, str):
            faults.add(place, corners)
            continue
        labels = {other: label_of(row.get(other)) for other in others}
        unusable |= {other for other, value in labels.items() if value is None}
        kept = {other: NOT_LABELLED if value is None else value for other, value in labels.items()}
        of = row.get(labelled) if labelled else None
        faces.append(
            (name, "" if is_empty(of) else str(of).strip(), Box(corners, bool(ignore or region), kept, bool(region)))
        )
    faults.raise_any()
    chosen = choose_category(category, sorted({text for _, text, _ in faces if text}), where)
    boxes: dict[str, list[Box]] = {name: [] for name in sizes}
    left_out = 0
    for name, text, face in faces:
        if text and text != chosen:
            left_out += 1
            continue
        face.labels = {label: value for label, value in face.labels.items() if label not in unusable}
        boxes[name].append(face)
    notes = list(others_left_out(chosen, left_out))
    if unusable:
        notes.append(
            f"Columns that are not whole numbers from -128 to 127 are left out: {', '.join(sorted(unusable))}."
        )
    images = tuple(image_of(n, some, sizes[n]) for n, some in boxes.items())
    return Annotation(images, (folder,), tuple(notes), layout=layout)


def _corners(row: Mapping[str, Any], box: Sequence[str], layout: str) -> tuple[float, float, float, float] | str | None:
    """The corners of a row's box, what is wrong with it, or None where it is empty."""
    if not box:
        return corners_of(row["bbox"], layout) if row.get("bbox") not in (None, []) else None
    cells = [row.get(name) for name in box]
    if all(map(is_empty, cells)):
        return None
    try:
        a, b, c, d = (float(cell) for cell in cells if cell is not None)
    except (TypeError, ValueError):
        return f"got {', '.join(f'{n} {c!r}' for n, c in zip(box, cells, strict=True))}, expected four numbers"
    corners = corners_in(layout, a, b, c, d)
    return fault_of_box(corners, layout) or corners

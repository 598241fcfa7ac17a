"""COCO object detection JSON: https://cocodataset.org/#format-data, as pycocotools reads it.

A box is x, y, width, height in pixels, continuous, origin top-left (no half pixels, not inclusive). `iscrowd` of 1 is a
region of many faces, `ignore` of 1 a face; both are neither to be found nor background. An image without annotations
has no face. Whole-number values in `attributes` of an annotation are kept.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from typing import Any

from ...errors import AnnotationError
from ..storage.places import Tree
from .annotated import (
    BAD_NAME,
    AnnotatedImage,
    Annotation,
    Box,
    Faults,
    choose_category,
    clean_name,
    fault_of_box,
    image_of,
    others_left_out,
)
from .json_lines import line_of

TITLE = "COCO JSON"
ONE_FACE = "one_face"
"""Key that we write beside `iscrowd` where it is one face to be ignored, which pycocotools has no other mark for."""
EXPECTED = "a .json file with images, annotations and categories"


def find(tree: Tree) -> list[str]:
    """Return the files that look like this format."""
    return [path for path in tree.files if path.lower().endswith(".json") and _fits(tree.text(path))]


def _fits(text: str) -> bool:
    return text.lstrip()[:1] == "{" and '"images"' in text and '"annotations"' in text


def read(tree: Tree, path: str, category: str | None = None) -> Annotation:
    """Read one file.

    Args:
        tree: where it lies.
        path: the file.
        category: whose boxes count; else the only category, or the one called face.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: the category is not there, or has to be chosen.
    """
    where, text = tree.where(path), tree.text(path)
    document = load_json(text, where)
    faults = Faults()
    if not isinstance(document, dict):
        raise AnnotationError(f"{where}:1: got a list, expected an object with images and annotations.")
    parts: dict[str, list[Any]] = {}
    for key in ("images", "annotations", "categories"):
        value = document.get(key, [] if key == "categories" else None)
        if not isinstance(value, list):
            raise AnnotationError(f"{where}:1: got no list {key}, expected images, annotations and categories.")
        parts[key] = value

    def fault(key: str, index: int, what: str) -> None:
        faults.add(lambda: f"{where}:{line_of(text, key, index)}", what)

    names: dict[Any, str] = {}
    for index, entry in enumerate(parts["categories"]):
        if isinstance(entry, dict) and isinstance(entry.get("id"), int) and isinstance(entry.get("name"), str):
            names[entry["id"]] = entry["name"]
        else:
            fault("categories", index, "got no id and name, expected a category")
    images: dict[Any, tuple[str, tuple[int, int] | None]] = {}
    taken: set[str] = set()
    for index, entry in enumerate(parts["images"]):
        name = clean_name(str(entry.get("file_name", ""))) if isinstance(entry, dict) else None
        if name is None or not isinstance(entry.get("id"), int | str):
            fault("images", index, f"got {_short(entry)}, expected an id and file_name; {BAD_NAME}")
        elif entry["id"] in images or name in taken:
            fault("images", index, f"got the image {name} (id {entry['id']}) twice, expected it once")
        else:
            images[entry["id"]] = (name, _size(entry))
            taken.add(name)
    faults.raise_any()

    chosen = choose_category(category, list(names.values()), where)
    boxes: dict[Any, list[Box]] = {key: [] for key in images}
    left_out = 0
    for index, entry in enumerate(parts["annotations"]):
        if not isinstance(entry, dict) or entry.get("image_id") not in images:
            fault("annotations", index, f"got {_short(entry)}, expected the image_id of one of the images")
            continue
        if names and entry.get("category_id") not in names:
            fault("annotations", index, f"got category_id {entry.get('category_id')!r}, expected one of {list(names)}")
            continue
        if names and names[entry["category_id"]] != chosen:
            left_out += 1
            continue
        corners = corners_of(entry.get("bbox"))
        if isinstance(corners, str):
            fault("annotations", index, corners)
            continue
        iscrowd, ignore, one_face = (entry.get(key) in (1, True) for key in ("iscrowd", "ignore", ONE_FACE))
        labels = whole_labels(entry.get("attributes"))
        boxes[entry["image_id"]].append(Box(corners, iscrowd or ignore, labels, iscrowd and not one_face))
    faults.raise_any()
    annotated = tuple(image_of(name, boxes[key], size) for key, (name, size) in images.items())
    folder = posixpath.dirname(path)
    return Annotation(annotated, (folder,), others_left_out(chosen, left_out))


def write(annotated: Sequence[AnnotatedImage], sizes: Sequence[tuple[int, int]]) -> str:
    """Write the text of a file; numbers are printed so that they come back as they were.

    Args:
        annotated: what to write.
        sizes: width and height of each image.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (image, (width, height)) in enumerate(zip(annotated, sizes, strict=True), start=1):
        images.append({"id": number, "file_name": image.name, "width": width, "height": height})
        for row, (x1, y1, x2, y2) in enumerate(image.boxes.tolist()):
            labels = {name: int(values[row]) for name, values in image.attributes.items()}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    **ignored(bool(image.ignore[row]), image.crowd is not None and bool(image.crowd[row])),
                    **({"attributes": labels} if labels else {}),
                }
            )
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face"}]}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def ignored(ignore: bool, crowd: bool) -> dict[str, int]:
    """Return the keys of an annotation that say whether it is to be ignored, and whether it is a crowd region."""
    return {"iscrowd": int(ignore), **({ONE_FACE: 1} if ignore and not crowd else {})}


def load_json(text: str, where: str) -> Any:
    """Parse JSON.

    Raises:
        AnnotationError: with the line where it breaks.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise AnnotationError(f"{where}:{error.lineno}: got {error.msg.lower()}, expected JSON.") from error
    except RecursionError as error:
        raise AnnotationError(f"{where}:1: got JSON nested too deep to be read, expected an annotation.") from error


def corners_of(bbox: Any) -> tuple[float, float, float, float] | str:
    """Turn x, y, width, height into corners, or say what is wrong with them."""
    numbers = isinstance(bbox, list) and len(bbox) == 4
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in bbox):
        return f"got the bbox {_short(bbox)}, expected x, y, width, height"
    try:
        x, y, width, height = map(float, bbox)
    except OverflowError:
        return "got a bbox of numbers too large to be pixels, expected x, y, width, height"
    corners = (x, y, x + width, y + height)
    return fault_of_box(corners) or corners


def whole_labels(attributes: Any) -> dict[str, int]:
    """Return those values of an object that an attribute can hold: whole numbers from -128 to 127, and truth values."""
    if not isinstance(attributes, dict):
        return {}
    return {str(k): int(v) for k, v in attributes.items() if isinstance(v, int) and -128 <= v <= 127}


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."

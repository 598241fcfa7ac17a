"""COCO object detection JSON: https://cocodataset.org/#format-data, as pycocotools reads it.

A box is x, y, width, height in pixels, continuous, origin top-left (no half pixels, not inclusive). `iscrowd` of 1 is a
region of many faces, `ignore` of 1 a face; both are neither to be found nor background. An image without annotations
has no face. Whole-number values in `attributes` of an annotation are kept, but for `rotation`: degrees by which CVAT
turned the box about its centre, whose upright hull is read. Ids may be texts. A category that only groups others
(Roboflow writes one) is none.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from typing import Any

from ...errors import AnnotationError
from ..box_format import LAYOUTS, corners_in
from ..storage.places import Tree
from .annotated import (
    BAD_NAME,
    ROTATION,
    AnnotatedImage,
    Annotation,
    Box,
    Faults,
    choose_category,
    degrees_of,
    fault_of_box,
    flag_of,
    hulls_taken,
    identity_of,
    image_of,
    is_empty,
    label_of,
    others_left_out,
    size_of,
    upright_hull,
)
from .image_names import image_name
from .json_lines import place_of

TITLE = "COCO JSON"
ONE_FACE = "one_face"
"""Key that we write beside `iscrowd` where it is one face to be ignored, which pycocotools has no other mark for."""
EXPECTED = "a .json file with images, annotations and categories"


def find(tree: Tree) -> list[str]:
    """Return the files that look like this format."""
    return [path for path in tree.files if path.lower().endswith(".json") and _fits(tree.text(path, strict=False))]


def _fits(text: str) -> bool:
    return text.lstrip()[:1] == "{" and '"images"' in text and '"annotations"' in text


def read(tree: Tree, path: str, category: str | None = None, layout: str = "xywh") -> Annotation:
    """Read one file.

    Args:
        tree: where it lies.
        path: the file.
        category: whose boxes count; else the only category, or the one called face.
        layout: how `bbox` is read, see `box_format`.

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
        faults.add(lambda: f"{where}:{place_of(text, key, index)}", what)

    names: dict[str, str] = {}
    for index, entry in enumerate(parts["categories"]):
        number = identity_of(entry.get("id")) if isinstance(entry, dict) else None
        if number is not None and isinstance(entry.get("name"), str):
            names[number] = entry["name"]
        else:
            fault("categories", index, "got no id and name, expected a category")
    images: dict[str, tuple[str, tuple[int, int] | None]] = {}
    taken: set[str] = set()
    for index, entry in enumerate(parts["images"]):
        given = entry.get("file_name") if isinstance(entry, dict) else None
        name = image_name(given) if isinstance(given, str) else None
        number = identity_of(entry.get("id")) if isinstance(entry, dict) else None
        if name is None or number is None:
            fault("images", index, f"got {_short(entry)}, expected an id and file_name; {BAD_NAME}")
        elif number in images or name in taken:
            fault("images", index, f"got the image {name} (id {entry['id']}) twice, expected it once")
        else:
            images[number] = (name, size_of(entry.get("width"), entry.get("height")))
            taken.add(name)
    faults.raise_any()

    used = {
        names.get(identity_of(entry.get("category_id")) or "", "")
        for entry in parts["annotations"]
        if isinstance(entry, dict)
    }
    groups = {str(one.get("supercategory")) for one in parts["categories"] if one["name"] != one.get("supercategory")}
    known = [name for name in names.values() if category or name in used or name not in groups]
    chosen = choose_category(category, known, where, used)
    boxes: dict[str, list[Box]] = {key: [] for key in images}
    expected = ", ".join(list(names)[:20])
    left_out, rotated = 0, 0
    lists: list[int] = []
    for index, entry in enumerate(parts["annotations"]):
        image = identity_of(entry.get("image_id")) if isinstance(entry, dict) else None
        if image is None or image not in images:
            fault("annotations", index, f"got {_short(entry)}, expected the image_id of one of the images")
            continue
        if isinstance(entry["image_id"], list) or isinstance(entry.get("category_id"), list):
            lists.append(index)
        of = identity_of(entry.get("category_id")) or ""
        if names and of not in names:
            fault("annotations", index, f"got category_id {entry.get('category_id')!r}, expected one of {expected}")
            continue
        if names and names[of] != chosen:
            left_out += 1
            continue
        corners = corners_of(entry.get("bbox"), layout)
        if isinstance(corners, str):
            fault("annotations", index, corners)
            continue
        flags = {one: flag_of(entry.get(one)) for one in ("iscrowd", "ignore")}
        if wrong := [f"{one} {_short(entry[one])}" for one, flag in flags.items() if flag is None]:
            fault("annotations", index, f"got {' and '.join(wrong)}, expected 0 or 1")
            continue
        attributes = entry.get("attributes")
        if degrees := degrees_of(attributes.get(ROTATION) if isinstance(attributes, dict) else None):
            corners = upright_hull(corners, degrees)
            rotated += 1
        crowd = bool(flags["iscrowd"]) and not flag_of(entry.get(ONE_FACE))
        boxes[image].append(Box(corners, any(flags.values()), whole_labels(attributes), crowd))
    faults.raise_any()
    annotated = tuple(image_of(name, boxes[key], size) for key, (name, size) in images.items())
    folder = posixpath.dirname(path)
    notes = others_left_out(chosen, left_out) + hulls_taken(rotated)
    if lists:
        first = f"{where}:{place_of(text, 'annotations', lists[0])}"
        notes += (f"Ids in lists of one, taken as their only entry: {len(lists)}, the first in {first}.",)
    ids = {key: name for key, (name, _) in images.items()}
    return Annotation(annotated, (folder,), notes, layout=layout, ids=ids)


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
    except ValueError as error:
        raise AnnotationError(f"{where}:1: got a number of too many digits, expected an annotation.") from error


def corners_of(bbox: Any, layout: str = "xywh") -> tuple[float, float, float, float] | str:
    """Turn a list of four numbers into corners, or say what is wrong with them."""
    numbers = isinstance(bbox, list) and len(bbox) == 4
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in bbox):
        return f"got the bbox {_short(bbox)}, expected {LAYOUTS[layout]}"
    try:
        corners = corners_in(layout, *map(float, bbox))
    except OverflowError:
        return f"got a bbox of numbers too large to be pixels, expected {LAYOUTS[layout]}"
    return fault_of_box(corners, layout) or corners


def whole_labels(attributes: Any) -> dict[str, int]:
    """Return those values of an object that an attribute can hold: whole numbers from -128 to 127, and truth values."""
    if not isinstance(attributes, dict):
        return {}
    labels = {str(key): label_of(value) for key, value in attributes.items() if key != ROTATION and not is_empty(value)}
    return {key: value for key, value in labels.items() if value is not None}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."

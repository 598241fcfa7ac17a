"""CVAT XML 1.1, "CVAT for images": https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/.

Corners `xtl`, `ytl`, `xbr`, `ybr` are pixels, continuous, origin top-left; `rotation` turns a box by degrees about its
centre. Of rotated boxes, ellipses and outlines the upright hull is read. An image without shapes has no face. Of
attributes, those of whole numbers and `true` or `false` are kept; one called `ignore` that is set means: neither to be
found nor background. The format is only read.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

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
    image_of,
    is_empty,
    label_of,
    others_left_out,
    size_of,
    upright_hull,
)
from .image_names import image_name
from .xml_elements import Element, has_root, parse

TITLE = "CVAT XML"
EXPECTED = "an .xml file with <annotations> of CVAT for images"

_BOX = ("xtl", "ytl", "xbr", "ybr")
_ELLIPSE = ("cx", "cy", "rx", "ry")
_SHAPES = ("box", "ellipse", "polygon", "polyline")


def find(tree: Tree) -> list[str]:
    """Return the files that look like this format."""
    return [path for path in tree.files if path.lower().endswith(".xml") and has_root(tree, path, "annotations")]


def read(tree: Tree, path: str, category: str | None = None) -> Annotation:
    """Read one file.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: the category is not there, or has to be chosen.
    """
    where, faults = tree.where(path), Faults()
    root = parse(tree, path, "annotations", faults)
    faults.raise_any()
    tags = root.children if root else []
    for tag in tags:
        if tag.tag == "track":
            faults.add(f"{where}:{tag.line}", "got <track>, expected <image>; export as CVAT for images")
    shapes = [shape for tag in tags if tag.tag == "image" for shape in tag.children if shape.tag in _SHAPES]
    labels = sorted({shape.attributes.get("label", "") for shape in shapes})
    chosen = choose_category(category, labels, where)
    images: dict[str, AnnotatedImage] = {}
    left_out = hulls = 0
    for tag in tags:
        if tag.tag != "image":
            continue
        name = image_name(tag.attributes.get("name", ""))
        if name is None or name in images:
            faults.add(f"{where}:{tag.line}", f"got the image {tag.attributes.get('name')!r}, {BAD_NAME}, each once")
            continue
        boxes = []
        for shape in (child for child in tag.children if child.tag in _SHAPES):
            if shape.attributes.get("label", "") != chosen:
                left_out += 1
                continue
            box = _box(shape)
            if isinstance(box, str):
                faults.add(f"{where}:{shape.line}", box)
                continue
            hulls += shape.tag != "box" or degrees_of(shape.attributes.get(ROTATION)) != 0
            boxes.append(box)
        images[name] = image_of(name, boxes, size_of(tag.attributes.get("width"), tag.attributes.get("height")))
    faults.raise_any()
    folder = posixpath.dirname(path)
    notes = others_left_out(chosen, left_out) + hulls_taken(hulls, "Rotated boxes, ellipses and outlines")
    return Annotation(tuple(images.values()), (posixpath.join(folder, "images"), folder), notes)


def _box(shape: Element) -> Box | str:
    """The hull of a shape with its attributes, or what is wrong with it."""
    attributes = shape.attributes
    texts: Sequence[str] = [attributes.get(key, "") for key in (_ELLIPSE if shape.tag == "ellipse" else _BOX)]
    if "points" in attributes:
        texts = attributes["points"].replace(";", ",").split(",")
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        numbers = []
    if len(numbers) < 4 or len(numbers) % 2:
        return f"got the corners {list(texts)[:8]} of <{shape.tag}>, expected numbers"
    if shape.tag == "ellipse":
        x, y, across, down = numbers
        corners = (x - across, y - down, x + across, y + down)
    else:
        corners = (numbers[0], numbers[1], numbers[2], numbers[3])
    if "points" in attributes:
        corners = (min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))
    if what := fault_of_box(corners):
        return what
    if degrees := degrees_of(attributes.get(ROTATION)):
        corners = upright_hull(corners, degrees)
    values = {one.attributes.get("name", ""): one.text.strip() for one in shape.children if one.tag == "attribute"}
    ignore = flag_of(values.pop("ignore", None))
    if ignore is None:
        return "got another value of the attribute ignore, expected true or false"
    labels = {name: label_of(value) for name, value in values.items() if not is_empty(value)}
    return Box(corners, ignore, {name: value for name, value in labels.items() if value is not None})

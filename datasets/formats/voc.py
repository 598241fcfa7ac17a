"""Pascal VOC: a folder of XML files, one an image; Everingham et al., The PASCAL VOC Challenge Development Kit, 2012.

Corners are pixels counted from 1, the last one inside the box: `xmin` 1, `xmax` 10 is ten pixels wide and here 0 to 10.
`difficult` 1 means: neither to be found nor background. Of a box turned about its centre, by CVAT's attribute
`rotation` or roLabelImg's `robndbox`, the upright hull is read. A file without objects says that the image has no face;
an image without a file is not annotated. `<folder>` tells images of one `<filename>` apart. Written numbers are whole,
as in the original, so a corner moves by up to half a pixel.
"""

from __future__ import annotations

import math
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from ...errors import UsageError
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
    others_left_out,
    size_of,
    upright_hull,
)
from .data_yaml import lies_in_split
from .image_names import endings, image_name
from .xml_elements import Element, has_root, parse

TITLE = "Pascal VOC"
EXPECTED = "a folder of .xml files with <annotation>"
IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"

_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev"})
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_TURNED = ("cx", "cy", "w", "h")


def find(tree: Tree) -> list[str]:
    """Return the folders that look like this format: each outermost `Annotations`, else what holds XML files.

    Folders side by side are one annotation, their parent, unless one is called as a part of a set is. Of each folder,
    the first file is looked at; "." is the root.
    """
    first: dict[str, str] = {}
    for path in tree.files:
        if path.lower().endswith(".xml"):
            first.setdefault(posixpath.dirname(path), path)
    found: dict[str, None] = {}
    for folder, path in first.items():
        if has_root(tree, path, "annotation"):
            parts = folder.split("/")
            at = next((i for i, part in enumerate(parts) if part.lower() == ANNOTATIONS.lower()), len(parts))
            found["/".join(parts[: at + 1])] = None
    named = any(part.lower() in _PARTS or part.lower() == ANNOTATIONS.lower() for f in found for part in f.split("/"))
    if len(found) > 1 and not named:
        found = {posixpath.commonpath([f"/{folder}" for folder in found])[1:]: None}
    return [folder or "." for folder in found]


def read(tree: Tree, path: str, category: str | None = None, split: str | None = None) -> Annotation:
    """Read the files below one folder.

    Args:
        tree: where it lies.
        path: the folder; "." is the root.
        category: whose boxes count; else the only category, or the one called face.
        split: only the images that `ImageSets/Main/<split>.txt` lists, or those in a folder of this name.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: the category is not there, or has to be chosen; or there is no such split.
    """
    folder = "" if path == "." else path
    below = f"{folder}/" if folder else ""
    files = [p for p in tree.files if p.lower().endswith(".xml") and p.startswith(below)]
    if split is not None:
        files = _of_split(tree, folder, files, split)
    faults = Faults()
    roots = [(file, root) for file in files if (root := parse(tree, file, "annotation", faults)) is not None]
    names = [child.value("name") for _, root in roots for child in root.children if child.tag == "object"]
    faults.raise_any()
    chosen = choose_category(category, sorted(set(names)), tree.where(path if folder else ""))
    images, taken, folders, left_out, rotated = [], set(), {}, 0, 0
    written = [
        root.value("filename") or f"{posixpath.splitext(posixpath.basename(file))[0]}.jpg" for file, root in roots
    ]
    times = Counter(written)
    for text, (file, root) in zip(written, roots, strict=True):
        beside = image_name(root.value("folder")) or posixpath.dirname(file.removeprefix(below))
        name = image_name(posixpath.join(beside, text) if times[text] > 1 else text)
        if name is None or name in taken:
            what = f"got <filename> {root.value('filename')!r}, {BAD_NAME}"
            faults.add(f"{tree.where(file)}:{root.line}", what if name is None else f"{what}, each once")
            continue
        taken.add(name)
        folders[name] = beside
        objects = [child for child in root.children if child.tag == "object"]
        left_out += sum(one.value("name") != chosen for one in objects)
        boxes = list(_boxes(objects, chosen, tree.where(file), faults))
        rotated += sum(one.value("name") == chosen and _degrees(one) != 0 for one in objects)
        size = root.child("size")
        images.append(image_of(name, boxes, size_of(size.value("width"), size.value("height")) if size else None))
    faults.raise_any()
    near = (posixpath.normpath(posixpath.join(folder, "..", IMAGES)), folder)
    notes = others_left_out(chosen, left_out) + hulls_taken(rotated)
    return Annotation(tuple(images), near, notes, folders=folders)


def write(image: AnnotatedImage, size: tuple[int, int]) -> str:
    """Write the file of one image."""
    lines = ["<annotation>", f"  <filename>{escape(image.name)}</filename>"]
    lines.append(f"  <size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>")
    for (x1, y1, x2, y2), ignore in zip(image.boxes.tolist(), image.ignore.tolist(), strict=True):
        corners = (round(x1) + 1, round(y1) + 1, round(x2), round(y2))
        inside = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(_CORNERS, corners, strict=True))
        lines.append(
            f"  <object><name>face</name><difficult>{int(ignore)}</difficult><bndbox>{inside}</bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>", ""])


def _of_split(tree: Tree, folder: str, files: list[str], split: str) -> list[str]:
    sets = posixpath.normpath(posixpath.join(folder, "..", "ImageSets", "Main"))
    path = f"{sets}/{split}.txt"
    if tree.find(path) is None:
        if inside := [file for file in files if lies_in_split(file, split)]:
            return inside
        known = [posixpath.basename(p)[:-4] for p in tree.files if posixpath.dirname(p) == sets and p.endswith(".txt")]
        raise UsageError(f"Got split={split}, expected one of {sets}: {', '.join(known) or 'there are none'}.")
    listed = {line.split()[0] for line in tree.text(path).splitlines() if line.split()}
    below = f"{folder}/" if folder else ""
    return [one for one in files if not listed.isdisjoint(endings(posixpath.splitext(one.removeprefix(below))[0]))]


def _boxes(objects: Sequence[Element], category: str | None, where: str, faults: Faults) -> Iterator[Box]:
    for one in objects:
        if one.value("name") != category:
            continue
        turned = one.child("robndbox")
        box, tags = (turned, _TURNED) if turned else (one.child("bndbox"), _CORNERS)
        texts = [box.value(tag) for tag in tags] if box else []
        try:
            a, b, c, d = map(float, texts)
        except ValueError:
            faults.add(f"{where}:{(box or one).line}", f"got the corners {texts}, expected {', '.join(tags)}")
            continue
        corners = (a - c / 2, b - d / 2, a + c / 2, b + d / 2) if turned else (a - 1, b - 1, c, d)
        if what := fault_of_box(corners):
            faults.add(f"{where}:{(box or one).line}", what)
            continue
        difficult = flag_of(one.value("difficult"))
        if difficult is None:
            faults.add(f"{where}:{one.line}", f"got <difficult> {one.value('difficult')!r}, expected 0 or 1")
            continue
        yield Box(upright_hull(corners, degrees) if (degrees := _degrees(one)) else corners, difficult)


def _degrees(one: Element) -> float:
    """By how much a box is turned about its centre: an attribute of CVAT, or roLabelImg's angle in radians."""
    turned, attributes = one.child("robndbox"), one.child("attributes")
    if turned is not None:
        return math.degrees(degrees_of(turned.value("angle")))
    named = [one.value("value") for one in attributes.children if one.value("name") == ROTATION] if attributes else []
    return degrees_of(named[0]) if named else 0.0

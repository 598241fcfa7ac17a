"""Pascal VOC: a folder of XML files, one an image; Everingham et al., The PASCAL VOC Challenge Development Kit, 2012.

Corners are pixels counted from 1, the last one inside the box: `xmin` 1, `xmax` 10 is ten pixels wide and here 0 to 10.
`difficult` 1 means: neither to be found nor background. A file without objects says that the image has no face; a
image without a file is not annotated. Written numbers are whole, as in the original, so a corner moves by up to half
a pixel.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from ...errors import UsageError
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

TITLE = "Pascal VOC"
EXPECTED = "a folder of .xml files with <annotation>"
IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"

_HEAD = 4096
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(slots=True)
class _Element:
    """An element, with the line on which it begins."""

    tag: str
    line: int
    text: str = ""
    children: list[_Element] = field(default_factory=list)

    def child(self, tag: str) -> _Element | None:
        return next((child for child in self.children if child.tag == tag), None)

    def value(self, tag: str) -> str:
        child = self.child(tag)
        return child.text.strip() if child else ""


def find(tree: Tree) -> list[str]:
    """Return the folders that look like this format, by the first XML file in each; "." is the root."""
    first: dict[str, str] = {}
    for path in tree.files:
        if path.lower().endswith(".xml"):
            first.setdefault(posixpath.dirname(path) or ".", path)
    return [folder for folder, path in first.items() if "<annotation" in tree.text(path)[:_HEAD]]


def read(tree: Tree, path: str, category: str | None = None, split: str | None = None) -> Annotation:
    """Read the files of one folder.

    Args:
        tree: where it lies.
        path: the folder; "." is the root.
        category: whose boxes count; else the only category, or the one called face.
        split: only the images that `ImageSets/Main/<split>.txt` lists.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: the category is not there, or has to be chosen; or there is no such split.
    """
    folder = "" if path == "." else path
    files = [p for p in tree.files if p.lower().endswith(".xml") and posixpath.dirname(p) == folder]
    if split is not None:
        listed = _listed(tree, folder, split)
        files = [p for p in files if posixpath.splitext(posixpath.basename(p))[0] in listed]
    faults = Faults()
    roots = [(file, root) for file in files if (root := _parse(tree, file, faults)) is not None]
    names = [child.value("name") for _, root in roots for child in root.children if child.tag == "object"]
    faults.raise_any()
    chosen = choose_category(category, sorted(set(names)), tree.where(path if folder else ""))
    images, taken, left_out = [], set(), 0
    for file, root in roots:
        name = clean_name(root.value("filename") or f"{posixpath.splitext(posixpath.basename(file))[0]}.jpg")
        if name is None or name in taken:
            what = f"got <filename> {root.value('filename')!r}, {BAD_NAME}"
            faults.add(f"{tree.where(file)}:{root.line}", what if name is None else f"{what}, each once")
            continue
        taken.add(name)
        objects = [child for child in root.children if child.tag == "object"]
        left_out += sum(one.value("name") != chosen for one in objects)
        boxes = list(_boxes(objects, chosen, tree.where(file), faults))
        images.append(image_of(name, boxes, _size(root)))
    faults.raise_any()
    near = (posixpath.normpath(posixpath.join(folder, "..", IMAGES)), folder)
    return Annotation(tuple(images), near, others_left_out(chosen, left_out))


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


def _listed(tree: Tree, folder: str, split: str) -> set[str]:
    sets = posixpath.normpath(posixpath.join(folder, "..", "ImageSets", "Main"))
    path = f"{sets}/{split}.txt"
    if tree.find(path) is None:
        known = [posixpath.basename(p)[:-4] for p in tree.files if posixpath.dirname(p) == sets and p.endswith(".txt")]
        raise UsageError(f"Got split={split}, expected one of {sets}: {', '.join(known) or 'there are none'}.")
    return {line.split()[0] for line in tree.text(path).splitlines() if line.split()}


def _boxes(objects: Sequence[_Element], category: str | None, where: str, faults: Faults) -> Iterator[Box]:
    for one in objects:
        if one.value("name") != category:
            continue
        box = one.child("bndbox")
        texts = [box.value(tag) for tag in _CORNERS] if box else []
        try:
            xmin, ymin, xmax, ymax = map(float, texts)
        except ValueError:
            faults.add(f"{where}:{(box or one).line}", f"got the corners {texts}, expected {', '.join(_CORNERS)}")
            continue
        corners = (xmin - 1, ymin - 1, xmax, ymax)
        if what := fault_of_box(corners):
            faults.add(f"{where}:{(box or one).line}", what)
            continue
        yield Box(corners, one.value("difficult") == "1")


def _size(root: _Element) -> tuple[int, int] | None:
    size = root.child("size")
    texts = (size.value("width"), size.value("height")) if size else ("", "")
    if not all(text.isdecimal() for text in texts) or "0" in texts:  # some tools write 0 for unknown
        return None
    return int(texts[0]), int(texts[1])


def _parse(tree: Tree, path: str, faults: Faults) -> _Element | None:
    """The root element; entities of a file's own are refused, since a few lines of them fill any memory."""
    parser = expat.ParserCreate()
    top = _Element("", 0)
    stack = [top]

    def begin(tag: str, attributes: dict[str, str]) -> None:
        element = _Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(tag: str) -> None:
        stack.pop()

    def add(text: str) -> None:
        stack[-1].text += text

    def refuse(*entity: object) -> None:
        raise expat.ExpatError("entities are not accepted")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = add, refuse
    try:
        parser.Parse(tree.text(path).encode(), True)
    except expat.ExpatError as error:
        faults.add(f"{tree.where(path)}:{parser.CurrentLineNumber}", f"got {error}, expected whole XML")
        return None
    root = top.children[0]
    if root.tag != "annotation":
        faults.add(f"{tree.where(path)}:{root.line}", f"got <{root.tag}>, expected <annotation>")
        return None
    return root

"""YOLO text: one .txt an image, as https://docs.ultralytics.com/datasets/detect/ describes it.

A row is `class centre_x centre_y width height`, each a part of the image's width or height, so the size of the
image (upright after EXIF) is needed: pixels = part x size. Labels lie in a folder `labels` beside `images`, or beside
the images. An empty file says that the image has no face; so does a missing one, as the format has it, and that is
noted. Names of classes come from `data.yaml`, `classes.txt` or `obj.names`. Written numbers have ten decimals: a corner
moves by less than 10^-10 of the image's side. The format cannot hold ignored faces or attributes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from ...errors import AnnotationError, DataError
from ..images import upright_size
from ..storage.places import Tree, is_image
from .annotated import (
    AnnotatedImage,
    Annotation,
    Box,
    Faults,
    choose_category,
    fault_of_box,
    image_of,
    others_left_out,
)

TITLE = "YOLO text"
EXPECTED = "a folder labels of .txt files with rows of five numbers, beside a folder images"
IMAGES, LABELS, NAMES = "images", "labels", "data.yaml"

_YAML = ("data.yaml", "data.yml", "dataset.yaml")
_LISTS = ("classes.txt", "obj.names", "classes.names")
_PARTS = (-1.0, 2.0)
"""Centre and size of a box as parts of the image's size; what lies beyond is taken for pixels."""
_ROW = re.compile(r"\s*\d+(\s+[-+.\deE]+){4}\s*")


def find(tree: Tree) -> list[str]:
    """Return the folders that look like this format: each outermost `labels`, else folders of .txt beside images."""
    begins: dict[str, set[str]] = {}
    for path in tree.files:
        if not _is_label(path):
            continue
        parts = path.split("/")[:-1]
        if LABELS in parts:
            folder = "/".join(parts[: parts.index(LABELS) + 1])
        elif any(tree.find(posixpath.splitext(path)[0] + suffix) for suffix in (".jpg", ".jpeg", ".png", ".JPG")):
            folder = "/".join(parts) or "."
        else:
            continue
        known = begins.setdefault(folder, set())
        if "row" not in known:
            first = tree.text(path, strict=False).partition("\n")[0]
            known.add("row" if _ROW.fullmatch(first) else "other" if first.strip() else "nothing")
    # files that are all empty say that no image has a face, where their folder says that they are labels
    return [
        folder
        for folder, known in begins.items()
        if "row" in known or (known == {"nothing"} and LABELS in folder.split("/"))
    ]


def read(tree: Tree, path: str, category: str | None = None) -> Annotation:
    """Read the files below one folder.

    Args:
        tree: where it lies.
        path: the folder of labels; "." is the root.
        category: whose boxes count, by name or number; else the only category, or the one called face.

    Raises:
        AnnotationError: with file and line of each fault.
        DataError: no image lies where it should, or one with faces has no size that can be read.
        UsageError: the category is not there, or has to be chosen.
    """
    folder = "" if path == "." else path
    below = f"{folder}/" if folder else ""
    images_at = _images_folder(folder)
    images = [p for p in tree.files if p.startswith(images_at) and is_image(p)]
    if not images:
        raise DataError(f"Got no image below {tree.where(images_at or '.')}, expected those of {tree.where(path)}.")
    faults, seen = Faults(), set()
    rows: dict[str, list[tuple[int, int, list[float]]]] = {}
    without = 0
    for image in images:
        label = below + posixpath.splitext(image.removeprefix(images_at))[0] + ".txt"
        if label in seen:
            faults.add(tree.where(label), "got two images with this label file, expected one")
        seen.add(label)
        without += tree.find(label) is None
        rows[image] = _rows(tree, label, faults) if tree.find(label) is not None else []
    alone = sum(p.startswith(below) and _is_label(p) and p not in seen for p in tree.files)
    faults.raise_any()

    names = _class_names(tree, folder)
    used = {number for some in rows.values() for _, number, _ in some}
    spelled = {number: names.get(number, str(number)) for number in used | set(names)}
    if category is not None and category.isdecimal() and int(category) in spelled:
        category = spelled[int(category)]
    chosen = choose_category(category, [spelled[n] for n in sorted(spelled)], tree.where(path))
    found, left_out = [], 0
    for image, some in rows.items():
        own = [(line, numbers) for line, number, numbers in some if spelled[number] == chosen]
        left_out += len(some) - len(own)
        size = upright_size(tree.files[image]) if own else None
        if own and size is None:
            raise DataError(f"Got no size of {tree.where(image)}, which its boxes need; replace the image.")
        label = tree.where(below + posixpath.splitext(image.removeprefix(images_at))[0] + ".txt")
        boxes = [_box(numbers, size or (0, 0), f"{label}:{line}", faults) for line, numbers in own]
        found.append(image_of(image.removeprefix(images_at), boxes, size))
    faults.raise_any()
    notes = list(others_left_out(chosen, left_out))
    if without:
        notes.append(f"{without:,} of {len(images):,} images have no label file and count as without a face.")
    if alone:
        notes.append(f"{alone:,} label files have no image.")
    return Annotation(tuple(found), (images_at.rstrip("/"),), tuple(notes))


def write(image: AnnotatedImage, size: tuple[int, int]) -> str:
    """Write the file of one image.

    Raises:
        DataError: a box so far outside the image that it could not be read again.
    """
    width, height = size
    lines = []
    for x1, y1, x2, y2 in image.boxes.tolist():
        parts = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        if not _are_parts(parts):
            raise DataError(
                f"Got the box {x1:g}, {y1:g}, {x2:g}, {y2:g} of {image.name}, which is {width}×{height}; YOLO text "
                "can hold none that lies more than the image's size outside it. Remove the box."
            )
        lines.append("0 " + " ".join(f"{part:.10f}" for part in parts))
    return "".join(f"{line}\n" for line in lines)


def _are_parts(numbers: Sequence[float]) -> bool:
    return all(_PARTS[0] <= value <= _PARTS[1] for value in numbers)


def _images_folder(labels: str) -> str:
    """The folder of the images, with a slash at its end: the last `labels` becomes `images`."""
    parts = labels.split("/") if labels else []
    if LABELS in parts:
        last = len(parts) - 1 - parts[::-1].index(LABELS)
        parts[last] = IMAGES
    return "/".join([*parts, ""]) if parts else ""


def _is_label(path: str) -> bool:
    return path.lower().endswith(".txt") and posixpath.basename(path) not in _LISTS


def _rows(tree: Tree, path: str, faults: Faults) -> list[tuple[int, int, list[float]]]:
    """Line, class and the four numbers of each row."""
    rows = []
    for line, text in enumerate(tree.text(path).splitlines(), start=1):
        tokens = text.split()
        if not tokens:
            continue
        try:
            number, numbers = int(tokens[0]), [float(token) for token in tokens[1:]]
        except ValueError:
            number, numbers = -1, []
        if number < 0 or len(numbers) != 4:
            kind = {5: " (a sixth number is a score: these are detections)"}.get(len(numbers), "")
            kind = " (more are an outline)" if len(numbers) > 5 else kind
            got = text if len(text) <= 60 else text[:57] + "..."
            faults.add(f"{tree.where(path)}:{line}", f"got {got!r}, expected class and four numbers{kind}")
        elif not _are_parts(numbers):
            faults.add(f"{tree.where(path)}:{line}", f"got {text!r}, expected parts of the image's size, 0 to 1")
        else:
            rows.append((line, number, numbers))
    return rows


def _box(numbers: Sequence[float], size: tuple[int, int], where: str, faults: Faults) -> Box:
    x, y, width, height = (part * side for part, side in zip(numbers, size * 2, strict=True))
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if what := fault_of_box(corners):
        faults.add(where, what)
    return Box(corners)


def _class_names(tree: Tree, folder: str) -> dict[int, str]:
    """Number -> name, from the first file of names in the folder of labels or above it."""
    at = folder
    while True:
        for name in (*_YAML, *_LISTS):
            path = posixpath.join(at, name)
            if path in tree.files:
                text = tree.text(path)
                return names_of_yaml(text, tree.where(path)) if name in _YAML else names_of_list(text)
        if not at:
            return {}
        at = posixpath.dirname(at)


def names_of_list(text: str) -> dict[int, str]:
    r"""Return the names of a file with one in a line.

    >>> names_of_list("face\nhand\n")
    {0: 'face', 1: 'hand'}
    """
    return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))


def names_of_yaml(text: str, where: str) -> dict[int, str]:
    r"""Return the entry `names` of a data.yaml in the three ways in which it is written; {} where there is none.

    Raises:
        AnnotationError: it is written in another way.

    >>> names_of_yaml("nc: 2\nnames: ['face', \"hand\"]\n", "data.yaml")
    {0: 'face', 1: 'hand'}
    >>> names_of_yaml("names:\n  0: face  # first\n  3: hand\nnc: 2\n", "data.yaml")
    {0: 'face', 3: 'hand'}
    >>> names_of_yaml("names:\n- face\n- hand\n", "data.yaml")
    {0: 'face', 1: 'hand'}
    """
    lines = [re.sub(r"\s+#.*$", "", line).rstrip() for line in text.splitlines()]
    start = next((i for i, line in enumerate(lines) if line.startswith("names:")), None)
    if start is None:
        return {}
    head = lines[start].removeprefix("names:").strip()
    if head:
        joined = " ".join([head, *lines[start + 1 :]])
        inside = re.match(r"\[([^\]]*)\]", joined)
        if inside is None:
            raise AnnotationError(f"{where}:{start + 1}: got {head!r}, expected names: [face] or a list below it.")
        return dict(enumerate(_plain(part) for part in inside[1].split(",") if part.strip()))
    found: dict[int, str] = {}
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip():
            continue
        item = re.fullmatch(r"\s*-\s+(.+)", line)
        entry = re.fullmatch(r"\s+(\d+)\s*:\s*(.+)", line)
        if item:
            found[len(found)] = _plain(item[1])
        elif entry:
            found[int(entry[1])] = _plain(entry[2])
        elif line.startswith((" ", "\t")):
            raise AnnotationError(f"{where}:{number}: got {line.strip()!r}, expected NUMBER: NAME or - NAME.")
        else:
            break
    return found


def _plain(text: str) -> str:
    return text.strip().strip("'\"")

"""YOLO text: one .txt an image, as https://docs.ultralytics.com/datasets/detect/ describes it.

A row is `class centre_x centre_y width height`, each a part of the image's width or height, so the size of the
image (upright after EXIF) is needed: pixels = part x size. Labels lie in a folder `labels` beside `images`, or beside
the images. An empty file says that the image has no face; so does a missing one, as the format has it, and that is
noted. Names of classes come from `data.yaml`, `classes.txt` or `obj.names`. Written numbers have ten decimals: a corner
moves by less than 10^-10 of the image's side. The format cannot hold ignored faces or attributes.

Longer rows hold landmarks behind the box (https://docs.ultralytics.com/datasets/pose/), which are not used, or are
outlines (https://docs.ultralytics.com/datasets/segment/), of which the upright hull is read. `kpt_shape` in `data.yaml`
tells the two apart; without it, rows of one length with five landmarks (14 or 19 numbers, as detectors of faces are
trained on) or with an odd count hold landmarks. Where `data.yaml` names lists of images, those are followed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
    hulls_taken,
    image_of,
    others_left_out,
    whole_number_of,
)
from .data_yaml import LISTS, Described, class_names, described_above, listed

TITLE = "YOLO text"
EXPECTED = "a folder labels of .txt files with rows of five numbers, beside a folder images"
IMAGES, LABELS, NAMES = "images", "labels", "data.yaml"

_PARTS = (-1.0, 2.0)
"""Centre and size of a box as parts of the image's size; what lies beyond is taken for pixels."""
_ROW = re.compile(r"\s*[-+.\deE]+(\s+[-+.\deE]+){4,}\s*")
_FIVE_LANDMARKS = 4 + 5 * 2


class _Row(NamedTuple):
    line: int
    category: int
    numbers: list[float]


def find(tree: Tree) -> list[str]:
    """Return the folders that look like this format: each outermost `labels`, else folders of .txt beside images."""
    begins: dict[str, set[str]] = {}
    images = {posixpath.splitext(path)[0] for path in tree.images()}
    for path in tree.files:
        if not _is_label(path):
            continue
        parts = path.split("/")[:-1]
        if LABELS in parts:
            folder = "/".join(parts[: parts.index(LABELS) + 1])
        elif posixpath.splitext(path)[0] in images:
            folder = "/".join(parts) or "."
        else:
            continue
        known = begins.setdefault(folder, set())
        if "row" not in known:
            first = tree.text(path, strict=False).partition("\n")[0]
            known.add("row" if _is_row(first) else "other" if first.strip() else "nothing")
    # files that are all empty say that no image has a face, where their folder says that they are labels
    return [
        folder
        for folder, known in begins.items()
        if "row" in known or (known == {"nothing"} and LABELS in folder.split("/"))
    ]


def read(tree: Tree, path: str, category: str | None = None, split: str | None = None) -> Annotation:
    """Read the files below one folder.

    Args:
        tree: where it lies.
        path: the folder of labels; "." is the root.
        category: whose boxes count, by name or number; else the only category, or the one called face.
        split: only the images that `data.yaml` names so, by a list or a folder, or that `<split>.txt` lists.

    Raises:
        AnnotationError: with file and line of each fault.
        DataError: no image lies where it should, or one with faces has no size that can be read.
        UsageError: the category is not there, or has to be chosen; or there is no such split.
    """
    folder = "" if path == "." else path
    below = f"{folder}/" if folder else ""
    images_at = _images_folder(folder)
    everything = [p for p in tree.images() if p.startswith(images_at)]
    if not everything:
        raise DataError(f"Got no image below {tree.where(images_at or '.')}, expected those of {tree.where(path)}.")
    described = described_above(tree, folder)
    images, notes = listed(tree, folder, described, everything, split)
    labels = {one: below + posixpath.splitext(one.removeprefix(images_at))[0] + ".txt" for one in everything}
    faults, seen = Faults(), set()
    rows: dict[str, list[_Row]] = {}
    without = 0
    for image in images:
        label = labels[image]
        if label in seen:
            faults.add(tree.where(label), "got two images with this label file, expected one")
        seen.add(label)
        without += tree.find(label) is None
        rows[image] = _rows(tree, label, faults) if tree.find(label) is not None else []
    faults.raise_any()

    names = class_names(tree, folder, described)
    used = {row.category for some in rows.values() for row in some}
    spelled = {number: names.get(number, str(number)) for number in used | set(names)}
    if category is not None and category.isdecimal() and int(category) in spelled:
        category = spelled[int(category)]
    known = [spelled[number] for number in sorted(spelled)]
    chosen = choose_category(category, known, tree.where(path), {spelled[number] for number in used})
    landmarks = _lengths_with_landmarks(rows.values(), described)
    found, left_out, outlines, with_landmarks = [], 0, 0, 0
    for image, some in rows.items():
        own = [row for row in some if spelled[row.category] == chosen]
        left_out += len(some) - len(own)
        size = upright_size(tree.files[image]) if own else None
        if own and size is None:
            raise DataError(f"Got no size of {tree.where(image)}, which its boxes need; replace the image.")
        boxes = []
        for row in own:
            outline = len(row.numbers) > 4 and len(row.numbers) not in landmarks
            outlines += outline
            with_landmarks += len(row.numbers) in landmarks
            corners = _corners(row.numbers if outline else row.numbers[:4], size or (0, 0))
            if isinstance(corners, str):
                faults.add(f"{tree.where(labels[image])}:{row.line}", corners)
            else:
                boxes.append(Box(corners))
        found.append(image_of(image.removeprefix(images_at), boxes, size))
    faults.raise_any()
    notes += [*others_left_out(chosen, left_out), *hulls_taken(outlines, "Outlines")]
    if with_landmarks:
        notes.append(f"Boxes with landmarks, which are not used: {with_landmarks:,}.")
    if without:
        notes.append(f"{without:,} of {len(images):,} images have no label file and count as without a face.")
    owned = set(labels.values())
    alone = sum(p.startswith(below) and _is_label(p) and p not in owned for p in tree.files)
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


def _is_row(text: str) -> bool:
    """Tell whether a line begins with class and box; what is longer may be other numbers, unless these are parts."""
    if _ROW.fullmatch(text) is None:
        return False
    tokens = text.split()
    try:
        return len(tokens) == 5 or _are_parts([float(token) for token in tokens[1:5]])
    except ValueError:
        return False


def _is_label(path: str) -> bool:
    return path.lower().endswith(".txt") and posixpath.basename(path) not in LISTS


def _rows(tree: Tree, path: str, faults: Faults) -> list[_Row]:
    """The rows of a file whose numbers can be those of a box with or without landmarks, or of an outline."""
    rows = []
    for line, text in enumerate(tree.text(path).splitlines(), start=1):
        tokens = text.split()
        if not tokens:
            continue
        try:
            number = int(tokens[0]) if tokens[0].isdecimal() else whole_number_of(tokens[0])
            numbers = [float(token) for token in tokens[1:]]
        except ValueError:
            number, numbers = None, []
        count = len(numbers)
        if number is None or number < 0 or not (count == 4 or (count > 5 and (count % 2 == 0 or (count - 4) % 3 == 0))):
            kind = " (a sixth number is a score: these are detections)" if count == 5 else ""
            got = text if len(text) <= 60 else text[:57] + "..."
            faults.add(f"{tree.where(path)}:{line}", f"got {got!r}, expected class and four numbers{kind}")
        elif not _are_parts(numbers[:4]):
            faults.add(f"{tree.where(path)}:{line}", f"got {text!r}, expected parts of the image's size, 0 to 1")
        else:
            rows.append(_Row(line, number, numbers))
    return rows


def _lengths_with_landmarks(rows: Iterable[Sequence[_Row]], described: Described | None) -> set[int]:
    """The counts of numbers in a row that are a box with landmarks behind it; other long rows are outlines."""
    longer = {len(row.numbers) for some in rows for row in some if len(row.numbers) > 4}
    shape = described.entries.get("kpt_shape") if described else None
    count = whole_number_of(shape[0]) if isinstance(shape, list) and shape else None
    if count:
        return longer & {4 + 2 * count, 4 + 3 * count}
    return {length for length in longer if length % 2} | (longer if longer == {_FIVE_LANDMARKS} else set())


def _corners(numbers: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float] | str:
    """The corners of a box or the hull of an outline, in pixels; or what is wrong with it."""
    if len(numbers) > 4:
        if not _are_parts(numbers):
            return f"got {', '.join(f'{part:g}' for part in numbers)}, expected parts of the image's size, 0 to 1"
        xs, ys = ([part * side for part in numbers[axis::2]] for axis, side in enumerate(size))
        return min(xs), min(ys), max(xs), max(ys)
    x, y, width, height = (part * side for part, side in zip(numbers, size * 2, strict=True))
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return fault_of_box(corners) or corners

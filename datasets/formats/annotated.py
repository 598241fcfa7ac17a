"""What all formats read into and write from: images by name with boxes, and the faults of a file, told together."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import AnnotationError, DataError, UsageError, did_you_mean
from ...safe_text import bounded, visible
from ..base import Source

#: Far above any image's side, and exact in float32.
LARGEST = 10**6
#: The value of an attribute that a face was not labelled with.
NOT_LABELLED = -1
#: The attribute in which CVAT keeps the degrees by which a box is turned about its centre.
ROTATION = "rotation"

_NAMED = 5
_LONGEST = 500
_DEFAULT_CATEGORY = "face"
_EMPTY = frozenset({"", "nan", "na", "<na>", "none", "null"})


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedImage:
    """One image as an annotation has it.

    Attributes:
        name: its path below the folder of images, with forward slashes.
        boxes: float64 (n, 4): x1, y1, x2, y2 in pixels, continuous, origin top-left.
        ignore: bool (n,): neither to be found nor background.
        attributes: name -> int8 (n,); `NOT_LABELLED` where a face has no such label.
        size: width and height as the annotation says, or None where it does not.
        crowd: bool (n,) or None where there are none: crowd regions, which are in `ignore` too; see `Faces`.
    """

    name: str
    boxes: NDArray[np.float64]
    ignore: NDArray[np.bool_]
    attributes: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    crowd: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """What a reader made of a file or folder.

    Attributes:
        images: in the order of the annotation, each name once.
        near: folders in which the images may lie, the likeliest first; "" is the root.
        notes: what a reader of results must know, one sentence each.
        sources: name -> where the bytes are, where the annotation itself holds the images.
        folders: name -> the folder that the annotation names beside it, to choose among files of one name.
        layout: how the four numbers of a box were read, see `box_format`; "" where each has its name.
        ids: what the annotation itself calls an image -> name.
    """

    images: tuple[AnnotatedImage, ...]
    near: tuple[str, ...]
    notes: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Box:
    """One annotated face while it is read.

    Attributes:
        corners: x1, y1, x2, y2 in pixels, continuous.
        ignore: neither to be found nor background.
        labels: attributes of this face.
        crowd: a region of many faces, to be ignored too.
    """

    corners: tuple[float, float, float, float]
    ignore: bool = False
    labels: Mapping[str, int] = field(default_factory=dict)
    crowd: bool = False


class Faults:
    """Faults of an annotation, collected so that a reader is told all of them at once."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._more = 0

    def add(self, where: str | Callable[[], str], what: str) -> None:
        """Note one fault: "file:line", or what finds it, since that can be slow; and what was got and expected."""
        if len(self._shown) == _NAMED:
            self._more += 1
            return
        self._shown.append(
            f"{visible(where if isinstance(where, str) else where())}: {bounded(visible(what), _LONGEST)}"
        )

    def raise_any(self) -> None:
        """Raise what was noted, if anything.

        Raises:
            AnnotationError: names the first faults, each with its place, and counts the rest.
        """
        if self._shown:
            raise AnnotationError("\n".join(self._shown) + (f"\nand {self._more:,} more faults" if self._more else ""))


def image_of(name: str, boxes: Sequence[Box], size: tuple[int, int] | None = None) -> AnnotatedImage:
    """Gather the faces of one image."""
    labels = dict.fromkeys(label for box in boxes for label in box.labels)
    return AnnotatedImage(
        name,
        np.array([box.corners for box in boxes], np.float64).reshape(-1, 4),
        np.array([box.ignore for box in boxes], bool),
        {label: np.array([box.labels.get(label, NOT_LABELLED) for box in boxes], np.int8) for label in labels},
        size,
        np.array([box.crowd for box in boxes], bool) if any(box.crowd for box in boxes) else None,
    )


def same_attributes(images: Iterable[AnnotatedImage]) -> list[AnnotatedImage]:
    """Give every image the attributes that any of them has; faces without them are `NOT_LABELLED`."""
    images = list(images)
    labels = dict.fromkeys(label for image in images for label in image.attributes)
    whole = []
    for image in images:
        nothing = np.full(len(image.boxes), NOT_LABELLED, np.int8)
        attributes = {label: image.attributes.get(label, nothing) for label in labels}
        whole.append(replace(image, attributes=attributes))
    return whole


def fault_of_box(corners: Sequence[float], layout: str = "") -> str:
    """Say what is wrong with x1, y1, x2, y2; empty where nothing is. Zero width or height is not a fault here.

    Where the numbers were read in a layout that can be chosen, it is named.

    >>> fault_of_box((5, 5, 3, 9))
    'got a box of -2 x 4 pixels, expected no negative side'
    """
    if not all(np.isfinite(corners)) or max(map(abs, corners)) > LARGEST:
        return f"got the corners {', '.join(f'{c:g}' for c in corners)}, expected numbers up to {LARGEST:,}"
    width, height = corners[2] - corners[0], corners[3] - corners[1]
    if width < 0 or height < 0:
        otherwise = f" (read as {layout}; box_format=… reads it otherwise)" if layout else ""
        return f"got a box of {width:g} x {height:g} pixels, expected no negative side{otherwise}"
    return ""


def upright_hull(corners: Sequence[float], degrees: float) -> tuple[float, float, float, float]:
    """Return the smallest upright box around x1, y1, x2, y2 turned about its centre.

    >>> [round(c, 2) for c in upright_hull((30, 10, 40, 60), 90)]
    [10.0, 30.0, 60.0, 40.0]
    """
    x1, y1, x2, y2 = corners
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    width, height = (x2 - x1) * cos + (y2 - y1) * sin, (x2 - x1) * sin + (y2 - y1) * cos
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def degrees_of(value: Any) -> float:
    """Return the angle that a value says; 0 where it says none."""
    try:
        degrees = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return degrees if math.isfinite(degrees) else 0.0


def hulls_taken(count: int, what: str = "Rotated boxes") -> tuple[str, ...]:
    """Return the note on shapes that are not upright boxes."""
    return (f"{what}, taken as their upright hull: {count:,}.",) if count else ()


def is_empty(value: Any) -> bool:
    """Tell whether a cell holds nothing, as CSV files and the tables that wrote them say it."""
    return value is None or (isinstance(value, str | float) and str(value).strip().lower() in _EMPTY)


def whole_number_of(value: Any) -> int | None:
    """Return the whole number that an int, a truth value, a float or a text is; None where it is none.

    >>> whole_number_of("2.0"), whole_number_of(True), whole_number_of("2.5"), whole_number_of([2])
    (2, 1, None, None)
    """
    if type(value) is int:  # the most frequent by far
        return value
    text = value.strip().lower() if isinstance(value, str) else value
    try:
        number = float({"true": 1, "false": 0}.get(text, text) if isinstance(text, str) else text)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else None


def flag_of(value: Any) -> bool | None:
    """Return whether 1, 1.0, "1", True or the like is set; what is empty is not; None for anything else.

    >>> flag_of("1"), flag_of(1.0), flag_of("False"), flag_of(None), flag_of([1])
    (True, True, False, False, None)
    """
    number = whole_number_of(value)
    return False if is_empty(value) else bool(number) if number in (0, 1) else None


def label_of(value: Any) -> int | None:
    """Return the attribute that a value says; `NOT_LABELLED` where it is empty, None where it is not an int8."""
    if is_empty(value):
        return NOT_LABELLED
    number = whole_number_of(value)
    return number if number is not None and -128 <= number <= 127 else None


def identity_of(value: Any) -> str | None:
    """Return an id so that 1, 1.0, "1" and [1] are the same; None where it is not a text or a whole number."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """Return the size of an image; None where it is not known, for which some programs write 0."""
    sides = whole_number_of(width) or 0, whole_number_of(height) or 0
    return sides if all(0 < side <= LARGEST for side in sides) else None


def clean_name(text: str) -> str | None:
    r"""Return a name as a path below a folder; None where it leads out of that folder.

    >>> clean_name("./a\\b.jpg"), clean_name("../a.jpg"), clean_name("/a.jpg"), clean_name("")
    ('a/b.jpg', None, None, None)
    """
    name = posixpath.normpath(text.strip().replace("\\", "/"))
    leads_out = name.startswith(("/", "../")) or name in ("", ".", "..") or name[1:2] == ":" or "\0" in name
    return None if leads_out else name


BAD_NAME = "expected the name of an image, such as a/1.jpg"


def choose_category(
    wanted: str | None, names: Sequence[str], where: str, used: Collection[str] | None = None
) -> str | None:
    """Choose whose boxes count: what was asked for, else the only one, the one called face, or the one with boxes.

    Args:
        wanted: the option `category`, or None.
        names: the categories that there are.
        where: how a message names the annotation.
        used: the categories that have boxes; None where all have.

    Returns:
        The category as the annotation spells it; None where there is none at all and none was asked for.

    Raises:
        UsageError: none fits.
    """
    known = list(dict.fromkeys(names))
    if wanted is not None:
        exact = [name for name in known if name == wanted] or [name for name in known if name.lower() == wanted.lower()]
        if not exact:
            raise UsageError(f"{where} has no category {wanted!r}. {did_you_mean(wanted, known)}")
        return exact[0]
    if len(known) <= 1:
        return known[0] if known else None
    faces = [name for name in known if name.lower() == _DEFAULT_CATEGORY]
    if len(faces) == 1:
        return faces[0]
    with_boxes = [name for name in known if used is None or name in used]
    if len(with_boxes) == 1:
        return with_boxes[0]
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    raise UsageError(f"{where} has {len(known)} categories and none is called face; say category=NAME: {listed}.")


def others_left_out(category: str | None, left_out: int) -> tuple[str, ...]:
    """Return the note on boxes of other categories."""
    if not left_out:
        return ()
    return (f"Only boxes of the category {category!r} count; {left_out:,} of others are left out.",)


def not_empty(images: Sequence[AnnotatedImage], where: str) -> None:
    """Raise DataError where an annotation names no image."""
    if not images:
        raise DataError(f"Got an annotation without any image at {where}, expected at least one.")

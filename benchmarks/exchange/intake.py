"""What every reader of prediction files shares: whose image a name means, and the list of all faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ...datasets.base import Sample
from ...datasets.box_format import LAYOUTS, BoxFormat
from ...datasets.formats.image_names import endings, folded, image_name, image_stem, stem
from ...datasets.images import upright_size
from ...datasets.storage.remote import Address
from ...safe_text import bounded, visible

_PIXELS = BoxFormat()
_LARGEST = float(np.finfo(np.float32).max)
_LONGEST = 500
_SHOWN = 8
"""Faults of a kind that are written out; the others are counted."""


def image_size(sample: Sample) -> tuple[int, int] | None:
    """Return width and height of an image: of the file where it can be read here, else as the annotation says."""
    source = sample.source
    readable = source.is_file() if isinstance(source, Path) else not isinstance(source, Address)
    return (upright_size(source) if readable else None) or sample.size


class Fault(Enum):
    """The kinds of faults; the value is how a count of them reads, and what would be right."""

    UNREADABLE = "parts that cannot be read"
    NAME = "names that disagree with the name of their file"
    COUNT = "wrong counts"
    WIDTH = "rows with too few or too many values, or with something that is not a number"
    NOT_FINITE = "values that are NaN, infinite or beyond float32"
    NEGATIVE = "boxes of negative size"
    NO_SIZE = "images whose width and height are not known, which their boxes need"
    TWICE = "images that stand twice"
    MISSING = "images without predictions; one in which nothing was found must say so with a count of 0 or no boxes"
    EXTRA = "images that the data set does not have"


class PredictionFaults:
    """All faults of one prediction file, so that they can be told at once."""

    def __init__(self) -> None:
        self._found: dict[Fault, list[str]] = {}

    def add(self, kind: Fault, where: str) -> None:
        """Note a fault; `where` names the place and what stands there."""
        self._found.setdefault(kind, []).append(where)

    def kinds(self) -> set[Fault]:
        """Return the kinds that were found."""
        return set(self._found)

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def text(self) -> str:
        """Return the list: a heading a kind with its count, under it the first few."""
        lines = []
        for kind in Fault:
            places = self._found.get(kind, [])
            if places:
                lines.append(f"  {len(places):,} × {kind.value}")
                lines += [f"    {bounded(visible(place), _LONGEST)}" for place in places[:_SHOWN]]
            if len(places) > _SHOWN:
                lines.append(f"    … and {len(places) - _SHOWN:,} more")
        return "\n".join(lines)


class ImageNames:
    """Finds the image_id that a name in a prediction file means.

    A name means an image when it is its image_id, whatever folders stand before it ("val/images/0--Parade/x.jpg"), or
    the end of one image_id alone ("x.jpg"). What is not found so is looked for without its suffix, then without
    regard to case, Unicode form and %-escapes, as `match` does with the files of an annotation.
    """

    def __init__(self, image_ids: Iterable[str]) -> None:
        self._ids = list(image_ids)
        self._indexes: dict[Callable[[str], str], tuple[dict[str, list[str]], dict[str, list[str]]]] = {}
        self._known: dict[str, list[str]] = {}
        self._numbers: dict[str, list[str]] = {}
        for image_id in self._ids:
            number = image_stem(image_id.rpartition("/")[2])
            if number.isdecimal() and number.isascii():
                self._numbers.setdefault(str(int(number)), []).append(image_id)

    def numbered(self, number: int) -> str | None:
        """Return the one image whose file name is a number, whatever zeros stand before it, or None."""
        found = self._numbers.get(str(number), [])
        return found[0] if len(found) == 1 else None

    def find(self, name: str) -> str | None:
        """Return the image_id, or None where no image or more than one has that name."""
        found = self.candidates(name)
        return found[0] if len(found) == 1 else None

    def candidates(self, name: str) -> list[str]:
        """Return the image_ids that a name could mean."""
        if name not in self._known:
            self._known[name] = self._candidates(image_name(name) or "")
        return self._known[name]

    def _candidates(self, name: str) -> list[str]:
        for spell in (str, image_stem, folded, stem):
            whole, ends = self._index(spell)
            ways = list(endings(spell(name)))
            found = next((whole[way] for way in ways if way in whole), ends.get(ways[0], []))
            if found:
                return found
        return []

    def _index(self, spell: Callable[[str], str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """All image_ids and the ends of them, as they are spelled."""
        if spell not in self._indexes:
            whole: dict[str, list[str]] = {}
            ends: dict[str, list[str]] = {}
            for image_id in self._ids:
                spelled = spell(image_id)
                whole.setdefault(spelled, []).append(image_id)
                for ending in endings(spelled):
                    ends.setdefault(ending, []).append(image_id)
            self._indexes[spell] = whole, ends
        return self._indexes[spell]


class Intake:
    """Collects what a reader finds.

    Attributes:
        box_format: how the four numbers of a box are read.
        ids: what the annotation itself calls an image -> image_id.
        faults: what is wrong so far.
        rows: image_id -> float64 (n, 5): x1, y1, x2, y2, score, in the file's order.
        extra: names that mean no image of the data set.
        outside: image_ids of the whole data set outside the part that is scored.
    """

    def __init__(
        self,
        image_ids: Iterable[str],
        others: Collection[str] = (),
        box_format: BoxFormat = _PIXELS,
        size_of: Callable[[str], tuple[int, int] | None] = lambda image_id: None,
        ids: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.box_format, self.ids = box_format, ids
        self._size_of = size_of
        self._upright = set(LAYOUTS)
        self.faults = PredictionFaults()
        self.rows: dict[str, NDArray[np.float64]] = {}
        self.extra: dict[str, None] = {}
        self.outside: set[str] = set()
        self._others = others
        self._names = ImageNames([*image_ids, *others])

    def claim(self, name: str, where: str) -> str | None:
        """Return the image_id whose rows come now; None where they are not wanted: no such image, or a second time.

        Args:
            name: as the file has it.
            where: the place, for the list of faults.
        """
        image_id = self._names.find(name)
        if image_id is None:
            self.extra[name] = None
        elif image_id in self._others:
            self.outside.add(image_id)
        elif image_id in self.rows:
            self.faults.add(Fault.TWICE, f"{where}: {image_id}")
        else:
            self.rows[image_id] = np.empty((0, 5))
            return image_id
        return None

    def find(self, name: str) -> str | None:
        """Return the image_id that a name means, or None."""
        return self._names.find(name)

    def numbered(self, number: int) -> str | None:
        """Return the one image whose name is a number, such as 000017.jpg, or None."""
        return self._names.numbered(number)

    def candidates(self, name: str) -> list[str]:
        """Return the image_ids that a name could mean: several where it is none of them."""
        return self._names.candidates(name)

    @property
    def otherwise(self) -> list[str]:
        """The layouts in which no box of the images with boxes of negative size has one."""
        return [layout for layout in LAYOUTS if layout in self._upright]

    def keep(self, image_id: str, rows: NDArray[np.float64], where: Callable[[int], str]) -> None:
        """Turn the numbers of an image into boxes, and keep them unless one of them is faulty.

        Args:
            image_id: as claimed.
            rows: float64 (n, 5): four numbers as written, and the score; changed in place.
            where: names the place of a row.
        """
        size = self._size_of(image_id) if self.box_format.scale else None
        if self.box_format.scale and size is None:
            self.faults.add(Fault.NO_SIZE, image_id)
            return
        numbers = rows[:, :4].copy()
        with np.errstate(all="ignore"):  # what is not finite is a fault below
            rows[:, :4] = self.box_format.to_corners(numbers, None if size is None else np.array(size, np.float64))
        # beyond float32 lies infinity for most programs, and areas that overflow
        finite = np.abs(rows) <= _LARGEST
        if finite.all() and (rows[:, 2:4] >= rows[:, :2]).all():
            self.rows[image_id] = rows
            return
        negative = (rows[:, 2:4] < rows[:, :2]).any(axis=1)
        self._upright -= {layout for layout in self._upright if _any_negative(numbers, layout)}
        for index in np.flatnonzero(~finite.all(axis=1)).tolist():
            self.faults.add(Fault.NOT_FINITE, f"{where(index)}: {_short(rows[index])}")
        for index in np.flatnonzero(negative & finite.all(axis=1)).tolist():
            self.faults.add(Fault.NEGATIVE, f"{where(index)}: {_short(rows[index])}")


def _any_negative(numbers: NDArray[np.float64], layout: str) -> bool:
    with np.errstate(all="ignore"):
        corners = BoxFormat(layout).to_corners(numbers)
    return bool((corners[:, 2:] < corners[:, :2]).any())


def _short(row: NDArray[np.float64]) -> str:
    x1, y1, x2, y2, score = row.tolist()
    return f"got x1 {x1:g}, y1 {y1:g}, x2 {x2:g}, y2 {y2:g}, score {score:g}"

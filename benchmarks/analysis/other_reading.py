"""Whether boxes match much better when their four numbers are read otherwise: x1, y1, x2, y2 taken for x, y, w, h.

Nothing is read otherwise here: the reading that would fit is named, with the AP that it would give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...datasets.box_format import LAYOUTS, BoxFormat, are_tiny
from ..scoring import ImageBoxes, match
from ..scoring.counting import count
from ..scoring.wider_protocol import exact_average_precision
from ..store.truth import Matched, Truth
from .table import Summary

IMAGES = 200
"""As many images as are looked at: enough to tell readings apart, and no time."""
_SURE = 0.45
"""From this AP on the boxes are read right: twice as much and `_LEAST` cannot be reached."""
_LEAST = 0.1
_HITS, _HITS_OF_RESIZED = 2, 3
_DETECTORS = 5
_NOTE = "Annotated boxes are read as"
_SIDES = (320, 416, 512, 640, 800, 1024, 1280)
"""Sides that detectors' input is often resized to."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The faces and detections of some images, one array each an image.

    Attributes:
        faces: float64 (n, 4), x1, y1, x2, y2 in pixels, of those that count.
        found: float64 (m, 5), x1, y1, x2, y2, score.
        sizes: returns float64 (images, 2), width and height; 0 where they are not known.
    """

    faces: Sequence[NDArray[np.float64]]
    found: Sequence[NDArray[np.float64]]
    sizes: Callable[[], NDArray[np.float64]]

    @classmethod
    def of(cls, truth: Truth, matched: Matched, counted: NDArray[np.bool_]) -> Evidence:
        """Return that of some images of a run."""
        starts, rows = truth.faces.offsets, matched.boxes.offsets
        chosen = spread(truth.faces.images, np.unique(truth.faces.image[counted]).tolist())
        boxes = np.column_stack([matched.boxes.boxes, matched.scores])
        return cls(
            [truth.faces.boxes[starts[i] : starts[i + 1]][counted[starts[i] : starts[i + 1]]] for i in chosen],
            [boxes[rows[i] : rows[i + 1]] for i in chosen],
            lambda: truth.image_sizes[chosen].astype(np.float64),
        )


@dataclass(frozen=True, slots=True)
class OtherReading:
    """A reading that fits much better.

    Attributes:
        format: what the boxes could be.
        average_precision: exact AP at IoU 0.5 in the images looked at.
        as_read: the same as the boxes are read.
    """

    format: BoxFormat
    average_precision: float
    as_read: float

    @property
    def gain(self) -> str:
        """Both values in words."""
        return f"AP would be {self.average_precision:.3f} instead of {self.as_read:.3f}"


def spread(images: int, with_faces: Sequence[int]) -> list[int]:
    """Return which of so many images to look at: all where they are few, else some of those with faces, evenly."""
    if images <= IMAGES:
        return list(range(images))
    places = np.linspace(0, len(with_faces) - 1, min(IMAGES, len(with_faces))).round().astype(int)
    return [with_faces[place] for place in places]


def other_reading(
    evidence: Evidence, *, found: BoxFormat | None = None, faces: BoxFormat | None = None
) -> OtherReading | None:
    """Look for another reading of detections or of faces, where few faces are found as they are read.

    Args:
        evidence: what to compare.
        found: how the detections were read; None where they are not in doubt.
        faces: how the faces were read, if `found` is None.

    Returns:
        The best of the readings that at least double the AP and add 0.1, or None.
    """
    as_read = found or faces
    doubted = evidence.found if found is not None else evidence.faces
    everything = np.concatenate([np.zeros((0, 4)), *(boxes[:, :4] for boxes in doubted)])
    if as_read is None or not len(everything):
        return None
    before, _ = _score(evidence.faces, evidence.found)
    if not before < _SURE:
        return None
    per_box = np.repeat(evidence.sizes(), [len(boxes) for boxes in doubted], axis=0)
    known = (per_box > 0).all(axis=1)
    if as_read.scale and not known.all():
        return None
    numbers = as_read.to_numbers(everything, per_box)
    ends = np.cumsum([len(boxes) for boxes in doubted])[:-1]
    best = OtherReading(as_read, 0.0, before)
    for candidates, fewest in _candidates(numbers, as_read, sized=bool(known.all()), tiny=are_tiny(everything)):
        for candidate in candidates:
            corners = np.split(candidate.to_corners(numbers, per_box), ends)
            if found is not None:
                read = [np.column_stack([c, b[:, 4]]) for c, b in zip(corners, doubted, strict=True)]
                value, hits = _score(evidence.faces, read)
            else:
                value, hits = _score(corners, evidence.found)
            if hits >= fewest and value > best.average_precision:
                best = OtherReading(candidate, value, before)
        if _is_much_better(best.average_precision, before):
            return best
    return None


def _is_much_better(value: float, before: float) -> bool:
    return value >= 2 * before + _LEAST


def _candidates(
    numbers: NDArray[np.float64], as_read: BoxFormat, *, sized: bool, tiny: bool
) -> Iterator[tuple[list[BoxFormat], int]]:
    """Readings to try, the likeliest first, and how many faces they must hit."""
    most = float(np.quantile(np.abs(numbers), 0.99))

    def formats(scales: Sequence[str]) -> list[BoxFormat]:
        return [one for scale in scales for layout in LAYOUTS if (one := BoxFormat(layout, scale)) != as_read]

    parts = [part for part in (1, 100, 1000) if most <= 1.1 * part] if sized else []
    yield formats(["", *map(str, parts)]), 1 if tiny else _HITS
    sides = [side for side in _SIDES if most <= 1.1 * side] if sized and not tiny else []
    yield formats([kind + str(side) for side in sides for kind in ("", "long=", "letterbox=")]), _HITS_OF_RESIZED


def _score(faces: Sequence[NDArray[np.float64]], found: Sequence[NDArray[np.float64]]) -> tuple[float, int]:
    """Exact AP, 0 where there is none, and how many faces are hit."""
    boxes = ImageBoxes.from_images(faces)
    scores = np.concatenate([np.empty(0), *(rows[:, 4] for rows in found)])
    matches = match(boxes, ImageBoxes.from_images([rows[:, :4] for rows in found]), scores)
    counts = count(matches, np.ones(len(boxes), bool))
    value = exact_average_precision(counts)
    return (0.0 if math.isnan(value) else value), int(counts.hits[-1]) if len(counts.hits) else 0


def note_on_annotation(summary: Summary, as_read: BoxFormat) -> None:
    """Add to the notes of a run which other reading of the annotated boxes fits, where no detector agrees with them.

    A note of before, when the run had fewer detectors, goes.

    Args:
        summary: of a run of detectors, whose own boxes are not in doubt.
        as_read: how the annotated boxes were read.
    """
    run = summary.run
    kept = [note for note in run.document.dataset.notes if not note.startswith(_NOTE)]
    notes = (*kept, *filter(None, [_disagreement(summary, as_read)]))
    if notes != run.document.dataset.notes:
        run.save(dataset=replace(run.document.dataset, notes=notes))


def _disagreement(summary: Summary, as_read: BoxFormat) -> str:
    done = [row for row in summary.rows if row.done and row.cell.predictions is None]
    agreed = max((row.exact_ap(summary.primary) for row in done), default=0.0)
    if agreed >= _SURE:
        return ""
    mask = summary.reader.truth.masks["overall"]
    others = []
    for row in done[:_DETECTORS]:
        matched = summary.reader.matched(row.cell)
        other = other_reading(Evidence.of(summary.reader.truth, matched, mask), faces=as_read)
        if other is not None:
            others.append((other.average_precision, row.cell.spec, other))
    value, spec, best = max(others, key=lambda one: one[0], default=(0.0, "", OtherReading(as_read, 0.0, 0.0)))
    if not _is_much_better(value, agreed):
        return ""
    return (
        f"{_NOTE} {as_read.meaning}; read as {best.format.meaning}, {spec}'s {best.gain}: is that "
        f"what they are? box_format={best.format} reads them so."
    )

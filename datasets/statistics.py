"""What a data set is made of, and whether every file of it can be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Dataset
from .images import decode, upright_size

#: Heights of faces in pixels, from the lower edge up to, not including, the upper one.
HEIGHTS_PX = {
    "below 16": (0.0, 16.0),
    "16 to 32": (16.0, 32.0),
    "32 to 96": (32.0, 96.0),
    "96 and more": (96.0, np.inf),
}

_PERCENTILES = (0, 10, 50, 90, 100)


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that cannot be used.

    Attributes:
        file: image_id of a picture, or the path of another file.
        what: what was got and expected.
    """

    file: str
    what: str


def statistics(dataset: Dataset) -> Mapping[str, Any]:
    """Count what a data set holds; of pictures, only headers are read.

    Returns:
        As JSON holds it: `pictures`, `without_faces`, `faces`, `ignored`, `faces_by_height_px`; percentiles 0 (the
        smallest), 10, 50, 90, 100 of `face_height_px`, `picture_width_px` and `picture_height_px` (None where there is
        nothing); `attributes` (name -> value -> faces), `notes`, `faults` (pictures whose header cannot be read).
    """
    faces = [sample.faces for sample in dataset.samples]
    boxes = np.concatenate([some.boxes for some in faces]) if faces else np.zeros((0, 4), np.float32)
    heights = (boxes[:, 3] - boxes[:, 1]).astype(np.float64)
    measured = [(sample.image_id, upright_size(sample.source)) for sample in dataset.samples]
    sizes = np.array([size for _, size in measured if size is not None], np.float64).reshape(-1, 2)
    names = dict.fromkeys(name for some in faces for name in some.attributes)
    attributes = {}
    for name in names:
        labels = np.concatenate([some.attributes[name] for some in faces if name in some.attributes])
        values, counts = np.unique(labels, return_counts=True)
        attributes[name] = {str(value): int(count) for value, count in zip(values, counts, strict=True)}
    return {
        "dataset": dataset.name,
        "description": dataset.description,
        "licence": dataset.licence,
        "fingerprint": dataset.fingerprint,
        "pictures": len(dataset),
        "total": dataset.total,
        "without_faces": sum(not len(some) for some in faces),
        "faces": len(boxes),
        "ignored": sum(int(some.ignore.sum()) for some in faces),
        "faces_by_height_px": {
            name: int(((heights >= low) & (heights < high)).sum()) for name, (low, high) in HEIGHTS_PX.items()
        },
        "face_height_px": _percentiles(heights),
        "picture_width_px": _percentiles(sizes[:, 0]),
        "picture_height_px": _percentiles(sizes[:, 1]),
        "attributes": attributes,
        "notes": list(dataset.notes),
        "faults": [f"{image_id}: the size cannot be read" for image_id, size in measured if size is None],
    }


def undecodable(dataset: Dataset, progress: Callable[[int], None] = lambda done: None) -> list[Fault]:
    """Decode every picture and return those that cannot be used, with the decoder's verdict.

    Args:
        dataset: the pictures.
        progress: called with the number of pictures done.
    """
    faults = []
    for done, sample in enumerate(dataset.samples, start=1):
        decoded = decode(sample.source)
        if decoded.image is None:
            name = str(sample.source) if isinstance(sample.source, Path) else sample.image_id
            faults.append(Fault(name, f"{decoded.verdict}: {decoded.detail}"))
        progress(done)
    return faults


def _percentiles(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    return {str(p): round(float(v), 1) for p, v in zip(_PERCENTILES, np.percentile(values, _PERCENTILES), strict=True)}

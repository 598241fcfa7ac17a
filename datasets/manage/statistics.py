"""What a data set is made of, and whether every file of it can be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import Dataset, Faces
from ..images import DEFAULT_MAX_PIXELS, decode, upright_size

HEIGHTS_PX = MappingProxyType(
    {
        "below 16": (-np.inf, 16.0),
        "16–32": (16.0, 32.0),
        "32–96": (32.0, 96.0),
        "96–200": (96.0, 200.0),
        "200–400": (200.0, 400.0),
        "400–1,000": (400.0, 1000.0),
        "from 1,000": (1000.0, np.inf),
    }
)
"""Name -> lowest height of a face in pixels, and the height it stays below: wherever faces are grouped by height."""
SHARES = MappingProxyType(
    {
        "below 1 %": (-np.inf, 0.01),
        "1–5 %": (0.01, 0.05),
        "5–20 %": (0.05, 0.2),
        "20–50 %": (0.2, 0.5),
        "from 50 %": (0.5, np.inf),
    }
)
"""Name -> smallest share of the image that a face fills, and the share it stays below."""

_PERCENTILES = (0, 10, 50, 90, 100)


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be used.

    Attributes:
        file: image_id of an image, or the path of another file.
        what: what was got and expected.
    """

    file: str
    what: str


def statistics(dataset: Dataset) -> Mapping[str, Any]:
    """Count what a data set holds; of images, only headers are read.

    Returns:
        As JSON holds it: `pictures`, `without_faces`, `faces`, `ignored`, `crowd_regions`, which are no faces and are
        in no other number, `faces_by_height_px`,
        `faces_by_share` of the image's area (without faces of images whose size cannot be read); percentiles 0 (the
        smallest), 10, 50, 90, 100 of `face_height_px`, `picture_width_px` and `picture_height_px` (None where there is
        nothing); `attributes` (name -> value -> faces), `notes`, `faults` (images whose header cannot be read).
    """
    faces = [_without_regions(sample.faces) for sample in dataset.samples]
    boxes = np.concatenate([some.boxes for some in faces]) if faces else np.zeros((0, 4), np.float32)
    heights = (boxes[:, 3] - boxes[:, 1]).astype(np.float64)
    measured = [(sample.image_id, upright_size(sample.source)) for sample in dataset.samples]
    sizes = np.array([size for _, size in measured if size is not None], np.float64).reshape(-1, 2)
    sides = np.array([size or (0, 0) for _, size in measured], np.float64).reshape(-1, 2)
    share = shares(boxes, np.repeat(sides, [len(some) for some in faces], axis=0))
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
        "crowd_regions": sum(len(sample.faces) for sample in dataset.samples) - len(boxes),
        "faces_by_height_px": _by_bin(heights, HEIGHTS_PX),
        "faces_by_share": _by_bin(share, SHARES),
        "face_height_px": _percentiles(heights),
        "picture_width_px": _percentiles(sizes[:, 0]),
        "picture_height_px": _percentiles(sizes[:, 1]),
        "attributes": attributes,
        "notes": list(dataset.notes),
        "faults": [
            f"{sample.image_id}: the size cannot be read ({decode(sample.source).detail})"
            for sample, (_, size) in zip(dataset.samples, measured, strict=True)
            if size is None
        ],
    }


def _without_regions(faces: Faces) -> Faces:
    if faces.crowd is None:
        return faces
    single = ~faces.crowd
    attributes = {name: values[single] for name, values in faces.attributes.items()}
    return Faces(faces.boxes[single], faces.ignore[single], attributes)


def shares(boxes: NDArray[np.floating], sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of an image's area that each box covers, float64 (n,); what lies outside the image is left out.

    Args:
        boxes: (n, 4), x1, y1, x2, y2 in pixels.
        sides: (n, 2), width and height of the image of each box; 0 where they are not known, which gives nan.
    """
    inside = np.maximum(np.minimum(boxes[:, 2:], sides) - np.maximum(boxes[:, :2], 0.0), 0.0)
    area = sides.prod(axis=1)
    found = np.full(len(boxes), np.nan)
    np.divide(inside.prod(axis=1), area, out=found, where=area > 0)
    return found


def undecodable(
    dataset: Dataset,
    progress: Callable[[int], None] = lambda done: None,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> list[BadFile]:
    """Decode every image and return those that cannot be used, with the decoder's verdict.

    Args:
        dataset: the images.
        progress: called with the number of images done.
        max_pixels: see `decode`.
    """
    faults = []
    for done, sample in enumerate(dataset.samples, start=1):
        decoded = decode(sample.source, max_pixels=max_pixels)
        if decoded.image is None:
            name = str(sample.source) if isinstance(sample.source, Path) else sample.image_id
            faults.append(BadFile(name, f"{decoded.verdict}: {decoded.detail}"))
        progress(done)
    return faults


def in_bins(values: NDArray[np.float64], bins: Mapping[str, tuple[float, float]]) -> NDArray[np.str_]:
    """Return the name of the bin of each value (n,), empty where it is not a number."""
    names = np.array(["", *bins])
    place = np.digitize(values, [low for low, _ in bins.values()])
    return names[np.where(np.isnan(values), 0, place)]


def _by_bin(values: NDArray[np.float64], bins: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    found = in_bins(values, bins)
    return {name: int((found == name).sum()) for name in bins}


def _percentiles(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not len(values):
        return None
    return {str(p): round(float(v), 1) for p, v in zip(_PERCENTILES, np.percentile(values, _PERCENTILES), strict=True)}

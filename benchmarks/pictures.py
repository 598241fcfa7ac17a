"""The pictures of a run: decoded once, kept while they fit, left out for every detector where they cannot be read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..datasets import Dataset, Sample, decode
from ..detectors import RGBImage
from ..errors import ResultsError, UsageError
from .plan import Observer
from .results import RunFolder

_CACHE_BYTES = 512 * 2**20


class Pictures:
    """Decoded pictures, kept while they fit into half a gigabyte."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = {sample.image_id: sample for sample in samples}
        self._kept: dict[str, RGBImage] = {}
        self._bytes = 0

    def get(self, image_id: str) -> RGBImage:
        """Return one picture, decoded."""
        if image_id in self._kept:
            return self._kept[image_id]
        decoded = decode(self._samples[image_id].source)
        if decoded.image is None:
            raise ResultsError(
                f"{image_id} could be read when the run began and now it is {decoded.verdict}: {decoded.detail}. "
                "Leave the data set alone while it is measured; start again with another --out"
            )
        self.keep(image_id, decoded.image)
        return decoded.image

    def keep(self, image_id: str, image: RGBImage) -> None:
        """Keep a decoded picture if it fits."""
        if self._bytes + image.nbytes <= _CACHE_BYTES:
            self._kept[image_id] = image
            self._bytes += image.nbytes


def look_at_pictures(dataset: Dataset, folder: RunFolder, pictures: Pictures, observer: Observer) -> list[str]:
    """Decode every picture once; return the ids of those that all detectors will see.

    What cannot be decoded is left out for every detector, and stored with its verdict.
    """
    if (folder.path / "pictures.parquet").exists():
        stored = folder.pictures()
        return stored.loc[stored["verdict"] == "ok", "image_id"].tolist()
    rows, outside = [], 0
    for index, sample in enumerate(dataset.samples):
        began = time.perf_counter()
        decoded = decode(sample.source)
        decode_ms = (time.perf_counter() - began) * 1000
        height, width = decoded.image.shape[:2] if decoded.image is not None else (0, 0)
        rows.append((sample.image_id, decoded.verdict, decoded.detail, width, height, decode_ms))
        if decoded.image is not None:
            pictures.keep(sample.image_id, decoded.image)
            boxes = sample.faces.boxes
            outside += int(
                ((boxes[:, 2] <= 0) | (boxes[:, 3] <= 0) | (boxes[:, 0] >= width) | (boxes[:, 1] >= height)).sum()
            )
        observer.decoding(index + 1, len(dataset))
    table = pd.DataFrame(rows, columns=["image_id", "verdict", "detail", "width", "height", "decode_ms"])
    folder.write_pictures(table, faces_table(dataset.samples))
    if outside:
        folder.document["dataset"]["notes"].append(f"{outside} annotated boxes lie wholly outside their picture")
    folder.document["excluded"] = [row[:3] for row in rows if row[1] != "ok"]
    folder.save()
    usable = [row[0] for row in rows if row[1] == "ok"]
    if not usable:
        raise UsageError(
            f"none of the {len(rows)} pictures of {dataset.name} can be decoded: {rows[0][2] if rows else ''}"
        )
    return usable


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return what run.json says about a data set."""
    return {
        "name": dataset.name,
        "coverage": dataset.coverage,
        "pictures": len(dataset),
        "total": dataset.total,
        "lists": list(dataset.lists),
        "demo": dataset.demo,
        "description": dataset.description,
        "licence": dataset.licence,
        "fingerprint": dataset.fingerprint,
        "notes": list(dataset.notes),
    }


def faces_table(samples: Sequence[Sample]) -> pd.DataFrame:
    """Return the annotated faces of all pictures, of which there is at least one, as faces.parquet holds them."""
    faces = [sample.faces for sample in samples]
    boxes = np.concatenate([some.boxes for some in faces])
    ids = np.array([sample.image_id for sample in samples], dtype=object)
    return pd.DataFrame(
        {
            "image_id": np.repeat(ids, [len(some) for some in faces]),
            **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
            "ignore": np.concatenate([some.ignore for some in faces]),
            **{name: np.concatenate([some.attributes[name] for some in faces]) for name in faces[0].attributes},
        }
    )

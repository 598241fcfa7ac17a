"""The images of a run: decoded once, kept while they fit, left out for every detector where they cannot be read."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from ...datasets import Dataset, Sample, decode
from ...datasets.base import crowd_regions
from ...datasets.images import DEFAULT_MAX_PIXELS, upright_size
from ...detectors import RGBImage
from ...errors import ResultsError, UsageError
from ..store.run_document import DatasetInfo, RunDocument
from ..store.run_folder import RunFolder
from ..store.truth import CROWD, decoded, decoded_ids
from . import environment
from .executors.base import Executor
from .executors.work import ImageReader, Item, Look, look
from .plan import Observer

_CACHE_BYTES = 512 * 2**20
_CHUNK = 64


class Images:
    """Decoded images, kept while they fit into half a gigabyte; `max_pixels` is that of `datasets.decode`."""

    def __init__(self, samples: Sequence[Sample], max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        self._samples = {sample.image_id: sample for sample in samples}
        self._kept: dict[str, RGBImage] = {}
        self._bytes = 0

    def get(self, image_id: str) -> RGBImage:
        """Return one image, decoded."""
        if image_id in self._kept:
            return self._kept[image_id]
        decoded = decode(self._samples[image_id].source, max_pixels=self.max_pixels)
        if decoded.image is None:
            raise ResultsError(
                f"{image_id} could be read when the run began and now it is {decoded.verdict}: {decoded.detail}. "
                "Leave the data set alone while it is measured; start again with another --out"
            )
        self.keep(image_id, decoded.image)
        return decoded.image

    def keep(self, image_id: str, image: RGBImage) -> None:
        """Keep a decoded image if it fits."""
        if self._bytes + image.nbytes <= _CACHE_BYTES:
            self._kept[image_id] = image
            self._bytes += image.nbytes


def look_at_images(
    dataset: Dataset, folder: RunFolder, images: Images, observer: Observer, executor: Executor | None = None
) -> list[str]:
    """Decode every image once, unless the folder knows them; return the ids of those that all detectors will see.

    What cannot be decoded is left out for every detector, and stored with its verdict.

    Raises:
        UsageError: no image can be decoded, or the folder was begun with a lower limit of their size.
    """
    if (folder.path / "pictures.parquet").exists():
        table = folder.images()
        _check_limit(dataset, folder, table, images.max_pixels)
    else:
        if executor is None:
            table = decode_all(dataset, images, observer)
        else:
            table = _decode_by(executor, dataset, images.max_pixels, observer)
        folder.write_images(table, faces_table(dataset.samples))
    if folder.document.excluded is None:  # a run killed between the two files goes on here
        _note_what_is_odd(dataset, folder, table)
    return usable_ids(table, dataset.name)


def _check_limit(dataset: Dataset, folder: RunFolder, table: pd.DataFrame, max_pixels: int) -> None:
    sources = {sample.image_id: sample.source for sample in dataset.samples}
    for image_id in table.loc[table["verdict"] == "too large", "image_id"]:
        size = upright_size(sources[image_id])
        if size is not None and size[0] * size[1] <= max_pixels:
            raise UsageError(
                f"{folder.path} was begun with a lower --max-megapixels, which left out {image_id}; "
                "choose another --out"
            )


def _note_what_is_odd(dataset: Dataset, folder: RunFolder, table: pd.DataFrame) -> None:
    faces = faces_table(dataset.samples)
    outside = _count_outside(faces, decoded(table))
    described = folder.document.dataset
    notes = [f"{outside} annotated boxes lie wholly outside their image"] if outside else []
    for verdict in ("no decoder", "too large"):  # for which there is a remedy
        details = table.loc[table["verdict"] == verdict, "detail"]
        if len(details):
            notes.append(f"Images left out ({verdict}): {len(details):,}; {details.iloc[0]}.")
    described = replace(described, notes=(*described.notes, *notes))
    excluded = table.loc[table["verdict"] != "ok", ["image_id", "verdict", "detail"]]
    folder.save(dataset=described, excluded=tuple(map(tuple, excluded.to_numpy().tolist())))


def decode_all(dataset: Dataset, images: Images, observer: Observer) -> pd.DataFrame:
    """Decode every image once and keep those that fit; return all of them as pictures.parquet has them."""
    rows = []
    for index, sample in enumerate(dataset.samples):
        seen, found = look(sample.image_id, sample.source, images.max_pixels)
        rows.append(seen)
        if found.image is not None:
            images.keep(sample.image_id, found.image)
        observer.decoding(index + 1, len(dataset))
    return pd.DataFrame(rows)


def _decode_by(executor: Executor, dataset: Dataset, max_pixels: int, observer: Observer) -> pd.DataFrame:
    """Do what `decode_all` does by several workers, keep no image and no time."""
    items = [Item(sample.image_id, sample.source) for sample in dataset.samples]
    chunks = (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
    seen: dict[str, Look] = {}
    with closing(executor.map(partial(ImageReader, max_pixels), chunks)) as answers:
        for looks in answers:
            seen |= {one.image_id: one for one in looks}
            observer.decoding(len(seen), len(items))
    return pd.DataFrame([seen[item.image_id] for item in items]).drop(columns="decode_ms")


def usable_ids(table: pd.DataFrame, name: str) -> list[str]:
    """Return the ids of the images that could be decoded; `name` is that of their data set.

    Raises:
        UsageError: there is none.
    """
    found = decoded_ids(table)
    if not found:
        raise UsageError(f"none of the {len(table)} images of {name} can be decoded: {table['detail'].iloc[0]}")
    return found


def _count_outside(faces: pd.DataFrame, images: pd.DataFrame) -> int:
    sizes = images.set_index("image_id")[["width", "height"]]
    boxes = faces[["image_id", "x1", "y1", "x2", "y2"]].join(sizes, on="image_id", how="inner")
    beyond = (boxes["x1"] >= boxes["width"]) | (boxes["y1"] >= boxes["height"])
    return int(((boxes["x2"] <= 0) | (boxes["y2"] <= 0) | beyond).sum())


def new_document(dataset: Dataset) -> RunDocument:
    """Return run.json as it begins."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return RunDocument(environment.describe(), describe_dataset(dataset), created, cells=())


def describe_dataset(dataset: Dataset) -> DatasetInfo:
    """Return what run.json says about a data set."""
    return DatasetInfo(
        name=dataset.name,
        coverage=dataset.coverage,
        images=len(dataset),
        total=dataset.total,
        lists=tuple(dataset.lists),
        demo=dataset.demo,
        description=dataset.description,
        licence=dataset.licence,
        fingerprint=dataset.fingerprint,
        notes=tuple(dataset.notes),
    )


def faces_table(samples: Sequence[Sample]) -> pd.DataFrame:
    """Return the annotated faces of all images, of which there is at least one, as faces.parquet holds them."""
    faces = [sample.faces for sample in samples]
    boxes = np.concatenate([some.boxes for some in faces])
    ids = np.array([sample.image_id for sample in samples], dtype=object)
    crowd = crowd_regions(faces)
    return pd.DataFrame(
        {
            "image_id": np.repeat(ids, [len(some) for some in faces]),
            **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
            "ignore": np.concatenate([some.ignore for some in faces]),
            **{name: np.concatenate([some.attributes[name] for some in faces]) for name in faces[0].attributes},
            **({} if crowd is None else {CROWD: crowd}),
        }
    )

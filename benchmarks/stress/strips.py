"""One face of the data set under each degradation, small, so that a report shows what was done.

```
RUN/stress/strips/<kind>-<severity>.jpg    a window of the degraded image at its own pixels, around the face
RUN/stress/strips/strips.json              schema, image_id, and for each window its boxes; "clean" is undegraded
```

The window keeps the pixels of the image: scaled down, a blur of 3 px would not be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...datasets import Dataset, Sample, decode
from ...datasets.degraded.degradations import Degradation
from ...datasets.degraded.degraded import degrade
from ...detectors import RGBImage
from ...errors import ResultsError
from ..measure.previews import encode_jpeg
from ..store.documents import json_text, read_document, sealed
from ..store.jpegs import checksum, read_jpeg
from ..store.plain import Record
from ..store.run_folder import write_atomically

SCHEMA = "facebench.stress-strips"
SCHEMA_VERSION = 1
SIDE_PX = 240
FOLDER = "strips"
CLEAN = "clean"
_FACE_PX = 96
_JPEG_QUALITY = 88
_PLAIN_LABELS = ("blur", "expression", "illumination", "occlusion", "pose", "invalid")
_REMEDY = "Remove its folder and run again to write it again: facebench stress"


@dataclass(frozen=True, slots=True)
class Window(Record):
    """Part of an image.

    Attributes:
        name: "clean", or kind and severity as in "blur-3"; the file is named after it.
        width: pixels, at most `SIDE_PX`.
        height: pixels.
        boxes: of the faces in it, x1, y1, x2, y2 in its own pixels, those to be ignored left out.
        crc32: of the file; empty in runs of before.

    Raises:
        UsageError: there is no such kind or severity.
    """

    name: str
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]
    crc32: str = ""

    def __post_init__(self) -> None:
        # it names a file, and a run folder may come from someone else
        if self.name != CLEAN:
            kind, _, severity = self.name.partition("-")
            Degradation.parse(f"{kind}:{severity}")


@dataclass(frozen=True, slots=True)
class Strips(Record):
    """The windows of a stress run.

    Attributes:
        image_id: of the image that all are of.
        windows: the first is of the image as it is.
    """

    image_id: str
    windows: tuple[Window, ...]


def write_strips(folder: Path, dataset: Dataset, degradations: Sequence[Degradation], seed: int) -> None:
    """Store the windows, unless they are there.

    Args:
        folder: RUN/stress.
        dataset: as it is.
        degradations: those to show.
        seed: of what is drawn at random in them.

    Raises:
        ResultsError: the folder cannot be written.
    """
    path = folder / FOLDER
    names = {CLEAN, *(f"{one.kind}-{one.severity}" for one in degradations)}
    before = read_strips(folder)
    if before is not None and names == {window.name for window in before.windows}:
        return
    chosen = choose_face(dataset.samples)
    if chosen is None:
        return
    sample, face = chosen
    alone = replace(dataset, samples=(sample,))
    sources = {CLEAN: alone, **{f"{one.kind}-{one.severity}": degrade(alone, one, seed) for one in degradations}}
    windows = []
    for name, source in sources.items():
        image = decode(source.samples[0].source).image
        if image is None:
            continue
        faces = source.samples[0].faces
        part, shift = window(image, faces.boxes[face])
        height, width = part.shape[:2]
        boxes = (faces.boxes[~faces.ignore] - np.tile(shift, 2)).round(1)
        seen = (boxes[:, :2] < (width, height)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        data = encode_jpeg(part, (width, height), _JPEG_QUALITY)
        write_atomically(path / f"{name}.jpg", data)
        windows.append(Window(name, width, height, tuple(tuple(box) for box in boxes[seen].tolist()), checksum(data)))
    found = Strips(sample.image_id, tuple(windows))
    index = sealed({"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **found.to_json()})
    write_atomically(path / "strips.json", json_text(index).encode())


def read_strips(folder: Path) -> Strips | None:
    """Return the windows of RUN/stress; None where there are none.

    Raises:
        ResultsError: the index is damaged.
        SchemaVersionError: it was written by another version of the format.
    """
    path = folder / FOLDER / "strips.json"
    if not path.exists():
        return None
    index = read_document(path, SCHEMA, SCHEMA_VERSION, _REMEDY, folder=folder.parent)
    try:
        return Strips.from_json(index)
    except ResultsError as error:
        raise ResultsError(f"{path} is damaged: {error}. {_REMEDY}") from error


def read_window(folder: Path, window: Window) -> bytes:
    """Return the JPEG file of a window of RUN/stress.

    Raises:
        ResultsError: it is missing, a link, or another file than was written.
    """
    name = f"{folder.name}/{FOLDER}/{window.name}.jpg"
    return read_jpeg(folder.parent, name, (window.width, window.height), window.crc32, _REMEDY)


def choose_face(samples: Sequence[Sample]) -> tuple[Sample, int] | None:
    """Return the sample and the place of the face to show: one that can be decoded, without flaws, about 96 px high.

    None where no face is to be found. Of equally good ones the first by image_id.
    """
    found: list[tuple[int, float, str, int, Sample]] = []
    for sample in samples:
        faces = sample.faces
        flaws = np.zeros(len(faces), np.int64)
        for label in _PLAIN_LABELS:
            flaws += faces.attributes[label] > 0 if label in faces.attributes else 0
        heights = faces.boxes[:, 3] - faces.boxes[:, 1]
        for place in np.flatnonzero(~faces.ignore & (heights > 0)).tolist():
            off = abs(math.log(float(heights[place]) / _FACE_PX))
            found.append((int(flaws[place]), off, sample.image_id, place, sample))
    for *_, place, sample in sorted(found, key=lambda one: one[:4]):
        if decode(sample.source).image is not None:
            return sample, place
    return None


def window(image: RGBImage, box: NDArray[np.float32]) -> tuple[RGBImage, NDArray[np.int64]]:
    """Return the part of an image around a box, and x and y of its corner; it stays inside the image."""
    size = np.array([image.shape[1], image.shape[0]])
    extent = np.minimum(size, SIDE_PX)
    corner = np.clip(np.rint((box[:2] + box[2:]) / 2 - extent / 2), 0, size - extent).astype(np.int64)
    (x, y), (width, height) = corner.tolist(), extent.tolist()
    return np.ascontiguousarray(image[y : y + height, x : x + width]), corner

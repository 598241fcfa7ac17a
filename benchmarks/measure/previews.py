"""A few small images of a run for its report: those on which the finished detectors differ most.

```
RUN/previews/<name>.jpg    the image, long side at most 720 px, named after its image_id
RUN/previews/previews.json schema, and for each preview: image_id, file, width, height, scale (preview over image),
                           crc32 of the file
```

The index is written last and names only files that are complete, so a report never needs the data set.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...detectors import RGBImage
from ...errors import ResultsError
from ..scoring import ImageBoxes
from ..scoring.verdicts import faces_not_hit, verdicts
from ..store.documents import json_text, read_document, sealed
from ..store.jpegs import checksum, read_jpeg
from ..store.plain import Record
from ..store.run_folder import RunFolder, write_atomically
from ..store.truth import Matched, RunReader, Truth

SCHEMA = "facebench.previews"
SCHEMA_VERSION = 1
LONG_SIDE_PX = 720
_JPEG_QUALITY = 80
_REMEDY = "Remove its folder and run again to write it again"


@dataclass(frozen=True, slots=True)
class Preview(Record):
    """One stored image.

    Attributes:
        image_id: the image's name in its data set.
        file: name of the JPEG file in RUN/previews/.
        width: of the preview, pixels.
        height: of the preview, pixels.
        scale: preview pixels an image pixel, at most 1.
        crc32: of the file; empty in runs of before.

    Raises:
        ResultsError: the file is not one beside the index, or the scale is out of range.
    """

    image_id: str
    file: str
    width: int
    height: int
    scale: float
    crc32: str = ""

    def __post_init__(self) -> None:
        # a run folder may come from someone else: nothing outside it may end up in a report
        if not re.fullmatch(r"[0-9a-f]+\.jpg", self.file):
            raise ResultsError(f"file: got {self.file!r:.60}, expected one beside the index")
        if not 0 < self.scale <= 1:
            raise ResultsError(f"scale: got {self.scale!r:.60}, expected above 0 and at most 1")


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What became of every box and every face at a detector's operating threshold.

    Attributes:
        boxes: float64 (n, 4): the boxes at or above the threshold, pixels of the original image.
        image: int64 (n,): the image of each box.
        hit: bool (n,): the box hits a face that counts.
        false_alarm: bool (n,): the box is on no face, or on one that is hit already. A box that is neither lies on a
            face to be ignored or in a crowd region.
        faces: all annotated faces.
        counted: bool (faces,): faces that are to be found; the others are ignored.
        found: bool (faces,): faces that are hit.
    """

    boxes: NDArray[np.float64]
    image: NDArray[np.int64]
    hit: NDArray[np.bool_]
    false_alarm: NDArray[np.bool_]
    faces: ImageBoxes
    counted: NDArray[np.bool_]
    found: NDArray[np.bool_]


def judge(truth: Truth, found: Matched) -> Outcomes:
    """Decide for every box of a cell at its threshold whether it is a hit or a false alarm.

    The rules are those of `scoring`, over all faces that are not ignored: what is summed up here is what the columns
    precision and recall say.
    """
    counted, matches = truth.masks["overall"], found.matches
    judged = verdicts(matches, counted)
    accepted = matches.scores >= found.threshold
    shown, hit, false_alarm = (np.zeros(len(found.boxes), dtype=bool) for _ in range(3))
    for of_box, of_match in ((shown, accepted), (hit, judged.hit), (false_alarm, judged.false_alarm)):
        of_box[matches.detection[of_match]] = True
    return Outcomes(
        boxes=found.boxes.boxes[shown],
        image=found.boxes.image[shown],
        hit=hit[shown],
        false_alarm=false_alarm[shown],
        faces=truth.faces,
        counted=counted,
        found=counted & ~faces_not_hit(matches, counted, judged.hit & accepted),
    )


def write_previews(run: RunFolder, get_image: Callable[[str], RGBImage], limit: int = 12) -> list[Preview]:
    """Store the images that tell most about the finished cells, in place of those stored before.

    Args:
        run: a run whose cells have their final state.
        get_image: the decoded image of an image_id.
        limit: how many images at most.

    Raises:
        ResultsError: a table is missing or damaged, or the folder cannot be written.
    """
    folder = run.path / "previews"
    previews = []
    for image_id in choose(run, limit):
        image = get_image(image_id)
        height, width = image.shape[:2]
        scale = min(1.0, LONG_SIDE_PX / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        file = hashlib.sha256(image_id.encode()).hexdigest()[:16] + ".jpg"
        data = encode_jpeg(image, size, _JPEG_QUALITY)
        write_atomically(folder / file, data)
        previews.append(Preview(image_id, file, *size, scale, checksum(data)))
    plain = [preview.to_json() for preview in previews]
    index = sealed({"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "previews": plain})
    write_atomically(folder / "previews.json", json_text(index).encode())
    kept = {preview.file for preview in previews}
    for path in folder.glob("*.jpg"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
    return previews


def read_previews(run: RunFolder) -> list[Preview]:
    """Return the previews of a run; none where it was stopped before they were written.

    Raises:
        ResultsError: the index is damaged.
        SchemaVersionError: it was written by another version of the format.
    """
    path = run.path / "previews" / "previews.json"
    if not path.exists():
        return []
    index = read_document(path, SCHEMA, SCHEMA_VERSION, _REMEDY, folder=run.path)
    try:
        return list(_PreviewIndex.from_json(index).previews)
    except ResultsError as error:
        raise ResultsError(f"{path} is damaged: {error}. {_REMEDY}") from error


@dataclass(frozen=True, slots=True)
class _PreviewIndex(Record):
    previews: tuple[Preview, ...]


def read_preview(run: RunFolder, preview: Preview) -> bytes:
    """Return the JPEG file of a preview.

    Raises:
        ResultsError: it is missing, a link, or another file than was written.
    """
    return read_jpeg(run.path, f"previews/{preview.file}", (preview.width, preview.height), preview.crc32, _REMEDY)


def choose(run: RunFolder, limit: int) -> list[str]:
    """Return the image_ids of the images on which the finished cells differ most, most telling first.

    Images with faces are ordered by the standard deviation, over the detectors, of the faces found, over the square
    root of the number of faces: by the share found images of one face would come first, by the number found crowds.
    Of equal ones that with more misses and false alarms comes first. At the end stand images without a face to be
    found, those with most false alarms, at most a sixth of all.
    """
    cells = [cell for cell in run.cells if cell.done]
    if not cells or limit < 1:
        return []
    reader = RunReader(run)
    image_ids = reader.truth.image_ids
    hits = np.zeros((len(cells), len(image_ids)))
    false_alarms = np.zeros_like(hits)
    faces = np.zeros(len(image_ids))
    for row, cell in enumerate(cells):
        outcomes = judge(reader.truth, reader.matched(cell))
        hits[row] = np.bincount(outcomes.image[outcomes.hit], minlength=len(image_ids))
        false_alarms[row] = np.bincount(outcomes.image[outcomes.false_alarm], minlength=len(image_ids))
        faces = np.bincount(outcomes.faces.image[outcomes.counted], minlength=len(image_ids)).astype(float)
    spread = np.round(np.std(hits, axis=0) / np.sqrt(np.maximum(faces, 1)), 6)
    errors = (faces - hits + false_alarms).sum(axis=0)
    order = sorted(range(len(image_ids)), key=lambda i: (-spread[i], -errors[i], image_ids[i]))
    empty = [i for i in order if faces[i] == 0 and errors[i] > 0][: limit // 6]
    with_faces = [i for i in order if faces[i] > 0][: limit - len(empty)]
    return [image_ids[i] for i in with_faces + empty]


def encode_jpeg(image: RGBImage, size: tuple[int, int], quality: int, comment: bytes = b"") -> bytes:
    """Return an image as JPEG, resized to (width, height) pixels, with a comment near its begin."""
    from PIL import Image

    resized = Image.fromarray(image)
    if resized.size != size:
        resized = resized.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    resized.save(buffer, "JPEG", quality=quality, comment=comment)
    return buffer.getvalue()

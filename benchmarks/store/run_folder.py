"""The run folder: written so that no crash leaves a file that reads as complete, and read back as data frames.

```
run.json                     schema version, environment, data set, protocol, cells with their state
pictures.parquet             one row per image: image_id, verdict, detail, width, height, decode_ms (without it where
                             several workers decoded side by side)
faces.parquet                one row per annotated face: image_id, x1, y1, x2, y2, ignore, attributes, iscrowd if any
cells/<spec>-<key>/
    journal.jsonl            one line per image while the cell runs; what is lost with a crash is the last line at most
    journal-damaged-1.jsonl  a journal with a line that is not what was written, kept unread
    detections.parquet       one row per detection: image_id, x1, y1, x2, y2, score, landmark columns
    timings.parquet          one row per call: image_id, round (0 first), order, detect_ms, cpu_ms, queued_ms, pre_ms,
                             inference_ms, post_ms (NaN where the adapter cannot tell), pixels, detections
    batches.parquet          where batches were asked for, one row per image and call: image_id, batch (images in a full
                             one), round, call (in the order measured), batch_ms (of the whole call)
    worker.log               what the child printed last
previews/                    a few images for the report, small
.lock                        held by the process that writes
```

Complete files are written beside their place, flushed to the disk, then moved over it in one step. Boxes are pixels of
the original image, times milliseconds, memory MB.
"""

from __future__ import annotations

import dataclasses
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from ...detectors import Detections
from ...errors import ResultsError, SchemaVersionError
from .checked_tables import BOX, LANDMARKS, check_batches, check_detections, check_faces, check_images, check_timings
from .damaged import read_cell
from .documents import CHANGED, is_whole, json_text, read_json, sealed
from .inside import read_inside
from .journal import ImageRecord, JournalContent, Repeat
from .records import BatchCall, StoredCell
from .run_document import RunDocument, upgraded
from .sealed_tables import read_table, table_bytes, write_parts

SCHEMA = "facebench.run"
SCHEMA_VERSION = 2
"""2: every cell has its protocol, timings have rounds. Version 1 is read: one protocol a run, one round."""
_CELLS = "cells"
_STAGES = ("pre_ms", "inference_ms", "post_ms")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        ResultsError: the disk is full, or the folder cannot be written to.
    """
    with _whole_or_not(path) as file:
        file.write(data)


@contextmanager
def _whole_or_not(path: Path) -> Iterator[IO[bytes]]:
    """Give a file beside the path, and move it there once it is complete and on the disk."""
    # nobody can know the name before, and "x" follows no link
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    write_atomically(path, table_bytes(table))


def _write_parts(path: Path, parts: Iterator[pd.DataFrame]) -> None:
    """Write tables of the same columns below one another; an empty `parts` gives a table of detections without rows."""
    first = next(parts, detections_table([]))
    with _whole_or_not(path) as file:
        write_parts(file, chain([first], parts))


class RunFolder:
    """A results folder, opened for reading or writing.

    Attributes:
        path: the folder.
        document: the content of run.json.
    """

    def __init__(self, path: Path, document: RunDocument) -> None:
        self.path = path
        self.document = document
        self._damaged: dict[tuple[object, ...], StoredCell] = {}

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a folder that holds a run; a cell whose record or tables are damaged has that status, and why.

        Raises:
            ResultsError: there is no run in it, or run.json is damaged outside its cells.
            SchemaVersionError: it was written by another version of the format.
        """
        file = path / "run.json"
        try:
            plain = read_json(file, "Expected the JSON that facebench run writes", folder=path)
        except FileNotFoundError:
            raise ResultsError(
                f"{path} holds no run: expected {file}. Make one with: facebench run --out {path}"
            ) from None
        if not isinstance(plain, dict) or plain.get("schema") != SCHEMA:
            raise ResultsError(f'{file} is not a facebench run: expected "schema": {SCHEMA!r}')
        if plain.get("schema_version") not in (1, SCHEMA_VERSION):
            raise SchemaVersionError(
                f"{file} has schema version {plain.get('schema_version')!r}, this facebench reads {SCHEMA_VERSION}. "
                "Use the facebench that wrote it, or measure again into another folder"
            )
        content = upgraded(plain)
        try:
            document = _document(plain, content)
        except ResultsError as error:
            raise ResultsError(f"{file} is damaged: {error}. Measure again into another folder") from error
        pairs = zip(content[_CELLS], plain[_CELLS], strict=True)
        cells = (read_cell(cell, whole, f"{_CELLS}[{n}]") for n, (cell, whole) in enumerate(pairs))
        run = cls(path, dataclasses.replace(document, cells=tuple(cells)))
        run._vet()
        return run

    @classmethod
    def create(cls, path: Path, document: RunDocument) -> RunFolder:
        """Start a run in a new or empty folder."""
        run = cls(path, document)
        run.save()
        return run

    def save(self, **changes: Any) -> None:
        """Write run.json, with these parts of the document changed."""
        self.document = dataclasses.replace(self.document, **changes)
        plain = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **self.document.to_json()}
        plain[_CELLS] = [sealed(cell) for cell in plain[_CELLS]]
        write_atomically(self.path / "run.json", json_text(sealed(plain, apart=_CELLS)).encode())

    @property
    def cells(self) -> tuple[StoredCell, ...]:
        """The cells, as stored; those whose tables could not be read when the folder was opened say so."""
        return tuple(self._damaged.get(cell.place, cell) for cell in self.document.cells)

    def _vet(self) -> None:
        """Find the finished cells whose tables are missing or damaged.

        run.json stays as it is: what cannot be read now may be readable later.
        """
        for cell in self.document.cells:
            if cell.done:
                try:
                    self.detections(cell)
                    if cell.rounds:
                        self.timings(cell)
                    if cell.batching:
                        self.batches(cell)
                except ResultsError as error:
                    self._damaged[cell.place] = dataclasses.replace(cell, status="damaged", reason=str(error))

    def put_cell(self, cell: StoredCell) -> None:
        """Store a cell in place of the one for the same detector, protocol, device and threads, and save."""
        self._damaged.pop(cell.place, None)
        # one that is damaged may name another place than it had
        before = [one for one in self.document.cells if one.status != "damaged" or one.key != cell.key]
        self.save(cells=tuple({**{one.place: one for one in before}, cell.place: cell}.values()))

    def cell_path(self, cell: StoredCell) -> Path:
        """Return the folder of a cell's files."""
        return self.path / "cells" / cell.folder

    def write_images(self, images: pd.DataFrame, faces: pd.DataFrame) -> None:
        """Store the images and the annotation that the cells will be scored with."""
        _write_table(self.path / "faces.parquet", faces)
        _write_table(self.path / "pictures.parquet", images)

    def images(self) -> pd.DataFrame:
        """One row per image."""
        return self._read("pictures.parquet", check_images)

    def faces(self) -> pd.DataFrame:
        """One row per annotated face, in the annotation's order."""
        return self._read("faces.parquet", lambda table: check_faces(table, self.document.dataset.lists))

    def detections(self, cell: StoredCell) -> pd.DataFrame:
        """One row per detection of a finished cell, images in run order, best first within an image."""
        return self._read(f"cells/{cell.folder}/detections.parquet", check_detections)

    def timings(self, cell: StoredCell) -> pd.DataFrame:
        """One row per call of a finished cell, in the order measured; see the module for the columns."""
        table = self._read(f"cells/{cell.folder}/timings.parquet", check_timings)
        missing = {"round": 0, **dict.fromkeys(("cpu_ms", "queued_ms", *_STAGES), np.nan)}
        return table.assign(**{name: value for name, value in missing.items() if name not in table})

    def write_cell(self, cell: StoredCell, records: Sequence[ImageRecord], repeats: Sequence[Repeat] = ()) -> None:
        """Turn a complete journal into the two tables of a cell."""
        folder = self.cell_path(cell)
        _write_table(folder / "detections.parquet", detections_table(records))
        _write_table(folder / "timings.parquet", _timings_table(records, repeats))

    def write_detections(self, cell: StoredCell, batches: Iterator[Sequence[ImageRecord]], *, landmarks: bool) -> None:
        """Write the tables of a cell that was not timed, a batch at a time.

        Args:
            cell: as stored.
            batches: records in the order of the run.
            landmarks: whether one of them has landmarks, which gives all of them the columns.
        """
        folder = self.cell_path(cell)
        _write_parts(folder / "detections.parquet", (detections_table(batch, landmarks) for batch in batches))
        _write_table(folder / "timings.parquet", _timings_table([], []))

    def write_batches(self, cell: StoredCell, calls: Sequence[BatchCall]) -> None:
        """Write what each batch took."""
        counts = [len(call.image_ids) for call in calls]
        table = pd.DataFrame(
            {
                "image_id": np.array([name for call in calls for name in call.image_ids], dtype=object),
                "batch": np.repeat(np.array([call.batch for call in calls], np.int64), counts),
                "round": np.repeat(np.array([call.round for call in calls], np.int64), counts),
                "call": np.repeat(np.arange(len(calls)), counts),
                "batch_ms": np.repeat(np.array([call.batch_ms for call in calls], np.float64), counts),
            }
        )
        _write_table(self.cell_path(cell) / "batches.parquet", table)

    def batches(self, cell: StoredCell) -> pd.DataFrame:
        """One row per image and call of a cell with `batching`, in the order measured; see the module."""
        return self._read(f"cells/{cell.folder}/batches.parquet", check_batches)

    def content(self, cell: StoredCell) -> JournalContent:
        """Return what a finished cell holds, for going on with more rounds: detections and, apart from them, times."""
        timings, found = self.timings(cell), self.detections(cell)
        content = JournalContent(skipped=dict(cell.failed_images))
        if cell.rounds and cell.start is not None:
            content.starts.append(cell.start)
        content.see_memory(cell.peak_rss_mb or 0.0, cell.device_memory_mb)
        rows = dict(iter(found.groupby("image_id", sort=False)))
        # an image whose first timing failed has detections all the same
        seen = self.images().query("verdict == 'ok'")
        for name, width, height in seen[["image_id", "width", "height"]].itertuples(index=False):
            if name not in content.skipped:
                content.records[name] = ImageRecord(
                    name, _detections_of(rows.get(name)), math.nan, int(width) * int(height)
                )
        for name, number, detect_ms, cpu_ms, queued_ms, *stages, count in timings[
            ["image_id", "round", "detect_ms", "cpu_ms", "queued_ms", *_STAGES, "detections"]
        ].itertuples(index=False):
            known = None if np.isnan(stages).any() else (stages[0], stages[1], stages[2])
            if number >= cell.rounds:
                continue  # of a round that the cell does not have yet: a kill came between its tables and run.json
            # whether it was the same is counted in the cell already
            content.repeats.append(Repeat(number, name, detect_ms, cpu_ms, known, count, True, queued_ms))
        return content

    def _read(self, name: str, check: Callable[[pd.DataFrame], None]) -> pd.DataFrame:
        path = self.path / name
        try:
            table = read_table(read_inside(self.path, name))
            check(table)
        except FileNotFoundError:
            raise ResultsError(f"{path} is missing; measure again with: facebench run --out {self.path}") from None
        except ResultsError:
            raise
        except Exception as error:
            raise ResultsError(
                f"cannot read {path}: {error}. Remove its folder and run again to measure again"
            ) from error
        return table


def _document(whole: Mapping[str, Any], content: Mapping[str, Any]) -> RunDocument:
    """Read all but the cells.

    Args:
        whole: as it stands in the file.
        content: as it would be written now.
    """
    stored = content.get(_CELLS)
    document = RunDocument.from_json({**content, _CELLS: []} if isinstance(stored, list) else content)
    if not is_whole(whole, apart=_CELLS):
        raise ResultsError(CHANGED)
    return document


def _timings_table(records: Sequence[ImageRecord], repeats: Sequence[Repeat]) -> pd.DataFrame:
    pixels = {record.image_id: record.pixels for record in records}
    calls: list[tuple[int, int, ImageRecord | Repeat]] = [
        *((0, len(record.detections), record) for record in records if math.isfinite(record.detect_ms)),
        *((repeat.round, repeat.detections, repeat) for repeat in repeats),
    ]
    stages = np.array([call.stages_ms or (np.nan,) * 3 for *_, call in calls], dtype=np.float64).reshape(-1, 3)
    return pd.DataFrame(
        {
            "image_id": [call.image_id for *_, call in calls],
            "round": np.array([number for number, *_ in calls], dtype=np.int64),
            "order": np.arange(len(calls)),
            "detect_ms": np.array([call.detect_ms for *_, call in calls], dtype=np.float64),
            "cpu_ms": np.array([call.cpu_ms for *_, call in calls], dtype=np.float64),
            "queued_ms": np.array([call.queued_ms for *_, call in calls], dtype=np.float64),
            **{name: stages[:, column] for column, name in enumerate(_STAGES)},
            "pixels": np.array([pixels[call.image_id] for *_, call in calls], dtype=np.int64),
            "detections": np.array([count for _, count, _ in calls], dtype=np.int64),
        }
    )


def _detections_of(rows: pd.DataFrame | None) -> Detections:
    if rows is None:
        return Detections.empty()
    points = rows[list(LANDMARKS)].to_numpy(np.float32).reshape(-1, 5, 2) if LANDMARKS[0] in rows else None
    if points is not None and np.isnan(points).any():
        points = None
    return Detections(rows[BOX].to_numpy(np.float32), rows["score"].to_numpy(np.float32), points)


def detections_table(records: Sequence[ImageRecord], landmarks: bool | None = None) -> pd.DataFrame:
    """Lay detections out as detections.parquet holds them.

    Args:
        records: of finished images.
        landmarks: whether there are columns for them; None: where one of the records has some.
    """
    counts = [len(record.detections) for record in records]
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(record.detections.boxes for record in records)])
    scores = np.concatenate([np.empty(0, np.float32), *(record.detections.scores for record in records)])
    table = {
        "image_id": np.repeat(np.array([record.image_id for record in records], dtype=object), counts),
        **{name: boxes[:, column] for column, name in enumerate(BOX)},
        "score": scores,
    }
    if landmarks is None:
        landmarks = any(record.detections.landmarks is not None and len(record.detections) for record in records)
    if landmarks:
        points = np.concatenate(
            [
                np.empty((0, 10), np.float32),
                *(
                    np.full((len(record.detections), 10), np.nan, np.float32)
                    if record.detections.landmarks is None
                    else record.detections.landmarks.reshape(-1, 10)
                    for record in records
                ),
            ]
        )
        table |= {name: points[:, column] for column, name in enumerate(LANDMARKS)}
    return pd.DataFrame(table)

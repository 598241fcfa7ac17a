"""The run folder: written so that no crash leaves a file that reads as complete, and read back as data frames.

```
run.json                     schema version, environment, data set, protocol, cells with their state
pictures.parquet             one row a picture: image_id, verdict, detail, width, height
faces.parquet                one row an annotated face: image_id, x1, y1, x2, y2, ignore, attributes
cells/<spec>-<key>/
    journal.jsonl            one line a picture while the cell runs; what is lost with a crash is the last line at most
    detections.parquet       one row a detection: image_id, x1, y1, x2, y2, score, landmark columns
    timings.parquet          one row a picture: image_id, order, detect_ms, pixels, detections
    worker.log               what the child printed last
previews/                    a few pictures for the report, small
.lock                        held by the process that writes
```

Complete files are written beside their place, flushed to the disk, then moved over it in one step. Boxes are pixels of
the original picture, times milliseconds, memory MB.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ResultsError, RunLockedError, SchemaVersionError
from .journal import PictureRecord

SCHEMA = "facebench.run"
SCHEMA_VERSION = 1
_LANDMARKS = tuple(f"{axis}{point}" for point in range(1, 6) for axis in ("lx", "ly"))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        ResultsError: the disk is full, or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ResultsError(
            f"cannot write {path}: {error.strerror or error}. Free some space or choose another folder"
        ) from error


def _write_table(path: Path, table: pd.DataFrame) -> None:
    write_atomically(path, table.to_parquet(None, index=False))


class RunFolder:
    """A results folder, opened for reading or writing.

    Attributes:
        path: the folder.
        document: the content of run.json.
    """

    def __init__(self, path: Path, document: dict[str, Any]) -> None:
        self.path = path
        self.document = document

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open a folder that holds a run.

        Raises:
            ResultsError: there is no run in it, or run.json is damaged.
            SchemaVersionError: it was written by another version of the format.
        """
        file = path / "run.json"
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ResultsError(
                f"{path} holds no run: expected {file}. Make one with: facebench run --out {path}"
            ) from None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ResultsError(f"cannot read {file}: {error}. Expected the JSON that facebench run writes") from error
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ResultsError(f'{file} is not a facebench run: expected "schema": {SCHEMA!r}')
        if document.get("schema_version") != SCHEMA_VERSION:
            raise SchemaVersionError(
                f"{file} has schema version {document.get('schema_version')!r}, this facebench reads {SCHEMA_VERSION}. "
                "Use the facebench that wrote it, or measure again into another folder"
            )
        return cls(path, document)

    @classmethod
    def create(cls, path: Path, document: dict[str, Any]) -> RunFolder:
        """Start a run in a new or empty folder."""
        run = cls(path, {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **document, "cells": []})
        run.save()
        return run

    def save(self) -> None:
        """Write run.json."""
        write_atomically(self.path / "run.json", json.dumps(self.document, indent=1, default=str).encode())

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The cells, as stored."""
        cells: list[dict[str, Any]] = self.document["cells"]
        return cells

    def put_cell(self, cell: dict[str, Any]) -> None:
        """Store a cell in place of the one for the same detector, device and threads, and save."""
        places = [_place(stored) for stored in self.cells]
        if _place(cell) in places:
            self.cells[places.index(_place(cell))] = cell
        else:
            self.cells.append(cell)
        self.save()

    def cell_path(self, cell: Mapping[str, Any]) -> Path:
        """Return the folder of a cell's files."""
        return self.path / "cells" / str(cell["folder"])

    def write_pictures(self, pictures: pd.DataFrame, faces: pd.DataFrame) -> None:
        """Store the pictures and the annotation that the cells will be scored with."""
        _write_table(self.path / "faces.parquet", faces)
        _write_table(self.path / "pictures.parquet", pictures)

    def pictures(self) -> pd.DataFrame:
        """One row a picture."""
        return self._read(self.path / "pictures.parquet")

    def faces(self) -> pd.DataFrame:
        """One row an annotated face, in the annotation's order."""
        return self._read(self.path / "faces.parquet")

    def detections(self, cell: Mapping[str, Any]) -> pd.DataFrame:
        """One row a detection of a finished cell, pictures in run order, best first within a picture."""
        return self._read(self.cell_path(cell) / "detections.parquet")

    def timings(self, cell: Mapping[str, Any]) -> pd.DataFrame:
        """One row a picture of a finished cell, in the order measured."""
        return self._read(self.cell_path(cell) / "timings.parquet")

    def write_cell(self, cell: Mapping[str, Any], records: Sequence[PictureRecord]) -> None:
        """Turn a complete journal into the two tables of a cell."""
        folder = self.cell_path(cell)
        _write_table(folder / "detections.parquet", _detections_table(records))
        _write_table(
            folder / "timings.parquet",
            pd.DataFrame(
                {
                    "image_id": [record.image_id for record in records],
                    "order": np.arange(len(records)),
                    "detect_ms": np.array([record.detect_ms for record in records], dtype=np.float64),
                    "pixels": np.array([record.pixels for record in records], dtype=np.int64),
                    "detections": np.array([len(record.detections) for record in records], dtype=np.int64),
                }
            ),
        )

    def _read(self, path: Path) -> pd.DataFrame:
        try:
            return pd.read_parquet(path)
        except FileNotFoundError:
            raise ResultsError(f"{path} is missing; measure again with: facebench run --out {self.path}") from None
        except Exception as error:
            raise ResultsError(
                f"cannot read {path}: {error}. Remove its folder and run again to measure anew"
            ) from error


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a results folder, which need not exist yet, for writing.

    Raises:
        RunLockedError: another process holds it.
        ResultsError: the folder cannot be made.
    """
    from filelock import FileLock, Timeout

    try:
        path.mkdir(parents=True, exist_ok=True)
        held = FileLock(path / ".lock", timeout=0)
        held.acquire()
    except Timeout:
        raise RunLockedError(f"another facebench writes into {path}. Wait for it, or choose another --out") from None
    except OSError as error:
        raise ResultsError(
            f"cannot write into {path}: {error.strerror or error}. Choose another folder with --out"
        ) from error
    try:
        yield
    finally:
        held.release()


def _place(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    return cell["spec"], cell["device"], cell["threads"]


def _detections_table(records: Sequence[PictureRecord]) -> pd.DataFrame:
    counts = [len(record.detections) for record in records]
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(record.detections.boxes for record in records)])
    scores = np.concatenate([np.empty(0, np.float32), *(record.detections.scores for record in records)])
    table = {
        "image_id": np.repeat(np.array([record.image_id for record in records], dtype=object), counts),
        **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
        "score": scores,
    }
    if any(record.detections.landmarks is not None and len(record.detections) for record in records):
        points = np.concatenate(
            [
                np.full((len(record.detections), 10), np.nan, np.float32)
                if record.detections.landmarks is None
                else record.detections.landmarks.reshape(-1, 10)
                for record in records
            ]
        )
        table |= {name: points[:, column] for column, name in enumerate(_LANDMARKS)}
    return pd.DataFrame(table)

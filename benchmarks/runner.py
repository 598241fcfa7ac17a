"""From a data set and a list of detectors to a run folder: one cell after the other, each picture once, resumable.

Latency is part of it, so nothing runs beside the cell that is measured.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from ..datasets import Dataset, Sample, decode
from ..detectors import DetectorSpec, Device, RGBImage
from ..errors import DetectorRaisedError, ResultsError, UsageError, WorkerError
from . import environment
from .cell import Cell, make_cell
from .cell import Protocol as CellProtocol
from .previews import write_previews
from .results import Journal, JournalContent, PictureRecord, RunFolder, lock
from .supervisor import Answer, DetectorProcess, Limits

_CACHE_BYTES = 512 * 2**20
_FAILURES_IN_A_ROW = 3
_FAILURES_SHARE = 0.02
_WARM_UP_CALLS = 3


class Observer(Protocol):
    """What a run tells about its progress."""

    def decoding(self, done: int, total: int) -> None:
        """Pictures looked at before the first cell."""

    def cell_begins(self, cell: dict[str, Any], done: int, total: int) -> None:
        """A cell begins; `done` of `total` pictures were measured by an earlier call."""

    def picture_done(self) -> None:
        """One more picture of the cell is measured."""

    def cell_ends(self, cell: dict[str, Any]) -> None:
        """A cell has its final state."""


class Silent:
    """An observer that says nothing."""

    def decoding(self, done: int, total: int) -> None:
        """Say nothing."""

    def cell_begins(self, cell: dict[str, Any], done: int, total: int) -> None:
        """Say nothing."""

    def picture_done(self) -> None:
        """Say nothing."""

    def cell_ends(self, cell: dict[str, Any]) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        dataset: the pictures.
        detectors: the detectors, each a row.
        protocol: how pictures are given.
        device: "cpu" or "cuda".
        threads: CPU threads of each child.
        limits: time and memory of each child.
    """

    dataset: Dataset
    detectors: Sequence[DetectorSpec]
    protocol: CellProtocol = dataclasses.field(default_factory=CellProtocol)
    device: Device = "cpu"
    threads: int = 1
    limits: Limits = dataclasses.field(default_factory=Limits)


def run(plan: Plan, out: Path, observer: Observer | None = None) -> RunFolder:
    """Measure every cell of the plan that the folder does not hold yet.

    An interrupted or killed run goes on where it stopped when it is called again with the same plan and folder.

    Raises:
        UsageError: the folder holds a run of other pictures or another protocol.
        ResultsError: the folder cannot be written, or another process writes into it.
    """
    if not 1 <= plan.threads <= len(environment.usable_cores()):
        raise UsageError(
            f"got {plan.threads} threads, expected 1 to {len(environment.usable_cores())} (the cores here)"
        )
    observer = observer or Silent()
    with lock(out):
        folder = _open_or_create(plan, out)
        pictures = _Pictures(plan.dataset.samples)
        usable = _look_at_pictures(plan.dataset, folder, pictures, observer)
        for spec in plan.detectors:
            cell = make_cell(spec, plan.dataset.fingerprint, plan.protocol, plan.device, plan.threads)
            _CellRun(plan, folder, spec, cell, usable, pictures, observer).finish()
        write_previews(folder, pictures.get)
    return folder


def _open_or_create(plan: Plan, out: Path) -> RunFolder:
    dataset = plan.dataset
    document = {
        "environment": environment.describe(),
        "dataset": {
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
        },
        "protocol": dataclasses.asdict(plan.protocol),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if not (out / "run.json").exists():
        return RunFolder.create(out, document)
    folder = RunFolder.open(out)
    for name, got, expected in (
        ("data set", dataset.fingerprint, folder.document["dataset"]["fingerprint"]),
        ("protocol", document["protocol"], folder.document["protocol"]),
    ):
        if got != expected:
            raise UsageError(
                f"{out} holds a run with another {name} ({folder.document['dataset']['name']}, "
                f"{folder.document['protocol']}); got {dataset.name}, {document['protocol']}. Choose another --out"
            )
    return folder


class _Pictures:
    """Decoded pictures, kept while they fit into half a gigabyte."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = {sample.image_id: sample for sample in samples}
        self._kept: dict[str, RGBImage] = {}
        self._bytes = 0

    def get(self, image_id: str) -> RGBImage:
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
        if self._bytes + image.nbytes <= _CACHE_BYTES:
            self._kept[image_id] = image
            self._bytes += image.nbytes


def _look_at_pictures(dataset: Dataset, folder: RunFolder, pictures: _Pictures, observer: Observer) -> list[str]:
    """Decode every picture once; return the ids of those that all detectors will see.

    What cannot be decoded is left out for every detector, and stored with its verdict.
    """
    if (folder.path / "pictures.parquet").exists():
        stored = folder.pictures()
        return stored.loc[stored["verdict"] == "ok", "image_id"].tolist()
    rows, faces, outside = [], [], 0
    for index, sample in enumerate(dataset.samples):
        decoded = decode(sample.source)
        height, width = decoded.image.shape[:2] if decoded.image is not None else (0, 0)
        rows.append((sample.image_id, decoded.verdict, decoded.detail, width, height))
        faces.append(_faces_table(sample))
        if decoded.image is not None:
            pictures.keep(sample.image_id, decoded.image)
            boxes = sample.faces.boxes
            outside += int(
                ((boxes[:, 2] <= 0) | (boxes[:, 3] <= 0) | (boxes[:, 0] >= width) | (boxes[:, 1] >= height)).sum()
            )
        observer.decoding(index + 1, len(dataset))
    table = pd.DataFrame(rows, columns=["image_id", "verdict", "detail", "width", "height"])
    folder.write_pictures(table, pd.concat(faces, ignore_index=True))
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


def _faces_table(sample: Sample) -> pd.DataFrame:
    faces = sample.faces
    return pd.DataFrame(
        {
            "image_id": np.full(len(faces), sample.image_id, dtype=object),
            **{name: faces.boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
            "ignore": faces.ignore,
            **faces.attributes,
        }
    )


class _CellRun:
    """Measures one cell: the journal it goes on from, the child, and what to do when a picture fails.

    A picture on which the detector raises, or on which its child dies twice, is put aside: the detector gets no
    detections on it, and the table says how many. Three in a row, or more than 2 % of all, fail the cell.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        spec: DetectorSpec,
        cell: Cell,
        usable: Sequence[str],
        pictures: _Pictures,
        observer: Observer,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._usable = usable
        self._pictures = pictures
        self._observer = observer
        info = spec.adapter.info
        self._stored: dict[str, Any] = {
            "key": cell.key,
            "folder": cell.folder_name,
            **{name: value for name, value in dataclasses.asdict(cell).items() if name not in ("dataset", "protocol")},
            "info": dataclasses.asdict(info),
            "status": "running",
            "reason": "",
            "mend": "",
        }
        self._missing = spec.missing()
        self._journal = Journal(folder.cell_path(self._stored) / "journal.jsonl")
        self._content = JournalContent()
        self._failures_in_a_row = 0

    def finish(self) -> None:
        """Bring the cell to a final state: done, failed or unavailable."""
        if self._is_finished():
            return
        if self._missing is not None:
            self._end("unavailable", str(self._missing), mend=self._missing.mend)
            return
        self._folder.put_cell(self._stored)
        self._content = self._journal.open()
        self._observer.cell_begins(self._stored, self._done(), len(self._usable))
        try:
            reason = self._measure()
        finally:
            self._journal.close()
        if reason:
            self._end("failed", reason)
            self._journal.delete()
            return
        # a picture put aside has no record: no detections and no timing
        records = self._content.records
        self._folder.write_cell(self._stored, [records[name] for name in self._usable if name in records])
        self._end("done", "")
        self._journal.delete()

    def _is_finished(self) -> bool:
        return any(stored["key"] == self._stored["key"] and stored["status"] == "done" for stored in self._folder.cells)

    def _done(self) -> int:
        return len(self._content.records) + len(self._content.put_aside)

    def _remaining(self) -> Iterator[str]:
        for name in self._usable:
            if name not in self._content.records and name not in self._content.put_aside:
                yield name

    def _measure(self) -> str:
        """Run what is missing; return why the cell fails, or an empty string."""
        names = list(self._remaining())
        if not names:
            return ""
        plan, stored = self._plan, self._stored
        log = self._folder.cell_path(stored) / "worker.log"
        with DetectorProcess(
            stored["spec"],
            device=plan.device,
            threads=plan.threads,
            score_floor=_floor(plan, stored),
            size=plan.protocol.size,
            limits=plan.limits,
            log=log,
        ) as child:
            for name in names:
                image = self._pictures.get(name)
                while name not in self._content.records and name not in self._content.put_aside:
                    if not child.running:
                        reason = self._start(child, name)
                        if reason:
                            return reason
                    self._try(child, name, image)
                self._observer.picture_done()
                reason = self._too_many_failures()
                if reason:
                    return reason
        return ""

    def _start(self, child: DetectorProcess, name: str) -> str:
        """Start a child and warm it up on the picture that comes next; return why it cannot be loaded."""
        try:
            start = dataclasses.asdict(child.start())
        except WorkerError as error:
            return f"cannot be loaded: {error}"
        try:
            first = child.detect(self._pictures.get(name))
            start["first_call_s"] = first.detect_ms / 1000
            for _ in range(_WARM_UP_CALLS - 1):
                child.detect(self._pictures.get(name))
        except WorkerError as error:
            # the measured call will fail the same way and be counted there; a dead child counts here
            if not child.running:
                self._count_death(name, error)
        self._content.starts.append(start)
        self._journal.start(start)
        return ""

    def _try(self, child: DetectorProcess, name: str, image: RGBImage) -> None:
        if not child.running:
            return
        try:
            answer = child.detect(image)
        except DetectorRaisedError as error:
            self._put_aside(name, str(error))
        except WorkerError as error:
            self._count_death(name, error)
        else:
            self._keep(name, answer, image)

    def _keep(self, name: str, answer: Answer, image: RGBImage) -> None:
        record = PictureRecord(name, answer.detections, answer.detect_ms, image.shape[0] * image.shape[1])
        self._journal.picture(record, answer.peak_rss_mb)
        self._content.records[name] = record
        self._content.peak_rss_mb = max(self._content.peak_rss_mb, answer.peak_rss_mb)
        self._failures_in_a_row = 0

    def _count_death(self, name: str, error: WorkerError) -> None:
        self._journal.death(name, str(error))
        deaths = self._content.deaths.setdefault(name, [])
        deaths.append(str(error))
        if len(deaths) >= 2:
            self._put_aside(name, str(error))

    def _put_aside(self, name: str, reason: str) -> None:
        self._journal.put_aside(name, reason)
        self._content.put_aside[name] = reason
        self._failures_in_a_row += 1

    def _too_many_failures(self) -> str:
        count = len(self._content.put_aside)
        if not count:
            return ""
        name, reason = next(reversed(self._content.put_aside.items()))
        allowed = max(_FAILURES_IN_A_ROW, math.ceil(_FAILURES_SHARE * len(self._usable)))
        everything = count >= len(self._usable)
        if self._failures_in_a_row >= _FAILURES_IN_A_ROW or count > allowed or everything:
            return f"failed on {count} of {self._done()} pictures, last on {name}: {reason}"
        return ""

    def _end(self, status: str, reason: str, mend: str = "") -> None:
        starts = self._content.starts
        self._stored |= {
            "status": status,
            "reason": reason,
            "mend": mend,
            "start": starts[0] if starts else None,
            "starts": len(starts),
            "peak_rss_mb": self._content.peak_rss_mb or None,
            "failed_pictures": dict(self._content.put_aside),
        }
        self._folder.put_cell(self._stored)
        self._observer.cell_ends(self._stored)


def _floor(plan: Plan, stored: dict[str, Any]) -> float:
    """Return how far down scores are kept: as the protocol says, else the detector's own floor."""
    if plan.protocol.score_floor is not None and stored["info"]["score_kind"] == "probability":
        return plan.protocol.score_floor
    return float(stored["info"]["score_floor"])

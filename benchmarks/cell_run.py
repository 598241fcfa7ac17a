"""Measures one cell: in a child, from where its journal ends, through whatever the detector does."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..detectors import DetectorSpec, RGBImage
from ..errors import DetectorRaisedError, WorkerError
from .cell import Cell
from .journal import Journal, JournalContent, PictureRecord
from .pictures import Pictures
from .plan import Observer, Plan
from .results import RunFolder
from .supervisor import Answer, DetectorProcess

_FAILURES_IN_A_ROW = 3
_FAILURES_SHARE = 0.02
_WARM_UP_CALLS = 3


class CellRun:
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
        pictures: Pictures,
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

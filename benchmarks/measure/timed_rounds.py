"""Measures one cell: in a child, from where its journal ends, through whatever the detector does."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Collection, Sequence

import numpy as np

from ...detectors import Detections, DetectorSpec, RGBImage
from ...errors import DetectorRaisedError, WorkerError
from ..store.journal import ImageRecord, Journal, JournalContent, Repeat
from ..store.records import Status, StoredCell
from ..store.run_folder import RunFolder
from .cell import Cell, stored_cell
from .cell_outcome import (
    FAILURES_IN_A_ROW,
    drop_stale,
    end_cell,
    finished_before,
    open_journal,
    too_many_failures,
)
from .child.answers import Answer
from .detector_process import DetectorProcess
from .executors.work import DEATHS_ALLOWED
from .images import Images
from .plan import Observer, Plan

WARM_UP_CALLS = 3
_KEPT = ("detections_differ", "repeats_failed", "rounds_started", "batching")
"""What a cell knows of its finished rounds, when more are added."""


class CellRun:
    """Measures one cell: the journal it goes on from, the child, and what to do when an image fails.

    An image on which the detector raises, or on which its child dies twice, is skipped: the detector gets no
    detections on it, and the table says how many. Three in a row, or more than 2 % of all, fail the cell.

    Detections, for whole curves, go down to the score floor; times are taken at the threshold, as the detector is used.
    So a pass at the floor, untimed, comes before the timed rounds, each of which is a fresh child at the threshold and
    counts where its detections differ from those of the pass that reach the threshold. Where an accuracy pass of an
    executor collected the detections, that is the first pass. A detector whose floor is its threshold needs none:
    its first round gives detections and times.
    """

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        spec: DetectorSpec,
        cell: Cell,
        usable: Sequence[str],
        images: Images,
        observer: Observer,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._usable = usable
        self._images = images
        self._observer = observer
        self._stored = stored_cell(spec, cell)
        self._missing = spec.missing(cell.device)
        self._journal = Journal(folder.cell_path(self._stored) / "journal.jsonl")
        self._content = JournalContent()
        self._failures_in_a_row = 0
        self._untimed = False
        self._floor: float | None = None
        self._found_before = False

    def finish(self) -> None:
        """Take the cell to a final state: done, failed or unavailable."""
        before = finished_before(self._folder, self._stored.key)
        if before is not None and before.rounds >= self._plan.rounds:
            drop_stale(self._journal, before, self._observer)
            return
        if self._missing is not None:
            self._end("unavailable", str(self._missing), remedy=self._missing.remedy)
            return
        if before is None:
            self._folder.put_cell(self._stored)
            self._content = open_journal(self._journal, self._journal.open, self._stored, self._observer)
        else:
            # the finished rounds stay the cell's result until the new ones are there too
            self._stored = dataclasses.replace(self._stored, **{name: getattr(before, name) for name in _KEPT})
            go_on = functools.partial(self._go_on, before)
            self._content = open_journal(self._journal, go_on, self._stored, self._observer)
            self._floor = before.start.score_floor if before.start else None
            self._found_before = True
        first_pass = [start for start in self._content.starts if not start.timed]
        if first_pass:
            self._floor = first_pass[0].score_floor
        if before is None or not before.rounds:
            self._untimed = any(math.isnan(record.detect_ms) for record in self._content.records.values())
        self._observer.cell_begins(self._stored, self._done(), len(self._usable) * (self._plan.rounds + self._extra()))
        try:
            reason = self._measure(0, self._one_of_the_first_pass, set(self._content.records), self._stored.kept_from)
            first = before.rounds if before is not None else int(not self._untimed)
            for number in range(first, self._plan.rounds):
                there = {repeat.image_id for repeat in self._content.repeats if repeat.round == number}
                one = functools.partial(self._one_of_a_timed_round, number)
                reason = reason or self._measure(number, one, there, None)
        finally:
            self._journal.close()
        self._put_timed_start_first()
        if reason:
            self._end("failed", reason)
            self._journal.delete()
            return
        # an image skipped has no record: no detections and no timing
        records = self._content.records
        kept = [records[name] for name in self._usable if name in records]
        repeats = [repeat for repeat in self._content.repeats if math.isfinite(repeat.detect_ms)]
        self._folder.write_cell(self._stored, kept, repeats)
        self._end("done", "")
        self._journal.delete()

    def _go_on(self, before: StoredCell) -> JournalContent:
        """Add what the journal has of later rounds; of the finished ones it has something only after a kill."""
        content, rounds = self._folder.content(before), before.rounds
        repeats, starts = list(content.repeats), list(content.starts)
        content = self._journal.open(content)
        content.repeats[len(repeats) :] = [one for one in content.repeats[len(repeats) :] if one.round >= rounds]
        content.starts[len(starts) :] = [one for one in content.starts[len(starts) :] if one.round >= rounds]
        return content

    def _put_timed_start_first(self) -> None:
        """Make the first timed start the cell's: it says from where on detections are stored and were timed."""
        starts = sorted(self._content.starts, key=lambda start: not start.timed)
        if starts and starts[0].timed:
            floor = starts[0].score_floor if self._floor is None else self._floor
            starts[0] = dataclasses.replace(starts[0], score_floor=floor, timed_from=starts[0].timed_at)
        self._content.starts = starts

    def _end(self, status: Status, reason: str, remedy: str = "") -> None:
        end_cell(
            self._folder,
            self._stored,
            self._content,
            self._observer,
            status,
            reason,
            remedy=remedy,
            rounds=self._plan.rounds,
        )

    def _extra(self) -> int:
        """Return 1 where an untimed pass is likely to come first, for the bar; the child alone knows its threshold."""
        asked = self._stored.threshold
        threshold = self._stored.info.operating_threshold if asked is None else asked
        return int(not self._found_before and (self._untimed or self._stored.kept_from < threshold))

    def _done(self) -> int:
        """Count the calls that are there, an image skipped as one a round."""
        extra = self._extra()
        records = sum(bool(extra) or math.isfinite(one.detect_ms) for one in self._content.records.values())
        return records + len(self._content.repeats) + len(self._content.skipped) * (self._plan.rounds + extra)

    def _measure(
        self,
        number: int,
        one: Callable[[DetectorProcess, str, RGBImage], str],
        there: Collection[str],
        score_floor: float | None,
    ) -> str:
        """Run what a round misses in a fresh child; return why the cell fails, or an empty string.

        Every other round goes backwards.
        """
        names = self._usable if number % 2 == 0 else self._usable[::-1]
        names = [name for name in names if name not in there and name not in self._content.skipped]
        if not names:
            return ""
        stored = self._stored
        with DetectorProcess(
            stored.spec,
            device=stored.device,
            threads=stored.threads,
            score_floor=score_floor,
            threshold=stored.threshold,
            size=stored.protocol.size,
            limits=self._plan.limits,
            log=self._folder.cell_path(stored) / "worker.log",
        ) as child:
            for name in names:
                reason = one(child, name, self._images.get(name))
                if reason:
                    return reason
                self._observer.image_done()
        return ""

    def _one_of_the_first_pass(self, child: DetectorProcess, name: str, image: RGBImage) -> str:
        while name not in self._content.records and name not in self._content.skipped:
            if not child.running:
                reason = self._start(child, name, 0, first_pass=True)
                if reason:
                    return reason
            self._try(child, name, image)
        content = self._content
        done = len(content.records) + len(content.skipped)
        return too_many_failures(content, self._failures_in_a_row, done, self._usable)

    def _one_of_a_timed_round(self, number: int, child: DetectorProcess, name: str, image: RGBImage) -> str:
        """Time an image; what fails now and did not before is counted, and three in a row fail the cell."""
        if not child.running:
            reason = self._start(child, name, number)
            if reason:
                return reason
        first = self._content.records[name]
        repeat = Repeat(number, name, math.nan, math.nan, None, 0, same=False)
        failure = "the child ended in its warm-up"
        try:
            if child.running:
                answer = child.detect(image)
                found = answer.detections
                same = _equal(found, first.detections.above(self._threshold(number)))
                spent = answer.detect_ms, answer.cpu_ms, answer.stages_ms
                repeat = Repeat(number, name, *spent, len(found), same, answer.queued_ms)
                self._content.see_memory(answer.peak_rss_mb, answer.device_memory_mb)
        except WorkerError as error:
            failure = str(error)
        self._journal.repeat(repeat)
        self._content.repeats.append(repeat)
        last = self._content.repeats[-FAILURES_IN_A_ROW:]
        if len(last) == FAILURES_IN_A_ROW and all(math.isnan(one.detect_ms) for one in last):
            return f"failed on {FAILURES_IN_A_ROW} images in a row in round {number + 1}, last on {name}: {failure}"
        return ""

    def _threshold(self, number: int) -> float:
        """Return the score from which this round's child answers: its own cut, repeated on what the first pass has."""
        return next(one for one in reversed(self._content.starts) if one.round == number).score_floor

    def _start(self, child: DetectorProcess, name: str, number: int, *, first_pass: bool = False) -> str:
        """Start a child, warm it up where it is timed; return why it cannot be used, or an empty string."""
        try:
            begun = child.start()
        except WorkerError as error:
            return f"cannot be loaded: {error}"
        if first_pass and np.float32(begun.score_floor) < np.float32(begun.operating_threshold):
            self._untimed = True
        timed = not (first_pass and self._untimed)
        start = dataclasses.replace(begun, round=number, timed=timed, started=time.time())
        if not timed:
            self._floor = begun.score_floor
            self._content.starts.append(start)
            self._journal.start(start)
            return ""
        try:
            first = child.detect(self._images.get(name))
            start = dataclasses.replace(start, first_call_s=first.detect_ms / 1000)
            for _ in range(WARM_UP_CALLS - 1):
                child.detect(self._images.get(name))
            check = child.check(self._images.get(name))
            start = dataclasses.replace(start, library_threads=check.library_threads)
            if check.problems:
                return f"its times would be invalid: {'; '.join(check.problems)}"
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
            self._skipped(name, str(error))
        except WorkerError as error:
            self._count_death(name, error)
        else:
            self._keep(name, answer, image)

    def _keep(self, name: str, answer: Answer, image: RGBImage) -> None:
        pixels = image.shape[0] * image.shape[1]
        found = answer.detections
        spent = answer.cpu_ms, answer.stages_ms, answer.queued_ms
        record = ImageRecord(name, found, answer.detect_ms, pixels, *spent)
        if self._untimed:
            # what it takes at the floor is not what it takes as it is used
            record = ImageRecord(name, found, math.nan, pixels)
        memory = (0.0, None) if self._untimed else (answer.peak_rss_mb, answer.device_memory_mb)
        self._journal.image(record, *memory)
        self._content.records[name] = record
        self._content.see_memory(*memory)
        self._failures_in_a_row = 0

    def _count_death(self, name: str, error: WorkerError) -> None:
        self._journal.death(name, str(error))
        deaths = self._content.deaths.setdefault(name, [])
        deaths.append(str(error))
        if len(deaths) >= DEATHS_ALLOWED:
            self._skipped(name, str(error))

    def _skipped(self, name: str, reason: str) -> None:
        self._journal.skipped(name, reason)
        self._content.skipped[name] = reason
        self._failures_in_a_row += 1


def _equal(a: Detections, b: Detections) -> bool:
    """Whether two results are the same bit by bit."""
    alike = np.array_equal(a.boxes, b.boxes) and np.array_equal(a.scores, b.scores)
    if a.landmarks is None or b.landmarks is None:
        return alike and a.landmarks is b.landmarks
    return alike and np.array_equal(a.landmarks, b.landmarks)

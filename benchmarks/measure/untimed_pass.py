"""Collects the detections of one cell by many workers, without a single time: other work runs beside each call.

The journal holds what was answered; only ids and places in it are kept in memory, so that what a pass holds does not
grow with what it has found. At the end the journal is laid out as the tables of the cell, in the order of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice

from ...datasets import Source
from ...detectors import DetectorSpec
from ...errors import ResultsError
from ..store.journal import ImageRecord, Journal, JournalContent
from ..store.run_folder import RunFolder
from .cell import Cell, stored_cell
from .cell_outcome import drop_stale, end_cell, finished_before, open_journal, too_many_failures
from .executors import Executor
from .executors.work import ChunkAnswer, DetectorTask, Item
from .plan import Observer, Plan

CHUNK_S = 1.0
"""How much work a chunk is meant to be: small enough to lose, large enough that handing it out costs nothing."""
LARGEST_CHUNK = 64
_SHARE = 8
"""No chunk is more than this part of what is left, so that the last ones are small and workers end together."""
_ROWS = 4096


def run_accuracy_pass(
    plan: Plan,
    folder: RunFolder,
    spec: DetectorSpec,
    cell: Cell,
    usable: Sequence[str],
    sources: Mapping[str, Source],
    observer: Observer,
) -> None:
    """Take a cell to its detections, unless the folder has them: done without times, failed or unavailable.

    Args:
        plan: with an executor.
        folder: the run's.
        spec: the detector.
        cell: what is measured.
        usable: images that could be decoded, in the order of the run.
        sources: of these images.
        observer: is told of it.

    Raises:
        ResultsError: the folder cannot be written, or an image can no longer be read.
        WorkerDiedError: workers end again and again, whatever they are given.
    """
    assert plan.executor is not None
    stored = stored_cell(spec, cell)
    journal = Journal(folder.cell_path(stored) / "journal.jsonl")
    before = finished_before(folder, stored.key)
    if before is not None:
        drop_stale(journal, before, observer)
        return
    missing = spec.missing(cell.device)
    if missing is not None:
        end_cell(folder, stored, JournalContent(), observer, "unavailable", str(missing), remedy=missing.remedy)
        return
    folder.put_cell(stored)
    content, places = open_journal(journal, journal.open_index, stored, observer)
    observer.cell_begins(stored, len(places) + len(content.skipped), len(usable))
    try:
        work = _Pass(journal, content, places, usable, observer)
        task = DetectorTask.of(stored, plan.limits, plan.max_pixels)
        reason = work.run(plan.executor, task, sources)
        if not reason:
            names = [name for name in usable if name in places]
            batches = _batches(journal.read(places[name] for name in names))
            folder.write_detections(stored, batches, landmarks=journal.landmarks_seen)
    finally:
        journal.close()
    end_cell(folder, stored, content, observer, "failed" if reason else "done", reason)
    journal.delete()


class _Pass:
    """Hands out the images that have no answer yet, and writes down what comes back."""

    def __init__(
        self,
        journal: Journal,
        content: JournalContent,
        places: dict[str, int],
        usable: Sequence[str],
        observer: Observer,
    ) -> None:
        self._journal = journal
        self._content = content
        self._places = places
        self._usable = usable
        self._observer = observer
        self._in_a_row = 0
        self._seconds = 0.0
        self._images = 0

    def run(self, executor: Executor, task: DetectorTask, sources: Mapping[str, Source]) -> str:
        """Work until every image has an answer; return why the cell fails, or an empty string."""
        threads, gpu = task.threads, task.device != "cpu"
        with closing(executor.map(task, self._chunks(sources), threads=threads, gpu=gpu)) as answers:
            for answer in answers:
                if answer.changed:
                    raise ResultsError(
                        f"an image could be read when the run began, and {answer.changed}. Leave the data set alone "
                        "while it is measured; start again with another --out"
                    )
                self._write_down(answer)
                reason = answer.fatal or too_many_failures(self._content, self._in_a_row, self._done(), self._usable)
                if reason:
                    return str(reason)
        return ""

    def _done(self) -> int:
        return len(self._places) + len(self._content.skipped)

    def _chunks(self, sources: Mapping[str, Source]) -> Iterator[list[Item]]:
        """Cut what is left into chunks of about `CHUNK_S`, as known so far."""
        aside, deaths = set(self._content.skipped), {name: len(why) for name, why in self._content.deaths.items()}
        there = set(self._places)
        names = [name for name in self._usable if name not in there and name not in aside]
        left = iter(names)
        handed_out = 0
        while chunk := list(islice(left, self._chunk_size(len(names) - handed_out))):
            handed_out += len(chunk)
            yield [Item(name, sources[name], deaths.get(name, 0)) for name in chunk]

    def _chunk_size(self, left: int) -> int:
        if not self._images:
            return 1
        in_time = round(CHUNK_S * self._images / max(self._seconds, 1e-9))
        return max(1, min(LARGEST_CHUNK, in_time, left // _SHARE))

    def _write_down(self, answer: ChunkAnswer) -> None:
        for start in answer.starts:
            self._content.starts.append(start)
            self._journal.start(start)
        for name, why in answer.deaths:
            self._content.deaths.setdefault(name, []).append(why)
            self._journal.death(name, why)
        self._content.see_memory(answer.peak_rss_mb, answer.device_memory_mb)
        for record in answer.records:
            self._places[record.image_id] = self._journal.image(record, answer.peak_rss_mb, answer.device_memory_mb)
            self._observer.image_done()
            self._in_a_row = 0
        for name, why in answer.skipped.items():
            self._content.skipped[name] = why
            self._journal.skipped(name, why)
            self._observer.image_done()
            self._in_a_row += 1
        self._seconds += answer.seconds
        self._images += len(answer.records) + len(answer.skipped)


def _batches(records: Iterator[ImageRecord]) -> Iterator[list[ImageRecord]]:
    while batch := list(islice(records, _ROWS)):
        yield batch

"""Measures a finished cell in batches: in fresh children, at the threshold, batches of all sizes in turns."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from ....detectors import Detections
from ....detectors.agreement import agree
from ....detectors.resized import sizes_seen
from ....errors import WorkerError
from ...store.records import BatchCall, Batching, BatchSize, StoredCell
from ...store.run_folder import RunFolder
from ..child.answers import BatchAnswer
from ..detector_process import DetectorProcess
from ..images import Images
from ..plan import Observer, Plan
from .schedule import Batch, batches_of, in_turns

WARM_UP_CALLS = 2
"""Of each size, with its largest batch: in later calls nothing is made room for."""


def measure_batches(
    plan: Plan, folder: RunFolder, key: str, usable: Sequence[str], images: Images, observer: Observer
) -> None:
    """Time the batch sizes of the plan on a cell, unless the folder has them; a cell that is not done has none.

    A further size or round has all of them measured again, since only what took turns can be compared.

    Args:
        plan: with batches.
        folder: the run's.
        key: of the cell.
        usable: images that could be decoded, in the order of the run.
        images: where they come from.
        observer: is told of it.
    """
    cell = next((one for one in folder.cells if one.key == key and one.done), None)
    if cell is None:
        return
    before = cell.batching
    there = {one.images for one in before.sizes} if before else set()
    rounds = plan.rounds if before is None else max(before.rounds, plan.rounds)
    wanted = sorted({1, *plan.batches, *there})
    if before is not None and there == set(wanted) and before.rounds == rounds:
        return
    names = [name for name in usable if name not in cell.failed_images]
    run = _BatchRun(plan, folder, cell, wanted, names, images, observer)
    observer.cell_begins(cell, 0, rounds * len(wanted) * len(names))
    for number in range(rounds):
        run.measure(number)
    batching = Batching(together=run.together, rounds=rounds, sizes=run.sizes())
    folder.write_batches(cell, [call for call in run.calls if call.batch not in run.failed])
    cell = dataclasses.replace(cell, batching=batching)
    folder.put_cell(cell)
    observer.cell_ends(cell)


class _BatchRun:
    """What is known of each batch size, as it grows; one that fails is left out from then on, and the others go on."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        cell: StoredCell,
        sizes: Sequence[int],
        names: Sequence[str],
        images: Images,
        observer: Observer,
    ) -> None:
        self.calls: list[BatchCall] = []
        self.failed: dict[int, str] = {}
        self.together = False
        self._cell = cell
        self._images = images
        self._observer = observer
        self._alone = {name: record.detections for name, record in folder.content(cell).records.items()}
        table = folder.images()[["image_id", "height", "width"]]
        shapes = {name: (int(height), int(width)) for name, height, width in table.itertuples(index=False)}
        seen = {name: sizes_seen(cell.protocol.size, *shapes[name]) for name in names}
        self._batches = {size: batches_of(names, seen, size) for size in sizes}
        self._largest = {size: max(of, key=functools.partial(_pixels, shapes)) for size, of in self._batches.items()}
        for size, of in self._batches.items():
            most = max(len(batch.image_ids) for batch in of)
            if most < size:
                advice = "" if most == len(names) else "; with --size square=640 all images are"
                self.failed[size] = f"no {size} images are seen at one size, at most {most}{advice}"
            largest_mb = 3 * _pixels(shapes, self._largest[size]) / 2**20
            if largest_mb > plan.limits.memory_mb:
                self.failed[size] = (
                    f"its images take {largest_mb:,.0f} MB, the limit is {plan.limits.memory_mb:,.0f} MB"
                )
        self._differ: dict[int, set[str]] = {size: set() for size in sizes}
        self._memory: dict[int, tuple[float, float | None]] = {}
        self._start = functools.partial(
            DetectorProcess,
            cell.spec,
            device=cell.device,
            threads=cell.threads,
            threshold=cell.threshold,
            size=cell.protocol.size,
            limits=plan.limits,
            log=folder.cell_path(cell) / "worker.log",
        )
        self._threshold = 0.0

    def sizes(self) -> tuple[BatchSize, ...]:
        """Return what became of each size, the smallest first."""
        return tuple(
            BatchSize(
                images=size,
                reason=self.failed.get(size, ""),
                differ=len(self._differ[size]),
                peak_rss_mb=self._memory.get(size, (None, None))[0],
                device_memory_mb=self._memory.get(size, (None, None))[1],
            )
            for size in self._batches
        )

    def measure(self, number: int) -> None:
        """Time every batch of every size that has not failed; every other round goes backwards."""
        turns = in_turns([of for size, of in self._batches.items() if size not in self.failed])
        size_before = 0
        with self._start() as child:
            for batch in turns if number % 2 == 0 else turns[::-1]:
                if batch.size != size_before:
                    self._run(child, batch)  # some runtimes get ready for another number of images
                    size_before = batch.size
                self._time(child, number, batch)
                for _ in batch.image_ids:
                    self._observer.image_done()

    def _run(self, child: DetectorProcess, batch: Batch) -> BatchAnswer | None:
        """Run a batch in a child that is ready; None where its size has failed or fails now."""
        while not child.running and len(self.failed) < len(self._batches):
            self._get_ready(child)
        if batch.size in self.failed:
            return None
        try:
            return child.detect_batch([self._images.get(name) for name in batch.image_ids])
        except WorkerError as error:
            self.failed[batch.size] = f"{error}, on the {len(batch.image_ids)} images from {batch.image_ids[0]} on"
            return None

    def _time(self, child: DetectorProcess, number: int, batch: Batch) -> None:
        answer = self._run(child, batch)
        if answer is None:
            return
        self.calls.append(BatchCall(batch.size, number, batch.image_ids, answer.batch_ms))
        for name, found in zip(batch.image_ids, answer.detections, strict=True):
            if not agree(self._expected(name), found, self._threshold):
                self._differ[batch.size].add(name)

    def _get_ready(self, child: DetectorProcess) -> None:
        """Start the child and warm it up, the smallest batches first, so that each size has its own peak of memory."""
        left = [size for size in self._batches if size not in self.failed]
        try:
            self._threshold = child.start().score_floor
        except WorkerError as error:
            self.failed.update(dict.fromkeys(left, f"cannot be loaded: {error}"))
            return
        for size in left:
            largest = [self._images.get(name) for name in self._largest[size].image_ids]
            try:
                for _ in range(WARM_UP_CALLS):
                    answer = child.detect_batch(largest)
            except WorkerError as error:
                self.failed[size] = str(error)
                if not child.running:
                    return
                continue
            self.together = answer.together
            self._see_memory(size, answer.peak_rss_mb, answer.device_memory_mb)
        self._check(child, left)

    def _check(self, child: DetectorProcess, left: Sequence[int]) -> None:
        """Fail all sizes where their times would be invalid."""
        try:
            problems = child.check(self._images.get(self._largest[1].image_ids[0])).problems
        except WorkerError as error:
            problems = [str(error)]
        if problems:
            self.failed.update(dict.fromkeys(left, f"its times would be invalid: {'; '.join(problems)}"))

    def _see_memory(self, size: int, peak_rss_mb: float, device_memory_mb: float | None) -> None:
        peak, on_device = self._memory.get(size, (0.0, None))
        if device_memory_mb is not None:
            on_device = max(on_device or 0.0, device_memory_mb)
        self._memory[size] = max(peak, peak_rss_mb), on_device

    def _expected(self, name: str) -> Detections:
        return self._alone[name].above(self._threshold)


def _pixels(shapes: Mapping[str, tuple[int, int]], batch: Batch) -> int:
    return sum(shapes[name][0] * shapes[name][1] for name in batch.image_ids)

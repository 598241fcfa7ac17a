"""From a data set and a list of detectors to a run folder: one cell after the other, each image once, resumable.

Where latency is measured, nothing runs beside the cell. An executor collects the detections of all cells before, by
several workers, and no time is taken then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from ...detectors import DetectorSpec
from ...errors import UsageError
from ..store.locking import lock
from ..store.run_folder import RunFolder
from . import environment
from .batches.batch_rounds import measure_batches
from .cell import Cell
from .floor import measure_floor
from .images import Images, look_at_images, new_document
from .plan import NullObserver, Observer, Plan
from .previews import write_previews
from .timed_rounds import CellRun
from .untimed_pass import run_accuracy_pass


def run(plan: Plan, out: Path, observer: Observer | None = None) -> RunFolder:
    """Measure every cell of the plan that the folder does not hold yet.

    An interrupted or killed run goes on where it stopped when it is called again with the same plan and folder.

    Raises:
        UsageError: the folder holds a run of other images, or threads or rounds are out of range.
        ResultsError: the folder cannot be written, or another process writes into it.
        WorkerDiedError: workers of the executor end again and again, whatever they are given.
    """
    for threads in (*plan.threads, *(setting.threads for setting in plan.settings)):
        environment.checked_threads(threads)
    fewest = 0 if plan.executor else 1
    if plan.rounds < fewest:
        raise UsageError(f"got {plan.rounds} rounds, expected at least {fewest}")
    if plan.batches and (min(plan.batches) < 1 or not plan.rounds):
        sizes = ", ".join(map(str, plan.batches))
        raise UsageError(f"got batches of {sizes} images in {plan.rounds} rounds, expected at least 1 of both")
    observer = observer or NullObserver()
    with lock(out), closing(plan.executor) if plan.executor else nullcontext():
        folder = _open_or_create(plan, out)
        images = Images(plan.dataset.samples, plan.max_pixels)
        usable = look_at_images(plan.dataset, folder, images, observer, plan.executor)
        cells = plan.cells()
        if plan.executor is not None:
            sources = {sample.image_id: sample.source for sample in plan.dataset.samples}
            for spec, cell in cells:
                run_accuracy_pass(plan, folder, spec, cell, usable, sources, observer)
        if plan.rounds:
            _measure_times(plan, folder, cells, usable, images, observer)
        write_previews(folder, images.get)
    return folder


def _measure_times(
    plan: Plan,
    folder: RunFolder,
    cells: Sequence[tuple[DetectorSpec, Cell]],
    usable: Sequence[str],
    images: Images,
    observer: Observer,
) -> None:
    if folder.document.floor is None:
        folder.save(floor=measure_floor(plan.limits))
    for spec, cell in cells:
        CellRun(plan, folder, spec, cell, usable, images, observer).finish()
        if plan.batches:
            measure_batches(plan, folder, cell.key, usable, images, observer)


def _open_or_create(plan: Plan, out: Path) -> RunFolder:
    dataset = plan.dataset
    if not (out / "run.json").exists():
        return RunFolder.create(out, new_document(dataset))
    folder = RunFolder.open(out)
    expected = folder.document.dataset
    if dataset.fingerprint != expected.fingerprint:
        raise UsageError(
            f"{out} holds a run with another data set ({expected.name}); got {dataset.name}. Choose another --out"
        )
    return folder

"""From a data set and a list of detectors to a run folder: one cell after the other, each picture once, resumable.

Latency is part of it, so nothing runs beside the cell that is measured.
"""

from __future__ import annotations

import dataclasses
import datetime
from itertools import product
from pathlib import Path

from ..errors import UsageError
from . import environment
from .cell import make_cell
from .cell_run import CellRun
from .floor import measure_floor
from .pictures import Pictures, describe_dataset, look_at_pictures
from .plan import Observer, Plan, Silent
from .previews import write_previews
from .results import RunFolder, lock


def run(plan: Plan, out: Path, observer: Observer | None = None) -> RunFolder:
    """Measure every cell of the plan that the folder does not hold yet.

    An interrupted or killed run goes on where it stopped when it is called again with the same plan and folder.

    Raises:
        UsageError: the folder holds a run of other pictures, or threads or rounds are out of range.
        ResultsError: the folder cannot be written, or another process writes into it.
    """
    for threads in plan.threads:
        environment.checked_threads(threads)
    if plan.rounds < 1:
        raise UsageError(f"got {plan.rounds} rounds, expected at least 1")
    observer = observer or Silent()
    with lock(out):
        folder = _open_or_create(plan, out)
        pictures = Pictures(plan.dataset.samples)
        usable = look_at_pictures(plan.dataset, folder, pictures, observer)
        if "floor" not in folder.document:
            folder.document["floor"] = dataclasses.asdict(measure_floor(plan.limits))
            folder.save()
        for spec, protocol, threads in product(plan.detectors, plan.protocols, plan.threads):
            cell = make_cell(spec, plan.dataset.fingerprint, protocol, plan.device, threads)
            CellRun(plan, folder, spec, cell, usable, pictures, observer).finish()
        write_previews(folder, pictures.get)
    return folder


def _open_or_create(plan: Plan, out: Path) -> RunFolder:
    dataset = plan.dataset
    document = {
        "environment": environment.describe(),
        "dataset": describe_dataset(dataset),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if not (out / "run.json").exists():
        return RunFolder.create(out, document)
    folder = RunFolder.open(out)
    expected = folder.document["dataset"]
    if dataset.fingerprint != expected["fingerprint"]:
        raise UsageError(
            f"{out} holds a run with another data set ({expected['name']}); got {dataset.name}. Choose another --out"
        )
    return folder

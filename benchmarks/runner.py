"""From a data set and a list of detectors to a run folder: one cell after the other, each picture once, resumable.

Latency is part of it, so nothing runs beside the cell that is measured.
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

from ..errors import UsageError
from . import environment
from .cell import make_cell
from .cell_run import CellRun
from .pictures import Pictures, describe_dataset, look_at_pictures
from .plan import Observer, Plan, Silent
from .previews import write_previews
from .results import RunFolder, lock


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
        pictures = Pictures(plan.dataset.samples)
        usable = look_at_pictures(plan.dataset, folder, pictures, observer)
        for spec in plan.detectors:
            cell = make_cell(spec, plan.dataset.fingerprint, plan.protocol, plan.device, plan.threads)
            CellRun(plan, folder, spec, cell, usable, pictures, observer).finish()
        write_previews(folder, pictures.get)
    return folder


def _open_or_create(plan: Plan, out: Path) -> RunFolder:
    dataset = plan.dataset
    document = {
        "environment": environment.describe(),
        "dataset": describe_dataset(dataset),
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

"""Two detectors, or two installed versions of one, measured in turn and compared: no run folder is written."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...datasets import Dataset
from ...detectors import Detections, Device, resolve
from ...errors import UsageError, WorkerError
from ..analysis.table import Resampling
from ..measure import environment
from ..measure.cell import make_cell, stored_cell
from ..measure.detector_process import Limits
from ..measure.images import Images, decode_all, describe_dataset, faces_table, usable_ids
from ..measure.interleave import Interleaved, RoundObserver, Side, interleave
from ..measure.plan import NullObserver
from ..store.journal import ImageRecord
from ..store.records import Protocol, Start, StoredCell
from ..store.run_document import Environment
from ..store.run_folder import detections_table
from ..store.truth import Truth
from .pair import Measured
from .runs import Comparison, compare_interleaved

ROUNDS = 5
_ASK_S = 120.0


def compare_sides(
    base: Side,
    head: Side,
    dataset: Dataset,
    *,
    rounds: int = ROUNDS,
    protocol: Protocol | None = None,
    device: Device = "cpu",
    threads: int = 1,
    limits: Limits | None = None,
    resampling: Resampling | None = None,
    metric: str | None = None,
    observer: RoundObserver | None = None,
) -> Comparison:
    """Measure base, head, and base again, turn by turn, and compare.

    Args:
        base: what was there before.
        head: what is proposed.
        dataset: the images and their annotation.
        rounds: fresh processes of each side.
        protocol: how images are given.
        device: "cpu" or "cuda".
        threads: CPU threads of each process.
        limits: time and memory of each process.
        resampling: how images are drawn for the intervals of AP and rates.
        metric: as in `compare_runs`.
        observer: is told of the progress.

    Raises:
        UsageError: no image can be decoded, or an argument is wrong.
        WorkerError: a side cannot be loaded, or died.
    """
    protocol = protocol or Protocol()
    inputs = [_inputs(side, dataset.fingerprint, protocol, device, threads) for side in (base, head)]
    images = Images(dataset.samples)
    table = decode_all(dataset, images, NullObserver())
    image_ids = usable_ids(table, dataset.name)
    found = interleave(
        base,
        head,
        image_ids,
        images,
        rounds=rounds,
        device=device,
        threads=threads,
        size=protocol.size,
        score_floors=(inputs[0][0].kept_from, inputs[1][0].kept_from),
        limits=limits,
        observer=observer,
    )
    document = describe_dataset(dataset)
    comparison = compare_interleaved(
        _measured(inputs[0], found, "base", found.base_ms, found.base_detections, found.base_start),
        _measured(inputs[1], found, "head", found.head_ms, found.head_detections, found.head_start),
        Truth.of_tables(table, faces_table(dataset.samples), document.lists),
        document,
        again=found.again_ms,
        resampling=resampling,
        metric=metric,
    )
    notes = list(comparison.notes)
    if len(image_ids) < len(table):
        notes.append(f"{len(table) - len(image_ids)} images could not be decoded and are left out")
    if found.failures["again"]:
        notes.append(f"the second process of the base failed on {len(found.failures['again'])} images")
    return dataclasses.replace(comparison, base=base.label, head=head.label, notes=tuple(notes))


def describe_side(
    spec: str, fingerprint: str, protocol: Protocol, device: Device, threads: int
) -> tuple[StoredCell, Environment]:
    """Return what goes into a side in this environment."""
    resolved = resolve(spec)
    missing = resolved.missing(device)
    if missing is not None:
        raise missing
    cell = make_cell(resolved, fingerprint, protocol, device, threads)
    return stored_cell(resolved, cell), environment.describe()


def _inputs(
    side: Side, fingerprint: str, protocol: Protocol, device: Device, threads: int
) -> tuple[StoredCell, Environment]:
    if side.python is None:
        return describe_side(side.spec, fingerprint, protocol, device, threads)
    question = json.dumps([side.spec, fingerprint, protocol.to_json(), device, threads])
    command = [str(side.python), "-P", "-m", "facebench.benchmarks.interleaved_comparison", question]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=True)
    except OSError as error:
        raise UsageError(
            f"cannot run {side.python}: {error.strerror or error}. Expected the Python of an environment with facebench"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"{side.python} did not describe {side.spec} within {_ASK_S:.0f} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        raise WorkerError(f"{side.python} cannot describe {side.spec}: {last}") from error
    answer = json.loads(done.stdout)
    return StoredCell.from_json(answer["cell"], "cell"), Environment.from_json(answer["environment"], "environment")


def _measured(
    inputs: tuple[StoredCell, Environment],
    found: Interleaved,
    side: str,
    ms: NDArray[np.float64],
    detections: Sequence[Detections | None],
    start: Start,
) -> Measured:
    records = [
        ImageRecord(name, one, math.nan, 0)
        for name, one in zip(found.image_ids, detections, strict=True)
        if one is not None
    ]
    cell, environment_there = inputs
    cell = dataclasses.replace(cell, status="done", start=start, rounds=len(ms), failed_images=found.failures[side])
    return Measured(cell, detections_table(records), ms, environment_there)


def main() -> None:
    """Answer the question of another installed version: `python -m facebench.benchmarks.interleaved_comparison`."""
    spec, fingerprint, protocol, device, threads = json.loads(sys.argv[1])
    cell, there = describe_side(spec, fingerprint, Protocol.from_json(protocol), device, threads)
    print(json.dumps({"cell": cell.to_json(), "environment": there.to_json()}))

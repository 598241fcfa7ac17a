"""Ray Data beside the actors of `--executor ray`: the same images and detector, as many workers, one cluster.

    python -m facebench.tools.ray_data_trial --dataset folder --data DIR --images 5000 --workers 2

Ray Data is used as its documentation shows: a stage that decodes, and one of stateful actors with a detector each. Both
ask for one core, and so Ray Data fuses them: an actor decodes and detects in one process, and no pixels go through the
object store. The executor's actors decode too, and give each image to a child process by shared memory; what that
costs, for the sake of detectors that crash or hang, Ray Data does not pay here. Detections must be equal, bit by bit;
the exit code is 1 where they are not. Take thousands of images: answers of Ray Data come in bursts.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from ..benchmarks.measure.cell import make_cell, stored_cell
from ..benchmarks.measure.detector_process import Limits
from ..benchmarks.measure.executors import RayExecutor
from ..benchmarks.measure.executors.work import DetectorTask, Item
from ..benchmarks.store.records import Protocol
from ..datasets import Sample, decode, load
from ..detectors import Detections, create, resolve
from ..detectors.process.thread_counts import declare_own_process, limit
from .scale import repeated

_CHUNK = 64
_STORE_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What one of the two ways did.

    Attributes:
        start_s: from the call until the first answer: processes, the detector's library, the first chunk.
        work_s: from the first answer to the last.
        worked_on: images that were answered in `work_s`: all but those of the first answer.
        found: image_id -> detections.
    """

    start_s: float
    work_s: float
    worked_on: int
    found: Mapping[str, Detections]

    @property
    def images_per_second(self) -> float:
        """Without the start; nan where everything came in one answer."""
        return self.worked_on / self.work_s if self.worked_on else float("nan")


def try_actors(samples: Sequence[Sample], task: DetectorTask, workers: int) -> Trial:
    """Collect the detections by the executor's actors."""
    items = [Item(sample.image_id, sample.source) for sample in samples]
    chunks = (items[begin : begin + _CHUNK] for begin in range(0, len(items), _CHUNK))

    def answers() -> Iterator[Mapping[str, Detections]]:
        with closing(RayExecutor(workers=workers).map(task, chunks)) as given:
            for answer in given:
                if answer.fatal or answer.changed or answer.skipped:
                    raise SystemExit(answer.fatal or answer.changed or str(answer.skipped))
                yield {record.image_id: record.detections for record in answer.records}

    return _timed(answers())


def try_ray_data(samples: Sequence[Sample], task: DetectorTask, workers: int) -> Trial:
    """Collect the detections by a pipeline of Ray Data."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.enable_operator_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)

    def answers() -> Iterator[Mapping[str, Detections]]:
        # a source may be a path, bytes or a member of an archive: columns of Arrow hold none of them as it is
        rows = [{"image_id": sample.image_id, "source": pickle.dumps(sample.source)} for sample in samples]
        found = (
            ray.data.from_items(rows, override_num_blocks=-(-len(rows) // _CHUNK))
            .map(_decoded, num_cpus=task.threads)
            .map_batches(
                _Detecting,
                fn_constructor_args=(task,),
                batch_size=_CHUNK,
                compute=ray.data.ActorPoolStrategy(size=workers),
                num_cpus=task.threads,
            )
        )
        for batch in found.iter_batches(batch_size=None):
            yield {str(name): pickle.loads(one) for name, one in zip(batch["image_id"], batch["found"], strict=True)}

    return _timed(answers())


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    decoded = decode(pickle.loads(row["source"]))
    if decoded.image is None:
        raise ValueError(f"{row['image_id']} is {decoded.verdict}: {decoded.detail}")
    return {"image_id": row["image_id"], "image": decoded.image}


class _Detecting:
    """The stateful stage: a detector in the actor's own process."""

    def __init__(self, task: DetectorTask) -> None:
        declare_own_process()
        limit(task.threads)
        self._detector = create(task.spec, device=task.device, threads=task.threads, score_floor=task.score_floor)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        found = [pickle.dumps(self._detector.detect(np.ascontiguousarray(image))) for image in batch["image"]]
        # of type object: NumPy's strings of bytes have one length for all
        return {"image_id": batch["image_id"], "found": np.array(found, dtype=object)}


def _timed(answers: Iterator[Mapping[str, Detections]]) -> Trial:
    began = time.perf_counter()
    found = dict(next(answers))
    first, already = time.perf_counter(), len(found)
    for answer in answers:
        found |= answer
    return Trial(first - began, time.perf_counter() - first, len(found) - already, found)


def unequal(one: Trial, other: Trial) -> list[str]:
    """Return the images whose detections are not the same bit by bit, or that only one of the two has."""
    return [name for name in {**one.found, **other.found} if _bits(one, name) != _bits(other, name)]


def _bits(trial: Trial, name: str) -> tuple[bytes, ...] | None:
    found = trial.found.get(name)
    if found is None:
        return None
    landmarks = b"" if found.landmarks is None else found.landmarks.tobytes()
    return found.boxes.tobytes(), found.scores.tobytes(), landmarks


@contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """Start Ray on this machine with a core a worker, in a folder of its own; end it and remove that."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with TemporaryDirectory(prefix="facebench-ray-", ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ray.init(
            num_cpus=workers,
            object_store_memory=_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            _temp_dir=folder,
        )
        try:
            yield
        finally:
            ray.shutdown()


def main(
    dataset: Annotated[str, typer.Option(help="Data set whose images are repeated.")] = "scenes",
    data: Annotated[Path | None, typer.Option(help="Where it lies.")] = None,
    images: Annotated[int, typer.Option(help="How many.")] = 5000,
    workers: Annotated[int, typer.Option(help="Actors, a core each.")] = 2,
    detector: Annotated[str, typer.Option(help="A fast one.")] = "mediapipe:model=short",
) -> None:
    """Measure Ray Data against the executor's actors."""
    once = repeated(load(dataset, root=data), images)
    spec = resolve(detector)
    stored = stored_cell(spec, make_cell(spec, once.fingerprint, Protocol(), "cpu", 1))
    task = DetectorTask.of(stored, Limits())
    with _cluster(workers):
        actors = try_actors(once.samples, task, workers)
        ray_data = try_ray_data(once.samples, task, workers)
    for name, trial in (("actors", actors), ("Ray Data", ray_data)):
        typer.echo(
            f"{name:>8}: {trial.images_per_second:.1f} images/s over {trial.worked_on:,} images, after a start "
            f"of {trial.start_s:.1f} s"
        )
    typer.echo(f"Ray Data is {ray_data.images_per_second / actors.images_per_second:.2f} times as fast as actors")
    differ = unequal(actors, ray_data)
    if differ:
        raise SystemExit(f"detections differ on {len(differ)} images, such as {differ[0]}")
    typer.echo(f"detections are equal on {len(once):,} images")


if __name__ == "__main__":
    typer.run(main)

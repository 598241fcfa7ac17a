"""How a run grows: throughput by workers, memory over time, bytes and time an image, from a thousand images on.

    python -m facebench.tools.scale --images 1000,10000 --executors 'local:1;local:2' -o scale.json

Images of the data set are repeated under new names until there are as many as asked for; each is read and decoded
again each time. Every measurement is a process of its own, whose memory is watched from outside, and that of its
children with it. Scoring and reporting are timed on the run of the first executor. Give it a machine that does nothing
else.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Annotated, Any

import typer

from ..benchmarks.measure.environment import machine
from ..benchmarks.measure.plan import NullObserver
from ..benchmarks.store.records import StoredCell
from ..benchmarks.store.run_folder import write_atomically
from ..datasets import Dataset, Sample

SCHEMA = "facebench.scale"
SCHEMA_VERSION = 1
_SAMPLE_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    """One run.

    Attributes:
        images: how many.
        executor: by whom.
        look_s: reading and decoding each image once, before the first detector.
        detect_s: from the first image handed out to the tables written.
        whole_s: the process, from its start to its end: imports, hashing of the images, previews.
        detections: boxes found.
        journal_bytes: of the journal, when it was complete.
        table_bytes: of detections.parquet.
        memory: (seconds, MB of the process, MB of it and all its children), a sample a second; resident.
    """

    images: int
    executor: str
    look_s: float
    detect_s: float
    whole_s: float
    detections: int
    journal_bytes: int
    table_bytes: int
    memory: Sequence[tuple[float, float, float]]

    @property
    def images_per_second(self) -> float:
        """Of the detector's pass: reading, decoding, detecting and writing down."""
        return self.images / self.detect_s


@dataclasses.dataclass(frozen=True, slots=True)
class Afterwards:
    """What a finished run costs.

    Attributes:
        images: how many.
        table_s: `facebench table`, a process.
        report_s: `facebench report`, a process.
        report_bytes: of the HTML file.
        peak_mb: resident memory of the larger of the two.
    """

    images: int
    table_s: float
    report_s: float
    report_bytes: int
    peak_mb: float


def repeated(dataset: Dataset, images: int) -> Dataset:
    """Return a data set of so many images, those of `dataset` over and over under new names."""
    samples = []
    for index, sample in enumerate(itertools.islice(itertools.cycle(dataset.samples), images)):
        again = index // len(dataset.samples)
        samples.append(Sample(f"{again:06d}/{sample.image_id}", sample.source, sample.faces))
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name} repeated",
        samples=tuple(samples),
        total=images,
        demo=True,
        description=f"{len(dataset.samples)} images repeated under new names; for speed, not for scores.",
        fingerprint=f"{dataset.fingerprint}x{images}"[-32:],
    )


class _Stopwatch(NullObserver):
    """Notes when the pass of the only cell began and ended, and how long its journal was."""

    def __init__(self, folder: Path) -> None:
        self.begun = self.ended = self.looked = 0.0
        self.folder = folder
        self.journal_bytes = 0

    def decoding(self, done: int, total: int) -> None:
        self.looked = time.perf_counter()

    def cell_begins(self, cell: StoredCell, done: int, total: int) -> None:
        self.begun = time.perf_counter()

    def cell_ends(self, cell: StoredCell) -> None:
        self.ended = time.perf_counter()
        with suppress(FileNotFoundError):  # of a detector that cannot be used, which `run_once` reports
            self.journal_bytes = (self.folder / "cells" / cell.folder / "journal.jsonl").stat().st_size


def run_once(dataset: str, data: Path | None, images: int, detector: str, executor: str, out: Path) -> dict[str, Any]:
    """Run one detector over so many images here, and return what `Measurement` says of it, memory apart."""
    from ..benchmarks.measure.executors import create_executor
    from ..benchmarks.measure.plan import Plan
    from ..benchmarks.measure.runner import run
    from ..datasets import load
    from ..detectors import resolve_all

    watch = _Stopwatch(out)
    plan = Plan(
        repeated(load(dataset, root=data), images),
        resolve_all([detector]),
        rounds=0,
        executor=create_executor(executor),
    )
    began = time.perf_counter()
    folder = run(plan, out, watch)
    (cell,) = folder.cells
    if not cell.done:
        raise SystemExit(f"{detector} {cell.status}: {cell.reason}")
    return {
        "look_s": watch.looked - began,
        "detect_s": watch.ended - watch.begun,
        "detections": len(folder.detections(cell)),
        "journal_bytes": watch.journal_bytes,
        "table_bytes": (folder.cell_path(cell) / "detections.parquet").stat().st_size,
    }


def _watched(command: Sequence[str]) -> tuple[str, float, list[tuple[float, float, float]]]:
    """Run a command; return what it printed, its seconds, and its memory over time."""
    import psutil

    began = time.perf_counter()
    memory = []
    with TemporaryFile("w+") as printed, subprocess.Popen(command, stdout=printed) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            own = round(_resident_mb(watched), 1)
            if own > 0:  # one that starts or has just ended holds next to nothing
                children = sum(map(_resident_mb, _children(watched)))
                memory.append((round(time.perf_counter() - began, 1), own, round(own + children, 1)))
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SAMPLE_S)
        seconds = time.perf_counter() - began
        printed.seek(0)
        text = printed.read()
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode} of: {' '.join(command)}")
    return text, seconds, memory


def _children(process: Any) -> list[Any]:
    import psutil

    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _resident_mb(process: Any) -> float:
    import psutil

    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def measure(dataset: str, data: Path | None, images: int, detector: str, executor: str, out: Path) -> Measurement:
    """Measure one run in a process of its own."""
    command = [sys.executable, "-m", "facebench.tools.scale", "--one", "--dataset", dataset]
    command += ["--data", str(data)] if data else []
    command += ["--images", str(images), "--detector", detector, "--executors", executor, "-o", str(out)]
    printed, seconds, memory = _watched(command)
    return Measurement(images, executor, whole_s=seconds, memory=memory, **json.loads(printed.splitlines()[-1]))


def measure_afterwards(run: Path, images: int) -> Afterwards:
    """Time what is done with a finished run."""
    html = run / "report.html"
    facebench = [sys.executable, "-m", "facebench.cli"]
    _, table_s, first = _watched([*facebench, "table", str(run)])
    _, report_s, second = _watched([*facebench, "report", str(run), "-o", str(html)])
    peak = max(whole for *_, whole in (*first, *second))
    return Afterwards(images, table_s, report_s, html.stat().st_size, peak)


def main(
    dataset: Annotated[str, typer.Option(help="Data set whose images are repeated.")] = "scenes",
    data: Annotated[Path | None, typer.Option(help="Where it lies.")] = None,
    images: Annotated[str, typer.Option(help="How many, comma-separated.")] = "1000,10000,100000",
    detector: Annotated[str, typer.Option(help="A fast one.")] = "mediapipe:model=short",
    executors: Annotated[str, typer.Option(help="Semicolon-separated.")] = "local:1;local:2",
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file; it is added to.")] = Path("scale.json"),
    one: Annotated[bool, typer.Option("--one", hidden=True)] = False,
) -> None:
    """Measure how a run grows with images and workers."""
    counts = [int(count) for count in images.split(",")]
    if one:
        typer.echo(json.dumps(run_once(dataset, data, counts[0], detector, executors, output)))
        return
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "measurements": [],
        "afterwards": [],
    }
    if output.exists():
        document = json.loads(output.read_text(encoding="utf-8"))
    document |= {"machine": machine(), "dataset": dataset, "detector": detector}
    for count in counts:
        for position, executor in enumerate(executors.split(";")):
            with TemporaryDirectory(prefix="facebench-scale-") as scratch:
                run = Path(scratch) / "run"
                found = measure(dataset, data, count, detector, executor, run)
                document["measurements"].append(dataclasses.asdict(found))
                typer.echo(_line(found))
                if position == 0:
                    after = measure_afterwards(run, count)
                    document["afterwards"].append(dataclasses.asdict(after))
                    typer.echo(
                        f"{count:>9,} images: table {after.table_s:.1f} s, report {after.report_s:.1f} s and "
                        f"{after.report_bytes / 1e6:.1f} MB, at most {after.peak_mb:,.0f} MB of memory"
                    )
            write_atomically(output, json.dumps(document, indent=1).encode())


def _line(found: Measurement) -> str:
    half = [own for at, own, _ in found.memory if at > found.whole_s / 2] or [0.0]
    table, journal = found.table_bytes / found.images, found.journal_bytes / found.images
    return (
        f"{found.images:>9,} images, {found.executor}: look {found.look_s:.1f} s, detect {found.detect_s:.1f} s, "
        f"{found.images_per_second:.1f} images/s; {table:.0f} bytes an image in the table, {journal:.0f} in the "
        f"journal; in the second half the process held {min(half):.0f} to {max(half):.0f} MB"
    )


if __name__ == "__main__":
    typer.run(main)

"""Two runs to set against each other: forty made-up images of two faces each, rounds with the noise of processes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from facebench.benchmarks.store.records import StoredCell
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.tests.support import runs
from numpy.typing import NDArray

IMAGES = [f"0--Event/{number:02}.jpg" for number in range(40)]
LEFT, RIGHT = (10.0, 10.0, 40.0, 40.0), (60.0, 10.0, 100.0, 60.0)
FACES = {name: [(LEFT, False), (RIGHT, False)] for name in IMAGES}
HARD = [1, 1] * len(IMAGES)
EASY = [0, 1] * len(IMAGES)


def start_run(path: Path, **environment: Any) -> RunFolder:
    """Start a run without a cell."""
    run = runs.make_run(
        path,
        sizes=dict.fromkeys(IMAGES, (200, 100)),
        faces=FACES,
        lists=("easy", "hard"),
        columns={"easy": EASY, "hard": HARD},
    )
    run.save(environment=replace(run.document.environment, **environment))
    return run


def found(lost: Collection[int] = (), *, shift: float = 0.0) -> runs.Found:
    """Both faces of every image, without the left one of those named; corners `shift` pixels further right."""
    left, right = ((x1 + shift, y1, x2 + shift, y2) for x1, y1, x2, y2 in (LEFT, RIGHT))
    return {name: [(right, 0.9)] if place in lost else [(left, 0.8), (right, 0.9)] for place, name in enumerate(IMAGES)}


def times(rounds: int = 4, *, factor: float = 1.0, seed: int = 0, images: int = 40) -> NDArray[np.float64]:
    """Milliseconds (rounds, images): about 20, processes 0.5 % apart, calls 2 %, times `factor`."""
    expected = 20 * np.exp(np.random.default_rng(99).normal(0, 0.5, images))
    stream = np.random.default_rng(seed)
    process = stream.normal(0, 0.005, (rounds, 1))
    calls = stream.normal(0, 0.02, (rounds, images))
    return np.asarray(expected * factor * np.exp(process + calls))


def add(
    run: RunFolder,
    spec: str = "haar",
    boxes: runs.Found | None = None,
    ms: NDArray[np.float64] | None = None,
    **more: Any,
) -> StoredCell:
    """Add a finished cell; `ms` (rounds, images) may hold nan where a call failed. Rounds of all runs took turns."""
    ms = times(seed=len(run.path.name)) if ms is None else ms
    started = [60.0 * number for number in range(len(ms))]
    cell = runs.add_cell(run, spec, found() if boxes is None else boxes, **{"rounds_started": started, **more})
    table = run.timings(cell)
    rows = [
        {**row, "round": number, "detect_ms": value}
        for number, line in enumerate(ms)
        for row, value in zip(table.to_dict("records"), line, strict=True)
        if not np.isnan(value)
    ]
    type(table)(rows).to_parquet(run.cell_path(cell) / "timings.parquet")
    return cell


def two(
    folder: Path,
    *,
    base: dict[str, Any] | None = None,
    head: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
) -> tuple[RunFolder, RunFolder]:
    """Make two runs of one cell each; `environment` is what differs in that of the head."""
    left, right = start_run(folder / "base"), start_run(folder / "the-head", **(environment or {}))
    add(left, **(base or {}))
    add(right, **(head or {}))
    return left, right

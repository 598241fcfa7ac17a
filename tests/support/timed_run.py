"""Runs whose times are worked out, so that a report must tell what was put in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facebench.benchmarks.store.journal import ImageRecord, Repeat
from facebench.benchmarks.store.run_document import Floor
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.detectors import Detections
from facebench.tests.support import runs

COUNT = 24
SIZES = {f"{place}.jpg": (1000, 200 + 100 * place) for place in range(COUNT)}
FACES = {name: [((10.0, 10.0, 50.0, 50.0), False)] for name in SIZES}
FLOOR = Floor(0.0404, 0.3707, 100)
HOSTILE = "m:<b>&</b>"


def make_run(path: Path, floor: Floor | None = FLOOR, **changes: Any) -> RunFolder:
    run = runs.make_run(path, sizes=SIZES, faces=FACES, **changes)
    if floor is not None:
        run.save(floor=floor)
    return run


def add_timed(
    run: RunFolder, spec: str, *, slower: Sequence[float] = (1.0,), stages: bool = True, hits: int = COUNT, **cell: Any
) -> None:
    """Add a cell of 5 ms a call, 20 ms a megapixel and 2 ms a face found, `slower` times as long in each round.

    Half of a call is the network, a third before it, a sixth after; 0 to 5 faces are found, the first of them, on
    `hits` images, a true one; the processor works 0.99 of the time.
    """
    records, repeats = [], []
    for place, (name, (width, height)) in enumerate(SIZES.items()):
        first = FACES[name][0][0] if place < hits else (500.0, 10.0, 550.0, 60.0)
        boxes = [first, *((100.0 * i, 100.0, 100.0 * i + 20, 120.0) for i in range(place % 5))]
        found = Detections.from_arrays(boxes, [0.9, *(0.1 for _ in boxes[1:])])
        ms = 5 + 20 * width * height / 1e6 + 2 * len(boxes)
        for number, factor in enumerate(slower):
            taken = ms * factor
            split = (taken / 3, taken / 2, taken / 6) if stages else None
            if number == 0:
                records.append(ImageRecord(name, found, taken, width * height, taken * 0.99, split))
            else:
                repeats.append(Repeat(number, name, taken, taken * 0.99, split, len(found), same=True))
    stored = runs.add_cell(run, spec, **{"rounds": len(slower), **cell})
    run.write_cell(stored, records, repeats)


def sweep_run(path: Path) -> RunFolder:
    """One detector at three sizes, the largest worse than the second; one at two thread counts; one alone."""
    run = make_run(path)
    for side, slower, hits in ((320, 1.0, 8), (640, 2.0, 16), (1280, 4.0, 12)):
        protocol = {"size": f"long={side}", "score_floor": None}
        add_timed(run, HOSTILE, slower=(slower,), hits=hits, protocol=protocol)
    for threads in (1, 2):
        add_timed(run, "pooled", slower=(3.0 / threads,), hits=20, threads=threads)
    add_timed(run, "alone", slower=(5.0,))
    return run

"""A run small enough to be worked by hand: four images of two events, five faces, one of them ignored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from facebench.benchmarks.analysis.depth import Analysis
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.tests.support import runs

ONE, TWO, THREE, EMPTY = "0--A/one.jpg", "0--A/two.jpg", "1--B/three.jpg", "1--B/empty.jpg"
SIZES = dict.fromkeys((ONE, TWO, THREE, EMPTY), (200, 100))
A, B = (10.0, 10.0, 30.0, 30.0), (50.0, 10.0, 62.0, 22.0)
"""Small and tiny, in image one."""
C, IGNORED = (0.0, 0.0, 100.0, 100.0), (150.0, 10.0, 190.0, 50.0)
"""Large, and one that counts nowhere, in image two."""
E = (20.0, 20.0, 70.0, 70.0)
"""Medium, in image three."""
FACES = {ONE: [(A, False), (B, False)], TWO: [(C, False), (IGNORED, True)], THREE: [(E, False)]}
COLUMNS = {
    "blur": [0, 2, 0, 0, 1],
    "pose": [0, 0, 0, 0, 1],
    "easy": [0, 0, 1, 0, 1],
    "hard": [1, 1, 1, 0, 1],
    "perceived_gender": [0, 1, 0, -1, 1],
}
"""Of the faces A, B, C, the ignored one, E."""
GOOD: runs.Found = {ONE: [(A, 0.9), (B, 0.8)], TWO: [(C, 0.95), (IGNORED, 0.85)], THREE: [(E, 0.6)]}
"""Every face, and nothing else."""
FAIR: runs.Found = {
    EMPTY: [((5.0, 5.0, 25.0, 25.0), 0.95)],
    ONE: [(A, 0.9), ((11.0, 10.0, 31.0, 30.0), 0.75)],
    TWO: [(C, 0.8)],
    THREE: [((50.0, 20.0, 100.0, 70.0), 0.7)],
}
"""By falling score: a box on no face, A, C, A once more, a box that meets E at an IoU of 0.26; B is missed."""


def make_run(path: Path, **changes: Any) -> RunFolder:
    """Start the run without any cell."""
    options: dict[str, Any] = {"sizes": SIZES, "faces": FACES, "columns": COLUMNS, "lists": ("easy", "hard")}
    return runs.make_run(path, **options | changes)


def make_both(path: Path) -> RunFolder:
    """Make the run with its two detectors."""
    run = make_run(path)
    runs.add_cell(run, "fair", FAIR, 5)
    runs.add_cell(run, "good", GOOD)
    return run


def numbers(found: Analysis) -> str:
    """Whatever depends on the draws."""
    intervals = [
        [one.exact, one.official, one.coco, one.coco50, one.coco75]
        for cell in found.cells.values()
        for one in cell.lists.values()
    ]
    operating = [list(cell.operating.values()) for cell in found.cells.values()]
    slices = [[part.exact, part.recall] for cell in found.cells.values() for part in cell.slices]
    details = [[cell.habit, cell.overlap, cell.unbiased, cell.errors, cell.misses] for cell in found.cells.values()]
    pairs = [difference.interval for difference in found.differences.values()]
    return json.dumps([*map(repr, (intervals, operating, slices, details, pairs)), dict(found.first), list(found.tied)])

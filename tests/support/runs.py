"""Small run folders made by hand: no detector runs, no image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from facebench.benchmarks.store.records import StoredCell
from facebench.benchmarks.store.run_folder import ImageRecord, RunFolder
from facebench.detectors import Detections
from facebench.tests.support.records import document, stored

Box = tuple[float, float, float, float]
Found = Mapping[str, Sequence[tuple[Box, float]]]

HOSTILE = '<img src=x onerror="alert(1)">.jpg'
SIZES = {"group.jpg": (200, 100), HOSTILE: (1440, 900), "empty.jpg": (60, 120)}
"""image_id -> width, height."""
FACES: dict[str, list[tuple[Box, bool]]] = {
    "group.jpg": [((10, 10, 30, 30), False), ((50, 10, 70, 30), False), ((90, 10, 110, 30), True)],
    HOSTILE: [((100, 100, 300, 300), False)],
}
"""image_id -> box, ignored."""
EXACT: Found = {name: [(box, 0.9) for box, _ in faces] for name, faces in FACES.items()}
POOR: Found = {
    "group.jpg": [((10, 10, 30, 30), 0.8), ((11, 10, 31, 30), 0.7), ((150, 50, 170, 70), 0.6), ((50, 10, 70, 30), 0.1)],
    "empty.jpg": [((5, 5, 25, 25), 0.9), ((30, 60, 50, 90), 0.55)],
}


def make_run(
    path: Path,
    *,
    demo: bool = False,
    excluded: Sequence[Sequence[str]] = (),
    ignore_all: bool = False,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    faces: Mapping[str, Sequence[tuple[Box, bool]]] | None = None,
    columns: Mapping[str, Sequence[int]] | None = None,
    lists: Sequence[str] = (),
) -> RunFolder:
    """Start a run of the three images, or of others; `excluded` are further ones, as run.json lists them.

    `columns` are labels and lists: a number for each face, in the order of the images.
    """
    sizes, faces = sizes or SIZES, faces or FACES
    run = RunFolder.create(
        path,
        document(dataset={"demo": demo, "lists": list(lists)}, excluded=[list(row) for row in excluded]),
    )
    rows = [(name, *box, ignored or ignore_all) for name, found in faces.items() for box, ignored in found]
    images = [(name, "ok", "", *size) for name, size in sizes.items()]
    images += [(name, verdict, detail, 0, 0) for name, verdict, detail in excluded]
    run.write_images(
        pd.DataFrame(images, columns=["image_id", "verdict", "detail", "width", "height"]),
        pd.DataFrame(rows, columns=["image_id", "x1", "y1", "x2", "y2", "ignore"])
        .astype(dict.fromkeys(("x1", "y1", "x2", "y2"), np.float32))
        .assign(**{name: np.array(values, np.int8) for name, values in (columns or {}).items()}),
    )
    return run


def add_cell(run: RunFolder, spec: str, found: Found | None = None, ms: float = 20.0, **changes: Any) -> StoredCell:
    """Add a cell: finished with what it found, or, without, as `changes` say."""
    number = len(run.cells)
    usual = {"key": f"{number:016x}", "folder": f"cell-{number}", "machine": run.document.environment.machine}
    cell = stored(spec, **usual | changes)
    if found is not None:
        images = run.images()
        images = images[images["verdict"] == "ok"]
        records = [
            ImageRecord(
                name,
                Detections.from_arrays([box for box, _ in found.get(name, ())], [s for _, s in found.get(name, ())]),
                ms + place,
                width * height,
            )
            for place, (name, width, height) in enumerate(
                images[["image_id", "width", "height"]].itertuples(index=False)
            )
        ]
        run.write_cell(cell, records)
    run.put_cell(cell)
    return cell


def image(image_id: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """An image of the right size, a gradient."""
    width, height = SIZES[image_id]
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    return np.repeat(np.repeat(ramp[None, :, None], height, axis=0), 3, axis=2)

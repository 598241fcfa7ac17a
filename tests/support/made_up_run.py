"""A finished run on images whose faces say their emotion by their grey level, and a classifier that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from facebench.benchmarks.measure.images import faces_table, new_document
from facebench.benchmarks.store.records import StoredCell
from facebench.benchmarks.store.run_folder import ImageRecord, RunFolder
from facebench.datasets import Dataset
from facebench.datasets.base import Faces, Sample
from facebench.detectors import Detections
from facebench.tests.support.records import stored
from facebench.tests.support.small_fer import encoded

Box = tuple[float, float, float, float]
Found = Mapping[str, Sequence[tuple[Box, float]]]
WIDTH, HEIGHT = 240, 160
BACKGROUND = 240


def grey_of(emotion: int) -> int:
    return 20 + 30 * emotion


class GreyReader:
    """Answers by the mean grey level: what `grey_of` says, surprise for the background."""

    name = "grey-reader"

    def __init__(self, sha256: str = "a" * 64) -> None:
        self.sha256 = sha256
        self.seen = 0

    def classify(self, faces: np.ndarray) -> np.ndarray:
        self.seen += len(faces)
        emotion = np.clip(np.rint((faces.mean(axis=(1, 2)) - 20) / 30), 0, 6).astype(int)
        return np.eye(7, dtype=np.float32)[emotion] * 0.7 + 0.3 / 7


def image(faces: Sequence[tuple[Box, int]]) -> bytes:
    pixels = np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)
    for (x1, y1, x2, y2), emotion in faces:
        pixels[int(y1) : int(y2), int(x1) : int(x2)] = grey_of(max(emotion, 0))
    return encoded(pixels)


def make_dataset(
    faces: Mapping[str, Sequence[tuple[Box, int]]],
    *,
    ignore: Sequence[tuple[str, int]] = (),
    crowds: bool = False,
    emotions: bool = True,
) -> Dataset:
    """Make images of squares; with `crowds`, those to be ignored are crowd regions."""
    samples = []
    for name, of in faces.items():
        ignored = np.array([(name, place) in ignore for place in range(len(of))], bool)
        boxes = np.array([box for box, _ in of], np.float32).reshape(-1, 4)
        labels = np.array([emotion for _, emotion in of], np.int8) if emotions else None
        samples.append(Sample(name, image(of), Faces(boxes, ignored, {}, labels, ignored if crowds else None)))
    return Dataset("made-up", tuple(samples), len(samples), (), False, "Squares.", "none", "f" * 16)


def make_run(path: Path, dataset: Dataset, excluded: Sequence[str] = ()) -> RunFolder:
    run = RunFolder.create(path, new_document(dataset))
    rows = [
        (sample.image_id, "unreadable" if sample.image_id in excluded else "ok", "", WIDTH, HEIGHT)
        for sample in dataset.samples
    ]
    table = pd.DataFrame(rows, columns=["image_id", "verdict", "detail", "width", "height"])
    run.write_images(table, faces_table(dataset.samples))
    return run


def add_cell(run: RunFolder, spec: str, found: Found, **changes: Any) -> StoredCell:
    number = len(run.cells)
    cell = stored(spec, **{"key": f"{number:016x}", "folder": f"cell-{number}"} | changes)
    records = [
        ImageRecord(
            name,
            Detections.from_arrays([box for box, _ in found.get(name, ())], [s for _, s in found.get(name, ())]),
            1.0,
            WIDTH * HEIGHT,
        )
        for name in run.images()["image_id"]
    ]
    run.write_cell(cell, records)
    run.put_cell(cell)
    return cell


def shifted(box: Box, dx: float = 0, dy: float = 0, grow: float = 0) -> Box:
    return box[0] + dx - grow, box[1] + dy - grow, box[2] + dx + grow, box[3] + dy + grow

"""A stress run made by hand: two kinds, four detectors of which one breaks off, no detector runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.stress.strips import write_strips
from facebench.datasets import Dataset, Faces, Sample
from facebench.datasets.degraded.degradations import Degradation
from facebench.datasets.scenes.layers import encode_png
from facebench.tests.support import runs

WANTED = (Degradation("blur", 1), Degradation("blur", 5), Degradation("rotation", 3))
IMAGES = {f"{number}.jpg": (200, 100) for number in range(12)}
BOX = (20.0, 20.0, 60.0, 70.0)
FACES = {name: [(BOX, False)] for name in IMAGES}
FOUND = {
    "steady": {None: 12, WANTED[0]: 12, WANTED[1]: 11, WANTED[2]: 12},
    "failing<b>": {None: 12, WANTED[0]: 9, WANTED[1]: 2, WANTED[2]: 4},
    "blind": {None: 0, WANTED[0]: 0, WANTED[1]: 0, WANTED[2]: 0},
    "stopped": {None: 12, WANTED[0]: 12},
}
"""Detector -> degradation -> of the 12 images, in how many it finds the face."""


def make_stress_run(path: Path, *, strips: bool = True) -> RunFolder:
    """Write the run on the images as they are, and one for each degradation."""
    for degradation in (None, *WANTED):
        fingerprint = "f" * 16 if degradation is None else f"{degradation.kind}{degradation.severity}"
        folder = path if degradation is None else path / "stress" / f"{degradation.kind}-{degradation.severity}"
        run = runs.make_run(folder, sizes=IMAGES, faces=FACES)
        run.save(dataset=replace(run.document.dataset, fingerprint=fingerprint))
        for name, counts in FOUND.items():
            if degradation in counts:
                runs.add_cell(run, name, {one: [(BOX, 0.9)] for one in list(IMAGES)[: counts[degradation]]})
            else:
                runs.add_cell(run, name, status="failed", reason="the cascade of doom", start=None)
    index = [
        {"kind": one.kind, "severity": one.severity, "words": one.words, "fingerprint": f"{one.kind}{one.severity}"}
        for one in WANTED
    ]
    document = {"schema": "facebench.stress", "schema_version": 1, "seed": 7, "conditions": index}
    (path / "stress" / "stress.json").write_text(json.dumps(document))
    if strips:
        grey = encode_png(np.full((100, 200, 3), 90, np.uint8))
        faces = Faces(np.array([BOX], np.float32), np.zeros(1, bool))
        samples = tuple(Sample(name, grey, faces) for name in IMAGES)
        dataset = Dataset("made-up:val", samples, 12, (), False, "", "", "f" * 16)
        write_strips(path / "stress", dataset, WANTED, 7)
    return RunFolder.open(path)

"""After a run: annotated boxes that no detector agrees with, until they are read otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from facebench.benchmarks.analysis.other_reading import IMAGES, note_on_annotation, spread
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.datasets.box_format import BoxFormat
from facebench.tests.support.made_up_run import HEIGHT, WIDTH, add_cell, make_dataset, make_run

TRUE = {
    f"{i}.png": [(60.0 + 9 * i, 40.0 + 5 * i, 92.0 + 9 * i, 76.0 + 5 * i), (8.0, 9.0, 40.0, 50.0)] for i in range(6)
}


def noted(tmp_path, written: str, *, good: bool = True) -> list[str]:
    """The notes of a run whose annotation is in one format and read as x, y, width, height."""
    size = np.array([WIDTH, HEIGHT], float)
    format = BoxFormat.parse(written)
    misread = {
        name: [(tuple(BoxFormat().to_corners(format.to_numbers(np.array([box]), size))[0]), 0) for box in boxes]
        for name, boxes in TRUE.items()
    }
    run = make_run(tmp_path / "run", make_dataset(misread, emotions=False))
    add_cell(run, "bad", {name: [((200, 120, 220, 150), 0.9)] for name in TRUE})
    if good:
        add_cell(run, "good", {name: [(box, 0.9) for box in boxes] for name, boxes in TRUE.items()})
    for _ in range(2):  # a run that is gone on with says it once
        note_on_annotation(summarise_run(run), BoxFormat())
    return list(RunFolder.open(tmp_path / "run").document.dataset.notes)


@pytest.mark.parametrize("written", ["xyxy", "cxcywh", "yxyx", "trbl", "xywh:1", "xyxy:1000"])
def test_the_reading_that_detectors_agree_with_is_noted(tmp_path, written):
    (note,) = noted(tmp_path, written)
    assert f"box_format={written} reads them so" in note and "good's AP would be 1.000 instead of 0." in note


def test_no_note_where_a_detector_agrees_or_none_would(tmp_path):
    assert noted(tmp_path / "right", "xywh") == []
    assert noted(tmp_path / "bad", "xyxy", good=False) == []


def test_images_to_look_at():
    assert spread(3, [1]) == [0, 1, 2]
    some = spread(10_000, list(range(0, 10_000, 2)))
    assert len(some) == IMAGES and some[0] == 0 and some[-1] == 9998 and len(set(some)) == IMAGES
    assert spread(10_000, [5, 6]) == [5, 6] and spread(10_000, []) == []

"""Detections and faces of a run as arrays, each read and matched once."""

from __future__ import annotations

from pathlib import Path

import pytest
from facebench.benchmarks.store import truth
from facebench.benchmarks.store.truth import RunReader
from facebench.tests.support import runs


def test_a_cell_is_matched_as_it_is_stored(tmp_path: Path) -> None:
    run = runs.make_run(tmp_path, excluded=[("torn.jpg", "truncated", "")])
    cell = runs.add_cell(run, "poor", runs.POOR)
    reader = RunReader(run)
    found = reader.matched(cell)
    assert reader.truth.image_ids == list(runs.SIZES)
    assert found.boxes.offsets.tolist() == [0, 4, 4, 6]
    assert found.scores[found.matches.detection].tolist() == found.matches.scores.tolist()
    assert found.matches.best_face[found.matches.iou >= 0.5].tolist() == [0, 0, 1]


@pytest.mark.parametrize(("kept", "same"), [(10, [True, True]), (9, [True, False]), (0, [False, False])])
def test_so_many_boxes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, same: list[bool]) -> None:
    """Six boxes of one cell, four of another: what would fill the memory is read again when it is asked for."""
    monkeypatch.setattr(truth, "_KEPT_BOXES", kept)
    run = runs.make_run(tmp_path)
    cells = [runs.add_cell(run, "poor", runs.POOR), runs.add_cell(run, "exact", runs.EXACT)]
    reader = RunReader(run)
    first, again = ([reader.matched(cell) for cell in cells] for _ in range(2))
    assert [one is other for one, other in zip(first, again, strict=True)] == same

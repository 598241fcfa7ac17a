"""Rounds, sizes and thread counts of a run; children whose times would be invalid; the harness's own cost."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.measure.detector_process import DetectorProcess, Limits
from facebench.benchmarks.measure.environment import usable_cores
from facebench.benchmarks.measure.floor import measure_floor
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.records import Protocol
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.errors import UsageError, WorkerDiedError
from facebench.tests.support.records import without_checksums
from facebench.tests.support.watched_runs import Counts, Interrupts, plan

pytestmark = pytest.mark.usefixtures("hostile")
NAMES = [f"picture-{index}.png" for index in range(6)]


def test_each_round_times_every_image_in_a_fresh_child(tmp_path, small):
    folder = run(plan(small, "Good", rounds=3), tmp_path / "run")
    cell, timings = folder.cells[0], folder.timings(folder.cells[0])
    assert timings["round"].tolist() == [0] * 6 + [1] * 6 + [2] * 6
    # every other round goes backwards, so that a drift within rounds cancels
    assert timings["image_id"].tolist() == NAMES + NAMES[::-1] + NAMES
    assert timings["order"].tolist() == list(range(18))
    assert (timings["detect_ms"] > 0).all() and (timings["cpu_ms"] > 0).all()
    assert (cell.rounds, cell.starts, cell.detections_differ) == (3, 3, 0)
    assert len(cell.rounds_started) == 3 and list(cell.rounds_started) == sorted(cell.rounds_started)
    assert len(folder.detections(cell)) == 6


def test_more_rounds_are_added_to_those_that_are_there(tmp_path, small):
    first = run(plan(small, "Good"), tmp_path / "run")
    before = first.timings(first.cells[0])
    counts = Counts()
    again = run(plan(small, "Good", rounds=2), tmp_path / "run", counts)
    after = again.timings(again.cells[0])
    pd.testing.assert_frame_equal(after.head(6), before)
    assert counts.begun == {"hostile_detectors:Good": 6} and counts.measured == 6
    assert again.cells[0].rounds == 2
    assert len(again.cells[0].rounds_started) == 2
    counts = Counts()
    run(plan(small, "Good", rounds=1), tmp_path / "run", counts)
    assert counts.measured == 0


@pytest.mark.parametrize("after", [2, 8, 15])
def test_a_run_interrupted_in_any_round_goes_on(tmp_path, small, after):
    with pytest.raises(KeyboardInterrupt):
        run(plan(small, "Good", rounds=3), tmp_path / "run", Interrupts(after))
    counts = Counts()
    folder = run(plan(small, "Good", rounds=3), tmp_path / "run", counts)
    assert counts.measured == 18 - after
    timings = folder.timings(folder.cells[0])
    assert timings.groupby("round")["image_id"].apply(set).tolist() == [set(NAMES)] * 3


def test_more_rounds_interrupted_leave_the_result_that_was_there(tmp_path, small):
    run(plan(small, "Good"), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run(plan(small, "Good", rounds=2), tmp_path / "run", Interrupts(3))
    folder = RunFolder.open(tmp_path / "run")
    assert (folder.cells[0].status, folder.cells[0].rounds) == ("done", 1)
    assert len(folder.timings(folder.cells[0])) == 6
    counts = Counts()
    run(plan(small, "Good", rounds=2), tmp_path / "run", counts)
    assert counts.measured == 3


def test_detections_that_differ_between_rounds_are_counted(tmp_path, small):
    folder = run(plan(small, "DiffersByProcess", rounds=2), tmp_path / "run")
    assert folder.cells[0].detections_differ == 6


def test_sizes_and_thread_counts_are_rows_of_their_own(tmp_path, small):
    protocols = [Protocol("long=80"), Protocol()]
    threads = [1, 2] if len(usable_cores()) > 1 else [1]
    settings = {"protocols": protocols, "threads": threads}
    folder = run(plan(small, "Good", **settings), tmp_path / "run")
    found = [(cell.protocol.size, cell.threads, cell.status) for cell in folder.cells]
    assert found == [(protocol.size, count, "done") for protocol in protocols for count in threads]
    assert len({cell.key for cell in folder.cells}) == len(folder.cells)
    for cell in folder.cells:
        # boxes come back in the image's own pixels, whatever the detector saw
        np.testing.assert_allclose(folder.detections(cell)[["x1", "y1", "x2", "y2"]], [[40, 30, 80, 60]] * 6)
        assert cell.start.library_threads["cores"] == cell.threads
    counts = Counts()
    run(plan(small, "Good", **settings), tmp_path / "run", counts)
    assert counts.measured == 0


def test_no_rounds_is_an_error(tmp_path, small):
    with pytest.raises(UsageError, match="got 0 rounds"):
        run(plan(small, "Good", rounds=0), tmp_path / "run")


def test_threads_changed_on_import_are_put_back_and_told(tmp_path, small):
    folder = run(plan(small, "ChangesThreadsOnImport"), tmp_path / "run")
    start = folder.cells[0].start
    assert folder.cells[0].status == "done"
    assert tuple(start.threads_put_back["cv2"]) == (7, 1)
    assert start.library_threads["cv2"] == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("ChangesThreadsInDetect", "cv2.*7"), ("FinishesLater", "after"), ("LiesAboutDevice", "runs on cuda")],
)
def test_what_would_make_the_times_a_lie_fails_the_cell(tmp_path, small, name, words):
    folder = run(plan(small, name), tmp_path / "run")
    assert folder.cells[0].status == "failed"
    assert pd.Series([folder.cells[0].reason]).str.contains(words).all(), folder.cells[0].reason


def test_stages_are_stored_and_add_up(tmp_path, small):
    folder = run(plan(small, "Stages", "Good", rounds=2), tmp_path / "run")
    told, silent = (folder.timings(cell) for cell in folder.cells)
    stages = told[["pre_ms", "inference_ms", "post_ms"]].to_numpy()
    np.testing.assert_allclose(stages.sum(axis=1), told["detect_ms"], rtol=1e-9)
    assert (stages[:, 1] >= 2).all()
    assert silent[["pre_ms", "inference_ms", "post_ms"]].isna().all(axis=None)


def test_a_detector_without_the_constructor_of_its_base_runs(tmp_path, small):
    assert run(plan(small, "WithoutItsBase"), tmp_path / "run").cells[0].status == "done"


def test_the_floor_of_the_call_is_below_that_of_the_round_trip():
    floor = measure_floor(Limits())
    assert 0 < floor.detect_ms < floor.round_trip_ms
    assert floor.calls == 100


def test_a_child_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr("facebench.benchmarks.measure.detector_process.PROTOCOL", 99)
    with DetectorProcess("hostile_detectors:Good") as child:
        with pytest.raises(WorkerDiedError, match="speaks protocol 6, this one 99"):
            child.start()
        assert not child.running


def test_a_folder_of_version_1_is_read(tmp_path, small):
    """Version 1 had one protocol for the whole run and no rounds."""
    folder = run(plan(small, "Good"), tmp_path / "run")
    cell = folder.cells[0]
    expected = folder.timings(cell)
    expected[["image_id", "order", "detect_ms", "pixels", "detections"]].to_parquet(
        folder.cell_path(cell) / "timings.parquet"
    )
    old = without_checksums(json.loads((folder.path / "run.json").read_text()))
    old |= {"schema_version": 1, "protocol": {"size": "original"}}
    for plain in old["cells"]:
        del plain["protocol"], plain["rounds"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(old))
    opened = RunFolder.open(tmp_path / "run")
    assert opened.cells[0].protocol == cell.protocol and opened.cells[0].rounds == 1
    timings = opened.timings(opened.cells[0])
    assert (timings["round"] == 0).all() and timings["cpu_ms"].isna().all()
    pd.testing.assert_series_equal(timings["detect_ms"], expected["detect_ms"])

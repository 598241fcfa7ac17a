"""Times are taken at the threshold, as a detector is used; detections for curves go down to the score floor."""

from __future__ import annotations

import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.choose.default import load_default, write_pick
from facebench.benchmarks.measure.executors import create_executor
from facebench.benchmarks.measure.images import Images
from facebench.benchmarks.measure.interleave import Side, interleave
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.records import Start
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.datasets import decode
from facebench.detectors.setting import Setting
from facebench.tests.support import records
from facebench.tests.support.command import hostile_importable
from facebench.tests.support.small_dataset import make_dataset
from facebench.tests.support.watched_runs import Counts, Interrupts, plan

pytestmark = pytest.mark.usefixtures("hostile")
FLOORED = "hostile_detectors:Floored"


def stored(folder: RunFolder, place: int = 0) -> tuple[list[int], list[int], Start]:
    """Return detections an image, detections a timed call, and what the cell's start says."""
    cell = folder.cells[place]
    counts = folder.detections(cell).groupby("image_id", sort=False).size().tolist()
    return counts, folder.timings(cell)["detections"].tolist(), cell.start


def test_detections_go_to_the_floor_and_times_stop_at_the_threshold(tmp_path, small):
    counts = Counts()
    folder = run(plan(small, "Floored", rounds=2), tmp_path / "run", counts)
    found, timed, start = stored(folder)
    assert (found, timed) == ([4] * 6, [2] * 12)
    assert (start.operating_threshold, start.score_floor, start.timed_from) == (0.5, pytest.approx(0.1), 0.5)
    cell = folder.cells[0]
    assert (cell.rounds, cell.starts, cell.detections_differ) == (2, 3, 0)
    assert counts.begun == {FLOORED: 0} and counts.measured == 18
    rates = summarise_run(folder).rows[0].intervals.operating
    assert (rates["precision"].value, rates["recall"].value) == (0.5, 1.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> RunFolder:
    with hostile_importable():
        return run(plan(make_dataset(), "Floored"), tmp_path_factory.mktemp("undisturbed") / "run")


@pytest.mark.parametrize("after", [2, 6, 8, 12, 15])
def test_a_run_interrupted_in_either_pass_goes_on(tmp_path, small, undisturbed, after):
    with pytest.raises(KeyboardInterrupt):
        run(plan(small, "Floored", rounds=2), tmp_path / "run", Interrupts(after))
    counts = Counts()
    folder = run(plan(small, "Floored", rounds=2), tmp_path / "run", counts)
    assert (counts.begun, counts.measured) == ({FLOORED: after}, 18 - after)
    found, timed, start = stored(folder)
    assert (found, timed, start.timed_from) == ([4] * 6, [2] * 12, 0.5)
    assert start.score_floor == pytest.approx(0.1)
    pd.testing.assert_frame_equal(folder.detections(folder.cells[0]), undisturbed.detections(undisturbed.cells[0]))


def test_later_rounds_are_compared_with_what_reaches_the_threshold(tmp_path, small):
    run(plan(small, "Floored"), tmp_path / "run")
    folder = run(plan(small, "Floored", rounds=3), tmp_path / "run")
    assert folder.cells[0].detections_differ == 0 and folder.cells[0].start.timed_from == 0.5
    assert stored(folder)[1] == [2] * 18


def test_a_detector_that_finds_other_boxes_at_its_threshold_is_told(tmp_path, small):
    """What is scored would not be what is used."""
    assert run(plan(small, "ForgetsBelow"), tmp_path / "run").cells[0].detections_differ == 6


@pytest.mark.parametrize(("threshold", "found"), [(0.05, 4), (0.3, 3), (0.5, 2), (0.6, 1), (0.95, 0)])
def test_a_setting_is_measured_as_it_is_handed_over(tmp_path, small, threshold, found):
    setting = Setting(FLOORED, threshold, "original+long=80")
    folder = run(plan(small, "Floored", settings=[setting]), tmp_path / "run")
    cell, other = folder.cells
    assert (cell.threshold, other.threshold) == (threshold, None) and cell.key != other.key
    assert cell.operating_threshold == threshold
    assert (stored(folder)[1], cell.detections_differ) == ([found] * 6, 0)
    assert cell.label == f"{FLOORED}, from {threshold:g}, original+long=80"
    write_pick({"schema": "facebench.default", "schema_version": 3, "setting": setting.to_json()}, tmp_path / "x.json")
    detector = load_default(tmp_path / "x.json")
    boxes = folder.detections(cell)
    for sample in small.samples:
        mine = boxes[(boxes["image_id"] == sample.image_id) & (boxes["score"] >= threshold)]
        got = detector.detect(decode(sample.source).image)
        assert got.boxes.tolist() == mine[["x1", "y1", "x2", "y2"]].to_numpy().tolist()
    detector.close()


def test_the_same_setting_twice_is_one_row(small):
    cells = plan(small, "Floored", settings=[Setting(FLOORED, 0.3), Setting(FLOORED), Setting(FLOORED, 0.3)]).cells()
    assert [cell.threshold for _, cell in cells] == [0.3, None]


def test_detections_of_an_executor_are_timed_at_the_threshold(tmp_path, small):
    whole = plan(small, "Floored", executor=create_executor("local:1"), rounds=1, settings=[Setting(FLOORED, 0.3)])
    folder = run(whole, tmp_path / "run")
    for place, count in ((0, 3), (1, 2)):
        found, timed, start = stored(folder, place)
        assert (found, timed) == ([4] * 6, [count] * 6)
        assert start.score_floor == pytest.approx(0.1)
        assert start.timed_from == start.operating_threshold == (0.3, 0.5)[place]
        assert folder.cells[place].kept_from == pytest.approx(0.1)


def test_interleaved_sides_are_timed_at_their_thresholds_and_scored_from_their_floors(small):
    names = [sample.image_id for sample in small.samples][:3]
    images = Images(small.samples)
    found = interleave(Side(FLOORED), Side(FLOORED), names, images, rounds=1, score_floors=(0.1, None))
    assert [len(one) for one in found.base_detections] == [4] * 3
    assert [len(one) for one in found.head_detections] == [2] * 3
    assert (found.base_start.score_floor, found.head_start.score_floor) == (pytest.approx(0.1), 0.5)


@pytest.mark.parametrize(
    ("asked", "threshold", "kind", "floor"),
    [
        (None, None, "probability", 0.1),
        (0.05, None, "probability", 0.05),
        (0.05, None, "margin", 0.1),
        (None, 0.02, "probability", 0.02),
        (0.05, 0.02, "probability", 0.02),
        (None, 0.7, "probability", 0.1),
        (None, -3.0, "margin", -3.0),
    ],
)
def test_boxes_are_kept_from_the_floor_or_from_a_threshold_below_it(asked, threshold, kind, floor):
    info = {"score_kind": kind, "score_floor": 0.1}
    cell = records.stored(protocol={"score_floor": asked}, threshold=threshold, info=info)
    assert cell.kept_from == floor

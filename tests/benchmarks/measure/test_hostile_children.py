"""What crosses the border from a detector's process is checked there: its cell fails, the good one is measured."""

from __future__ import annotations

import re
from dataclasses import replace

import psutil
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.detectors import resolve_all
from facebench.tests.support import hostile_children
from facebench.tests.support.small_dataset import make_dataset
from facebench.tests.support.watched_runs import LIMITS, plan

pytestmark = pytest.mark.usefixtures("hostile")


def of(*names: str, good: str = "hostile_detectors:Good"):
    return replace(
        plan(make_dataset(2), "Good"), detectors=resolve_all([*(f"hostile_children:{n}" for n in names), good])
    )


def left_alive() -> list[str]:
    words = str(hostile_children.LONG_S)
    return [
        " ".join(one.info["cmdline"])
        for one in psutil.process_iter(["cmdline"])
        if words in (one.info["cmdline"] or [])
    ]


@pytest.mark.slow
def test_every_hostile_child_fails_alone_and_leaves_nobody(tmp_path):
    folder = run(of(*hostile_children.REASONS, *hostile_children.GOOD), tmp_path / "run")
    cells = {cell.detector.partition(":")[2]: cell for cell in folder.cells}
    wrong = {name: cells[name].status for name in (*hostile_children.GOOD, "Good") if not cells[name].done}
    for name, words in hostile_children.REASONS.items():
        cell = cells[name]
        if cell.status != "failed" or not re.search(words, cell.reason or "") or not cell.reason:
            wrong[name] = f"{cell.status}: {cell.reason}"
        elif len(cell.reason) > 12_000:
            wrong[name] = f"a reason of {len(cell.reason)} characters"
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
    assert left_alive() == []
    again = RunFolder.open(tmp_path / "run")
    (row,) = [row for row in summarise_run(again).rows if row.cell.detector == "hostile_detectors:Good"]
    assert row.exact_ap("overall") == 1.0
    assert all(log.stat().st_size <= 2**24 for log in (tmp_path / "run").rglob("worker.log"))


def test_half_a_message_and_silence_end_with_the_limit(tmp_path):
    asked = replace(of("SaysAndWaits"), limits=replace(LIMITS, image_s=2.0))
    hostile, good = run(asked, tmp_path / "run").cells
    assert hostile.status == "failed" and "no answer within 2 s" in hostile.reason
    assert good.status in ("done", "failed"), "two seconds may be too few for it here"


def test_a_kill_while_loading_gets_a_second_try(tmp_path):
    folder = run(of(f"KilledOnceWhileLoading:mark={tmp_path / 'mark'}"), tmp_path / "run")
    assert [cell.status for cell in folder.cells] == ["done", "done"]

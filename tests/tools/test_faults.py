"""The trials of docs/reliability.md see what they are made to see; their short forms keep every promise."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.measure.plan import Plan
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.run_folder import RunFolder, write_atomically
from facebench.benchmarks.store.sealed_tables import table_bytes
from facebench.datasets import decode, load
from facebench.detectors import resolve_all
from facebench.tests.support.pages import blocks
from facebench.tests.support.records import without_checksums
from facebench.tools import faults
from facebench.tools.faults import __main__ as program
from facebench.tools.faults import families
from facebench.tools.faults.command import Command, Ended
from facebench.tools.faults.corrupt import MAKERS, corrupt, make
from facebench.tools.faults.detector import SPEC
from facebench.tools.faults.events import FolderEvents
from facebench.tools.faults.fuzz.flips import flips
from facebench.tools.faults.images import write_small
from facebench.tools.faults.injected import Disk, _opener
from facebench.tools.faults.inspection import Snapshot, faults_between, faults_of_files, faults_of_result
from facebench.tools.faults.kills import kills
from facebench.tools.faults.table import Row
from facebench.tools.faults.tampered import tampered


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of few images, not to be changed."""
    folder = tmp_path_factory.mktemp("faults")
    data = write_small(folder / "pictures", 4)
    return run(Plan(load(f"folder:{data}"), resolve_all([SPEC])), folder / "run").path


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def replace_table(folder, file: str, change) -> None:
    (path,) = folder.rglob(file)
    write_atomically(path, table_bytes(change(pd.read_parquet(path))))


def change_document(folder, change) -> None:
    document = without_checksums(json.loads((folder / "run.json").read_text()))
    change(document)
    (folder / "run.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda one: None, ""),
        (lambda one: (one / ".run.json.1.tmp").touch(), "left behind: .run.json.1.tmp"),
        (lambda one: (one / "cells" / "journal.jsonl").touch(), "left behind: journal.jsonl"),
        (lambda one: replace_table(one, "detections.parquet", lambda rows: rows[1:]), "lost: detections"),
        (lambda one: replace_table(one, "detections.parquet", lambda rows: rows.assign(x1=0)), "changed: detections"),
        (
            lambda one: replace_table(one, "timings.parquet", lambda rows: pd.concat([rows, rows[:1]])),
            "doubled: timings",
        ),
        (lambda one: replace_table(one, "pictures.parquet", lambda rows: rows[::-1]), "changed: images"),
        (lambda one: change_document(one, lambda document: document.pop("excluded")), "other excluded"),
        (lambda one: change_document(one, lambda document: document["dataset"]["notes"].append("x")), "other notes"),
        (lambda one: change_document(one, lambda document: document["cells"][0].update(rounds=2)), "other cells"),
    ],
)
def test_a_result_that_differs_from_an_undisturbed_one_is_seen(finished, copied, damage, words):
    damage(copied)
    found = faults_of_result(copied, finished)
    assert [fault for fault in found if words not in fault] == [] and len(found) == (words != "")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("run.json", b"{", "half-read: cannot read"),
        ("pictures.parquet", b"PAR1", "half-read: pictures.parquet"),
        ("cells/x/journal.jsonl", b'{"event": "picture", "image_id": "a"}\n' * 2, "doubled: image a"),
        ("cells/x/journal.jsonl", b'{"event": "repeat", "round": 1, "image_id": "a"}\n' * 2, "doubled: round 1 of a"),
        ("cells/x/journal.jsonl", b'{"event": "start"}\n' * 2 + b'{"event": "pict', ""),
    ],
)
def test_what_a_kill_must_not_leave_is_seen(copied, file, content, words):
    (copied / file).parent.mkdir(exist_ok=True)
    (copied / file).write_bytes(content)
    found = faults_of_files(copied)
    assert len(found) == (words != "") and all(words in fault for fault in found)


def test_lines_that_are_gone_or_changed_are_seen(finished, copied):
    """A journal that is gone must have become the tables of its cell, with its times."""
    cell = RunFolder.open(finished).cells[0]
    timings = RunFolder.open(finished).timings(cell)
    lines = [
        b'{"event": "picture", "image_id": "%b", "detect_ms": %b, "scores": "%b"}\n'
        % (name.encode(), repr(took).encode(), base64.b64encode(bytes(4 * count)))
        for name, took, count in timings[["image_id", "detect_ms", "detections"]].itertuples(index=False)
    ]
    assert faults_between(Snapshot({cell.folder: lines}), copied) == []
    other = lines[0].replace(b'"detect_ms": ', b'"detect_ms": 1')
    (found,) = faults_between(Snapshot({cell.folder: [other]}), copied)
    assert found.startswith("lost: ('picture-000.png', 0) took 1")
    (found,) = faults_between(
        Snapshot({cell.folder: [lines[0].replace(b'"scores": "', b'"scores": "AAAAAAAA')]}), copied
    )
    assert found.startswith("lost: picture-000.png had")
    journal = copied / "cells" / cell.folder / "journal.jsonl"
    journal.write_bytes(b"".join(lines[:2]) + b"torn")
    assert faults_between(Snapshot({cell.folder: lines[:2]}), copied) == []
    assert faults_between(Snapshot({cell.folder: lines}), copied) == [], "another journal, of a further round"
    change_document(copied, lambda document: document["cells"][0].update(status="running"))
    (found,) = faults_between(Snapshot({cell.folder: lines[:3]}), copied)
    assert found.startswith("lost: the 3 lines of the journal")
    (found,) = faults_between(Snapshot({"never-done": lines}), copied)
    assert "its cell is not done" in found


def test_a_process_that_outlives_the_command_is_counted_and_ended(monkeypatch):
    monkeypatch.setattr("facebench.tools.faults.command._GRACE_S", 0.2)
    outlives = "import time; print(1, flush=True); time.sleep(3600)"
    code = (
        "import subprocess, sys\n"
        f"outlives = subprocess.Popen([sys.executable, '-c', {outlives!r}], stdout=subprocess.PIPE)\n"
        "outlives.stdout.readline()"
    )
    command = Command([], program=("-c", code))
    ended = command.end()
    assert (ended.code, ended.left) == (0, 1)
    while list(command._marked()):
        os.sched_yield()


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Ended(2, "", "facebench: no", 0, 0), ""),
        (Ended(1, "", "facebench: no", 0, 0), "exit code 1"),
        (Ended(2, "", "Usage: facebench", 0, 0), "no message"),
        (Ended(2, "", "Traceback (most recent call last):\nKeyError: 'a'", 0, 0), "a traceback, at its end KeyError"),
    ],
)
def test_what_is_a_refusal(ended, words):
    assert ended.refusal.startswith(words) and bool(ended.refusal) == bool(words)


def test_every_file_operation_is_seen_also_in_new_folders(tmp_path):
    def happened():
        seen = []
        while more := events.wait(0.2):
            seen += more
        return seen

    with FolderEvents(tmp_path) as events:
        (tmp_path / "new").mkdir()
        assert happened() == ["create new"]
        (tmp_path / "new" / "part").write_bytes(b"x")
        (tmp_path / "new" / "part").replace(tmp_path / "new" / "whole")
        (tmp_path / "new" / "whole").unlink()
        assert happened() == ["create part", "write part", "close part", "move whole", "delete whole"]


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_disk_refuses_from_one_operation_on_and_only_below_its_folder(tmp_path, kind):
    (tmp_path / "disk").mkdir()
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    disk = Disk(kind, 3, tmp_path / "disk", log)
    for path in (tmp_path / "elsewhere", tmp_path / "disk-too", 3, tmp_path / "disk" / "a", tmp_path / "disk" / "b"):
        disk.operate("open", path)
    for _ in range(2):
        with pytest.raises(OSError, match=r"No space left|Read-only") as error:
            disk.operate("open", tmp_path / "disk" / "c")
        assert error.value.errno == (errno.ENOSPC if kind == "full" else errno.EROFS)
    os.close(log)
    assert (tmp_path / "log").read_text().split() == ["open", "a", "open", "b", "open", "c", "open", "c"]


def test_a_full_disk_takes_half_of_a_write_and_lets_files_go(tmp_path):
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    (tmp_path / "disk").mkdir()
    disk = Disk("full", 2, tmp_path / "disk", log)
    file = _opener(disk, open)(tmp_path / "disk" / "file", "wb")
    file.write(b"12345678")
    file.flush()
    file.write(b"abcdefgh")
    with pytest.raises(OSError, match="No space left"):
        file.flush()
    assert (tmp_path / "disk" / "file").read_bytes() == b"12345678abcd"
    disk.audit("os.remove", (tmp_path / "disk" / "file", -1))
    file.raw.truncate(10)
    with pytest.raises(OSError, match="No space left"):
        file.close()
    os.close(log)
    assert (tmp_path / "disk" / "file").read_bytes() == b"12345678ab"


def test_a_file_without_a_buffer_stays_without(tmp_path):
    """The journal is one: a line is on the disk once it was written."""
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)
    disk = Disk("full", 1, tmp_path, log)
    with _opener(disk, open)(tmp_path / "file", "ab", buffering=0) as file:
        assert file.write(b"ab") == 1 and (tmp_path / "file").read_bytes() == b"a"
        with pytest.raises(OSError, match="No space left"):
            file.write(b"b")
    os.close(log)


def test_sixty_corrupt_images_are_of_every_kind_and_the_same_for_the_same_seed():
    images = make(1)
    assert len(images) == 60 and images == make(1) and images != make(2)
    assert Counter(name[3:].rpartition(".")[0] for name in images) == dict.fromkeys(MAKERS, 5)
    verdicts = Counter(decode(data).verdict for data in images.values())
    assert set(verdicts) == {"ok", "truncated", "unreadable", "too large", "not an image"}
    assert verdicts["ok"] >= 20


def test_the_detector_answers_by_the_pixels_alone():
    from facebench.detectors import create

    detector, random = create(SPEC), np.random.default_rng(0)
    images = [random.integers(0, 256, (72, 96, 3), dtype=np.uint8) for _ in range(3)]
    first, again = [detector.detect(image) for image in images], [detector.detect(image) for image in images]
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(first, again, strict=True))
    assert len({one.boxes.tobytes() for one in first}) == 3


def test_the_program_prints_a_table_and_fails_where_a_promise_was_broken(monkeypatch, capsys, tmp_path):
    def family(scratch, *, times, seed):
        return [Row("a kill", times, "seen", ("lost: a line",) * (seed - 1), 1.4)]

    monkeypatch.setattr(families, "FAMILIES", {"kills": families.Family(family, 7)})
    assert program.main(["kills", "-o", str(tmp_path / "table.md")]) == 0
    assert "| a kill | 7 | seen | 0 | 1 |" in capsys.readouterr().out
    assert (tmp_path / "table.md").read_text().startswith("`kills`, seed 1, 7 times:")
    assert program.main(["all", "--seed", "2", "--times", "3"]) == 1
    out, err = capsys.readouterr()
    assert "| a kill | 3 | seen | 1 | 1 |" in out and err == "a kill: lost: a line\n"


@pytest.mark.slow
def test_the_short_form_of_the_trial_of_changed_files_breaks_no_promise(tmp_path, monkeypatch, facebench):
    """In this process: starting Python for each of its commands takes most of its time."""

    def here(arguments, environment=()):
        with monkeypatch.context() as patch:
            patch.setenv("COLUMNS", "200")
            for name, value in dict(environment).items():
                patch.setenv(name, value)
            return Ended(*facebench(*arguments), seconds=0.0, left=0)

    monkeypatch.setattr("facebench.tools.faults.tampered.run", here)
    rows = tampered(tmp_path, times=2)
    assert rows and faults.problems(rows) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "options"),
    [
        pytest.param(kills, {"times": 3, "seed": 3}, id="kills"),
        pytest.param(flips, {"times": 25}, id="flips"),
        pytest.param(corrupt, {"times": 12, "detectors": "haar,hog"}, id="corrupt"),
    ],
)
def test_the_short_form_of_each_trial_breaks_no_promise(tmp_path, family, options):
    rows = family(tmp_path, **options)
    assert rows and faults.problems(rows) == []


PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
COMMANDS = [line.split()[3:] for block in blocks(PAGE, "sh") for line in block.splitlines() if " -m " in line]
TABLES = re.findall(r"^(`\w+`, seed .*:)\n\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)


def test_every_table_of_the_page_was_printed_by_the_command_above_it():
    given = [program.parser().parse_args(command) for command in COMMANDS]
    titles = [program.title(one.name, one.times or families.FAMILIES[one.name].times, one.seed) for one in given]
    assert [title for title, _ in TABLES] == titles
    assert {one.name for one in given} == set(families.FAMILIES)


@pytest.mark.parametrize(("title", "table"), TABLES, ids=[title for title, _ in TABLES])
def test_the_tables_of_the_page_are_those_of_the_program(title, table):
    heading, rule, *rows = table.splitlines()
    assert [heading, rule] == faults.markdown("", []).splitlines()[2:]
    assert rows and all(row.split("|")[-3].strip() == "0" for row in rows), "promises broken"

"""Where facts come from, and the whole of the findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from facebench.benchmarks.doctor import examine, to_json, worst
from facebench.benchmarks.doctor.facts import (
    LEVELS,
    NO_SUCH_PROGRAM,
    Finding,
    Machine,
    Reply,
    find_module,
    installed,
    run_child,
)
from facebench.tests.support.made_up_machine import Programs, assert_says, made_up, says

SUBJECTS = ["system", "packages", "detectors", "models", "default", "data", "GPU", "timing"]


# --- child processes


@pytest.mark.parametrize(
    ("code", "expected", "fault"),
    [
        ("print('hello')", Reply(0, "hello\n", ""), "hello"),
        ("import sys; sys.exit('it broke')", Reply(1, "", "it broke\n"), "it broke"),
        ("import sys; sys.exit(3)", Reply(3), "exited with 3"),
        ("import os; os.abort()", Reply(-6), "was killed: Aborted"),
        ("import sys; print(sys.stdin.read(), end='')", Reply(0), "exited with 0"),
        ("import os; print(os.environ['GIVEN'])", Reply(0, "x\n"), "x"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", Reply(0, "\N{REPLACEMENT CHARACTER}"), None),
    ],
)
def test_run_child(code, expected, fault):
    answer = run_child([sys.executable, "-c", code], variables={"GIVEN": "x"})
    assert answer == expected
    assert fault is None or answer.fault() == fault


def test_a_program_that_is_not_there():
    answer = run_child(["no-such-program-anywhere"])
    assert answer.code == NO_SUCH_PROGRAM and "no-such-program-anywhere" in answer.fault()


def test_a_child_that_hangs_is_killed_with_all_that_it_started(tmp_path, monkeypatch):
    """Its own child holds the pipes open, and would keep whoever reads them waiting."""
    fifo, allowed = tmp_path / "fifo", []
    os.mkfifo(fifo)

    def time_is_up(child, timeout):
        """Be called when both children run, however long that took."""
        allowed.append(timeout)
        streams.append(fifo.open("rb"))
        assert streams[0].readline() == b"ready\n"
        return communicate(child, timeout=0)

    streams, communicate = [], subprocess.Popen.communicate
    monkeypatch.setattr(subprocess.Popen, "communicate", time_is_up)
    grandchild = f"exec 3> {fifo}; echo ready >&3; exec sleep 3600"
    answer = run_child(["sh", "-c", f"sh -c '{grandchild}' & wait"], timeout_s=7.0)
    assert (answer, answer.fault(), allowed) == (Reply(None), "no answer in time", [7.0])
    with streams[0] as stream:
        assert stream.read() == b"", "what the grandchild holds ends with it"


# --- modules and packages


def test_find_module_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "explosive" / "inner").mkdir(parents=True)
    (tmp_path / "explosive" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "explosive" / "inner" / "core.py").touch()
    (tmp_path / "single.py").touch()
    (tmp_path / "spaces").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_module("explosive") == tmp_path / "explosive" / "__init__.py"
    assert find_module("explosive.inner.core") == tmp_path / "explosive" / "inner" / "core.py"
    assert find_module("single") == tmp_path / "single.py"
    assert find_module("spaces") == tmp_path / "spaces"
    for absent in ("explosive.absent", "explosive.absent.core", "absent_anywhere", "absent_anywhere.core", "single.x"):
        assert find_module(absent) is None, absent
    assert "explosive" not in sys.modules


def test_installed_reads_the_records_of_wheels(tmp_path, monkeypatch):
    wheels = {
        "Made_Up.Wheel-1.0": (
            "Made_Up.Wheel",
            "made_up/__init__.py,,\nmade_up/a.py,,\nmade_up/in/__init__.py,,\n",
        ),
        "nameless-1.0": ("", "nameless/__init__.py,,"),
    }
    for folder, (name, record) in wheels.items():
        info = tmp_path / f"{folder}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{f'Name: {name}' if name else ''}\nVersion: 1.0\n")
        (info / "RECORD").write_text(record)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = {package.name: package for package in installed()}
    made_up_wheel = found["made-up-wheel"]
    assert (made_up_wheel.version, made_up_wheel.folders) == ("1.0", {(tmp_path / "made_up").resolve()})
    numpy = find_module("numpy")
    assert numpy is not None and numpy.resolve().parent in found["numpy"].folders
    assert not {"nameless", ""} & set(found)


# --- the whole


@pytest.mark.parametrize(
    ("levels", "expected"), [((), "ok"), (("ok", "note"), "note"), (("problem", "warning", "ok"), "problem")]
)
def test_worst(levels, expected):
    assert worst([Finding("system", "x", level, "found") for level in levels]) == expected


@pytest.fixture
def nothing_set(tmp_path, monkeypatch) -> Path:
    for name in ("FACEBENCH_MODELS", "FACEBENCH_OFFLINE", "FACEBENCH_DEFAULT", "FACEBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bare(root: Path) -> Machine:
    """A machine with nothing but facebench."""
    answers = {"default": says(faces=0, fault="no cv2", remedy="pip install y", absent=[]), "data": says()}
    return made_up(root, run=Programs(answers))


def test_a_bare_machine_is_told_of_everything(nothing_set):
    found = examine(bare(nothing_set), nothing_set / "absent")
    assert list(dict.fromkeys(finding.subject for finding in found)) == SUBJECTS
    for check, level in (("hog", "warning"), ("opencv", "problem"), ("load", "problem"), ("missing", "note")):
        assert_says(found, check, level)
    assert_says(found, "folder", "warning", "absent", "--data")


def test_a_models_folder_that_is_none_is_a_problem_and_the_rest_is_told(nothing_set, monkeypatch):
    monkeypatch.setenv("FACEBENCH_MODELS", "absent")
    found = examine(bare(nothing_set))
    assert_says(found, "places", "problem", "must name a folder", "unset FACEBENCH_MODELS")
    assert list(dict.fromkeys(finding.subject for finding in found)) == SUBJECTS


def test_json_counts_and_keeps_every_finding(nothing_set):
    found = examine(bare(nothing_set))
    document = to_json(found)
    assert (document["schema"], document["schema_version"], document["worst"]) == ("facebench.doctor", 1, "problem")
    assert len(document["findings"]) == len(found) == sum(document["counts"].values())
    assert tuple(document["counts"]) == LEVELS and document["counts"]["problem"] == 2
    for finding, plain in zip(found, document["findings"], strict=True):
        assert Finding(**plain) == finding

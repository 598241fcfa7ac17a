"""What ends the command unforeseen is exit code 2 and one line: 1 would say that a check failed."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from facebench.cli import catalogue
from facebench.tests.support.command import facebench
from facebench.tests.support.two_runs import two

NEEDS_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """`models list` raises what nobody foresaw; the folder for temporary files is empty."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def raises() -> None:
        raise KeyError("a\nb\x1b[31m" + "x" * 5000)

    (command,) = [one for one in catalogue.models_app.registered_commands if one.name == "list"]
    monkeypatch.setattr(command, "callback", raises)
    return tmp_path


def test_an_unexpected_exception_is_one_line_and_its_traceback_a_file(broken):
    done = facebench("models", "list", FACEBENCH_TRACEBACK="")
    assert done.returncode == 2
    (log,) = broken.glob("facebench-*.log")
    line = re.fullmatch(r"facebench: unexpected KeyError: (.*)\. The traceback is in (.*); FACEBENCH_.*\n", done.stderr)
    assert line and line[2] == str(log) and len(line[1]) < 400
    assert 'raise KeyError("a' in log.read_text(encoding="utf-8")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_traceback_is_printed_on_request(broken):
    done = facebench("models", "list", FACEBENCH_TRACEBACK="1")
    assert done.returncode == 2 and "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("facebench: unexpected KeyError")
    assert not list(broken.glob("facebench-*.log"))


def gate(tmp_path: Path, stdout: int, head: dict[str, object] | None = None, **environment: str):
    base, changed = two(tmp_path, head=head or {})
    command = [sys.executable, "-m", "facebench.cli", "gate", str(base.path), str(changed.path)]
    settings = {**os.environ, "TMPDIR": str(tmp_path), **environment}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=settings)


@NEEDS_FULL
def test_a_gate_whose_words_find_no_room_is_neither_pass_nor_fail(tmp_path):
    full = os.open("/dev/full", os.O_WRONLY)
    done = gate(tmp_path, full)
    os.close(full)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "No space left on device" in done.stderr


def test_a_gate_whose_reader_has_gone_is_neither_pass_nor_fail(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = gate(tmp_path, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, "")


def test_an_output_without_the_signs_of_a_table_is_written_all_the_same(tmp_path):
    done = gate(tmp_path, subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and done.stderr == ""
    assert "\\u2192" in done.stdout and done.stdout.isascii()

"""The command, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from facebench import cli
from facebench.tests.support.paths import SUPPORT

SETTINGS = {"COLUMNS": "200", "FACEBENCH_TRACEBACK": "1"}
"""A traceback that nobody foresaw stands in the output of the test, and in no file."""


def python_path(first: Path) -> str:
    """A folder before those that are searched already."""
    return os.pathsep.join(filter(None, (str(first), os.environ.get("PYTHONPATH"))))


@contextmanager
def hostile_importable() -> Iterator[None]:
    """Make `hostile_detectors:Name` importable here and in children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SUPPORT))
        patch.setenv("PYTHONPATH", python_path(SUPPORT))
        yield


def facebench(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process: to start Python and load libraries takes longer than most commands."""
    out, error, code = StringIO(), StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.setattr(sys, "argv", ["facebench", *map(str, arguments)])
        patch.setattr(sys, "path", [str(SUPPORT), *sys.path])
        for name, value in {**SETTINGS, "PYTHONPATH": python_path(SUPPORT), **environment}.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


def facebench_process(
    *arguments: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "facebench.cli", *map(str, arguments)]
    settings = {**os.environ, **SETTINGS, "PYTHONPATH": python_path(SUPPORT), **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=settings, check=False)

"""The command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from facebench.tests.support.paths import SUPPORT


def python_path(first: Path) -> str:
    """A folder before those that are searched already."""
    return os.pathsep.join(filter(None, (str(first), os.environ.get("PYTHONPATH"))))


def facebench(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "facebench.cli", *map(str, arguments)]
    settings = {**os.environ, "COLUMNS": "200", "PYTHONPATH": python_path(SUPPORT), **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=settings, check=False)

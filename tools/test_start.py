"""How long `facebench` takes to start, each time in a new process: `pytest tools/test_start.py`.

Seconds are printed and not judged: on a busy machine they double. What would make a start slow, a heavy library that is
loaded too early, is held by `tests/test_architecture.py`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from facebench import __version__

ROUNDS = 9
STARTS = {
    "import facebench": (["-c", "import facebench; print(facebench.__version__)"], __version__),
    "facebench --help": (["-m", "facebench.cli", "--help"], "Benchmark face detectors"),
    "facebench --version": (["-m", "facebench.cli", "--version"], f"facebench {__version__}"),
}


def start(arguments: list[str], folder: Path) -> str:
    """Run Python to its end in a folder that holds nothing to import."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.benchmark(group="start")
@pytest.mark.parametrize("name", STARTS)
def test_start(benchmark: Any, say: list[str], tmp_path: Path, name: str) -> None:
    """Medians of new processes; in turns with Python alone, which is in every start."""
    arguments, printed = STARTS[name]
    alone_s = []

    def python_alone() -> tuple[tuple[list[str], Path], dict[str, object]]:
        began = time.perf_counter()
        start(["-c", "pass"], tmp_path)
        alone_s.append(time.perf_counter() - began)
        return (arguments, tmp_path), {}

    assert printed in benchmark.pedantic(start, setup=python_alone, rounds=ROUNDS, warmup_rounds=1)
    if benchmark.disabled:
        return
    stats, python_s = benchmark.stats.stats, statistics.median(alone_s)
    benchmark.extra_info["python_alone_s"] = python_s
    say.append(
        f"{name}: {1000 * stats.median:.0f} ms (fastest {1000 * stats.min:.0f} ms), of which Python alone takes "
        f"{1000 * python_s:.0f} ms (fastest {1000 * min(alone_s):.0f} ms)"
    )

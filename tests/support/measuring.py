"""The plug-in that `pytest benchmarks` and `pytest tools` share: what to measure, and what is said after it.

PYTEST_DONT_REWRITE: conftest files import it before pytest knows it as a plug-in, which would be a warning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from facebench.benchmarks.analysis.table import Summary, summarise_run
from facebench.benchmarks.measure.plan import Plan
from facebench.benchmarks.measure.runner import run
from facebench.datasets import load
from facebench.detectors import DetectorSpec, default_specs, resolve_all, split_list
from facebench.detectors.models import store as model_store
from facebench.errors import FacebenchError, ModelStoreError
from filelock import FileLock

RUN = pytest.StashKey[Path]()
SPECS = pytest.StashKey[list[DetectorSpec]]()
_SAID = "facebench"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what to measure and on what."""
    group = parser.getgroup("facebench")
    group.addoption("--detectors", default="", help="detectors, comma-separated; by default all built-in ones")
    group.addoption("--device", default="cpu", choices=("cpu", "cuda"), help="where they run")
    group.addoption("--wider", type=Path, help="folder of WIDER FACE; by default a few composed scenes")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse detectors that are unknown."""
    try:
        config.stash[SPECS] = resolve_all(split_list(config.getoption("--detectors")) or default_specs())
    except FacebenchError as error:
        raise pytest.UsageError(f"--detectors: {error}") from error


def lift_time_limit(item: pytest.Item) -> None:
    """Lift the time limit of tests: the first benchmark waits for all detectors, whose calls have their own limits."""
    if item.config.getoption("timeout", None) is None:
        item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="session")
def summary(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """All detectors asked for, run over the data set and scored; by one worker of pytest-xdist, while others wait."""
    wider = pytestconfig.getoption("--wider")
    dataset = load("wider-face:val", root=wider) if wider else load("scenes?count=20")
    specs = pytestconfig.stash[SPECS]
    for model in {model for spec in specs for model in spec.models()}:
        try:
            model_store.fetch(model)
        except ModelStoreError:
            continue  # its detector is unavailable, which the benchmark of that detector says
    plan = Plan(dataset, specs, device=pytestconfig.getoption("--device"))
    session_folder = tmp_path_factory.getbasetemp()
    if hasattr(pytestconfig, "workerinput"):
        session_folder = session_folder.parent
    with FileLock(session_folder / "facebench-run.lock"):
        folder = run(plan, session_folder / "facebench-run")
    pytestconfig.stash[RUN] = folder.path
    return summarise_run(folder)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> list[str]:
    """Collect lines that are printed after the benchmarks; a report carries them out of a worker of pytest-xdist."""
    lines: list[str] = []
    request.node.user_properties.append((_SAID, lines))
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what benchmarks had to say in words, each line once."""
    reports = [one for reports in terminalreporter.stats.values() for one in reports]
    told = [line for one in reports if getattr(one, "when", "") == "call" for line in _told(one)]
    benches = benchmark_session(terminalreporter.config)
    if benches is not None and benches.xdist_warning:
        told.append("each benchmark ran once and without timings, because pytest-xdist is on: leave -n out to measure")
    if told:
        terminalreporter.section("facebench")
        for line in dict.fromkeys(told):
            terminalreporter.write_line(line)


def benchmark_session(config: pytest.Config) -> Any:
    """Return pytest-benchmark's session, None where the plug-in is off."""
    return getattr(config, "_benchmarksession", None)


def _told(report: pytest.TestReport) -> list[str]:
    return [line for name, lines in report.user_properties if name == _SAID for line in cast("list[str]", lines)]

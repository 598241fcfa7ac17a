"""Options and fixtures of `pytest benchmarks`.

`--benchmark-save=NAME` keeps, beside pytest-benchmark's JSON, the run folder that its accuracy came from; so that
`--benchmark-compare` can compare detections image by image, where a bare AP would only show a number. Which saved
sessions are compared is pytest-benchmark's decision: its own search is used, never repeated here.
"""

from __future__ import annotations

import importlib
import shutil
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from facebench.benchmarks.analysis.table import Row, Summary
from facebench.benchmarks.compare.runs import Comparison, compare_runs
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.detectors import DetectorSpec
from facebench.detectors.process.thread_counts import as_own_process
from facebench.errors import FacebenchError
from facebench.tests.support.measuring import RUN, SPECS, benchmark_session, lift_time_limit

pytest_plugins = ["facebench.tests.support.measuring"]

_RUN_ID = pytest.StashKey[str]()
_RUNS = "facebench-runs"
_NOT_KEPT = f"its run folder is not beside it. Save with --benchmark-save, and keep {_RUNS} together with the JSON"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what else to measure on, and how much worse is a failure."""
    group = parser.getgroup("facebench")
    group.addoption("--expressions", type=Path, help="folder of FER2013, for test_emotion.py; by default two people")
    group.addoption(
        "--max-ap-loss", type=float, default=0.005, help="exact AP that a detector may lose against --benchmark-compare"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the run of this session, and refuse what could not be compared."""
    config.stash[_RUN_ID] = uuid.uuid4().hex[:12]
    wanted = config.getoption("benchmark_compare", None)
    # pytest-benchmark ends in a traceback here; where there is nothing of an acceptable name, it warns and goes on
    if isinstance(wanted, str) and len(Path(wanted).parts) > 2 and not Path(wanted).is_file():
        raise pytest.UsageError(
            f"--benchmark-compare {wanted}: no such file; expected a file, NUM or PLATFORM/NUM of a saved session"
        )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse before the measurement what pytest-benchmark would fail on after it."""
    benches = benchmark_session(session.config)
    if benches is None or benches.disabled or benches.skip or session.config.getoption("collectonly"):
        return
    if benches.compare_fail and not benches.compared_mapping:
        raise pytest.UsageError(
            "--benchmark-compare-fail: got no saved session to compare with. Name one in "
            f"{benches.storage} with --benchmark-compare=NUM, or save one first with --benchmark-save=NAME"
        )
    if benches.json and not benches.json.absolute().parent.is_dir():
        raise pytest.UsageError(f"--benchmark-json {benches.json}: no such folder; create {benches.json.parent} first")
    if benches.histogram:
        try:
            importlib.import_module("pytest_benchmark.histogram")
        except ImportError as error:
            raise pytest.UsageError(
                "--benchmark-histogram: needs packages that are not installed. "
                "To fix: pip install 'pytest-benchmark[histogram]'"
            ) from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say before the measurement which saved sessions hold times only."""
    return [
        f"facebench: accuracy is not compared with {name}: {_NOT_KEPT}"
        for name, run in _saved(config).items()
        if run is None
    ]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give each as long as it takes."""
    lift_time_limit(item)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a benchmark of each detector."""
    if "spec" in metafunc.fixturenames:
        specs = metafunc.config.stash[SPECS]
        metafunc.parametrize("spec", specs, ids=str)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_benchmark_compare_machine_info(
    benchmarksession: Any, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
) -> Generator[None, object, object]:
    """Warn of a baseline of another machine also where the storage lies outside the working folder."""
    try:
        return (yield)
    except ValueError:  # pytest-benchmark 5.3 names the storage relative to the working folder in its warning
        benchmarksession.logger.warning(
            f"Benchmark machine_info is different. Current: {machine_info} VS saved: "
            f"{compared_benchmark['machine_info']} (location: {benchmarksession.storage})."
        )
        return []


@pytest.fixture(scope="session")
def run_id(pytestconfig: pytest.Config) -> str:
    """Name of the run of this session; benchmarks save it with their numbers."""
    return pytestconfig.stash[_RUN_ID]


@pytest.fixture(scope="session")
def baselines(pytestconfig: pytest.Config, summary: Summary) -> dict[str, Comparison | str]:
    """This session's run against those of `--benchmark-compare`, by their names; or why it is not compared."""
    compared: dict[str, Comparison | str] = {}
    for name, saved_run in _saved(pytestconfig).items():
        try:
            compared[name] = compare_runs(RunFolder.open(saved_run), summary.run) if saved_run else _NOT_KEPT
        except FacebenchError as error:
            compared[name] = str(error)
    if not compared and pytestconfig.getoption("benchmark_compare", None):
        compared["a saved session"] = "--benchmark-compare found none"
    return compared


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the run beside the JSON that pytest-benchmark has saved."""
    config = session.config
    benches, run_id = benchmark_session(config), config.stash[_RUN_ID]
    if benches is None or not (benches.save or benches.autosave) or not hasattr(benches.storage, "path"):
        return
    if any(bench.extra_info.get("run") == run_id for bench in benches.benchmarks if not bench.has_error):
        shutil.copytree(config.stash[RUN], benches.storage.path / _RUNS / run_id)


def _saved(config: pytest.Config) -> dict[str, Path | None]:
    """Return the names of the saved sessions that pytest-benchmark compares with, and their run folders.

    A run folder lies in the storage of its session, which is not this session's where a file was named.
    """
    benches = benchmark_session(config)
    saved: dict[str, Path | None] = {}
    for path, benchmarks in (benches.compared_mapping if benches else {}).items():
        file = Path(path) if Path(path).is_file() else Path(getattr(benches.storage, "path", "")) / path
        ids = {benchmark["extra_info"].get("run") for benchmark in benchmarks.values()} - {None}
        folders = (parent / _RUNS / run_id for parent in file.absolute().parents[:2] for run_id in sorted(ids))
        saved[str(path)] = next((folder for folder in folders if folder.is_dir()), None)
    return saved


@pytest.fixture
def row(summary: Summary, spec: DetectorSpec) -> Row:
    """The row of one detector; skipped where it is unavailable, failed where it failed."""
    found = next(row for row in summary.rows if row.cell.spec == str(spec))
    if found.cell.status == "unavailable":
        pytest.skip(f"{found.cell.reason}; to fix: {found.cell.remedy}")
    assert found.done, found.cell.reason
    return found


@pytest.fixture(autouse=True)
def _own_process() -> Iterator[None]:
    """What is measured in this process runs with the threads that it is given, as in a measuring child."""
    with as_own_process():
        yield

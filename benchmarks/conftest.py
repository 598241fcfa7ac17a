"""Options and fixtures of `pytest benchmarks`.

`--benchmark-save=NAME` keeps, beside pytest-benchmark's JSON, the run folder that its accuracy came from; so that
`--benchmark-compare` can compare detections picture by picture, where a bare AP would only show a number.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from facebench.benchmarks.comparison import Comparison, compare_runs
from facebench.benchmarks.plan import Plan
from facebench.benchmarks.results import RunFolder
from facebench.benchmarks.runner import run
from facebench.benchmarks.summary import Row, Summary, summarise_run
from facebench.datasets import load
from facebench.detectors import DetectorSpec, default_specs, model_store, resolve_all, split_list
from facebench.errors import ModelStoreError

_LINES = pytest.StashKey[list[str]]()
_RUN = pytest.StashKey[Path]()
_RUN_ID = pytest.StashKey[str]()
_FILE_SCHEME = "file://"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what to measure and on what."""
    group = parser.getgroup("facebench")
    group.addoption("--detectors", default="", help="detectors, comma-separated; by default all built-in ones")
    group.addoption("--device", default="cpu", choices=("cpu", "cuda"), help="where they run")
    group.addoption("--wider", type=Path, help="folder of WIDER FACE; by default a few composed scenes")
    group.addoption("--expressions", type=Path, help="folder of FER2013, for test_emotion.py; by default two people")
    group.addoption(
        "--max-ap-loss", type=float, default=0.005, help="exact AP that a detector may lose against --benchmark-compare"
    )
    group.addoption("--gate-runs", type=int, default=0, help="runs of each gate in test_gate_power.py, 21 s each")


def _specs(config: pytest.Config) -> list[DetectorSpec]:
    return resolve_all(split_list(config.getoption("--detectors")) or default_specs())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a benchmark of each detector."""
    if "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", _specs(metafunc.config), ids=str)


def pytest_configure(config: pytest.Config) -> None:
    """Name the run of this session."""
    config.stash[_RUN_ID] = uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def run_id(pytestconfig: pytest.Config) -> str:
    """Name of the run of this session; benchmarks save it with their numbers."""
    return pytestconfig.stash[_RUN_ID]


@pytest.fixture(scope="session")
def summary(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """All detectors asked for, run over the data set and scored."""
    wider = pytestconfig.getoption("--wider")
    dataset = load("wider-face:val", root=wider) if wider else load("scenes?count=20")
    specs = _specs(pytestconfig)
    for model in {model for spec in specs for model in spec.models()}:
        try:
            model_store.fetch(model)
        except ModelStoreError:
            continue  # its detector is unavailable, which the benchmark of that detector says
    plan = Plan(dataset, specs, device=pytestconfig.getoption("--device"))
    folder = run(plan, tmp_path_factory.mktemp("run"))
    pytestconfig.stash[_RUN] = folder.path
    return summarise_run(folder)


@pytest.fixture(scope="session")
def change(pytestconfig: pytest.Config, summary: Summary) -> Comparison | None:
    """This session's run against that of `--benchmark-compare`; None without it."""
    wanted = pytestconfig.getoption("benchmark_compare")
    if not wanted:
        return None
    file = _saved(pytestconfig, "" if wanted is True else str(wanted))
    ids = {bench["extra_info"].get("run") for bench in json.loads(file.read_text(encoding="utf-8"))["benchmarks"]}
    for name in sorted(ids - {None}):
        path = _runs_folder(pytestconfig) / name
        if path.is_dir():
            return compare_runs(RunFolder.open(path), summary.run)
    raise pytest.UsageError(
        f"{file} was saved without the run behind its accuracy: expected one of {sorted(ids - {None})} in "
        f"{_runs_folder(pytestconfig)}. Save again with --benchmark-save"
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the run where the JSON goes."""
    config = session.config
    folder = config.stash.get(_RUN, None)
    saving = config.getoption("benchmark_save") or config.getoption("benchmark_autosave")
    if saving and folder is not None and (folder / "run.json").exists():
        shutil.copytree(folder, _runs_folder(config) / config.stash[_RUN_ID])


def _storage(config: pytest.Config) -> Path:
    uri = str(config.getoption("benchmark_storage"))
    if "://" in uri and not uri.startswith(_FILE_SCHEME):
        raise pytest.UsageError(
            f"--benchmark-storage {uri}: facebench keeps runs beside the JSON, expected file://PATH"
        )
    return Path(uri.removeprefix(_FILE_SCHEME))


def _runs_folder(config: pytest.Config) -> Path:
    return _storage(config) / "facebench-runs"


def _saved(config: pytest.Config, wanted: str) -> Path:
    """Return the JSON that pytest-benchmark compares with: the last saved, or by number or path."""
    if wanted and Path(wanted).is_file():
        return Path(wanted)
    files = sorted(_storage(config).glob("*/[0-9][0-9][0-9][0-9]_*.json"), key=lambda file: file.name)
    matching = [file for file in files if file.name.startswith(wanted)]
    if not matching:
        raise pytest.UsageError(f"--benchmark-compare {wanted}: nothing like it in {_storage(config)}")
    return matching[-1]


@pytest.fixture
def row(summary: Summary, spec: DetectorSpec) -> Row:
    """The row of one detector; skipped where it is unavailable, failed where it failed."""
    found = next(row for row in summary.rows if row.cell["spec"] == str(spec))
    if found.cell["status"] == "unavailable":
        pytest.skip(f"{found.cell['reason']}; to mend: {found.cell['mend']}")
    assert found.done, found.cell["reason"]
    return found


@pytest.fixture
def say(pytestconfig: pytest.Config) -> Iterator[list[str]]:
    """Collect lines that are printed after the benchmarks."""
    lines: list[str] = []
    yield lines
    pytestconfig.stash.setdefault(_LINES, []).extend(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what benchmarks had to say in words."""
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("facebench")
        for line in lines:
            terminalreporter.write_line(line)

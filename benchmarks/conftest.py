"""Options and fixtures of `pytest benchmarks`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from facebench.benchmarks.plan import Plan
from facebench.benchmarks.runner import run
from facebench.benchmarks.summary import Row, Summary, summarise_run
from facebench.datasets import load
from facebench.detectors import DetectorSpec, default_specs, model_store, resolve_all, split_list
from facebench.errors import ModelStoreError

_LINES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what to measure and on what."""
    group = parser.getgroup("facebench")
    group.addoption("--detectors", default="", help="detectors, comma-separated; by default all built-in ones")
    group.addoption("--device", default="cpu", choices=("cpu", "cuda"), help="where they run")
    group.addoption("--wider", type=Path, help="folder of WIDER FACE; by default a few composed scenes")


def _specs(config: pytest.Config) -> list[DetectorSpec]:
    return resolve_all(split_list(config.getoption("--detectors")) or default_specs())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a benchmark of each detector."""
    if "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", _specs(metafunc.config), ids=str)


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
    return summarise_run(run(plan, tmp_path_factory.mktemp("run")))


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

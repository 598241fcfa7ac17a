"""Options of `pytest tools`: what facebench's own numbers are worth, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from facebench.detectors.process.thread_counts import as_own_process
from facebench.tests.support.measuring import lift_time_limit

pytest_plugins = ["facebench.tests.support.measuring"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how often."""
    group = parser.getgroup("facebench")
    group.addoption("--gate-runs", type=int, default=0, help="runs of each gate in test_gate_power.py, 21 s each")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give each as long as it takes."""
    lift_time_limit(item)


@pytest.fixture(autouse=True)
def _own_process() -> Iterator[None]:
    """What is measured in this process runs with the threads that it is given, as in a measuring child."""
    with as_own_process():
        yield

"""Fixtures for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from facebench.datasets import Dataset
from facebench.detectors import DetectorSpec, resolve
from facebench.detectors.models import store as model_store
from facebench.errors import ModelStoreError, UnavailableError
from facebench.tests.support.command import hostile_importable
from facebench.tests.support.kinds import Available, Facebench
from facebench.tests.support.small_dataset import make_dataset
from hypothesis import HealthCheck, settings

# times of a machine that does much else say nothing of an example
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no process is left alone with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _floor_measured_once() -> Iterator[None]:
    """What the harness itself costs is measured by the first run in this process, instead of by each."""
    from facebench.benchmarks.measure import runner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "measure_floor", cache(runner.measure_floor))
        yield


SHARED = Path(__file__).resolve().parents[1].parent / "shared"
if (SHARED / "weights").is_dir():  # files of models.toml that no address is known to serve
    os.environ.setdefault("FACEBENCH_MODELS", str(SHARED / "weights"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; with CI=true a missing one fails, elsewhere the test is skipped."""
    folder = SHARED
    if not folder.is_dir():
        reason = f"needs the real data in {folder.name}/ beside the checkout"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def facebench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Facebench:
    """Call the command in this process: arguments -> exit code, standard output, standard error."""
    from facebench import cli

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["facebench", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (end.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def available() -> Available:
    """Resolve a spec and fetch its models; what cannot be had fails with CI=true and skips the test elsewhere."""

    def fetch_file(spec: str) -> DetectorSpec:
        resolved = resolve(spec)
        try:
            for model in resolved.models():
                model_store.fetch(model)
            if missing := resolved.missing():
                raise missing
        except (ModelStoreError, UnavailableError) as error:
            reason = f"{spec} is unavailable: {error} {getattr(error, 'remedy', '')}".strip()
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return resolved

    return fetch_file


@pytest.fixture
def hostile() -> Iterator[None]:
    """Make `hostile_detectors:Name` importable here and in children."""
    with hostile_importable():
        yield


@pytest.fixture
def small() -> Dataset:
    return make_dataset()

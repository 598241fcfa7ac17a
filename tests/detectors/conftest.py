from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from facebench.detectors import DetectorSpec, model_store, resolve
from facebench.errors import ModelStoreError, UnavailableError
from facebench.tests.detectors.model_store_fakes import Server

Available = Callable[[str], DetectorSpec]


@pytest.fixture(scope="session")
def available() -> Available:
    """Resolve a spec and bring its models; what cannot be had fails with CI=true and skips the test elsewhere."""

    def bring(spec: str) -> DetectorSpec:
        resolved = resolve(spec)
        try:
            for model in resolved.models():
                model_store.fetch(model)
            if missing := resolved.missing():
                raise missing
        except (ModelStoreError, UnavailableError) as error:
            reason = f"{spec} is unavailable: {error} {getattr(error, 'mend', '')}".strip()
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return resolved

    return bring


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing of the environment of whoever runs the tests."""
    for name in ("FACEBENCH_MODELS", "FACEBENCH_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that runs while a test does."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()

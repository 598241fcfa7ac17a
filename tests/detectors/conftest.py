from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from facebench.tests.support.model_store_fakes import Server


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

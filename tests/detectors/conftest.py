from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from facebench.detectors import DetectorSpec, model_store, resolve
from facebench.errors import ModelStoreError, UnavailableError

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

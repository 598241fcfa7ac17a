"""Intervals whose ends are quantiles of the draws and nothing else, where a test asks what the draws are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from facebench.benchmarks.resampling.effective import Basis


@pytest.fixture(scope="module", autouse=True)
def plain_ends() -> Iterator[None]:
    """Import it into a test module: its intervals are not widened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Basis, "widen", lambda self, value, ends: ends)
        yield

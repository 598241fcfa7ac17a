"""Small data sets and hostile detectors for the tests of the runner."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import Dataset
from facebench.datasets.base import Faces, Sample
from facebench.tests.detectors.conftest import available
from PIL import Image

__all__ = ["available"]

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def hostile(monkeypatch):
    """Make `hostile_detectors:Name` importable here and in children."""
    monkeypatch.syspath_prepend(str(SUPPORT))
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT), prepend=os.pathsep)


def png(width: int, height: int, value: int = 128) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_dataset(count: int = 6, *, sources: dict[int, bytes] | None = None, fingerprint: str = "f" * 16) -> Dataset:
    """Pictures of 160×120 with one face where `Good` finds it; `sources` puts other bytes in."""
    faces = Faces(
        boxes=np.array([[40, 30, 80, 60]], dtype=np.float32),
        ignore=np.zeros(1, dtype=bool),
        attributes={"blur": np.zeros(1, dtype=np.int8)},
    )
    samples = tuple(
        Sample(f"picture-{index}.png", (sources or {}).get(index, png(160, 120, index)), faces)
        for index in range(count)
    )
    return Dataset(
        name="small",
        samples=samples,
        total=count + 10,
        lists=(),
        demo=False,
        description="Grey pictures.",
        licence="none",
        fingerprint=fingerprint,
    )


@pytest.fixture
def small() -> Dataset:
    return make_dataset()

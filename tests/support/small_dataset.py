"""A data set of a few small images, for the tests of runs."""

from __future__ import annotations

import io

import numpy as np
from facebench.datasets import Dataset
from facebench.datasets.base import Faces, Sample
from PIL import Image


def png(width: int, height: int, value: int = 128) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_dataset(count: int = 6, *, sources: dict[int, bytes] | None = None, fingerprint: str = "f" * 16) -> Dataset:
    """Images of 160×120 with one face where `Good` finds it; `sources` puts other bytes in."""
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
        description="Grey images.",
        licence="none",
        fingerprint=fingerprint,
    )

"""Boxes above a threshold do not depend on the floor that a detector was built with: a threshold is picked on them."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from facebench.detectors import default_specs, resolve
from facebench.detectors.boxes import just_below
from facebench.tests.support import floors
from facebench.tests.support.kinds import Available

WITH_SCORES = [
    spec
    for spec in default_specs()
    if resolve(spec).adapter.info.score_kind != "none" and spec not in ("haar", "dlib-cnn")
]
"""Those that take a threshold or a floor; `haar` and `dlib-cnn` have one that nobody can set."""


@pytest.mark.slow
@pytest.mark.parametrize("spec", WITH_SCORES)
def test_a_detector_built_with_a_threshold_gives_what_was_found_at_the_floor(
    spec: str, available: Available, shared: Path
) -> None:
    available(spec)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        compared, differing = child.submit(floors.differing, spec, shared / "data" / "wider_face").result()
    assert differing == []
    assert compared >= 3


@pytest.mark.parametrize("score", [0.0, 0.02, 0.675, 1.0, -0.5, -3.5])
def test_just_below_is_the_next_smaller_float32(score: float) -> None:
    below = np.float32(just_below(score))
    assert below < np.float32(score)
    assert np.nextafter(below, np.float32(np.inf)) == np.float32(score)

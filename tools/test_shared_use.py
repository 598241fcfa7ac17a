"""Eight threads that ask one detector a hundred times each get the answers of one: `pytest tools/test_shared_use.py`.

The test of this name asks the slow detectors less often.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from facebench.tests.support import shared_use


@pytest.mark.parametrize("spec", shared_use.CASES)
def test_eight_threads_get_the_answers_of_one(spec: str) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        seen = process.submit(shared_use.all_threads, spec).result()
    assert {name: wrong for name, (wrong, _) in seen.items()} == dict.fromkeys(shared_use.WAYS, 0)

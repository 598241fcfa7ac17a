"""How a run is laid out to be scored: boxes by image, and sums that do not depend on the machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import one_blas_thread
from facebench.benchmarks.store.truth import by_image
from threadpoolctl import threadpool_info


@pytest.mark.parametrize(
    ("of_rows", "image_ids", "kept", "offsets"),
    [
        ([], [], [], [0]),
        ([], ["a", "b"], [], [0, 0, 0]),
        (["a"], [], [], [0]),
        (["b", "a", "b"], ["a", "b"], [1, 0, 2], [0, 1, 3]),
        # rows of an image keep their order; those of one that is not asked for are left out
        (["b", "gone", "c", "b", "c"], ["c", "a", "b"], [2, 4, 0, 3], [0, 2, 2, 4]),
    ],
)
@pytest.mark.parametrize("dtype", [str, object])
def test_boxes_by_image(of_rows, image_ids, kept, offsets, dtype):
    corners = np.arange(4.0 * len(of_rows)).reshape(-1, 4)
    table = pd.DataFrame(corners, columns=["x1", "y1", "x2", "y2"]).assign(image_id=pd.Series(of_rows, dtype=dtype))
    boxes, rows = by_image(table, image_ids)
    assert rows.index.tolist() == kept
    assert (boxes.boxes.tolist(), boxes.offsets.tolist()) == (corners[kept].tolist(), offsets)


def test_blas_has_one_thread_while_a_run_is_scored_and_its_own_number_again_afterwards():
    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with one_blas_thread():
        assert set(threads()) == {1}
    assert threads() == before

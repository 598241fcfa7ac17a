"""When failures end a cell, and what it says of the images that were not tried any more."""

from __future__ import annotations

import pytest
from facebench.benchmarks.measure.cell_outcome import too_many_failures
from facebench.benchmarks.store.journal import JournalContent

SIXTY = [f"{place}.jpg" for place in range(60)]
THOUSAND = [f"{place}.jpg" for place in range(1000)]


@pytest.mark.parametrize(
    ("failures", "in_a_row", "done", "usable", "words"),
    [
        (0, 0, 5, SIXTY, ""),
        (2, 2, 2, SIXTY, ""),
        (3, 1, 40, SIXTY, ""),
        (3, 3, 3, SIXTY, "failed on 3 of the 3 images tried, and was stopped before the other 57, last on 2.jpg"),
        (4, 1, 30, SIXTY, "failed on 4 of the 30 images tried, and was stopped before the other 30, last on 3.jpg"),
        (4, 1, 60, SIXTY, "failed on 4 of 60 images, last on 3.jpg: why 3"),
        (1, 1, 1, ["0.jpg"], "failed on 1 of 1 images, last on 0.jpg: why 0"),
        (20, 1, 999, THOUSAND, ""),
        (21, 1, 999, THOUSAND, "failed on 21 of the 999 images tried, and was stopped before the other 1, last"),
    ],
    ids=[
        "none", "two in a row", "three apart", "three in a row", "more than 2 %", "more than 2 % with the last image",
        "every image", "2 %", "more than 2 % of many",
    ],
)  # fmt: skip
def test_failures(failures, in_a_row, done, usable, words):
    content = JournalContent(skipped={f"{place}.jpg": f"why {place}" for place in range(failures)})
    found = too_many_failures(content, in_a_row, done, usable)
    assert found.startswith(words) and bool(found) == bool(words)

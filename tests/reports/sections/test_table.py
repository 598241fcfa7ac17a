"""What the rows of the main table can be filtered by."""

from __future__ import annotations

import pytest
from facebench.benchmarks.analysis.table import Row
from facebench.reports.sections.table import Filter, filter_values, filters
from facebench.tests.support.records import stored


def row(family="CNN", device="cpu", size="original", floor=None, **more):
    protocol = {"size": size, "score_floor": floor}
    return Row(stored(info={"family": family}, device=device, protocol=protocol, **more))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([row()], []),
        ([row(), row()], []),
        ([row("b"), row("a"), row("b")], [Filter("family", ["b", "a"])]),
        ([row(), row(device="cuda")], [Filter("device", ["cpu", "cuda"])]),
        ([row(), row(predictions={})], [Filter("device", ["cpu", "not measured here"])]),
        ([row(), row(floor=0.02)], [Filter("protocol", ["original size", "original size, scores from 0.02"])]),
        (
            [row("a"), row("", size="long=640")],
            [Filter("family", ["a", "not said"]), Filter("protocol", ["original size", "long=640"])],
        ),
    ],
    ids=["no row", "one", "alike", "family", "device", "predictions", "floor", "two at once"],
)
def test_only_what_tells_rows_apart_is_a_choice(rows, expected):
    assert filters(rows) == expected


def test_a_row_says_what_it_is_in_each():
    assert filter_values(row(size="unknown", predictions={})) == {
        "family": "CNN",
        "device": "not measured here",
        "protocol": "predictions from a file",
    }

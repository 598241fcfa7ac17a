"""Commands to run again: a folder of somebody's own is DIR, and its path is not told."""

from __future__ import annotations

import pytest
from facebench.benchmarks.store.run_document import DatasetInfo
from facebench.reports.text.commands import command


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wider-face:val", "wider-face:val --data DIR"),
        ("folder", "folder --data DIR"),
        ("folder:/home/me/photos", "DIR"),
        ("folder:photos/?sample=9", "'DIR?sample=9'"),
        ("folder:/home/me/photos/a.json?seed=1", "'DIR/a.json?seed=1'"),
        ("folder:memory://set", "folder:memory://set --data DIR"),
    ],
)
def test_the_data_set_of_a_command(name, said):
    dataset = DatasetInfo(name, "3 images", 3, 3, (), False, "", "", "f", ())
    assert command("run", [], dataset, {}) == f"facebench run --dataset {said} --out RUN"

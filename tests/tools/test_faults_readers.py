"""The fuzz of the readers in short, and that it sees what it is there for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from facebench.errors import DataError
from facebench.tools.faults.readers import fuzz
from facebench.tools.faults.readers.samples import Sample, samples


def test_damaged_files_meet_nothing_but_facebenchs_own_errors(tmp_path):
    rows = fuzz.readers(tmp_path, times=15 * len(samples()), seed=7)
    assert [fault for row in rows for fault in row.faults] == []
    assert sum(row.times for row in rows) == 15 * len(samples())
    found = [re.match(r"read (\d+), refused (\d+)", row.seen) for row in rows]
    assert all(one and int(one[1]) + int(one[2]) == 15 for one in found)
    assert sum(int(one[2]) for one in found if one) > 100


def _forever() -> None:
    while True:
        pass


def _refuse() -> None:
    raise DataError("no")


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (_forever, r"more than 0\.05 s"),
        (lambda: np.zeros(1 << 31, np.uint8), "more than 1,073,741,824 bytes"),
        (lambda: {}["x"], r"KeyError .* at test_faults_readers\.py"),
        (_refuse, None),
    ],
)
def test_what_a_reader_must_not_do_is_seen(tmp_path, monkeypatch, act: Callable[[], object], words: str | None):
    monkeypatch.setattr(fuzz, "MOST_S", 0.05)
    whole = b"whole"

    def read(folder: Path) -> None:
        if (folder / "file").read_bytes() != whole:
            act()

    monkeypatch.setattr(fuzz, "samples", lambda: [Sample("x", {"file": whole}, read)])
    (row,) = fuzz.readers(tmp_path, times=3)
    assert len(row.faults) == (3 if words else 0)
    assert words is None or all(re.search(words, fault) for fault in row.faults)

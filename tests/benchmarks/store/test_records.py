"""What run.json holds comes back as it was written; what it cannot hold is named with its place."""

from __future__ import annotations

import copy
import dataclasses
import json
import math

import pytest
from facebench.benchmarks.store.documents import json_text
from facebench.benchmarks.store.records import Protocol, StoredCell
from facebench.benchmarks.store.run_document import RunDocument, upgraded
from facebench.detectors.setting import Setting
from facebench.errors import ResultsError, UsageError
from facebench.tests.support.records import PREDICTIONS, START, document, plain_cell, stored

FULL_START = START | {
    "round": 1,
    "timed": True,
    "started": 1.5,
    "device_used": "cpu",
    "threads_used": None,
    "library_threads": {"cv2": 1},
    "threads_put_back": {"cv2": [8, 1]},
    "timed_from": 0.5,
}


def whole() -> dict:
    """A run that has everything, as JSON gives it."""
    cells = [
        plain_cell("haar:size=3", threshold=0.3, start=FULL_START, failed_images={"a.jpg": "boom"}),
        plain_cell("found.jsonl", predictions={"remarks": ["few scores"]}, rounds=0),
        plain_cell("broken", status="failed", reason="it broke", start=None, rounds_started=[1.5, None]),
    ]
    floor = {"detect_ms": 0.04, "round_trip_ms": 0.37, "calls": 100}
    return document(cells=cells, excluded=[["b.jpg", "truncated", "ends"]], floor=floor).to_json()


def test_what_is_written_is_what_was_read():
    plain = whole()
    assert plain["cells"][0]["failed_pictures"] == {"a.jpg": "boom"} and plain["cells"][0]["mend"] == ""
    assert plain["cells"][0]["start"] == FULL_START and plain["cells"][1]["predictions"]["pictures"] == 3
    assert "predictions" not in plain["cells"][0] and "threads_put_back" not in plain["cells"][1]["start"]
    again = RunDocument.from_json(json.loads(json_text(plain)))
    assert again.to_json() == plain
    assert again.cells[0].failed_images == {"a.jpg": "boom"} and again.cells[2].rounds_started == (1.5, None)


def test_unknown_keys_are_ignored_and_missing_ones_are_as_usual():
    plain = whole()
    plain["cells"][0] |= {"colour": "red"}
    for name in ("mend", "rounds_started", "device_memory_mb", "threshold"):
        plain["cells"][2].pop(name)
    del plain["floor"], plain["excluded"]
    read = RunDocument.from_json(plain)
    assert (read.floor, read.excluded, read.cells[2].remedy, read.cells[2].threshold) == (None, None, "", None)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("cells.2.threshold", "x", "cells[2].threshold: got 'x', expected a number"),
        ("cells.0.threads", 1.5, "cells[0].threads: got 1.5, expected a whole number"),
        ("cells.0.threads", True, "cells[0].threads: got True, expected a whole number"),
        ("cells.0.device", "tpu", "cells[0].device: got 'tpu', expected cpu or cuda"),
        (
            "cells.0.status",
            None,
            "cells[0].status: got None, expected running or done or failed or unavailable or damaged",
        ),
        (
            "cells.0.status",
            ...,
            "cells[0].status is missing, expected running or done or failed or unavailable or damaged",
        ),
        ("cells.0.start", None, "cells[0]: start is missing, expected that of a finished cell"),
        ("cells.0.start.score_floor", ..., "cells[0].start.score_floor is missing, expected a number"),
        ("cells.0.start.score_floor", None, "cells[0].start.score_floor: got None, expected a number"),
        ("cells.0.start.threads_put_back.cv2", [8], "cells[0].start.threads_put_back.cv2: got 1 values, expected 2"),
        ("cells.0.start.library_threads.cv2", "1", "cells[0].start.library_threads.cv2: got '1', expected a whole"),
        ("cells.1.info.trained_on", "WIDER", "cells[1].info.trained_on: got 'WIDER', expected a list"),
        ("cells.1.info", 3, "cells[1].info: got 3, expected an object"),
        ("cells.1.protocol.size", "long=", "cells[1].protocol: size 'long=': expected original"),
        ("cells.1.predictions.remarks.0", 7, "cells[1].predictions.remarks[0]: got 7, expected text"),
        ("dataset.demo", 1, "dataset.demo: got 1, expected true or false"),
        ("dataset.pictures", ..., "dataset.pictures is missing, expected a whole number"),
        ("excluded.0", ["b.jpg"], "excluded[0]: got 1 values, expected 3"),
        ("environment", "Linux", "environment: got 'Linux', expected an object"),
    ],
)
def test_a_fault_is_named_with_its_place(place, value, words):
    plain = copy.deepcopy(whole())
    *way, last = [int(step) if step.isdecimal() else step for step in place.split(".")]
    inner = plain
    for step in way:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    with pytest.raises(ResultsError) as caught:
        RunDocument.from_json(plain)
    assert str(caught.value).startswith(words)


def test_a_number_that_is_none_is_null_and_stays_none():
    cell = dataclasses.replace(stored(), peak_rss_mb=math.nan, rounds_started=(1.0, math.nan))
    text = json_text(cell.to_json())
    assert "NaN" not in text
    assert StoredCell.from_json(json.loads(text)).peak_rss_mb is None
    assert StoredCell.from_json(cell.to_json()).rounds_started == (1.0, None), "as files of before hold it"


@pytest.mark.parametrize("cells", [None, "none", ["x"], [{"info": 3}], [{"info": {}}]])
def test_what_is_no_run_is_left_for_reading_to_refuse(cells):
    with pytest.raises(ResultsError):
        RunDocument.from_json(upgraded({**whole(), "schema_version": 1, "cells": cells}))


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "haar"),
        ({"protocol": {"size": "long=640"}, "threads": 2}, "haar, long=640, 2 threads"),
        ({"threshold": 0.25, "device": "cuda"}, "haar, from 0.25, cuda"),
        ({"protocol": {"size": "unknown"}, "predictions": PREDICTIONS}, "haar"),
    ],
)
def test_a_cell_is_named_by_what_is_not_usual(changes, label):
    assert stored(**changes).label == label


def test_a_cell_says_how_the_detector_was_run():
    cell = stored("yunet", threshold=0.3, protocol={"size": "long=640"}, threads=2)
    assert cell.setting == Setting("yunet", 0.3, "long=640", "cpu", 2)
    assert cell.cold_start_s == pytest.approx(0.4) and math.isnan(stored(start={}).cold_start_s)
    with pytest.raises(UsageError, match="size 'unknown'"):
        _ = dataclasses.replace(cell, protocol=Protocol("unknown")).setting

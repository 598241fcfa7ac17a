"""The file that names the default, where it is looked for, and the detector that comes back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from facebench import load_default
from facebench.benchmarks.choose.default import (
    SCHEMA,
    SCHEMA_VERSION,
    default_file,
    read_pick,
    write_pick,
)
from facebench.detectors import Detections
from facebench.detectors.setting import Setting, ThresholdedDetector
from facebench.detectors.stages import StageClock
from facebench.errors import ResultsError, UsageError

SETTING = Setting("haar", 0.5)
HAAR = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "setting": SETTING.to_json()}
VERSION_2 = {
    "schema": SCHEMA,
    "schema_version": 2,
    "detector": "haar",
    "threshold": 0.5,
    "size": "long=320",
    "device": "cpu",
    "threads": 2,
    "measured_on": "scenes",
}


def test_the_file_comes_back_as_a_working_detector(tmp_path: Path) -> None:
    file = tmp_path / "default_detector.json"
    write_pick(HAAR, file)
    assert read_pick(file) == (HAAR, SETTING) and json.loads(file.read_text()) == HAAR
    detector = load_default(str(file))
    from facebench.detectors.probe_images import FACE, portrait

    found = detector.detect(portrait())
    assert np.abs(found.boxes[0] - FACE).max() < 30
    assert (detector.device_used(), detector.threads) == ("cpu", 1)
    detector.close()


def test_a_pick_of_a_size_comes_back_at_that_size(tmp_path: Path) -> None:
    """A detector that won at 320 px must not be used at another size."""
    write_pick(HAAR | {"setting": SETTING.to_json() | {"size": "long=320"}}, tmp_path / "pick.json")
    detector = load_default(tmp_path / "pick.json")
    shown = np.zeros((480, 640, 3), np.uint8)
    seen = []
    inner = detector._detector._detector
    inner.detect = lambda image: seen.append(image.shape) or Detections.from_arrays([[10, 20, 30, 40]], [99.0])
    np.testing.assert_allclose(detector.detect(shown).boxes, [[20, 40, 60, 80]])
    assert seen == [(240, 320, 3)]


def test_picks_of_before_are_read(tmp_path: Path) -> None:
    """Version 1 had neither size nor threads: the original size, one thread."""
    first = {name: value for name, value in VERSION_2.items() if name not in ("size", "threads")}
    for document, setting in (
        (VERSION_2, Setting("haar", 0.5, "long=320", "cpu", 2)),
        (first | {"schema_version": 1}, Setting("haar", 0.5)),
    ):
        (tmp_path / "old.json").write_text(json.dumps(document))
        choice, read = read_pick(tmp_path / "old.json")
        assert read == setting
        assert choice == {
            "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "setting": setting.to_json(), "measured_on": "scenes"
        }  # fmt: skip


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
    shown = np.zeros((2, 2, 3), np.uint8)
    assert ThresholdedDetector(inner, 0.5).detect(shown).scores.tolist() == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (None, "No such file"),
        ("", "Expecting value"),
        ("[]", "not a default detector"),
        ("[" * 100_000, "cannot read"),
        (HAAR | {"schema": "x"}, "not a default detector"),
        (HAAR | {"schema_version": 99}, "schema version 99"),
        (HAAR | {"schema_version": True}, "schema version True"),
        (HAAR | {"setting": None}, 'got None as its "setting"'),
        (HAAR | {"setting": {}}, "spec is missing"),
        (HAAR | {"setting": SETTING.to_json() | {"runtime": "x"}}, "'runtime' is unknown"),
        *(
            (HAAR | {"setting": SETTING.to_json() | {name: value}}, f"{name}.*{expected}")
            for name, value, expected in (
                ("spec", "", "expected the name of a detector"),
                ("spec", 3, "expected the name of a detector"),
                ("threshold", "0.5", "expected a finite number"),
                ("threshold", True, "expected a finite number"),
                ("threshold", float("nan"), "expected a finite number"),
                ("threshold", float("-inf"), "expected a finite number"),
                ("size", 640, "expected text"),
                ("size", "640", "expected original"),
                ("device", "gpu", "expected cpu or cuda"),
                ("device", ["cpu"], "expected cpu or cuda"),
                ("threads", 0, "at least 1"),
                ("threads", 1.0, "at least 1"),
                ("threads", True, "at least 1"),
            )
        ),
        ({name: value for name, value in VERSION_2.items() if name != "detector"}, "spec is missing"),
        (VERSION_2 | {"threads": -1}, "at least 1"),
    ],
)
def test_a_file_that_is_not_a_default_is_refused_with_its_name_and_what_to_do(tmp_path, content, seen):
    file = tmp_path / "x.json"
    if content is not None:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ResultsError, match=rf"(?s)x\.json.*{seen}|{seen}.*x\.json") as caught:
        load_default(file)
    assert str(caught.value).endswith("Write one with: facebench pick RUN")


def test_threads_asked_for_are_checked(tmp_path: Path) -> None:
    write_pick(HAAR, tmp_path / "pick.json")
    with pytest.raises(UsageError, match="threads: got 0"):
        load_default(tmp_path / "pick.json", threads=0)


def test_where_the_default_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("FACEBENCH_DEFAULT", raising=False)
    monkeypatch.chdir(tmp_path)
    built_in = default_file()
    assert built_in.is_file() and built_in.parent != tmp_path
    (tmp_path / "default_detector.json").write_text("{}")
    assert default_file().resolve() == tmp_path / "default_detector.json"
    monkeypatch.setenv("FACEBENCH_DEFAULT", "elsewhere.json")
    assert str(default_file()) == "elsewhere.json"


def test_a_image_of_another_kind_is_told_from_a_fault_of_the_detector(tmp_path: Path) -> None:
    write_pick(HAAR, tmp_path / "pick.json")
    with pytest.raises(UsageError, match=r"got float32 .*expected uint8"):
        load_default(tmp_path / "pick.json").detect(np.zeros((9, 9, 3), np.float32))

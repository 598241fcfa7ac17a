"""What is said of models, data and the picked default."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from facebench.benchmarks.choose.default import SCHEMA, SCHEMA_VERSION, default_file
from facebench.benchmarks.doctor.default import default
from facebench.benchmarks.doctor.facts import Reply
from facebench.benchmarks.doctor.files import Models, data, models, read_models
from facebench.benchmarks.measure.environment import machine as this_machine
from facebench.detectors.models.sources import UrlSource
from facebench.detectors.models.store import ModelFile, ModelStatus, catalog
from facebench.detectors.setting import Setting
from facebench.errors import UsageError
from facebench.tests.support.made_up_machine import Programs, assert_says, made_up, says

SOURCE = (UrlSource("https://example.org/model"),)
NEEDED = {"one": ["haar"], "two": ["yunet", "ssd"], "three": ["ssd"]}


def known(
    here: str = "one two three", *, damaged: dict[str, Path] | None = None, offline: bool = False, sources: Any = SOURCE
) -> Models:
    """Three files of 1.5 MB that detectors need and one that none needs; those named are on the machine."""
    statuses = []
    for name in ("one", "two", "three", "other"):
        file = ModelFile(name, f"{name}.onnx", "ab" * 32, 1_500_000, "MIT", (), "a test file", sources)
        path = Path("models") / name if name in here.split() else None
        statuses.append(ModelStatus(file, "available" if path else "missing", path, "cache" if path else None))
    return Models(statuses, damaged or {}, None, Path("cache"), offline)


MODELS = {
    "all are there": (known(), "verified", "ok", ("3 of 3",)),
    "one that nobody needs is missing": (known(), "missing", None, ()),
    "some are missing": (
        known("one"), "missing", "note",
        ("not fetched yet: two three (3.0 MB)", "first use of yunet, ssd fetches", "facebench models fetch two three"),
    ),
    "how many are missing": (known("one"), "verified", "note", ("1 of 3",)),
    "missing and offline": (
        known("one two", offline=True), "missing", "warning",
        ("ssd cannot run while FACEBENCH_OFFLINE", "FACEBENCH_OFFLINE=0 facebench models fetch three"),
    ),
    "missing without a source": (
        known("one two", sources=()), "without-source", "warning", ("three is nowhere", "FACEBENCH_MODELS"),
    ),
    "nothing to fetch it from": (known("one two", sources=()), "missing", None, ()),
    "other bytes": (
        known("one two", damaged={"three": Path("cache/three.onnx")}), "other-bytes", "warning",
        ("cache/three.onnx has not the bytes of three", "facebench models fetch three"),
    ),
    "other bytes beside the right ones": (
        known(damaged={"three": Path("mine/three.onnx")}), "other-bytes", "warning",
        ("mine/three.onnx has not", "it is not used; models/three is."),
    ),
    "places": (known(offline=True), "places", "ok", ("searched: cache; FACEBENCH_OFFLINE",)),
}  # fmt: skip


@pytest.mark.parametrize(("found", "check", "level", "words"), MODELS.values(), ids=MODELS)
def test_models(found, check, level, words):
    assert_says(models(found, NEEDED), check, level, *words)


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    """An empty cache and an empty folder of the user's."""
    for name in ("FACEBENCH_OFFLINE", "FACEBENCH_DEFAULT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACEBENCH_MODELS", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "cache" / "models").mkdir(parents=True)
    return tmp_path


def test_read_models_finds_files_with_other_bytes(store, monkeypatch):
    assert read_models().damaged == {}
    cached = store / "cache" / "models" / catalog()["yunet"].file_name
    cached.write_bytes(b"cut off")
    mine = store / "mine" / "deep" / catalog()["centerface"].file_name
    mine.parent.mkdir()
    mine.write_bytes(b"other weights")
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    found = read_models()
    assert found.damaged == {"yunet": cached, "centerface": mine}
    assert (found.folder, found.cache, found.offline) == (store / "mine", store / "cache" / "models", True)
    assert {status.path for status in found.statuses} == {None}


def test_read_models_with_a_folder_that_is_none(store, monkeypatch):
    monkeypatch.setenv("FACEBENCH_MODELS", str(store / "absent"))
    with pytest.raises(UsageError, match="must name a folder"):
        read_models()


THERE = {"state": "there", "message": "", "total": 3226, "notes": ["Repeated boxes: 1 in images used."]}
DATA = {
    "all is there": (THERE, "ok", ("wider can be read, 3,226 images",)),
    "images are missing": (
        THERE | {"notes": ["3,096 of 3,226 annotated images have no file.", "Repeated boxes: 1."]}, "note",
        ("| 3,096 of 3,226 annotated images have no file. |",),
    ),
    "lists are missing": (THERE | {"notes": ["No official list for hard: the .mat"]}, "note", ("list for hard",)),
    "missing": (THERE | {"state": "missing", "message": "Got X without it."}, "note", ("Got X", "FACEBENCH_DATA=DIR")),
    "faulty": (THERE | {"state": "faulty", "message": "Got a bad line."}, "warning", ("Got a bad line.",)),
}  # fmt: skip


@pytest.mark.parametrize(("said", "level", "words"), DATA.values(), ids=DATA)
def test_data(said, level, words, tmp_path):
    assert_says(data(made_up(tmp_path, answers={"data": says(wider=said)}), tmp_path, ""), "wider", level, *words)


@pytest.mark.parametrize(
    ("folder", "origin", "answer", "level", "words"),
    [
        (".", "FACEBENCH_DATA", says(), "ok", ("looked for in", "(FACEBENCH_DATA)")),
        (".", "", says(), "ok", ("neither --data nor FACEBENCH_DATA",)),
        ("absent", "", says(), "note", ("there is no", "scenes", "export FACEBENCH_DATA=DIR")),
        ("absent", "--data", says(), "warning", ("(--data)",)),
        (".", "--data", Reply(-9), "warning", ("the loaders failed", "was killed: Killed")),
    ],
)
def test_folder_of_the_data(folder, origin, answer, level, words, tmp_path):
    found = data(made_up(tmp_path, answers={"data": answer}), tmp_path / folder, origin)
    assert_says(found, "folder", level, *words)


PICK = {
    "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "setting": Setting("yunet", 0.9, "long=640").to_json(),
    "demo": False, "measured_on": "wider-face:val", "run": {"machine": this_machine()},
}  # fmt: skip
WELL = {"faces": 0, "fault": "", "remedy": "", "absent": []}
GONE = WELL | {"fault": "model file yunet is not on this machine", "absent": ["yunet"]}
DEFAULTS = {
    "all is well": (PICK, says(**WELL), False, "load", "ok", ("yunet can be loaded",)),
    "where it comes from": (PICK, says(**WELL), False, "file", "ok", ("yunet, threshold 0.9, size long=640, cpu",)),
    "measured here": (PICK, says(**WELL), False, "measured-on", None, ()),
    "measured elsewhere": (
        PICK | {"run": {"machine": "A, 2 cores"}}, says(**WELL), False, "measured-on", "note", ("measured on A, 2",),
    ),
    "no word on the machine": (PICK | {"run": None}, says(**WELL), False, "measured-on", None, ()),
    "a demonstration": (
        PICK | {"demo": True, "run": {"machine": "A"}}, says(**WELL), False, "measured-on", "warning",
        ("picked on wider-face:val, a demonstration", "facebench pick"),
    ),
    "a package is missing": (
        PICK, says(**WELL | {"fault": "yunet needs cv2", "remedy": "pip install x"}), False, "load", "problem",
        ("yunet needs cv2", "pip install x", "load_default(),"),
    ),
    "a model is missing": (
        PICK, says(**GONE), False, "load", "note",
        ("the model yunet of yunet is not fetched yet", "first use fetches it", "facebench models fetch yunet"),
    ),
    "a model is missing offline": (
        PICK, says(**GONE), True, "load", "problem", ("FACEBENCH_OFFLINE is set", "FACEBENCH_OFFLINE=0 facebench"),
    ),
    "a model without a source is missing": (
        PICK, says(**GONE | {"absent": ["scrfd-500m"]}), False, "load", "problem", ("nowhere to be had",),
    ),
    "loading crashes": (PICK, Reply(-11), False, "load", "problem", ("was killed: Segmentation fault",)),
    "loading hangs": (PICK, Reply(None), False, "load", "problem", ("no answer in time",)),
    "loading fails oddly": (
        PICK, Reply(1, "", "Traceback\nKeyError: 'threshold'\n"), False, "load", "problem", ("KeyError: 'threshold'",),
    ),
    "another file": ({"a": 1}, says(**WELL), False, "file", "problem", ("is not a default detector", "mv ")),
    "an older version": (
        {"schema": "facebench.default", "schema_version": 1, "detector": "haar", "threshold": 2.5, "device": "cpu"},
        says(**WELL), False, "file", "ok", ("haar, threshold 2.5, size original, cpu, 1 thread",),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("pick", "answer", "offline", "check", "level", "words"), DEFAULTS.values(), ids=DEFAULTS)
def test_default(pick, answer, offline, check, level, words, tmp_path):
    file = tmp_path / "default_detector.json"
    file.write_text(json.dumps(pick))
    assert_says(default(made_up(tmp_path, answers={"default": answer}), file, offline=offline), check, level, *words)


def test_a_default_that_cannot_be_read_is_not_loaded(tmp_path):
    programs = Programs({})
    machine = made_up(tmp_path, run=programs, environment={"FACEBENCH_DEFAULT": "x"})
    found = default(machine, tmp_path / "absent.json", offline=False)
    assert_says(found, "file", "problem", "cannot read ", "absent.json", "unset FACEBENCH_DEFAULT")
    assert len(found) == 1 and programs.asked == []


@pytest.mark.parametrize(
    ("environment", "folder", "origin"),
    [
        ({"FACEBENCH_DEFAULT": "x"}, None, "(FACEBENCH_DEFAULT)"),
        ({"FACEBENCH_DEFAULT": ""}, None, "(the working folder)"),
        ({}, "built in", "(built in)"),
    ],
)
def test_where_the_default_comes_from(environment, folder, origin, store, monkeypatch):
    monkeypatch.chdir(store)
    file = default_file()
    if folder is None:
        file = Path(shutil.copy(file, store))
    machine = made_up(store, environment=environment, answers={"default": says(**WELL)})
    assert_says(default(machine, file, offline=False), "file", "ok", origin)


def test_the_default_is_loaded_without_the_network(tmp_path):
    programs = Programs({"default": says(**WELL)})
    (tmp_path / "p.json").write_text(json.dumps(PICK))
    default(made_up(tmp_path, run=programs), tmp_path / "p.json", offline=False)
    assert programs.variables == [{"FACEBENCH_OFFLINE": "1"}]

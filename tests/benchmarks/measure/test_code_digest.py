"""An edited file changes the keys of the cells whose child runs it, and no other key."""

from __future__ import annotations

import importlib
import json
import os
import py_compile
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.measure.cell import make_cell
from facebench.benchmarks.measure.code_digest import MEASURING, code_digest
from facebench.benchmarks.measure.detector_process import DetectorProcess
from facebench.benchmarks.store.records import Protocol
from facebench.detectors import default_specs, resolve
from facebench.tests.support.paths import ROOT

WITHOUT_EFFECT = {
    # what is said of a failure
    "errors.py", "importable.py",
    # how the bytes of a model come here, whose hash is in the key
    "downloads.py", "detectors/models/store.py", "detectors/models/sources.py",
    # how a spec is read: it names every detector, and none of the others counts
    "detectors/registry.py",
}  # fmt: skip

EDITS = """
import json, sys
from pathlib import Path
import facebench
from facebench.benchmarks.measure.cell import make_cell
from facebench.benchmarks.store.records import Protocol
from facebench.benchmarks.measure.code_digest import code_digest
from facebench.detectors import default_specs, resolve

root = Path(sys.argv[1])
assert Path(facebench.__file__).parent == root
specs = [resolve(spec) for spec in default_specs()]

def keys():
    found = {str(spec): make_cell(spec, "data", Protocol(), "cpu", 1).key for spec in specs}
    return found | {"emotions": code_digest("facebench.emotions.scoring.answers")}

def changed_by(files):
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    for file, text in texts.items():
        file.write_text(text + "\\nEDITED = 1\\n", encoding="utf-8")
    after = keys()
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return [name for name, key in after.items() if key != before[name]]

before = keys()
table = {}
for folder in sorted({file.parent for file in root.rglob("*.py")}):
    files = sorted(folder.glob("*.py"))
    if changed_by(files):
        table |= {str(file.relative_to(root)): changed_by([file]) for file in files}
assert keys() == before
print(json.dumps(table))
"""

CHILD = """
import importlib, pkgutil, sys, types
from pathlib import Path
import facebench

# an `__init__.py` that runs would load what nobody uses: these hand on one name at a time
packages = [found.name for found in pkgutil.walk_packages(facebench.__path__, "facebench.") if found.ispkg]
packages = [name for name in packages if not name.startswith(("facebench.tests", "facebench.tools"))]
doors = {name: importlib.import_module(name) for name in ("facebench", *packages)}
for name in [name for name in sys.modules if name.partition(".")[0] == "facebench"]:
    del sys.modules[name]
for name, door in doors.items():
    def hand_on(wanted, door=door):
        return getattr(importlib.import_module(getattr(door, wanted).__module__), wanted)
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__, sys.modules[name].__getattr__ = door.__path__, hand_on

class Recorder:
    log = Path(__file__).with_name("loaded").open("w", buffering=1)

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.startswith("facebench."):
            cls.log.write("/".join(name.split(".")[1:]) + ".py\\n")

sys.meta_path.insert(0, Recorder)
sys.argv[1:4] = []  # -P -m facebench.benchmarks.worker
from facebench.benchmarks.measure import worker
worker.main()
"""


@pytest.fixture(scope="module")
def edits(tmp_path_factory) -> dict[str, list[str]]:
    """Return file -> which keys change when it is edited, of all files in a copy of the package.

    "emotions" among them: the code between a box and its emotion, by which stored answers are known.
    """
    copy = tmp_path_factory.mktemp("edited") / "facebench"
    left_out = shutil.ignore_patterns(".*", "tests", "docs", "tools", "runs", "build", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    command = [sys.executable, "-P", "-c", EDITS, str(copy)]
    environment = {**os.environ, "PYTHONPATH": str(copy.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert set(table) >= {f"detectors/{file.name}" for file in (ROOT / "detectors").glob("*.py")}
    return table


def loaded_for(spec: str, folder: Path) -> set[str]:
    """Return the files of facebench that a child loads when a detector is used in it."""
    (folder / "child.py").write_text(CHILD, encoding="utf-8")
    (folder / "python").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -P "{folder}/child.py" "$@"\n', encoding="utf-8"
    )
    (folder / "python").chmod(0o755)
    image = np.full((64, 64, 3), 127, np.uint8)
    with DetectorProcess(spec, size="long=320", python=folder / "python", log=folder / "log") as child:
        child.start()
        child.detect(image)
        child.check(image)
    return set((folder / "loaded").read_text(encoding="utf-8").split())


@pytest.mark.slow
@pytest.mark.parametrize("spec", default_specs())
def test_a_key_changes_with_each_file_that_its_child_runs_and_with_no_other(spec, edits, tmp_path):
    missing = resolve(spec).missing()
    if missing is not None:
        pytest.skip(str(missing))
    # the images are read and decoded before they come to the child
    counts = loaded_for(spec, tmp_path) - WITHOUT_EFFECT | {"datasets/images.py", "datasets/regular_files.py"}
    assert {file for file, changed in edits.items() if spec in changed} == counts


def test_what_is_left_out_is_really_there(edits, tmp_path):
    assert not any(edits.get(file) for file in WITHOUT_EFFECT)
    assert loaded_for("haar", tmp_path) > WITHOUT_EFFECT


def test_what_holds_the_clock_is_in_every_key(edits):
    for file in (
        "benchmarks/measure/worker.py",
        "detectors/process/devices.py",
        "detectors/stages.py",
        "detectors/resized.py",
    ):
        assert set(edits[file]) >= set(default_specs())


def test_stored_emotions_are_known_by_the_code_between_a_box_and_its_emotion(edits):
    ours = {file for file, changed in edits.items() if "emotions" in changed and file.startswith("emotions/")}
    pipeline = {f"emotions/pipeline/{name}.py" for name in ("classifier", "crops", "keras_mini_xception")}
    assert ours == {"emotions/scoring/answers.py", "emotions/scoring/losses.py"} | pipeline


DETECTOR = """
import beside
import numpy
from facebench import Detections, Detector
from typing import TYPE_CHECKING
from . import near
from .deep.inner import value
if TYPE_CHECKING:
    from .typed import Kind
else:
    from . import untyped

def detect():
    from .late import later
    from facebench.detectors.boxes import xywh_to_xyxy
"""
USED = {
    "mine/__init__.py": "from . import shared\nfrom .detector import detect\n",
    "mine/detector.py": DETECTOR,
    "mine/near.py": "from .deep import handed\n",
    "mine/deep/__init__.py": "from .home import handed\n",
    "mine/deep/home.py": "handed = 1\n",
    "mine/deep/inner.py": "value = 1\ndef back():\n    from ..circle import back\n",
    "mine/circle.py": "from .deep import inner\nfrom . import circle\n",
    "mine/late.py": "later = 1\n",
    "mine/shared.py": "",
    "mine/untyped.py": "",
    "beside.py": "import further.off\n",
    "further/__init__.py": "",
    "further/off.py": "",
}
NOT_USED = {"mine/typed.py": "Kind = 1\n", "mine/unused.py": "import mine.detector\n", "other.py": "import mine\n"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder that modules are imported from; they are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def changes(folder: Path, files: list[str], module: str) -> list[str]:
    """Return which of the files change the digest of a module when they are edited."""
    before, found = code_digest(module), []
    for name in files:
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(f"{text}\nEDITED = 1\n", encoding="utf-8")
        found += [name] if code_digest(module) != before else []
        (folder / name).write_text(text, encoding="utf-8")
    assert code_digest(module) == before
    return found


def test_a_third_partys_module_is_followed_in_its_package_and_beside_it(folder):
    write(folder, USED | NOT_USED)
    importlib.import_module("mine.detector")
    assert changes(folder, [*USED, *NOT_USED], "mine.detector") == list(USED)


def test_other_projects_in_site_packages_stand_by_their_versions(folder, monkeypatch):
    installed = folder / "site-packages"
    write(installed, USED)
    monkeypatch.syspath_prepend(installed)
    importlib.import_module("mine.detector")
    assert changes(installed, list(USED), "mine.detector") == [name for name in USED if name.startswith("mine/")]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def area(side):\n    return side**2\n", True),
        ("# why\ndef area(side): return (  side ** 2)  # metres\n", True),
        ('"""A module."""\ndef area(side):\n    """Square a side."""\n    return side**2\n', True),
        ("def area(side):\n    return side**3\n", False),
        ("def area(side):\n    return side**2.0\n", False),
        ("def area(side):\n    'text'\n    return 'text'\n", False),
        ("def area(side=None):\n    return side**2\n", False),
        ("def area(other):\n    return other**2\n", False),
    ],
)
def test_only_what_the_code_does_counts(folder, text, same):
    write(folder, {"areas.py": "def area(side):\n    return side**2\n"})
    importlib.import_module("areas")
    before = code_digest("areas")
    write(folder, {"areas.py": text})
    assert (code_digest("areas") == before) is same


@pytest.mark.parametrize(
    "text",
    [
        "print 'of another Python'",
        "x = " + "(" * 500 + ")" * 500,
        "x = 1" + " + 1" * 5000,
        "x = '\\d'",
        "from .... import above",
        "from . import absent, alone",
        "import alone.absent",
        "from numpy import *",
        "\0",
    ],
    ids=lambda text: text[:24],
)
def test_a_file_that_cannot_be_read_as_python_counts_as_it_stands(folder, text):
    write(folder, {"alone.py": ""})
    importlib.import_module("alone")
    write(folder, {"alone.py": text})
    assert changes(folder, ["alone.py"], "alone") == ["alone.py"]


def test_bytes_that_are_no_text_count_too(folder):
    write(folder, {"alone.py": ""})
    importlib.import_module("alone")
    digests = set()
    for content in (b"x = '\xff'", b"x = '\xfe'"):
        (folder / "alone.py").write_bytes(content)
        digests.add(code_digest("alone"))
    assert len(digests) == 2


def test_compiled_modules_count_by_their_bytes(folder):
    """As extension modules do, which have no text either."""
    digests = set()
    for number in (1, 2):
        write(folder, {"secret.py": f"x = {number}\n"})
        py_compile.compile(str(folder / "secret.py"), cfile=str(folder / "compiled.pyc"), doraise=True)
        importlib.import_module("compiled")
        digests.add(code_digest("compiled"))
    assert len(digests) == 2


def test_modules_in_an_archive_are_followed(tmp_path, monkeypatch):
    digests = set()
    for name in ("one", "two"):
        archive = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("zipped/__init__.py", "from . import near\n")
            file.writestr("zipped/near.py", f"x = {name!r}\n")
        monkeypatch.syspath_prepend(archive)
        importlib.import_module("zipped")
        digests.add(code_digest("zipped"))
        del sys.modules["zipped"], sys.modules["zipped.near"]
    assert len(digests) == 2


@pytest.mark.parametrize("name", ["builtins", "bare", "never_imported", "never.imported"])
def test_a_module_without_a_file_leaves_the_rest(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "bare", types.ModuleType("bare"))
    assert code_digest(name, *MEASURING) != code_digest(name)


def test_a_detector_of_ones_own_is_measured_again_when_its_helper_was_edited(folder):
    text = (ROOT / "tests" / "support" / "hostile_detectors.py").read_text(encoding="utf-8")
    write(folder, {"own_detector.py": text + "\nimport own_helper\n", "own_helper.py": "SIZE = 300\n"})
    keys = []
    for helper in ("SIZE = 300\n", "SIZE = 300  # pixels\n", "SIZE = 301\n"):
        write(folder, {"own_helper.py": helper})
        keys.append(make_cell(resolve("own_detector:Good"), "data", Protocol(), "cpu", 1).key)
    assert keys[0] == keys[1] != keys[2]

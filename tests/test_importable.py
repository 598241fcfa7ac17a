"""What helps where a package is installed and cannot be loaded."""

from __future__ import annotations

import sys

import pytest
from facebench import importable
from facebench.importable import HEADLESS, OPENCV, explain, fault, remedy, requirement

GONE = "cannot open shared object file: No such file or directory"
APT = "apt-get update && apt-get install --yes"
GRAPHICS = f"{APT} libgl1 libglib2.0-0"

REMEDIES = {
    "OpenCV's wheel with windows": (
        (f"ImportError: libGL.so.1: {GONE}",), [OPENCV],
        f"pip uninstall --yes {OPENCV} && pip install {requirement(HEADLESS)}  # or, as root on Debian: {GRAPHICS}",
    ),
    "two wheels: both go, or one would break the other": (
        (f"ImportError: libGL.so.1: {GONE}",), [OPENCV, "opencv-python"],
        f"pip uninstall --yes {OPENCV} opencv-python && pip install {requirement(HEADLESS)}  # or, as root on Debian: "
        f"{GRAPHICS}",
    ),
    "OpenCV of the system": (
        (f"ImportError: libGL.so.1: {GONE}",), [],
        f"pip install {requirement(HEADLESS)}  # or, as root on Debian: {GRAPHICS}",
    ),
    "the wheel that would help is there": ((f"ImportError: libGL.so.1: {GONE}",), [HEADLESS], GRAPHICS),
    "another library of OpenCV's": (
        (f"ImportError: libSM.so.6: {GONE}",), [HEADLESS], f"{APT} libsm6 libgl1 libglib2.0-0",
    ),
    "a library that is cut short": (
        ("ImportError: /lib/x86_64-linux-gnu/libGL.so.1: file too short",), [HEADLESS], GRAPHICS,
    ),
    "what another C library says": (
        ("ImportError: Error loading shared library libGL.so.1: No such file or directory (needed by /x/cv2.abi3.so)",),
        [HEADLESS], GRAPHICS,
    ),
    "both that MediaPipe needs": (
        (f"OSError: libEGL.so.1: {GONE}", f"OSError: libGLESv2.so.2: {GONE}"), [OPENCV], f"{APT} libegl1 libgles2",
    ),
    "no OpenCV": (("ModuleNotFoundError: No module named 'cv2'",), [], f"pip install {requirement(OPENCV)}"),
    "a library of nobody we know": ((f"ImportError: libquantum.so.3: {GONE}",), [OPENCV], ""),
    "a library that is too old": (
        ("ImportError: /lib/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /x/cv2.abi3.so)",),
        [OPENCV], "",
    ),
    "another module": (("ModuleNotFoundError: No module named 'torch'",), [OPENCV], ""),
    "a crash": (("the process was killed: Segmentation fault",), [OPENCV], ""),
}  # fmt: skip


@pytest.mark.parametrize(("faults", "wheels", "expected"), REMEDIES.values(), ids=REMEDIES)
def test_the_remedy(faults, wheels, expected):
    assert remedy(*faults, wheels=wheels) == expected


def test_the_wheels_that_are_installed_are_looked_up(monkeypatch):
    monkeypatch.setattr(importable, "_is_installed", lambda name: name == "opencv-python")
    assert remedy(f"libGL.so.1: {GONE}").startswith(f"pip uninstall --yes opencv-python && pip install '{HEADLESS}")


def test_the_headless_wheel_has_the_bounds_of_the_other():
    assert requirement(HEADLESS) == requirement(OPENCV).replace(OPENCV, HEADLESS) != HEADLESS
    assert requirement("no-such-package") == "no-such-package"


FAULTS = {
    "no such module": ("no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "no such library": ("libno-such.so.7", f"OSError: libno-such.so.7: {GONE}"),
    "it says why": ("raises", "RuntimeError: a fine day for it"),
    "it quits": ("quits", "exit code 3"),
    "it ends the process": ("aborts", "the process was killed: Aborted"),
    "it can be loaded": ("wave", ""),
}


@pytest.mark.parametrize(("name", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_child_process_tells_why_it_cannot_be_loaded(name, expected, tmp_path, monkeypatch):
    (tmp_path / "raises.py").write_text("raise RuntimeError('a fine day for it')")
    (tmp_path / "quits.py").write_text("raise SystemExit(3)")
    (tmp_path / "aborts.py").write_text("import os\nos.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = set(sys.modules)
    assert fault(name) == expected
    assert set(sys.modules) == before


def test_what_is_loaded_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(importable.subprocess, "run", None)
    monkeypatch.setitem(sys.modules, "a_module_that_is_loaded", sys)
    assert fault("a_module_that_is_loaded") == ""


def test_a_program_that_can_start_no_python_finds_no_fault(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert fault("a_module_that_nobody_asked_for_before") == ""


def test_a_module_that_hangs_has_a_fault(monkeypatch, tmp_path):
    (tmp_path / "hangs.py").write_text("import threading\nthreading.Event().wait()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(importable, "_TIMEOUT_S", 0.5)
    assert fault("hangs") == "no answer within 0.5 s"


def test_the_second_import_of_opencv_hides_what_the_first_one_said(monkeypatch):
    monkeypatch.setattr(importable, "fault", lambda name: f"ImportError: libGL.so.1: {GONE}")
    second = 'ERROR: recursion is detected during loading of "cv2" binary extensions. Check OpenCV installation.'
    explained = explain(ImportError(second))
    assert explained is not None and "libGL.so.1" in str(explained) and HEADLESS in explained.remedy


@pytest.mark.parametrize("error", [ImportError("cannot import name 'x' from 'y'"), OSError(28, "No space left")])
def test_other_errors_are_not_explained(error):
    assert explain(error) is None

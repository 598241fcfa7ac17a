"""Whether what is installed can also be loaded, and what to do where it cannot.

A wheel may expect libraries of the system that a slim container lacks: OpenCV's expects libGL, MediaPipe's libEGL. Its
package is found by name then, and fails when it is imported; installing it again changes nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from types import ModuleType

from .errors import UnavailableError

OPENCV = "opencv-contrib-python"
HEADLESS = f"{OPENCV}-headless"
"""The same modules without windows: it needs no library of the system but C and C++."""

ALLOW_LOCAL_CODE = "FACEBENCH_ALLOW_LOCAL_CODE"
"""Environment variable: 1 lets a file name code that lies in the working folder."""

_by_command = False
_TIMEOUT_S = 300.0
_OPENCV_WHEELS = (OPENCV, "opencv-python", HEADLESS, "opencv-python-headless")
# library -> the Debian package that holds it
_OF_OPENCV = {
    "libGL": "libgl1",
    "libSM": "libsm6",
    "libX11": "libx11-6",
    "libXext": "libxext6",
    "libXrender": "libxrender1",
    "libglib-2.0": "libglib2.0-0",
    "libgthread-2.0": "libglib2.0-0",
    "libxcb": "libxcb1",
}
_OF_OTHERS = {"libEGL": "libegl1", "libGLESv2": "libgles2", "libgomp": "libgomp1"}
# what the loaders of glibc and of musl say
_NOT_THERE = (
    r"(?:\S*/)?(lib[\w.+-]+?)\.so[.\d]*: (?:cannot open shared object file|file too short|invalid ELF header)",
    r"Error loading shared library (lib[\w.+-]+?)\.so[.\d]*:",
)
_KILLED = "the process was killed"
# OpenCV's second import in a process where the first one failed
_SECOND_TRY = 'during loading of "cv2"'


def search_working_folder() -> None:
    """Let specs name modules in the working folder: for a command, whose user typed them; programs have `sys.path`."""
    global _by_command  # noqa: PLW0603 - what a process is does not change
    _by_command = True


def import_named(module: str) -> ModuleType:
    """Import the module that a detector's spec names; the working folder comes last and hides no library."""
    here = os.getcwd()  # noqa: PTH109
    if _by_command:
        if here not in sys.path:
            sys.path.append(here)
        # a library that crashes while it is imported would take the command with it
        if module not in sys.modules and (why := fault(module)).startswith(_KILLED):
            raise ImportError(why)
    return importlib.import_module(module)


def forbidden_local(module: str) -> bool:
    """Whether a module lies in the working folder, and nobody allowed that a file names code there.

    A module that is loaded already is not forbidden: nothing of it would run that has not run.
    """
    top = module.partition(".")[0]
    if top in sys.modules or os.environ.get(ALLOW_LOCAL_CODE, "").lower() not in {"", "0", "false", "no"}:
        return False
    here = Path.cwd().resolve()
    try:
        found = importlib.util.find_spec(top) or PathFinder.find_spec(top, [str(here)])
    except (ImportError, ValueError):
        return False
    if found is None:
        return False
    places = [*(found.submodule_search_locations or ()), *([found.origin] if found.has_location else [])]
    return any(Path(str(place)).parent.resolve() == here for place in places)


@functools.cache
def fault(name: str) -> str:
    """Say why a module cannot be imported or a shared library cannot be loaded; empty where it can.

    It is tried in a child process, once: an import that fails leaves OpenCV's loader confused, one that succeeds
    changes environment variables and threads.

    Args:
        name: a module such as "cv2", or a file name such as "libEGL.so.1".
    """
    if sys.modules.get(name) is not None:
        return ""
    ask = (
        f"import ctypes; ctypes.CDLL({name!r})"
        if ".so" in name
        else f"import sys; sys.path += {sys.path!r}; import {name}"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except OSError:  # a program that embeds Python has none to start: its first use will tell
        return ""
    except subprocess.TimeoutExpired:
        return f"no answer within {_TIMEOUT_S:g} s"
    if done.returncode < 0:
        return f"{_KILLED}: {signal.strsignal(-done.returncode)}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines or [f"exit code {done.returncode}"])[-1][:300]


def explain(error: ImportError | OSError) -> UnavailableError | None:
    """Return what a failed import means where a library of the system or OpenCV is missing; None where it is neither.

    >>> explain(OSError("libEGL.so.1: cannot open shared object file")).remedy
    'apt-get update && apt-get install --yes libegl1'
    """
    text = str(error)
    if _SECOND_TRY in text:
        text = fault("cv2") or text
    found = remedy(text)
    return UnavailableError(text, found) if found else None


def remedy(*faults: str, wheels: Iterable[str] | None = None) -> str:
    """Return the one line that helps against faults of `fault`; empty where none is known to help.

    Args:
        faults: what was said.
        wheels: those of OpenCV that are installed; None to look.
    """
    text = "\n".join(faults)
    there = [name for name in _OPENCV_WHEELS if _is_installed(name)] if wheels is None else list(wheels)
    if "No module named 'cv2'" in text:
        return f"pip install {requirement(OPENCV)}"
    libraries = [library for pattern in _NOT_THERE for library in re.findall(pattern, text)]
    known = _OF_OPENCV | _OF_OTHERS
    if not libraries or not known.keys() >= set(libraries):
        return ""
    packages = [known[library] for library in libraries]
    of_opencv = not _OF_OPENCV.keys().isdisjoint(libraries)
    if of_opencv:  # one library hides the next: all that its wheel expects, at once
        packages += [_OF_OPENCV["libGL"], _OF_OPENCV["libglib-2.0"]]
    install = f"apt-get update && apt-get install --yes {' '.join(dict.fromkeys(packages))}"
    if not of_opencv or HEADLESS in there:
        return install
    remove = f"pip uninstall --yes {' '.join(there)} && " if there else ""
    return f"{remove}pip install {requirement(HEADLESS)}  # or, as root on Debian: {install}"


def requirement(name: str) -> str:
    """Return the requirement of facebench for a package, quoted for a shell; its bare name where there is none."""
    if name == HEADLESS:
        return requirement(OPENCV).replace(OPENCV, HEADLESS)
    try:
        lines = requires("facebench") or []
    except PackageNotFoundError:
        lines = []
    found = (line.partition(";")[0].strip() for line in lines if re.match(rf"{re.escape(name)}(?![\w-])", line))
    return shlex.quote(next(found, name))


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True

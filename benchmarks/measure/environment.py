"""Which machine and which libraries produced a result."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...errors import UsageError
from ..store.run_document import Environment

_ENGINES = (
    "facebench",
    "numpy",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorflow-cpu",
    "tensorflow",
    "torch",
    "pillow",
)
"""Named by no card, or not only."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def describe() -> Environment:
    """Return what a reader needs to judge a timing."""
    import psutil

    from ...detectors import default_specs, resolve

    cards = [resolve(spec).adapter.info for spec in default_specs()]
    return Environment(
        machine=machine(),
        boot=boot(),
        system=platform.platform(),
        python=platform.python_version(),
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        packages=versions(dict.fromkeys((*_ENGINES, *(card.package for card in cards)))),
    )


def machine() -> str:
    """Return processor and usable cores in one line; timings of different machines do not compare."""
    return f"{_processor()}, {len(usable_cores())} cores"


def boot() -> str:
    """Return a mark of the time since this machine was started; empty where the system has none.

    Machines of a CI service are alike in everything else, and yet differ by a quarter in speed.
    """
    try:
        return hashlib.sha256(_BOOT_ID.read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


def usable_cores() -> list[int]:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def checked_threads(threads: int) -> int:
    """Return the number of threads.

    Raises:
        UsageError: it is not between one and the cores that can be used here.
    """
    cores = len(usable_cores())
    if not 1 <= threads <= cores:
        raise UsageError(f"got {threads} threads, expected 1 to {cores} (the cores here)")
    return threads


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

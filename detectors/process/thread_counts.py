"""How many threads the libraries in this process may use, asked of the libraries themselves."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import SupportsIndex

from ...errors import UsageError

FRAMEWORKS = ("cv2", "torch", "tensorflow")
"""Libraries whose own operators run on the number that they tell."""

_NOT_JUDGED = ("cores", "torch_interop")

_own_process = False


def declare_own_process() -> None:
    """Declare that this process belongs to one detector; the measuring child does so before it builds one."""
    global _own_process  # noqa: PLW0603
    _own_process = True


@contextmanager
def as_own_process() -> Iterator[None]:
    """Let detectors set the threads of this process meanwhile; at the end OpenCV and PyTorch get their numbers back.

    Only where they are loaded at the beginning; TensorFlow takes a number once.
    """
    global _own_process  # noqa: PLW0603
    before, counts = _own_process, read_back()
    _own_process = True
    try:
        yield
    finally:
        _own_process, now = before, read_back()
        for name, setter in (("cv2", "setNumThreads"), ("torch", "set_num_threads")):
            if name in counts and counts[name] != now[name]:
                getattr(sys.modules[name], setter)(counts[name])


def own_process() -> bool:
    """Tell whether a detector may set what its library has once a process.

    OpenCV, PyTorch and TensorFlow have one number of threads for everything in a process. In a user's program that
    number is the user's: an adapter sets it only where this returns True.
    """
    return _own_process


def check_threads(threads: object) -> int:
    """Return a number of threads as an int.

    Raises:
        UsageError: it is not a whole number from 1 on.

    >>> check_threads(2)
    2
    """
    whole = threads if isinstance(threads, SupportsIndex) and not isinstance(threads, bool) else None
    if whole is None or operator.index(whole) < 1:
        raise UsageError(f"got threads={threads!r}, expected a whole number, at least 1: as many CPU threads as to use")
    return operator.index(whole)


def read_back() -> dict[str, int]:
    """Ask the libraries that are imported already; nothing is imported for the answer.

    Returns:
        Threads by name: "cv2"; "torch" (within an operator) and "torch_interop" (between operators); "tensorflow" and
        "tensorflow_interop", 0 for as many as there are cores; each OpenMP and BLAS library by the name that
        threadpoolctl gives it, such as "libgomp" or "libscipy_openblas", the largest pool where one is loaded twice;
        "cores": how many this process may run on. Sessions of ONNX Runtime and of TensorFlow Lite have threads of
        their own that can be asked of the session only: see `Detector.threads_used`.
    """
    found: dict[str, int] = {}
    if cv2 := sys.modules.get("cv2"):
        found["cv2"] = int(cv2.getNumThreads())
    if torch := sys.modules.get("torch"):
        found["torch"] = int(torch.get_num_threads())
        found["torch_interop"] = int(torch.get_num_interop_threads())
    if tensorflow := sys.modules.get("tensorflow"):
        threading = tensorflow.config.threading
        found["tensorflow"] = int(threading.get_intra_op_parallelism_threads())
        found["tensorflow_interop"] = int(threading.get_inter_op_parallelism_threads())
    for name, threads in _native_pools():
        found[name] = max(threads, found.get(name, 0))
    found["cores"] = _cores()
    return found


def limit(threads: int) -> dict[str, tuple[int, int]]:
    """Lower OpenCV and PyTorch, where they are loaded, to `threads`.

    Returns:
        What had to be changed: name -> threads before and after.
    """
    changed = {}
    if (cv2 := sys.modules.get("cv2")) and (before := int(cv2.getNumThreads())) > threads:
        cv2.setNumThreads(threads)
        changed["cv2"] = before, int(cv2.getNumThreads())
    if (torch := sys.modules.get("torch")) and (before := int(torch.get_num_threads())) > threads:
        torch.set_num_threads(threads)
        changed["torch"] = before, int(torch.get_num_threads())
    return changed


def exceeding(counts: Mapping[str, int], threads: int) -> list[str]:
    """Say which libraries would use more threads than allowed.

    Two numbers are not judged. PyTorch's pool between operators stays idle unless a model forks on purpose. 0 is
    TensorFlow before anybody has set it, bounded by the cores that the process is pinned to; MediaPipe imports
    TensorFlow, where it is installed, and never runs it.

    Args:
        counts: as `read_back` gives them.
        threads: what is allowed.

    >>> exceeding({"cv2": 4, "tensorflow": 0, "torch": 1, "cores": 8}, 1)
    ['cv2 would use 4 threads, allowed 1']
    """
    return [
        f"{name} would use {count} threads, allowed {threads}"
        for name, count in counts.items()
        if name not in _NOT_JUDGED and count > threads
    ]


def _native_pools() -> list[tuple[str, int]]:
    import threadpoolctl

    return [(str(pool["prefix"]), int(pool["num_threads"])) for pool in threadpoolctl.threadpool_info()]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""The child process: holds one detector alone and answers over a pipe.

Started by `supervisor`, never by hand. Pinning comes first, before NumPy or any detector library is imported, since
their thread pools inherit the processor mask and read the environment when they are loaded.

Messages in: ("load", config) · ("detect", height, width, arena bytes) · ("check", height, width, arena bytes) ·
("close",)
Messages out: ("hello", PROTOCOL) · ("loaded", report) · ("found", boxes, scores, landmarks, measured) ·
("checked", report) · ("raised", message)
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...detectors import Detector, RGBImage


PROTOCOL = 4
"""Version of these messages: the child may be another installed version of facebench."""


def main() -> None:
    """Serve one detector until the pipe closes."""
    import faulthandler

    connection = Connection(int(sys.argv[1]))
    arena_file = int(sys.argv[2])
    if len(sys.argv) > 3 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in sys.argv[3].split(",")])
    # last, so that a detector in the working folder is found and nothing there hides a library
    sys.path.append(os.getcwd())  # noqa: PTH109
    faulthandler.enable()
    die_with_parent()
    # the parent unlocks a detector that hangs by killing, so only the pipe's end needs care here
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(("hello", PROTOCOL))
        _serve(connection, arena_file)


def _serve(connection: Connection, arena_file: int) -> None:
    kind, config = connection.recv()
    assert kind == "load", kind
    try:
        detector, inner, report = _load(config)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
        connection.send(("raised", _explain(error)))
        return
    connection.send(("loaded", report))
    arena: mmap.mmap | None = None
    while True:
        message = connection.recv()
        if message[0] == "close":
            detector.close()
            return
        task, height, width, capacity = message
        if arena is None or len(arena) != capacity:
            arena = mmap.mmap(arena_file, capacity, mmap.MAP_SHARED, mmap.PROT_READ)
        image = _view(arena, height, width)
        answer = _answer(detector, image) if task == "detect" else _check(inner, image, config["threads"])
        connection.send(answer)


def _load(config: dict[str, Any]) -> tuple[Detector, Detector, dict[str, Any]]:
    """Import and build the detector; report what the libraries say of device and threads.

    Returns:
        The detector as it is asked, the one inside it whose arrays are the library's own, and the report.
    """
    began = time.perf_counter()
    from ...detectors import Setting
    from ...detectors.process.thread_counts import declare_own_process, limit, read_back

    declare_own_process()
    limit(config["threads"])
    imported = time.perf_counter()
    setting = Setting(config["spec"], config["threshold"], config["size"], config["device"], config["threads"])
    detector, inner = setting.build_from(config["score_floor"])
    loaded = time.perf_counter()
    used = detector.device_used()
    if used != config["device"]:
        from ...errors import DeviceError

        raise DeviceError(f"asked for {config['device']}, but the detector runs on {used}")
    # some vision packages change the threads of OpenCV when they are imported
    changed = limit(config["threads"])
    report = {
        "import_s": imported - began,
        "load_s": loaded - imported,
        "device_used": used,
        "threads_used": detector.threads_used(),
        "library_threads": read_back(),
        "threads_put_back": changed,
        "operating_threshold": float(detector.operating_threshold if setting.threshold is None else setting.threshold),
        "score_floor": float(detector.score_floor),
    }
    return detector, inner, report


def _answer(detector: Detector, image: RGBImage) -> tuple[Any, ...]:
    from ...detectors import Detections
    from ...detectors.stages import StageClock

    # a third party's detector may do without the constructor of its base
    clock = getattr(detector, "clock", None) or StageClock()
    try:
        queued = _queued_ns()
        cpu = time.process_time_ns()
        began = clock.start()
        found: object = detector.detect(image)
        end = time.perf_counter_ns()
        cpu = time.process_time_ns() - cpu
        queued = max(_queued_ns() - queued, 0.0)  # a thread that ends takes its share along
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
        return ("raised", _explain(error))
    if not isinstance(found, Detections):
        return ("raised", f"ContractError: detect must return facebench.Detections, got {type(found).__name__}")
    stages = clock.split(end)
    measured = {
        "detect_ms": (end - began) / 1e6,
        "cpu_ms": cpu / 1e6,
        "queued_ms": queued / 1e6,
        "stages_ms": stages and (stages.pre / 1e6, stages.inference / 1e6, stages.post / 1e6),
        "peak_rss_mb": _peak_memory_mb(),
        "device_memory_mb": detector.device_memory_mb(),
    }
    return ("found", found.boxes, found.scores, found.landmarks, measured)


def _check(detector: Detector, image: RGBImage, threads: int) -> tuple[Any, ...]:
    """Look, once the detector is warm, for what makes its times invalid; outside every clock."""
    from ...detectors.process.devices import false_claim
    from ...detectors.process.finished import unfinished
    from ...detectors.process.thread_counts import exceeding, read_back

    counts = read_back()
    try:
        late = unfinished(detector, image)
        problems = [*exceeding(counts, threads), *filter(None, [late, false_claim(detector)])]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
        return ("raised", _explain(error))
    return ("checked", {"library_threads": counts, "problems": problems})


def _view(arena: mmap.mmap, height: int, width: int) -> RGBImage:
    """Return the image in shared memory; the mapping is read-only, so a detector cannot change it."""
    import numpy as np

    return np.frombuffer(arena, dtype=np.uint8, count=height * width * 3).reshape(height, width, 3)


def _queued_ns() -> float:
    """Return how long threads of this process could have run and had no core so far; nan where Linux does not tell."""
    total = 0
    try:
        for task in os.listdir("/proc/self/task"):  # noqa: PTH208
            with open(f"/proc/self/task/{task}/schedstat", encoding="ascii") as told:  # noqa: PTH123
                total += int(told.read().split()[1])
    except (OSError, ValueError, IndexError):
        return math.nan
    return float(total)


def _peak_memory_mb() -> float:
    """Return the largest resident size of this process so far; Linux tells it of this program alone."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _explain(error: BaseException) -> str:
    text = str(error).strip() or "no message"
    remedy = getattr(error, "remedy", "")
    return f"{type(error).__name__}: {text}" + (f". To fix: {remedy}" if remedy else "")


def die_with_parent() -> None:
    """Ask Linux to kill this process when the parent ends, even inside a detector that hangs."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""The child process: holds one detector alone and answers over a pipe.

Started by `supervisor`, never by hand. Pinning comes first, before NumPy or any detector library is imported, since
their thread pools inherit the processor mask and read the environment when they are loaded.

Messages in: ("load", config) · ("detect", height, width, arena bytes) · ("close",)
Messages out: ("hello",) · ("loaded", report) · ("found", boxes, scores, landmarks, nanoseconds, peak MB) ·
("raised", message)
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..detectors import Detections, Detector, RGBImage


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
    _die_with_parent()
    # the parent unlocks a detector that hangs by killing, so only the pipe's end needs care here
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(("hello",))
        _serve(connection, arena_file)


def _serve(connection: Connection, arena_file: int) -> None:
    kind, config = connection.recv()
    assert kind == "load", kind
    try:
        detector, report = _load(config)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent hears of it
        connection.send(("raised", _explain(error)))
        return
    connection.send(("loaded", report))
    arena: mmap.mmap | None = None
    while True:
        message = connection.recv()
        if message[0] == "close":
            detector.close()
            return
        _, height, width, capacity = message
        if arena is None or len(arena) != capacity:
            arena = mmap.mmap(arena_file, capacity, mmap.MAP_SHARED, mmap.PROT_READ)
        connection.send(_answer(detector, _view(arena, height, width), config["size"]))


def _load(config: dict[str, Any]) -> tuple[Detector, dict[str, Any]]:
    """Import and build the detector; report what the libraries say of device and threads."""
    began = time.perf_counter()
    from ..detectors import create

    imported = time.perf_counter()
    detector = create(
        config["spec"], device=config["device"], threads=config["threads"], score_floor=config["score_floor"]
    )
    loaded = time.perf_counter()
    used = detector.device_used()
    if used != config["device"]:
        from ..errors import DeviceError

        raise DeviceError(f"asked for {config['device']}, but the detector runs on {used}")
    report = {
        "import_s": imported - began,
        "load_s": loaded - imported,
        "device_used": used,
        "threads_used": detector.threads_used(),
        "library_threads": _library_threads(),
        "operating_threshold": float(detector.operating_threshold),
        "score_floor": float(detector.score_floor),
    }
    return detector, report


def _answer(detector: Detector, image: RGBImage, size: str) -> tuple[Any, ...]:
    from ..detectors import Detections

    try:
        began = time.perf_counter_ns()
        found: object = detector.detect(image) if size == "original" else _detect_resized(detector, image, size)
        nanoseconds = time.perf_counter_ns() - began
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent hears of it
        return ("raised", _explain(error))
    if not isinstance(found, Detections):
        return ("raised", f"ContractError: detect must return facebench.Detections, got {type(found).__name__}")
    return ("found", found.boxes, found.scores, found.landmarks, nanoseconds, _peak_memory_mb())


def _detect_resized(detector: Detector, image: RGBImage, size: str) -> Detections:
    import cv2
    import numpy as np

    from ..detectors import Detections
    from .cell import scale_for

    height, width = image.shape[:2]
    scale = scale_for(size, height, width)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    found = detector.detect(np.asarray(cv2.resize(image, new, interpolation=mode), dtype=np.uint8))
    factor = np.array([width / new[0], height / new[1]], dtype=np.float32)
    points = None if found.landmarks is None else found.landmarks * factor
    return Detections(found.boxes * np.tile(factor, 2), found.scores, points)


def _view(arena: mmap.mmap, height: int, width: int) -> RGBImage:
    """Return the picture in shared memory; the mapping is read-only, so a detector cannot change it."""
    import numpy as np

    return np.frombuffer(arena, dtype=np.uint8, count=height * width * 3).reshape(height, width, 3)


def _library_threads() -> dict[str, int]:
    """Read back the thread counts of the libraries that are loaded now."""
    found = {}
    if "cv2" in sys.modules:
        found["cv2"] = int(sys.modules["cv2"].getNumThreads())
    if "torch" in sys.modules:
        found["torch"] = int(sys.modules["torch"].get_num_threads())
    if hasattr(os, "sched_getaffinity"):
        found["cores"] = len(os.sched_getaffinity(0))
    return found


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
    return f"{type(error).__name__}: {text}"


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent ends, even inside a detector that hangs."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main()

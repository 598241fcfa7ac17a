"""The child process: holds one detector alone and answers over a socket.

Started by `detector_process`, never by hand. Pinning comes first, before NumPy or any detector library is imported,
since their thread pools inherit the processor mask and read the environment when they are loaded.

Messages in: "load" · "detect" and "check", with height, width and arena bytes · "close"
Messages out: "hello", with the protocol · "loaded" · "found", with boxes, scores and perhaps landmarks · "checked" ·
"raised", with the reason. An answer has the number of its request.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ...supervised import supervise
from .child.messages import PROTOCOL, Channel, Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ...detectors import Detector, RGBImage

_Answer = tuple[str, dict[str, Any], dict[str, Any]]
"""Kind, fields and arrays."""
_LONGEST_REASON = 10_000
"""Characters; the parent keeps fewer."""


def main() -> None:
    """Serve one detector until the socket closes."""
    supervise()
    import faulthandler
    import socket

    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    arena_file = int(sys.argv[2])
    os.set_inheritable(arena_file, False)
    if len(sys.argv) > 3 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in sys.argv[3].split(",")])
    # last, so that a detector in the working folder is found and nothing there hides a library
    sys.path.append(os.getcwd())  # noqa: PTH109
    faulthandler.enable()
    # the parent unlocks a detector that hangs by killing, so only the socket's end needs care here
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        channel = Channel(end)
        channel.send(Message("hello", 0, {"protocol": PROTOCOL}))
        _serve(channel, arena_file)


def _serve(channel: Channel, arena_file: int) -> None:
    asked = channel.receive()
    config = asked.fields
    try:
        detector, inner, report = _load(config)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
        channel.send(Message("raised", asked.number, {"reason": _explain(error)}))
        return
    channel.send(Message("loaded", asked.number, report))
    arena: mmap.mmap | None = None
    while True:
        asked = channel.receive()
        if asked.kind == "close":
            detector.close()
            return
        capacity = asked.fields["capacity"]
        if arena is None or len(arena) != capacity:
            arena = mmap.mmap(arena_file, capacity, mmap.MAP_SHARED, mmap.PROT_READ)
        image = _view(arena, asked.fields["height"], asked.fields["width"])
        try:
            kind, fields, arrays = (
                _answer(detector, image) if asked.kind == "detect" else _check(inner, image, config["threads"])
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
            kind, fields, arrays = "raised", {"reason": _explain(error)}, {}
        channel.send(Message(kind, asked.number, fields, arrays))


def _load(config: Mapping[str, Any]) -> tuple[Detector, Detector, dict[str, Any]]:
    """Import and build the detector; report what the libraries say of device and threads.

    Returns:
        The detector as it is asked, the one inside it whose arrays are the library's own, and the report.
    """
    began = time.perf_counter()
    from ...detectors import Setting
    from ...detectors.process import self_reports
    from ...detectors.process.thread_counts import declare_own_process, limit, read_back

    declare_own_process()
    limit(config["threads"])
    imported = time.perf_counter()
    setting = Setting(config["spec"], config["threshold"], config["size"], config["device"], config["threads"])
    detector, inner = setting.build_from(config["score_floor"])
    loaded = time.perf_counter()
    used = self_reports.device_told(inner)
    if used != config["device"]:
        from ...errors import DeviceError

        raise DeviceError(f"asked for {config['device']}, but the detector runs on {used}")
    # some vision packages change the threads of OpenCV when they are imported
    changed = limit(config["threads"])
    own, floor = self_reports.thresholds_told(detector)
    self_reports.device_memory_told(inner)  # here rather than at the first image: it fails the cell
    report = {
        "import_s": imported - began,
        "load_s": loaded - imported,
        "device_used": used,
        "threads_used": self_reports.threads_told(inner),
        "library_threads": read_back(),
        "threads_put_back": changed,
        "operating_threshold": own if setting.threshold is None else setting.threshold,
        "score_floor": floor,
    }
    return detector, inner, report


def _answer(detector: Detector, image: RGBImage) -> _Answer:
    from ...detectors import Detections
    from ...detectors.process.self_reports import device_memory_told
    from ...detectors.stages import StageClock
    from ...errors import ContractError

    # a third party's detector may do without the constructor of its base
    clock = getattr(detector, "clock", None) or StageClock()
    queued = _queued_ns()
    cpu = time.process_time_ns()
    began = clock.start()
    found: object = detector.detect(image)
    end = time.perf_counter_ns()
    cpu = time.process_time_ns() - cpu
    queued = max(_queued_ns() - queued, 0.0)  # a thread that ends takes its share along
    if not isinstance(found, Detections):
        raise ContractError(f"detect must return facebench.Detections, got {type(found).__name__}")
    stages = clock.split(end)
    measured = {
        "detect_ms": (end - began) / 1e6,
        "cpu_ms": cpu / 1e6,
        "queued_ms": queued / 1e6,
        "stages_ms": stages and (stages.pre / 1e6, stages.inference / 1e6, stages.post / 1e6),
        "peak_rss_mb": _peak_memory_mb(),
        "device_memory_mb": device_memory_told(detector),
    }
    arrays = {"boxes": _plain("boxes", found.boxes), "scores": _plain("scores", found.scores)}
    if found.landmarks is not None:
        arrays["landmarks"] = _plain("landmarks", found.landmarks)
    return "found", measured, arrays


def _plain(name: str, array: object) -> NDArray[np.float32]:
    """Return an array whose bytes can be sent; its shape and values are for the parent to judge."""
    import numpy as np

    from ...errors import ContractError

    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim > 3:
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ContractError(f"{name} must be a float32 array, got {got}")
    return np.asarray(array)


def _check(detector: Detector, image: RGBImage, threads: int) -> _Answer:
    """Look, once the detector is warm, for what makes its times invalid; outside every clock."""
    from ...detectors.process.devices import false_claim
    from ...detectors.process.finished import unfinished
    from ...detectors.process.thread_counts import exceeding, read_back

    counts = read_back()
    late = unfinished(detector, image)
    problems = [*exceeding(counts, threads), *filter(None, [late, false_claim(detector)])]
    return "checked", {"library_threads": counts, "problems": problems}, {}


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
    text = f"{type(error).__name__}: {text}" + (f". To fix: {remedy}" if remedy else "")
    return text[:_LONGEST_REASON]


if __name__ == "__main__":
    main()

"""What the child does with its detector: build it, call it under the clocks, and look for what makes times invalid."""

from __future__ import annotations

import math
import mmap
import os
import resource
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....detectors import Detections, Detector, Setting
from ....detectors.base import RGBImage
from ....detectors.process import self_reports
from ....detectors.process.devices import false_claim
from ....detectors.process.finished import unfinished
from ....detectors.process.thread_counts import declare_own_process, exceeding, limit, read_back
from ....detectors.stages import StageClock
from ....errors import ContractError, DeviceError

_Answer = tuple[str, dict[str, Any], dict[str, NDArray[np.float32]]]
"""Kind, fields and arrays of a message."""


def load(config: Mapping[str, Any], began: float) -> tuple[Detector, Detector, dict[str, Any]]:
    """Import and build the detector; report what the libraries say of device and threads.

    Returns:
        The detector as it is asked, the one inside it whose arrays are the library's own, and the report.
    """
    declare_own_process()
    limit(config["threads"])
    imported = time.perf_counter()
    setting = Setting(config["spec"], config["threshold"], config["size"], config["device"], config["threads"])
    detector, inner = setting.build_from(config["score_floor"])
    loaded = time.perf_counter()
    used = self_reports.device_told(inner)
    if used != config["device"]:
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
        "precision_used": self_reports.precision_told(inner),
        "library_threads": read_back(),
        "threads_put_back": changed,
        "operating_threshold": own if setting.threshold is None else setting.threshold,
        "score_floor": floor,
    }
    return detector, inner, report


def answer(detector: Detector, image: RGBImage) -> _Answer:
    """Call it for one image, between the clocks."""
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
        "device_memory_mb": self_reports.device_memory_told(detector),
    }
    arrays = {"boxes": _plain("boxes", found.boxes), "scores": _plain("scores", found.scores)}
    if found.landmarks is not None:
        arrays["landmarks"] = _plain("landmarks", found.landmarks)
    return "found", measured, arrays


def batch_answer(detector: Detector, images: Sequence[RGBImage]) -> _Answer:
    """Call it for a batch, between the clocks."""
    began = time.perf_counter_ns()
    found = detector.detect_batch(images)
    end = time.perf_counter_ns()
    measured = {
        "batch_ms": (end - began) / 1e6,
        "together": detector.batches() is True,
        "counts": [len(one) for one in found],
        "peak_rss_mb": _peak_memory_mb(),
        "device_memory_mb": self_reports.device_memory_told(detector),
    }
    boxes = [np.empty((0, 4), np.float32), *(_plain("boxes", one.boxes) for one in found)]
    scores = [np.empty(0, np.float32), *(_plain("scores", one.scores) for one in found)]
    return "found together", measured, {"boxes": np.concatenate(boxes), "scores": np.concatenate(scores)}


def _plain(name: str, array: object) -> NDArray[np.float32]:
    """Return an array whose bytes can be sent; its shape and values are for the parent to judge."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim > 3:
        got = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ContractError(f"{name} must be a float32 array, got {got}")
    return np.asarray(array)


def check(detector: Detector, image: RGBImage, threads: int) -> _Answer:
    """Look, once the detector is warm, for what makes its times invalid; outside every clock."""
    counts = read_back()
    late = unfinished(detector, image)
    problems = [*exceeding(counts, threads), *filter(None, [late, false_claim(detector)])]
    return "checked", {"library_threads": counts, "problems": problems}, {}


def views(arena: mmap.mmap, sizes: Sequence[tuple[int, int]]) -> list[RGBImage]:
    """Return the images in shared memory, by height and width; the mapping is read-only: no detector changes them."""
    found, begin = [], 0
    for height, width in sizes:
        count = height * width * 3
        found.append(np.frombuffer(arena, np.uint8, count, begin).reshape(height, width, 3))
        begin += count
    return found


def _queued_ns() -> float:
    """Return how long threads of this process could have run and had no core so far; nan where Linux does not tell."""
    total = 0
    try:
        for task in os.listdir("/proc/self/task"):  # noqa: PTH208
            total += int(_read(f"/proc/self/task/{task}/schedstat").split()[1])
    except (OSError, ValueError, IndexError):
        return math.nan
    return float(total)


def _peak_memory_mb() -> float:
    """Return the largest resident size of this process so far; Linux tells it of this program alone."""
    try:
        return int(_read("/proc/self/status").partition(b"VmHWM:")[2].split(maxsplit=1)[0]) / 1024
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _read(path: str) -> bytes:
    """Return what a file of the kernel says: `open` would take several times as long."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 2**16)
    finally:
        os.close(file)

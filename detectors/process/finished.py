"""Catching a detector that returns before it has finished, which would make its latency invalid.

An asynchronous detector shows in three ways: the arrays that it returned change afterwards, the process goes on
working, or the GPU does. Work that leaves the arrays alone is not seen where another process does it, nor where it
takes less than 0.005 s.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ...errors import ContractError
from ..base import Detections, Detector, RGBImage
from .devices import synchronise

_SLACK_S = 0.005
_SHARE = 0.1
"""Of a call's processor time. With one thread, our own detectors spend less than 0.001 s after a call."""

_SPIN_S = 0.1
"""Processor time that an idle thread of a pool may spin away before it sleeps.

ONNX Runtime spins 0.03 to 0.05 s after a call, whether that took 0.04 or 0.7 s; PyTorch's OpenMP pool 0.01 s, OpenCV,
TensorFlow, dlib and MediaPipe less than 0.001 s (x86-64, 2 threads).
"""

_BURST = 4
_LONGEST_WAIT_S = 5.0


def unfinished(
    detector: Detector,
    image: RGBImage,
    *,
    wait_s: float = 0.2,
    cpu_clock: Callable[[], float] = time.process_time,
    wait: Callable[[float], object] = time.sleep,
) -> str | None:
    """Look at what a detector does after `detect` has returned.

    The arrays are copied at once and compared with themselves a moment later; another image comes before, so that a
    buffer that is filled late cannot hold the right answer already. Processor time after the return may be 0.005 s and
    a tenth of the call's. Above that, threads allowed to spin are told from threads that work: spinning is spent once
    after several calls in a row, work once for each.

    Args:
        detector: warm: one that builds something on its first call has made that call.
        image: preferably one with faces in it.
        wait_s: how long to watch at least; longer where a call costs more processor time, up to 5 s.
        cpu_clock: processor time of all threads of this process, seconds.
        wait: sleeps so many seconds.

    Returns:
        What was seen; None if the detector had finished.

    Raises:
        ContractError: `detect` returned no `Detections`.
    """
    detector.detect(np.ascontiguousarray(image[:, ::-1]))
    wait(wait_s)

    began = cpu_clock()
    found = detector.detect(image)
    returned = cpu_clock()
    if not isinstance(found, Detections):
        raise ContractError(f"detect must return facebench.Detections, got {type(found).__name__}")
    at_once = _contents(found)
    busy_gpu = _gpu_wait(detector)
    call_s = returned - began
    watch_s = max(wait_s, min(call_s, _LONGEST_WAIT_S))
    wait(watch_s)
    after_s = cpu_clock() - returned

    if _contents(found) != at_once:
        return "the arrays that detect returned changed afterwards; wait for the result before returning it"
    if busy_gpu is not None:
        return busy_gpu
    if after_s <= _SLACK_S + _SHARE * call_s:
        return None
    seen = f"{after_s:.3f} s of processor time were spent after detect had returned, {call_s:.3f} s before"
    # a third party's detector may do without the constructor of its base
    threads = int(getattr(detector, "threads", 1))
    if after_s > _SPIN_S * (threads - 1) + _SLACK_S + _SHARE * call_s:
        return f"{seen}; wait for all work before returning"
    burst_s = _after_burst(detector, image, watch_s, cpu_clock, wait)
    if burst_s - after_s > (_BURST - 1) * (_SLACK_S + _SHARE * call_s):
        return f"{seen}, and {burst_s:.3f} s after {_BURST} calls in a row; wait for all work before returning"
    return None


def _after_burst(
    detector: Detector,
    image: RGBImage,
    watch_s: float,
    cpu_clock: Callable[[], float],
    wait: Callable[[float], object],
) -> float:
    """Return the processor time spent after several calls in a row."""
    for _ in range(_BURST):
        detector.detect(image)
    returned = cpu_clock()
    wait(_BURST * watch_s)
    return cpu_clock() - returned


def _gpu_wait(detector: Detector, clock: Callable[[], float] = time.perf_counter) -> str | None:
    """Wait for the GPU; host arrays that are complete leave it nothing to do."""
    device = detector.device_used()
    if device == "cpu":  # a busy machine may take this process off its core between two looks at the clock
        return None
    began = clock()
    synchronise(device)
    waited = clock() - began
    return f"the GPU went on working for {waited:.3f} s after detect had returned" if waited > _SLACK_S else None


def _contents(found: Detections) -> tuple[bytes, ...]:
    arrays = (found.boxes, found.scores, found.landmarks)
    return tuple(np.asarray(array).tobytes() for array in arrays if array is not None)

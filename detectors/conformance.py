"""check_detector(): the contract that every adapter, ours or a third party's, must pass.

The detector is built and run in the calling process; run one detector a process, since some libraries do not bear each
other (dlib with torch, torch with TensorFlow, by import order).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache

import numpy as np

from .. import importable
from ..errors import ContractError, DeviceError, UnavailableError
from . import conformance_answers as answers
from .base import Detector, Device
from .conformance_answers import BrokenContractError, detect, require
from .probe_images import portrait, small_portrait
from .process import devices, self_reports, thread_counts
from .process.finished import unfinished
from .registry import DetectorSpec, create, resolve

_MEASURED_CPU_S = 0.6
_MEASURED_AT_MOST_S = 20.0
"""For a detector whose work is done elsewhere."""

_MARKER = 61
"""A number of threads that nobody chooses; OpenCV gets it before the detector is built."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: its name, whether it held, and what was seen."""

    check: str
    ok: bool
    detail: str


def check_detector(spec: str | DetectorSpec, *, device: Device = "cpu", threads: int = 1) -> list[CheckResult]:
    """Build a detector in this process and check that it keeps the contract.

    Meanwhile the process counts as the detector's own: it sets its library's threads. OpenCV and PyTorch get their
    numbers back at the end; TensorFlow takes a number once only.

    Args:
        spec: a spec string, or one that is resolved already.
        device: where it shall run.
        threads: CPU threads that it may use.

    Returns:
        One result per check, in a fixed order; `all(result.ok for result in results)` is the verdict.

    Raises:
        UsageError: unknown detector or parameter.
        UnavailableError: a package or model file is missing, or OpenCV, which the checks need.
        DeviceError: the device cannot be used.
    """
    resolved = resolve(spec) if isinstance(spec, str) else spec
    resolved.check_device(device)
    if fault := importable.fault("cv2"):
        raise UnavailableError(f"the checks need OpenCV, which cannot be loaded: {fault}", importable.remedy(fault))
    floor = resolved.adapter.info.score_floor
    import cv2  # noqa: F401 - loaded now, it gets its number back at the end

    with thread_counts.as_own_process():
        libraries = _Libraries()
        try:
            detector = create(resolved, device=device, threads=threads, score_floor=floor)
        finally:
            libraries.take_marker_away()
        return _results(detector, resolved, libraries, device, threads)


def _results(
    detector: Detector, resolved: DetectorSpec, libraries: _Libraries, device: Device, threads: int
) -> list[CheckResult]:
    answer = cache(lambda: detect(detector, portrait()))
    checks: tuple[tuple[str, Callable[[Detector], str]], ...] = (
        ("device claim", _check_device),
        ("threads", lambda it: _check_threads(it, libraries)),
        ("self-reports", _check_self_reports),
        ("finished", _check_finished),
        ("finds the face", lambda it: answers.check_portrait(answer())),
        ("place in a larger image", answers.check_place),
        ("landmarks", lambda it: answers.check_landmarks(it, answer())),
        ("colour order", lambda it: answers.check_colour_order(it, resolved)),
        ("1×1 image", lambda it: answers.check_image(it, np.full((1, 1, 3), 90, np.uint8))),
        ("1×300 image", lambda it: answers.check_image(it, portrait()[200:201, 100:400])),
        ("300×1 image", lambda it: answers.check_image(it, portrait()[100:400, 200:201])),
        ("black image", lambda it: answers.check_image(it, np.zeros((240, 320, 3), np.uint8))),
        ("odd size", lambda it: answers.check_image(it, portrait()[:301, :277])),
        ("non-contiguous image", answers.check_non_contiguous),
        ("read-only image", answers.check_read_only),
        ("image is not modified", answers.check_not_modified),
        ("same answer twice", answers.check_twice),
        ("batch", answers.check_batch),
        ("score floor", lambda it: answers.check_score_floor(it, answer())),
        ("same boxes at a higher floor", lambda it: answers.check_higher_floor(it, resolved, answer())),
        ("cost of the score floor", lambda it: answers.tell_cost_of_floor(it, resolved)),
    )
    results = [_run(name, check, detector) for name, check in checks]
    return [*results, _run("closed twice", _check_closing, detector), _run_cuda(resolved, device, threads)]


def _run(name: str, check: Callable[[Detector], str], detector: Detector) -> CheckResult:
    try:
        return CheckResult(name, True, check(detector))
    except BrokenContractError as error:
        return CheckResult(name, False, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a third party's detector raises is a finding
        return CheckResult(name, False, f"raised {type(error).__name__}: {error}")


class _Libraries:
    """The thread counts before the detector was built, to see which ones it changed or given.

    OpenCV is loaded by this kit already. A detector that does not use it leaves the marker alone; one that does, or
    whose package changes OpenCV on import, writes another number over it.
    """

    def __init__(self) -> None:
        import cv2

        self._original = cv2.getNumThreads()
        cv2.setNumThreads(_MARKER)
        self._before = thread_counts.read_back()

    def take_marker_away(self) -> None:
        """Give OpenCV its number back where the detector left the marker; call this once it has been built."""
        import cv2

        if cv2.getNumThreads() == _MARKER:
            cv2.setNumThreads(self._original)
            self._before["cv2"] = self._original

    def exceeding(self, threads: int) -> list[str]:
        """Say which frameworks would use more threads since then. OpenMP and BLAS pools may be there and idle."""
        now = thread_counts.read_back()
        changed = {name: now[name] for name in thread_counts.FRAMEWORKS if now.get(name) != self._before.get(name)}
        return thread_counts.exceeding(changed, threads)


def _check_self_reports(detector: Detector) -> str:
    """Take what it says of itself, once it has been used, as a run does."""
    try:
        device, threads = self_reports.device_told(detector), self_reports.threads_told(detector)
        memory = self_reports.device_memory_told(detector)
        threshold, floor = self_reports.thresholds_told(detector)
    except ContractError as error:
        raise BrokenContractError(str(error)) from None
    told = f"device {device}, threads {threads}, device memory {memory}, threshold {threshold:g}, floor {floor:g}"
    return told.replace("None", "not told")


def _check_device(detector: Detector) -> str:
    used = detector.device_used()
    require(used == detector.device, f"asked for {detector.device}, device_used() says {used}")
    if used == "cuda":
        detector.detect(portrait())
    contradiction = devices.false_claim(detector)
    require(contradiction is None, contradiction or "")
    return f"runs on {used}"


def _check_threads(detector: Detector, libraries: _Libraries) -> str:
    """Ask the libraries, and compare processor time with elapsed time.

    Work on more threads than allowed shows as a ratio above them, unless the machine is so busy that they wait for
    each other; what the libraries tell does not depend on that.
    """
    told = self_reports.threads_told(detector)
    require(
        told is None or told <= detector.threads,
        f"allowed {detector.threads} threads, threads_used() says {told}; set them in __init__",
    )
    image = small_portrait()
    detector.detect(image)
    more = libraries.exceeding(detector.threads)
    require(not more, f"{'; '.join(more)}: set them in __init__, after the import of the package")
    # a thread pool spins for a moment after work that was done before; the clocks start behind it
    began, busy = time.perf_counter(), time.process_time()
    while time.process_time() - busy < _MEASURED_CPU_S and time.perf_counter() - began < _MEASURED_AT_MOST_S:
        detector.detect(image)
    ratio = (time.process_time() - busy) / (time.perf_counter() - began)
    require(
        ratio <= detector.threads + 0.35,
        f"allowed {detector.threads} threads, used {ratio:.2f} cores on average; set the library's threads in __init__",
    )
    return f"{ratio:.2f} cores busy on average, {told if told is not None else 'library cannot tell'} threads"


def _check_finished(detector: Detector) -> str:
    image = portrait()
    detect(detector, image)
    seen = unfinished(detector, image, cpu_clock=time.process_time, wait=time.sleep)
    require(seen is None, seen or "")
    return "nothing is done after the return"


def _check_closing(detector: Detector) -> str:
    """Whoever closes a detector in a `with` block may have closed it before."""
    detector.close()
    detector.close()
    return "no objection"


def _run_cuda(spec: DetectorSpec, device: Device, threads: int) -> CheckResult:
    """Ask for the GPU: either it is really used, or the error says why not."""
    name = "no silent fall back from cuda"
    if device == "cuda":
        return CheckResult(name, True, "checked as the device claim")
    try:
        detector = create(spec, device="cuda", threads=threads)
    except DeviceError as error:
        return CheckResult(name, True, f"refused: {error}")
    except Exception as error:  # noqa: BLE001 - any other exception is the finding
        return CheckResult(name, False, f"asked for cuda, raised {type(error).__name__}: {error}; expected DeviceError")
    with closing(detector):
        used = detector.device_used()
        if used != "cuda":
            return CheckResult(name, False, f"asked for cuda, runs on {used}")
        return _run(name, _check_device, detector)

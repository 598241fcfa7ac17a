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
from ..errors import DeviceError, UnavailableError
from .base import Detections, Detector, Device, RGBImage
from .floor_cost import cost_of_floor
from .probe_images import FACE, colour_probes, portrait, small_portrait
from .process import devices, thread_counts
from .process.finished import unfinished
from .registry import DetectorSpec, create, resolve

_SCORE_TOLERANCE = 0.005
_BOX_TOLERANCE = 0.35
_MEASURED_CPU_S = 0.6
_MEASURED_AT_MOST_S = 20.0
"""For a detector whose work is done elsewhere."""

_MARKER = 61
"""A number of threads that nobody chooses; OpenCV gets it before the detector is built."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether it held, and what was seen."""

    check: str
    ok: bool
    detail: str


def check_detector(spec: str | DetectorSpec, *, device: Device = "cpu", threads: int = 1) -> list[Finding]:
    """Build a detector in this process and check that it keeps the contract.

    Meanwhile the process counts as the detector's own: it sets its library's threads. OpenCV and PyTorch get their
    numbers back at the end; TensorFlow takes a number once only.

    Args:
        spec: a spec string, or one that is resolved already.
        device: where it shall run.
        threads: CPU threads that it may use.

    Returns:
        A finding a check, in a fixed order; `all(finding.ok for finding in findings)` is the verdict.

    Raises:
        UsageError: unknown detector or parameter.
        UnavailableError: a package or model file is missing, or OpenCV, which the checks need.
        DeviceError: the device cannot be used.
    """
    resolved = resolve(spec) if isinstance(spec, str) else spec
    resolved.adapter.check_device(device)
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
        return _findings(detector, resolved, libraries, device, threads)


def _findings(
    detector: Detector, resolved: DetectorSpec, libraries: _Libraries, device: Device, threads: int
) -> list[Finding]:
    answer = cache(lambda: _detect(detector, portrait()))
    checks: tuple[tuple[str, Callable[[Detector], str]], ...] = (
        ("device claim", _check_device),
        ("threads", lambda it: _check_threads(it, libraries)),
        ("finished", _check_finished),
        ("finds the face", lambda it: _check_portrait(answer())),
        ("place in a larger picture", _check_place),
        ("landmarks", lambda it: _check_landmarks(it, answer())),
        ("colour order", lambda it: _check_colour_order_of_defaults(it, resolved)),
        ("1×1 picture", lambda it: _check_picture(it, np.full((1, 1, 3), 90, np.uint8))),
        ("1×300 picture", lambda it: _check_picture(it, portrait()[200:201, 100:400])),
        ("300×1 picture", lambda it: _check_picture(it, portrait()[100:400, 200:201])),
        ("black picture", lambda it: _check_picture(it, np.zeros((240, 320, 3), np.uint8))),
        ("odd size", lambda it: _check_picture(it, portrait()[:301, :277])),
        ("non-contiguous picture", _check_non_contiguous),
        ("read-only picture", _check_read_only),
        ("picture is not modified", _check_not_modified),
        ("same answer twice", _check_twice),
        ("score floor", lambda it: _check_score_floor(it, answer())),
        ("same boxes at a higher floor", lambda it: _check_higher_floor(it, resolved, answer())),
        (
            "cost of the score floor",
            lambda it: _cost_of_floor(it, resolved),
        ),
    )
    findings = [_run(name, check, detector) for name, check in checks]
    findings.append(_run("closed twice", _check_closing, detector))
    findings.append(_run_cuda(resolved, device, threads))
    return findings


class _BrokenContractError(Exception):
    """A check did not hold; the message says what was seen and how to mend it."""


def _run(name: str, check: Callable[[Detector], str], detector: Detector) -> Finding:
    try:
        return Finding(name, True, check(detector))
    except _BrokenContractError as error:
        return Finding(name, False, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a third party's detector raises is a finding
        return Finding(name, False, f"raised {type(error).__name__}: {error}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _BrokenContractError(message)


def _detect(detector: Detector, image: RGBImage) -> Detections:
    found = detector.detect(image)
    _require(isinstance(found, Detections), f"detect must return facebench.Detections, got {type(found).__name__}")
    # a new value checks dtypes, shapes, order and finiteness once more, whoever built the old one
    landmarks = None if found.landmarks is None else found.landmarks.copy()
    return Detections(found.boxes.copy(), found.scores.copy(), landmarks)


class _Libraries:
    """The thread counts before the detector was built, to see which ones it changed or brought.

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


def _check_device(detector: Detector) -> str:
    used = detector.device_used()
    _require(used == detector.device, f"asked for {detector.device}, device_used() says {used}")
    if used == "cuda":
        detector.detect(portrait())
    contradiction = devices.false_claim(detector)
    _require(contradiction is None, contradiction or "")
    return f"runs on {used}"


def _check_threads(detector: Detector, libraries: _Libraries) -> str:
    """Ask the libraries, and compare processor time with elapsed time.

    Work on more threads than allowed shows as a ratio above them, unless the machine is so busy that they wait for
    each other; what the libraries tell does not depend on that.
    """
    told = detector.threads_used()
    _require(
        told is None or told <= detector.threads,
        f"allowed {detector.threads} threads, threads_used() says {told}; set them in __init__",
    )
    image = portrait()
    detector.detect(image)
    more = libraries.exceeding(detector.threads)
    _require(not more, f"{'; '.join(more)}: set them in __init__, after the import of the package")
    # a thread pool spins for a moment after work that was done before; the clocks start behind it
    began, busy = time.perf_counter(), time.process_time()
    while time.process_time() - busy < _MEASURED_CPU_S and time.perf_counter() - began < _MEASURED_AT_MOST_S:
        detector.detect(image)
    ratio = (time.process_time() - busy) / (time.perf_counter() - began)
    _require(
        ratio <= detector.threads + 0.35,
        f"allowed {detector.threads} threads, used {ratio:.2f} cores on average; set the library's threads in __init__",
    )
    return f"{ratio:.2f} cores busy on average, {told if told is not None else 'library cannot tell'} threads"


def _check_finished(detector: Detector) -> str:
    image = portrait()
    _detect(detector, image)
    seen = unfinished(detector, image, cpu_clock=time.process_time, wait=time.sleep)
    _require(seen is None, seen or "")
    return "nothing is done after the return"


def _check_portrait(found: Detections) -> str:
    _require(len(found) > 0, "no face found in a sharp frontal portrait of 512×512 pixels, face 95×116")
    overlap = _iou(found.boxes[0], FACE)
    _require(
        overlap >= _BOX_TOLERANCE,
        f"best box {found.boxes[0].round().tolist()}, the face is at {FACE}: IoU {overlap:.2f}; "
        "are boxes x1, y1, x2, y2 in pixels?",
    )
    return f"IoU {overlap:.2f}, score {found.scores[0]:.3f}, {len(found)} boxes"


def _check_place(detector: Detector) -> str:
    """Put the portrait off centre into a wide picture: swapped axes or a wrong scale move the box."""
    canvas = np.full((600, 1000, 3), 120, np.uint8)
    canvas[60:572, 420:932] = portrait()
    found = _detect(detector, canvas)
    face = tuple(value + offset for value, offset in zip(FACE, (420, 60, 420, 60), strict=True))
    _require(len(found) > 0, "no face found once the portrait lies in a wider picture")
    overlap = _iou(found.boxes[0], face)
    where = f"best box {found.boxes[0].round().tolist()}, the face is at {face}"
    _require(overlap >= _BOX_TOLERANCE, f"{where}: IoU {overlap:.2f}")
    return f"IoU {overlap:.2f}"


def _check_landmarks(detector: Detector, found: Detections) -> str:
    if not detector.info.landmarks:
        _require(found.landmarks is None, "info.landmarks is false, but the result has some")
        return "none claimed"
    _require(found.landmarks is not None and len(found) > 0, "info.landmarks is true, but the result has none")
    assert found.landmarks is not None
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks[0]
    ordered = left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    upright = max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    _require(
        bool(ordered and upright),
        f"expected left eye, right eye, nose, left and right mouth corner as seen, got {found.landmarks[0].tolist()}",
    )
    return "five points in order"


def _check_colour_order_of_defaults(detector: Detector, spec: DetectorSpec) -> str:
    """Take the default parameters, for which the reference scores hold; no parameter turns the channels round."""
    reference = spec.adapter.reference_scores
    if reference is None or not spec.given:
        return _check_colour_order(detector, reference)
    floor = spec.adapter.info.score_floor
    with closing(create(spec.name, device=detector.device, threads=detector.threads, score_floor=floor)) as default:
        return _check_colour_order(default, reference)


def _check_colour_order(detector: Detector, reference: tuple[float, float] | None) -> str:
    """Compare with the adapter's reference scores; a swap must both be told from them and not be there.

    Without a reference, a portrait must not score better when swapped.
    """
    probes = colour_probes()
    given = [_best(detector, probe) for probe in probes]
    swapped = [_best(detector, probe[:, :, ::-1]) for probe in probes]
    seen = f"scores {_pair(given)}, with red and blue swapped {_pair(swapped)}"
    if reference is None:
        natural, turned = _best(detector, portrait()), _best(detector, portrait()[:, :, ::-1])
        worse = turned - natural
        told = f"a portrait scores {natural:.3f}, with red and blue swapped {turned:.3f}"
        _require(
            worse <= 0.02 * max(1.0, abs(natural)),
            f"{told}; is the input taken as RGB? If so, declare reference_scores",
        )
        return f"{seen}; declare reference_scores to make sure"
    off = max(abs(got - expected) for got, expected in zip(given, reference, strict=True))
    apart = max(abs(got - expected) for got, expected in zip(swapped, reference, strict=True))
    _require(off <= _SCORE_TOLERANCE, f"{seen}; expected {_pair(reference)}: is the input taken as RGB?")
    _require(apart > 2 * _SCORE_TOLERANCE, f"{seen}: the reference scores {_pair(reference)} cannot tell them apart")
    return seen


def _check_picture(detector: Detector, image: RGBImage) -> str:
    return f"{len(_detect(detector, image))} boxes"


def _check_non_contiguous(detector: Detector) -> str:
    image = small_portrait()
    one, two = _detect(detector, image[:, ::-1].copy()[:, ::-1]), _detect(detector, image)
    _require_equal(one, two)
    return f"{len(one)} equal boxes"


def _check_twice(detector: Detector) -> str:
    """Look twice, then once more after another picture: some networks keep its size, trackers its faces."""
    one, two = _detect(detector, small_portrait()), _detect(detector, small_portrait())
    _require_equal(one, two)
    _detect(detector, portrait()[20:240, 120:332])
    _require_equal(two, _detect(detector, small_portrait()), " after a picture of another size")
    return f"{len(one)} equal boxes"


def _check_read_only(detector: Detector) -> str:
    image = small_portrait()
    image.setflags(write=False)
    return f"{len(_detect(detector, image))} boxes"


def _check_not_modified(detector: Detector) -> str:
    image = small_portrait()
    _detect(detector, image)
    _require(bool((image == small_portrait()).all()), "the picture given was changed; work on a copy")
    return "unchanged"


def _check_score_floor(detector: Detector, found: Detections) -> str:
    if detector.info.score_kind == "none":
        _require(bool((found.scores == 1).all()), "score_kind is none: every score must be 1")
        return "no scores"
    lowest = float(found.scores.min(initial=np.inf))
    _require(lowest >= detector.score_floor - 1e-6, f"score {lowest:.4f} is below the floor {detector.score_floor:g}")
    if detector.info.score_kind == "probability":
        highest = float(found.scores.max(initial=0))
        inside = lowest >= 0 and highest <= 1 + 1e-6
        _require(inside, f"probabilities must lie in 0 to 1, got {lowest:.3f} to {highest:.3f}")
    return f"lowest {lowest:.3f}, floor {detector.score_floor:g}"


def _check_closing(detector: Detector) -> str:
    """Whoever closes a detector in a `with` block may have closed it before."""
    detector.close()
    detector.close()
    return "no objection"


def _cost_of_floor(detector: Detector, spec: DetectorSpec) -> str:
    try:
        return cost_of_floor(spec, portrait(), device=detector.device, threads=detector.threads)
    except Exception as error:  # noqa: BLE001 - what is broken is the finding of the other checks; this one only tells
        return f"not measured: {error}"


def _check_higher_floor(detector: Detector, spec: DetectorSpec, found: Detections) -> str:
    """A threshold is chosen on boxes found at the floor; whoever builds the detector with it must get the same ones."""
    lowest, own = detector.score_floor, detector.operating_threshold
    if detector.info.score_kind == "none" or lowest >= own:
        return "no floor below its own threshold"
    between = found.scores[found.scores < own]
    # a score that was found, where there is one: it must count at a floor that equals it
    middle = float(between[len(between) // 2]) if len(between) else (lowest + own) / 2
    for floor in (middle, own):
        with closing(create(spec, device=detector.device, threads=detector.threads, score_floor=floor)) as higher:
            _require_equal(
                found.above(floor),
                _detect(higher, portrait()),
                f" with score_floor={floor:g} instead of {lowest:g}",
                ": run the library at one floor always, and drop what scores less with Detections.above",
            )
    return f"equal boxes at {middle:g} and {own:g}"


def _run_cuda(spec: DetectorSpec, device: Device, threads: int) -> Finding:
    """Ask for the GPU: either it is really used, or the error says why not."""
    name = "no silent fall back from cuda"
    if device == "cuda":
        return Finding(name, True, "checked as the device claim")
    try:
        detector = create(spec, device="cuda", threads=threads)
    except DeviceError as error:
        return Finding(name, True, f"refused: {error}")
    except Exception as error:  # noqa: BLE001 - any other exception is the finding
        return Finding(name, False, f"asked for cuda, raised {type(error).__name__}: {error}; expected DeviceError")
    with closing(detector):
        used = detector.device_used()
        if used != "cuda":
            return Finding(name, False, f"asked for cuda, runs on {used}")
        return _run(name, _check_device, detector)


def _iou(box: np.ndarray, face: tuple[int, ...]) -> float:
    width = min(box[2], face[2]) - max(box[0], face[0])
    height = min(box[3], face[3]) - max(box[1], face[1])
    inside = max(0.0, float(width)) * max(0.0, float(height))
    areas = float((box[2] - box[0]) * (box[3] - box[1])) + (face[2] - face[0]) * (face[3] - face[1])
    return inside / (areas - inside)


def _best(detector: Detector, image: RGBImage) -> float:
    found = _detect(detector, image)
    return float(found.scores[0]) if len(found) else 0.0


def _pair(scores: tuple[float, ...] | list[float]) -> str:
    return " and ".join(f"{score:.3f}" for score in scores)


def _require_equal(one: Detections, two: Detections, when: str = "", advice: str = "") -> None:
    same = np.array_equal(one.boxes, two.boxes) and np.array_equal(one.scores, two.scores)
    if one.landmarks is None or two.landmarks is None:
        same = same and one.landmarks is two.landmarks
    else:
        same = same and np.array_equal(one.landmarks, two.landmarks)
    _require(same, f"{len(one)} boxes, and {len(two)} that are not the same{when}; expected equal results{advice}")

"""Every detector keeps the contract, and the kit that says so notices each way to break it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from facebench.detectors import Detections, DetectorSpec, RGBImage, check_detector, conformance, default_specs
from facebench.detectors.probe_images import FACE, colour_probes, portrait
from facebench.errors import UnavailableError, UsageError
from facebench.tests.support import broken_detectors
from facebench.tests.support.kinds import Available

CHECKS = [
    "device claim",
    "threads",
    "self-reports",
    "finished",
    "finds the face",
    "place in a larger image",
    "landmarks",
    "colour order",
    "1×1 image",
    "1×300 image",
    "300×1 image",
    "black image",
    "odd size",
    "non-contiguous image",
    "read-only image",
    "image is not modified",
    "same answer twice",
    "batch",
    "score floor",
    "same boxes at a higher floor",
    "cost of the score floor",
    "closed twice",
    "no silent fall back from cuda",
]

# --- the detectors that facebench gives


def check_in_child(spec: str) -> tuple[int, list[dict[str, object]], str]:
    """Run the command, since some libraries do not bear each other in one process."""
    command = [sys.executable, "-m", "facebench.cli", "detectors", "check", spec, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, json.loads(run.stdout) if run.stdout else [], run.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [*default_specs(), "haar:min_neighbors=5,scale_factor=1.05", "ssd:confidence=0.4"],
)
def test_every_detector_keeps_the_contract(spec: str, available: Available) -> None:
    available(spec)
    code, findings, errors = check_in_child(spec)
    assert [finding["check"] for finding in findings] == CHECKS, errors
    assert [finding for finding in findings if not finding["ok"]] == []
    assert code == 0


def test_the_command_fails_for_a_broken_detector() -> None:
    code, findings, _ = check_in_child(f"{broken_detectors.__name__}:FailsOnOnePixel")
    assert [finding["check"] for finding in findings if not finding["ok"]] == ["1×1 image"]
    assert code == 1


# --- the kit notices


class QuietClocks:
    """The two clocks of the kit as on a machine with nothing else to do, where each thread has a core.

    Threads of OpenBLAS, which spin for a while after they have been made, do not count either.
    """

    def __init__(self) -> None:
        self._began = self._now()

    def process_time(self) -> float:
        """Processor time of all Python threads."""
        return sum(self._busy())

    def perf_counter(self) -> float:
        """Processor time of the busiest thread: so long it would have taken."""
        return max(self._busy())

    def sleep(self, seconds: float) -> None:
        """Let what was put off happen."""
        for work in broken_detectors.LATER:
            work()
        broken_detectors.LATER.clear()

    def _busy(self) -> list[float]:
        return [busy - self._began.get(thread, 0.0) for thread, busy in self._now().items()]

    @staticmethod
    def _now() -> dict[int, float]:
        clocks = {thread.ident: time.pthread_getcpuclockid(thread.ident) for thread in threading.enumerate()}
        return {thread: time.clock_gettime(clock) for thread, clock in clocks.items()}


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the check of threads quick, and independent of what else the machine does."""
    monkeypatch.setattr(conformance, "time", QuietClocks())
    monkeypatch.setattr(conformance, "_MEASURED_CPU_S", 0.05)


ONE_FACE = {
    "finished",
    "finds the face",
    "place in a larger image",
    "landmarks",
    "colour order",
    "odd size",
    "non-contiguous image",
    "read-only image",
    "image is not modified",
    "same answer twice",
    "score floor",
    "same boxes at a higher floor",
}
"""The checks that look at an answer with a face in it."""

ANY_ANSWER = ONE_FACE | {"1×1 image", "1×300 image", "300×1 image", "black image"}

# defect, checks that must fail, what the first of them says
TABLE: list[tuple[str, set[str], str]] = [
    # an invalid answer fails each check that looks at one
    ("ReturnsList", ANY_ANSWER, "detect must return facebench.Detections, got list"),
    ("ReturnsDoubles", ANY_ANSWER, r"ContractError: scores must be a float32 array of shape \(1,\), got float64"),
    ("ReturnsNaN", ONE_FACE, "ContractError: boxes must be finite, got 4 NaN"),
    # Detections itself raises, in every call that finds a face, so the threads cannot be measured either
    ("ReturnsWidthAndHeight", ONE_FACE | {"threads"}, "ContractError: boxes must have x2 >= x1"),
    ("FailsInTheDark", {"black image"}, "ContractError: .* got"),
    # a wrong answer
    (
        "FindsNothing",
        {"finds the face", "place in a larger image", "landmarks", "colour order"},
        "no face found in a sharp frontal portrait",
    ),
    ("SwapsAxes", {"finds the face", "place in a larger image"}, r"are boxes x1, y1, x2, y2 in pixels\?"),
    ("HalvesBoxes", {"finds the face", "place in a larger image"}, r"IoU 0\.00"),
    ("ScalesByTheWrongSide", {"place in a larger image"}, r"the face is at \(597, 120, 692, 236\): IoU 0\.00"),
    ("MirrorsLandmarks", {"landmarks"}, "expected left eye, right eye, nose"),
    ("PutsYBeforeX", {"landmarks"}, "expected left eye, right eye, nose"),
    ("OmitsLandmarks", {"landmarks"}, "info.landmarks is true, but the result has none"),
    ("HidesLandmarks", {"landmarks"}, "info.landmarks is false, but the result has some"),
    ("TakesBgr", {"colour order"}, r"expected 0\.795 and 0\.172: is the input taken as RGB\?"),
    ("TakesBgrAndDeclaresNothing", {"colour order"}, r"red and blue swapped 1\.000; is the input taken as RGB\?"),
    ("SeesTheMeanOfChannels", {"colour order"}, "cannot tell them apart"),
    ("GoesBelowTheFloor", {"score floor", "same boxes at a higher floor"}, r"score 0\.0500 is below the floor 0\.1"),
    ("ScoresAboveOne", {"score floor"}, "probabilities must lie in 0 to 1, got 1.500"),
    ("ScoresThatItDenies", {"score floor"}, "score_kind is none: every score must be 1"),
    (
        "DropsWhatEqualsItsFloor",
        {"same boxes at a higher floor"},
        r"2 boxes, and 1 that are not the same with score_floor=0\.3 instead of 0\.1; expected equal results: run the",
    ),
    ("WeighsInWhatLiesAboveItsFloor", {"same boxes at a higher floor"}, r"with score_floor=0\.3 instead of 0\.1"),
    # an answer that depends on more than the image: both checks compare two answers
    ("AnswersByTurns", {"non-contiguous image", "same answer twice"}, "not the same; expected equal results"),
    (
        "RemembersTheLastSize",
        {"non-contiguous image", "same answer twice", "same boxes at a higher floor"},
        "not the same",
    ),
    (
        "MixesUpABatch",
        {"batch"},
        "image 0 of a batch has other boxes than alone, by more than 0.5 px or 0.001 in score",
    ),
    ("MovesTheBoxesOfABatch", {"batch"}, "image 0 of a batch has other boxes than alone"),
    ("DropsTheLastOfABatch", {"batch"}, "4 answers to a batch of 5 images"),
    # an image that is not taken as it is; one that may not be written into raises
    ("WritesIntoTheImage", {"image is not modified", "read-only image"}, "read-only"),
    ("WritesIntoTheImageIfItMay", {"image is not modified"}, "the image given was changed; work on a copy"),
    ("NeedsAWritableBuffer", {"read-only image"}, "raised TypeError: underlying buffer is not writable"),
    ("IgnoresStrides", {"non-contiguous image"}, "not the same; expected equal results"),
    ("FailsOnOnePixel", {"1×1 image"}, "raised RuntimeError: image too small"),
    ("FailsOnThinImages", {"1×1 image", "1×300 image", "300×1 image"}, "raised error: OpenCV"),
    ("FailsOnOddSizes", {"odd size"}, "raised ValueError: cannot reshape"),
    # a false claim
    ("LiesAboutItsDevice", {"device claim"}, r"asked for cpu, device_used\(\) says cuda"),
    ("FallsBackSilently", {"no silent fall back from cuda"}, "asked for cuda, runs on cpu"),
    ("DiesOnCuda", {"no silent fall back from cuda"}, "raised RuntimeError: no kernel .* expected DeviceError"),
    ("ClaimsCudaOnTheCpu", {"no silent fall back from cuda"}, r"says cuda, but the CUDA driver \(libcuda.so\) is not"),
    ("TellsOfMoreThreads", {"threads"}, r"allowed 1 threads, threads_used\(\) says 2; set them in __init__"),
    (
        "TellsThreadsAsText",
        {"threads", "self-reports"},
        r"threads_used\(\) is '1' of the type str, expected a whole number",
    ),
    (
        "TellsMemoryThatIsNoNumber",
        {"self-reports"},
        r"device_memory_mb\(\) is 'nan' of the type float, expected a finite",
    ),
    ("TellsMemoryAsAFunction", {"self-reports"}, r"of the type function, expected a finite number of MB, or None"),
    (
        "HasATextAsThreshold",
        {"self-reports", "same boxes at a higher floor"},
        "operating_threshold is '0.5' of the type str, expected a finite number",
    ),
    ("ImportsAPackageThatChangesOpenCv", {"threads"}, "cv2 would use 4 threads, allowed 1: set them in __init__"),
    ("UsesASecondThread", {"threads"}, r"allowed 1 threads, used \d\.\d\d cores on average"),
    ("BearsOneCloseOnly", {"closed twice"}, "raised RuntimeError: closed already"),
    # a return before the end
    ("RefinesItsBoxesLater", {"finished"}, "the arrays that detect returned changed afterwards"),
    ("GoesOnWorking", {"finished"}, r"0\.0\d\d s of processor time were spent after detect had returned"),
]


ALSO = {"AnswersByTurns": {"same boxes at a higher floor"}}
"""What a defect shows in as well, by how many calls the check of threads had time for: an odd or an even number."""


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("name", "failing", "message"), TABLE, ids=[row[0] for row in TABLE])
def test_a_defect_is_noticed(name: str, failing: set[str], message: str) -> None:
    findings = check_detector(f"{broken_detectors.__name__}:{name}")
    failed = {finding.check: finding.detail for finding in findings if not finding.ok}
    assert failing <= set(failed) <= failing | ALSO.get(name, set()), failed
    assert [finding.check for finding in findings] == CHECKS
    first = next(iter(failed.values()))
    assert re.search(message, first), first


@pytest.mark.usefixtures("quiet")
def test_a_good_detector_passes() -> None:
    findings = check_detector(f"{broken_detectors.__name__}:Good")
    assert [(finding.check, finding.detail) for finding in findings if not finding.ok] == []
    assert [finding.check for finding in findings] == CHECKS


def test_the_table_has_a_row_for_every_broken_detector() -> None:
    good = broken_detectors.Good
    classes = {
        name for name, kind in vars(broken_detectors).items() if isinstance(kind, type) and issubclass(kind, good)
    }
    assert classes == {"Good", *(row[0] for row in TABLE)}


def test_work_that_is_done_elsewhere_does_not_keep_the_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that waits for another machine uses no processor time, however long it is measured."""
    calls: list[float] = []

    class Waits(broken_detectors.Good):
        def detect(self, image: RGBImage) -> Detections:
            calls.append(1.0)
            return Detections.empty(landmarks=True)

    clocks = SimpleNamespace(process_time=lambda: 0.0, perf_counter=lambda: float(sum(calls)), sleep=calls.append)
    monkeypatch.setattr(conformance, "time", clocks)
    findings = check_detector(DetectorSpec("waits", {}, {}, Waits))
    assert next(finding for finding in findings if finding.check == "threads").ok
    assert len(calls) < 100


@pytest.mark.usefixtures("quiet")
def test_a_detector_on_the_gpu_that_says_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = SimpleNamespace(is_initialized=lambda: True, memory_allocated=lambda: 3 * 2**20)
    torch = SimpleNamespace(cuda=gpu, get_num_threads=lambda: 1, get_num_interop_threads=lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", torch)
    findings = check_detector(f"{broken_detectors.__name__}:Good")
    assert [(finding.check, finding.detail) for finding in findings if not finding.ok] == [
        ("device claim", "device_used() says cpu, but PyTorch holds 3.0 MB on the GPU")
    ]


@pytest.mark.usefixtures("quiet")
def test_a_detector_asked_for_cuda_that_computes_on_the_cpu() -> None:
    findings = check_detector(f"{broken_detectors.__name__}:ClaimsCudaOnTheCpu", device="cuda")
    assert [finding.check for finding in findings if not finding.ok] == ["device claim"]


@pytest.mark.usefixtures("quiet")
def test_the_kit_leaves_opencv_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    cv2.setNumThreads(2)
    with pytest.raises(UnavailableError):
        check_detector("hog")
    assert cv2.getNumThreads() == 2


def test_what_cannot_be_built_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UnavailableError, match="hog cannot be loaded"):
        check_detector("hog")
    with pytest.raises(UsageError, match="unknown detector 'hogg'"):
        check_detector("hogg")


def test_the_face_in_the_portrait() -> None:
    image = portrait()
    left, top, right, bottom = FACE
    assert (image.shape, image.dtype) == ((512, 512, 3), np.dtype(np.uint8))
    assert image.flags.c_contiguous
    red, _, blue = image[top:bottom, left:right].reshape(-1, 3).mean(axis=0)
    assert red > blue + 30  # skin, channels in the order red, green, blue


def test_colour_probes_tell_red_from_blue() -> None:
    for probe in colour_probes():
        assert (probe.shape, probe.dtype) == ((512, 512, 3), np.dtype(np.uint8))
        assert float(np.abs(probe[:, :, 0].astype(int) - probe[:, :, 2]).mean()) > 30

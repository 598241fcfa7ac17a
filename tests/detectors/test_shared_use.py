"""A detector is shared by threads, sent to other processes and inherited by forked ones, and gives the same answers.

Each adapter runs in a child process of its own: what goes wrong here ends a process.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from facebench.detectors import create, default_specs, resolve
from facebench.detectors.process import thread_counts
from facebench.detectors.process.per_process import PerProcess, ProcessLock
from facebench.detectors.resized import ResizedDetector
from facebench.detectors.setting import ThresholdedDetector
from facebench.emotions import EmotionPipeline
from facebench.errors import UsageError
from facebench.tests.support import shared_use
from facebench.tests.support.broken_detectors import Good
from facebench.tests.support.kinds import Available
from facebench.tests.support.shared_use import CASES

LIBRARIES = {"mtcnn": ("tensorflow", "mtcnn"), "retinaface": ("torch", "onnx"), "centerface": ("onnx", "onnxruntime")}
"""What is imported before the settings are read, beside `requires`: what a library does when imported is its own."""

NOT_AFTER_A_FORK = {"mtcnn": "TensorFlow", **dict.fromkeys(shared_use.TINY, "dlib's CNN")}


def run(function: Any, *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


@pytest.fixture(scope="module", params=CASES)
def used(request: pytest.FixtureRequest, available: Available) -> tuple[str, dict[str, Any]]:
    """A spec, and what was seen of its use."""
    spec = request.param
    libraries = (*available(spec).adapter.requires, *LIBRARIES.get(spec, ()))
    return spec, run(shared_use.all_uses, spec, libraries)


@pytest.mark.slow
def test_eight_threads_get_the_answers_of_one(used: tuple[str, dict[str, Any]]) -> None:
    """`pytest tools/test_shared_use.py` lets each thread of each detector ask a hundred times."""
    _, seen = used
    assert {name: wrong for name, (wrong, _) in seen["threads"].items()} == dict.fromkeys(shared_use.WAYS, 0)
    assert all(boxes >= 1 for _, boxes in seen["threads"].values())


@pytest.mark.slow
def test_a_copy_and_a_forked_child_give_the_same_answers(used: tuple[str, dict[str, Any]]) -> None:
    """The detector is in use while the process forks, so the lock may be held by a thread that the child lacks."""
    spec, seen = used
    found, told, (expected, *in_children) = seen["copies"]
    assert found[0] == found[1] and found[2] == found[3]
    assert told[0] == told[1] and told[2] == told[3]
    assert told[0][2] == 2
    assert len(in_children) == 3
    for boxes in in_children:
        if spec in NOT_AFTER_A_FORK:
            assert boxes.startswith(f"UsageError: {NOT_AFTER_A_FORK[spec]} was used before this process was forked")
            continue
        assert not isinstance(boxes, str), boxes
        for one, other in zip(expected, boxes, strict=True):
            # a network that is built again, with other threads, adds up in another order: PyTorch's most of all
            np.testing.assert_allclose(one, other, rtol=0, atol=0.01 if spec == "retinaface" else 1e-3)


@pytest.mark.slow
def test_a_detector_goes_into_a_spawn_pool(available: Available) -> None:
    """The argument is pickled on its way."""
    available("yunet")
    detector = create("yunet", score_floor=0.02)
    assert run(shared_use.answers, detector, "yunet") == shared_use.answers(detector, "yunet")


@pytest.mark.slow
def test_the_process_stays_as_it_was(used: tuple[str, dict[str, Any]]) -> None:
    assert used[1]["changed"] == []


@pytest.mark.slow
def test_a_pipeline_is_shared_too(available: Available) -> None:
    available("yunet")
    wrong, alone, elsewhere = run(shared_use.shared_pipeline)
    assert wrong == 0
    assert elsewhere == [alone, alone]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["", "del detector", "detector.close()", "detector.close(); detector.close()"])
def test_mediapipe_ends_without_a_word(how: str, available: Available) -> None:
    available("mediapipe")
    code = "import sys\nfrom facebench.detectors import create\ndetector = create('mediapipe')\n"
    ended = subprocess.run([sys.executable, "-c", f"{code}{how}"], capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("use", ["", "detector.detect(image); del detector"])
@pytest.mark.parametrize("spec", ["mediapipe", "yunet", "yunet:runtime=openvino", "yunet:runtime=opencv"])
def test_a_forked_child_ends(spec: str, use: str, available: Available) -> None:
    """MediaPipe and ONNX Runtime, freed, wait for threads that are in the parent alone."""
    available(spec)
    code = f"""
import os, signal
from facebench.detectors import create
from facebench.detectors.probe_images import portrait
image = portrait()[:260, 90:350]
detector = create("{spec}", threads=2)
detector.detect(image)
if child := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(60)
{use}
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)


# --- without a library


GOOD = f"{Good.__module__}:Good"


def test_a_strangers_detector_is_pickled_with_its_arguments() -> None:
    detector = create(GOOD, threads=2, score_floor=0.2)
    wrapped = ThresholdedDetector(ResizedDetector(detector, "long=300"), 0.3)
    again = pickle.loads(pickle.dumps(wrapped))
    assert type(again) is ThresholdedDetector
    assert (again.threads, again.score_floor, again.operating_threshold) == (2, 0.3, 0.3)
    face = shared_use.images("yunet")[0]
    assert shared_use.contents(again.detect(face)) == shared_use.contents(wrapped.detect(face))


def test_a_pipeline_is_pickled_and_closed() -> None:
    with EmotionPipeline(create(GOOD), "margin=0.2") as pipeline:
        again = pickle.loads(pickle.dumps(pipeline))
        face = shared_use.portrait()
        one, other = pipeline(face), pickle.loads(pickle.dumps(pipeline))(face)
    assert again.policy == pipeline.policy
    assert len(one) == 1
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_a_detector_closes_at_the_end_of_with() -> None:
    closed = []

    class Noting(Good):
        def close(self) -> None:
            closed.append(self)

    with Noting() as detector:
        assert closed == []
    assert closed == [detector]


@pytest.mark.parametrize("own", [False, True])
def test_opencv_is_set_in_a_process_of_the_detectors_own_only(own: bool) -> None:
    import cv2

    cv2.setNumThreads(2)
    with thread_counts.as_own_process() if own else nullcontext():
        detector = create(GOOD, threads=1)
        assert detector.threads_used() == cv2.getNumThreads() == (1 if own else 2)
    assert detector.threads_used() == cv2.getNumThreads() == 2


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2", None, np.float32(2)])
def test_a_number_of_threads_that_is_none(threads: Any) -> None:
    with pytest.raises(UsageError, match="expected a whole number, at least 1"):
        create(GOOD, threads=threads)


def test_a_number_of_threads_of_numpy() -> None:
    threads = create(GOOD, threads=np.int64(3)).threads  # type: ignore[arg-type]
    assert (threads, type(threads)) == (3, int)


def lock_held_at_the_fork() -> str:
    lock = ProcessLock()
    lock.__enter__()

    def child() -> str:
        with lock:
            return "entered"

    return str(shared_use.in_fork(child, 20))


def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child() -> None:
    assert run(lock_held_at_the_fork) == "entered"


def builds_of_parent_and_child() -> tuple[int, int, int]:
    processes: list[int] = []

    def build() -> int:
        processes.append(os.getpid())
        return os.getpid()

    held = PerProcess(build)
    parent = held.get()
    with held.alone() as same:
        assert same == parent
    child = shared_use.in_fork(lambda: (held.get(), held.get(), len(processes)), 20)
    return int(child[0] != parent), int(child[0] == child[1]), int(child[2])


def test_a_forked_child_builds_once() -> None:
    assert run(builds_of_parent_and_child) == (1, 1, 2)


def test_resolved_cases_name_every_detector() -> None:
    assert {resolve(spec).name for spec in CASES} == {resolve(spec).name for spec in default_specs()}

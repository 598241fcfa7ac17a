"""What test_self_reports.py runs in child processes: what an adapter tells of itself while it is measured."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from facebench.detectors import Detections, Detector, RGBImage, create
from facebench.detectors.probe_images import portrait
from facebench.detectors.process.per_process import PerProcess
from facebench.detectors.process.thread_counts import declare_own_process, exceeding, limit, read_back
from facebench.detectors.stages import StageClock

WORK = {
    "CascadeClassifier": ("detectMultiScale3",),
    "OnnxRuntimeSession": ("run",),
    "OpenVinoSession": ("run",),
    "fhog_object_detector": ("run",),
    "FaceDetector": ("detect",),
    "FaceDetectorYN": ("detect",),
    "dnn_Net": ("forward",),
    "Net": ("forward",),
}
"""The method that does the work, by the class of the library's object; other objects are called themselves."""


class Spy:
    """Stands before a library's object and notes when its work begins and ends."""

    def __init__(self, target: Any, events: list[str]) -> None:
        self._target, self._events = target, events
        self._work = WORK.get(type(target).__name__, ("__call__",))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._noted(found) if name in self._work else found

    def __call__(self, *arguments: Any) -> Any:
        return self._noted(self._target)(*arguments)

    def _noted(self, function: Any) -> Any:
        def noted(*arguments: Any, **options: Any) -> Any:
            self._events.append("work begins")
            try:
                return function(*arguments, **options)
            finally:
                self._events.append("work ends")

        return noted


class NotingClock(StageClock):
    """Notes the marks beside the library's work."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self.events = events

    def inference(self) -> None:
        self.events.append("inference")
        super().inference()

    def post(self) -> None:
        self.events.append("post")
        super().post()


@dataclass(frozen=True, slots=True)
class Report:
    """What an adapter tells of itself while it looks at a portrait.

    Attributes:
        threads: what `threads_used` says.
        exceeding: frameworks that would use more threads than allowed, as the measuring child asks them.
        device_memory_mb: what the adapter says.
        events: its marks and the library's work, in their order.
        split: of the call into stages, nanoseconds.
        whole: the call, nanoseconds.
    """

    threads: int | None
    exceeding: list[str]
    device_memory_mb: float | None
    events: list[str]
    split: tuple[int, int, int] | None
    whole: int


def report(spec: str, allowed: int) -> Report:
    """Build a detector with so many threads and let it look twice, the second time with its library spied upon."""
    declare_own_process()
    image = np.ascontiguousarray(portrait()[:288, 64:376])  # loads OpenCV; a face, and no more than it needs
    limit(allowed)
    detector = create(spec, threads=allowed)
    detector.detect(image)
    counts = {name: count for name, count in read_back().items() if name in ("cv2", "torch", "tensorflow")}
    told = detector.threads_used(), exceeding(counts, allowed), detector.device_memory_mb()
    events: list[str] = []
    for name in ("_cascade", "_detector", "_library", "_locate", "_net", "_network", "_session"):
        held = getattr(detector, name, None)
        if isinstance(held, PerProcess):
            held._built[os.getpid()] = Spy(held.get(), events)
        elif held is not None:
            setattr(detector, name, Spy(held, events))
    detector.clock = NotingClock(events)
    began = detector.clock.start()
    detector.detect(image)
    end = time.perf_counter_ns()
    split = detector.clock.split(end)
    detector.close()
    return Report(*told, events, None if split is None else (split.pre, split.inference, split.post), end - began)


def raise_opencv_threads(spec: str) -> int | None:
    """What the adapter tells once something else has changed OpenCV's threads."""
    import cv2

    detector = create(spec)
    cv2.setNumThreads(3)
    return detector.threads_used()


Rows = tuple[Any, Any, Any]


def batches(spec: str) -> tuple[list[Rows], list[Rows], list[int]]:
    """Images of two sizes mixed, in one batch and one by one, and how many went into each run of the network."""
    detector = create(spec, score_floor=0.02)
    face = portrait()
    given = [face, face[:301, :277], face[:, ::-1], face[::-1], face[40:341, 100:377], np.zeros_like(face)]
    runs: list[int] = []
    inner = detector._detect_together  # type: ignore[attr-defined]

    def counted(images: list[RGBImage]) -> list[Detections]:
        runs.append(len(images))
        answers: list[Detections] = inner(images)
        return answers

    detector._detect_together = counted  # type: ignore[attr-defined]
    together = detector.detect_batch(given)
    batch_runs = runs.copy()
    assert detector.detect_batch([]) == []
    return rows(together), rows([detector.detect(image) for image in given]), batch_runs


def rows(found: list[Detections]) -> list[Rows]:
    return [(item.boxes, item.scores, item.landmarks) for item in found]


def synchronised_on_the_cpu(spec: str) -> int:
    """How often a run on the CPU waits for a GPU."""
    import torch

    calls: list[None] = []
    torch.cuda.is_initialized = lambda: True
    torch.cuda.synchronize = lambda: calls.append(None)
    detector: Detector = create(spec)
    detector.detect(portrait())
    return len(calls)

"""A detector that returns before it has finished is caught; a pool of threads that spins is not."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from facebench.detectors import Detections, Device, RGBImage
from facebench.detectors.probe_images import portrait
from facebench.detectors.process import finished
from facebench.detectors.process.finished import unfinished
from facebench.errors import ContractError
from facebench.tests.support.broken_detectors import Good, changed


class Machine:
    """Processor time that passes as told: some in each call, some of it put off until somebody waits."""

    def __init__(self, call: float, work: float = 0.0, spin: float = 0.0, queues: bool = True) -> None:
        self.call, self.work, self.spin, self.queues = call, work, spin, queues
        self.now = self.put_off = 0.0
        self.waited: list[float] = []

    def clock(self) -> float:
        return self.now

    def serve(self) -> None:
        self.now += self.call
        self.put_off = self.put_off * self.queues + self.work

    def wait(self, seconds: float) -> None:
        """Let one other thread run for so long, on work first; after it the pool spins itself to sleep."""
        self.waited.append(seconds)
        done = min(self.put_off, seconds)
        self.now += done + self.spin
        self.put_off -= done


class OnMachine(Good):
    def __init__(self, machine: Machine, threads: int = 1) -> None:
        super().__init__(threads=threads)
        self._machine = machine

    def detect(self, image: RGBImage) -> Detections:
        self._machine.serve()
        return super().detect(image)


AFTER = "of processor time were spent after detect had returned"


@pytest.mark.parametrize(
    ("machine", "threads", "message"),
    [
        # an honest one, with what our own detectors were seen to spend
        (Machine(call=0.04), 1, "finished"),
        (Machine(call=0.04, spin=0.001), 1, "finished"),
        (Machine(call=0.0001, spin=0.001), 1, "finished"),
        (Machine(call=0.04, spin=0.042), 2, "finished"),
        (Machine(call=0.1, spin=0.010), 2, "finished"),
        (Machine(call=0.005, spin=0.29), 4, "finished"),
        # work that is put off, in part or whole
        (Machine(call=0.001, work=0.02), 1, AFTER),
        (Machine(call=1.0, work=0.2), 1, AFTER),
        (Machine(call=2.0, work=8.0), 1, AFTER),
        (Machine(call=0.04, spin=0.042), 1, AFTER),
        (Machine(call=0.001, work=0.2), 2, AFTER),
        (Machine(call=0.001, work=0.03), 2, "after 4 calls in a row"),
        (Machine(call=0.01, work=0.03, spin=0.042), 2, "after 4 calls in a row"),
        # beyond what can be told: it drops what it had begun, and is as quick as spinning
        (Machine(call=0.001, work=0.03, queues=False), 2, "finished"),
    ],
)
def test_processor_time_after_the_return(machine: Machine, threads: int, message: str) -> None:
    seen = unfinished(OnMachine(machine, threads), portrait(), cpu_clock=machine.clock, wait=machine.wait)
    assert re.search(message, seen or "finished")


def test_a_long_call_is_watched_as_long() -> None:
    machine = Machine(call=1.5)
    assert unfinished(OnMachine(machine), portrait(), wait_s=0.1, cpu_clock=machine.clock, wait=machine.wait) is None
    assert machine.waited == [0.1, 1.5]


class Late(Good):
    """Fills one kind of array in another thread, once the test allows it to."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self.go_on = threading.Event()
        self.threads_made: list[threading.Thread] = []

    def detect(self, image: RGBImage) -> Detections:
        found = super().detect(image)
        right = getattr(found, self._kind)
        memory = np.zeros_like(right)

        def fill() -> None:
            self.go_on.wait()
            memory[...] = right

        self.threads_made.append(threading.Thread(target=fill))
        self.threads_made[-1].start()
        return changed(found, **{self._kind: memory[:]})

    def let(self, seconds: float) -> None:
        self.go_on.set()
        for thread in self.threads_made:
            thread.join()
        self.go_on.clear()


@pytest.mark.parametrize("kind", ["boxes", "scores", "landmarks"])
def test_a_thread_that_fills_the_arrays_later(kind: str) -> None:
    detector = Late(kind)
    seen = unfinished(detector, portrait(), cpu_clock=lambda: 0.0, wait=detector.let)
    assert seen == "the arrays that detect returned changed afterwards; wait for the result before returning it"


class ReusesItsBuffer(Good):
    """Returns the same memory for each image, which holds the answer to the image before until somebody waits."""

    def __init__(self) -> None:
        super().__init__(score_floor=0.0)  # so that it answers to the mirrored image as well
        self._memory = np.zeros((1, 4), np.float32)
        self._later: list[Callable[[], None]] = []

    def detect(self, image: RGBImage) -> Detections:
        self.let(0)
        found = super().detect(image)
        if len(found):
            self._later.append(lambda: np.copyto(self._memory, found.boxes))
            return changed(found, boxes=self._memory[:])
        return found

    def let(self, seconds: float) -> None:
        while self._later:
            self._later.pop()()


def test_a_buffer_that_held_the_right_answer_before() -> None:
    detector = ReusesItsBuffer()
    detector.detect(portrait())
    seen = unfinished(detector, portrait(), cpu_clock=lambda: 0.0, wait=detector.let)
    assert seen is not None
    assert seen.startswith("the arrays that detect returned changed")


class SaysCuda(Good):
    def device_used(self) -> Device:
        return "cuda"


@pytest.mark.parametrize(("seconds", "message"), [(0.001, "finished"), (0.02, r"the GPU went on working for 0\.020 s")])
def test_a_gpu_that_goes_on_working(seconds: float, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A placeholder for PyTorch whose synchronisation takes so long."""
    machine = Machine(call=0)
    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=lambda: setattr(machine, "now", seconds))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    gpu_wait = finished._gpu_wait
    monkeypatch.setattr(finished, "_gpu_wait", lambda detector: gpu_wait(detector, machine.clock))
    seen = unfinished(SaysCuda(), portrait(), cpu_clock=lambda: 0.0, wait=lambda seconds: None)
    assert re.search(message, seen or "finished")


def test_what_is_no_result() -> None:
    class ReturnsNone(Good):
        def detect(self, image: RGBImage) -> Any:
            return None

    with pytest.raises(ContractError, match=r"detect must return facebench\.Detections, got NoneType"):
        unfinished(ReturnsNone(), portrait(), wait=lambda seconds: None)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (240, 320, 3)])
def test_a_image_without_faces(shape: tuple[int, ...]) -> None:
    assert unfinished(Good(), np.zeros(shape, np.uint8), cpu_clock=lambda: 0.0, wait=lambda seconds: None) is None

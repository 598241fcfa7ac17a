"""Keeps a detector in a child process of its own: starts and pins it, passes images, enforces time and memory.

Whatever the detector does (raise, abort, hang, eat memory) reaches the caller as one `WorkerError`.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ...detectors import Detections, Device, RGBImage
from ...errors import (
    DetectorRaisedError,
    FacebenchError,
    ResultsError,
    WorkerDiedError,
    WorkerMemoryError,
    WorkerTimeoutError,
)
from ..store.records import Start
from .environment import usable_cores
from .worker import PROTOCOL

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take.

    Attributes:
        load_s: seconds from start until the detector is loaded.
        image_s: seconds an image.
        memory_mb: resident memory, MB.
    """

    load_s: float = 300.0
    image_s: float = 120.0
    memory_mb: float = 6144.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The result for one image.

    Attributes:
        detections: what was found.
        detect_ms: wall time of the whole `detect` call, milliseconds.
        cpu_ms: processor time of all threads of the child during the call.
        stages_ms: pre, inference and post, where the adapter can tell.
        peak_rss_mb: the child's largest resident memory so far.
        device_memory_mb: its largest device memory so far, where the library can tell.
        queued_ms: how long its threads could have run during the call and had no core; nan where the system does not
            tell. A detector that waits for something else does not queue.
    """

    detections: Detections
    detect_ms: float
    cpu_ms: float
    stages_ms: tuple[float, float, float] | None
    peak_rss_mb: float
    device_memory_mb: float | None
    queued_ms: float = math.nan


@dataclass(frozen=True, slots=True)
class Check:
    """What a warm child looks like.

    Attributes:
        library_threads: as in `Start`.
        problems: sentences about what makes its times invalid: more threads than asked for, work that goes on after
            `detect` has returned. Empty for an honest detector.
    """

    library_threads: dict[str, int]
    problems: list[str]


class DetectorProcess:
    """One detector in one child process.

    Args:
        spec: spec string; it is resolved again inside the child.
        device: "cpu" or "cuda".
        threads: CPU threads, and cores that the child is pinned to.
        score_floor: keep detections down to this score; None to run the detector exactly as it is used, at its
            threshold.
        threshold: score from which a detection is a face; None for the detector's own.
        size: `Protocol.size`.
        limits: time and memory.
        log: file for what the child prints; None throws it away.
        python: interpreter of the child, such as that of an environment with another version; None for this one.
        cores: cores that the child is pinned to; None for the last ones that this process may use, one a thread.

    Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        spec: str,
        *,
        device: Device = "cpu",
        threads: int = 1,
        score_floor: float | None = None,
        threshold: float | None = None,
        size: str = "original",
        limits: Limits | None = None,
        log: Path | None = None,
        python: Path | None = None,
        cores: Sequence[int] | None = None,
    ) -> None:
        self._cores_given = cores
        self._python = str(python or sys.executable)
        self._config = {
            "spec": spec,
            "device": device,
            "threads": threads,
            "score_floor": score_floor,
            "threshold": threshold,
            "size": size,
        }
        self._limits = limits or Limits()
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._arena_file = tempfile.TemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: SIM115
        self._arena: mmap.mmap | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
        self.close()

    @property
    def running(self) -> bool:
        """Whether a child is there."""
        return self._process is not None

    def start(self) -> Start:
        """Start the child and load the detector.

        Raises:
            WorkerError: it could not be loaded; the child is gone.
        """
        began = time.perf_counter()
        ours, theirs = Pipe()
        self._pipe = ours
        files = (theirs.fileno(), self._arena_file.fileno())
        command = [
            self._python,
            "-P",
            "-m",
            "facebench.benchmarks.worker",
            *map(str, files),
            ",".join(map(str, self._cores())),
        ]
        try:
            log = open(self._log or os.devnull, "wb")  # noqa: SIM115, PTH123
        except OSError as error:
            raise ResultsError(
                f"cannot write {self._log}: {error.strerror or error}. Free some space or choose another folder"
            ) from error
        with log, theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                pass_fds=files,
                start_new_session=True,  # Ctrl-C is for the parent, which stops the child itself
            )
        _, *spoken = self._receive(began, self._limits.load_s)
        if spoken != [PROTOCOL]:
            self.kill()
            raise WorkerDiedError(
                f"{self._python} has another version of facebench: its child speaks protocol {(spoken or [1])[0]}, "
                f"this one {PROTOCOL}. Install versions that agree"
            )
        spawn_s = time.perf_counter() - began
        self._send(("load", self._config))
        reply = self._receive(began, self._limits.load_s)
        if reply[0] == "raised":
            self.kill()
            raise DetectorRaisedError(reply[1])
        return Start(spawn_s=spawn_s, **reply[1])

    def detect(self, image: RGBImage) -> Answer:
        """Run one image.

        Raises:
            DetectorRaisedError: the detector raised; the child lives on.
            WorkerDiedError, WorkerTimeoutError, WorkerMemoryError: the child is gone; `start` makes a new one.
        """
        _, boxes, scores, landmarks, measured = self._ask("detect", image)
        return Answer(Detections(boxes, scores, landmarks), **measured)

    def check(self, image: RGBImage) -> Check:
        """Run one image outside every clock and look for what would make the times of this child invalid.

        Raises:
            DetectorRaisedError, WorkerDiedError, WorkerTimeoutError, WorkerMemoryError: as `detect`.
        """
        return Check(**self._ask("check", image)[1])

    def kill(self) -> None:
        """End the child now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def close(self) -> None:
        """Let the detector close, then end the child and free the shared memory."""
        if self._process is not None and self._pipe is not None:
            with contextlib.suppress(OSError):
                self._pipe.send(("close",))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self.kill()
        if self._arena is not None:
            self._arena.close()
            self._arena = None
        self._arena_file.close()

    def _put(self, image: RGBImage) -> int:
        """Copy the image into shared memory and return how large that is now."""
        if self._arena is None or len(self._arena) < image.nbytes:
            capacity = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
            self._make_room(capacity)
            self._arena = mmap.mmap(self._arena_file.fileno(), capacity)
        view = np.frombuffer(self._arena, dtype=np.uint8, count=image.nbytes).reshape(image.shape)
        np.copyto(view, image)
        return len(self._arena)

    def _make_room(self, capacity: int) -> None:
        """Grow the shared memory, and really: without room behind it, writing an image would end us by SIGBUS."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._arena_file.fileno(), 0, capacity)
            else:
                self._arena_file.truncate(capacity)
        except OSError as error:
            raise FacebenchError(
                f"shared memory has no room for an image of {capacity / 2**20:,.1f} MB: {error.strerror or error}. "
                "Free some of /dev/shm; a container gets more with --shm-size"
            ) from error

    def _ask(self, task: str, image: RGBImage) -> tuple[Any, ...]:
        height, width = image.shape[:2]
        capacity = self._put(image)
        self._send((task, height, width, capacity))
        reply = self._receive(time.perf_counter(), self._limits.image_s)
        if reply[0] == "raised":
            raise DetectorRaisedError(reply[1])
        return reply

    def _send(self, message: tuple[Any, ...]) -> None:
        assert self._pipe is not None, "start() comes first"
        try:
            self._pipe.send(message)
        except OSError:
            raise self._died() from None

    def _receive(self, began: float, allowed_s: float) -> tuple[Any, ...]:
        """Wait for the child, watching its clock and its memory."""
        assert self._pipe is not None and self._process is not None, "start() comes first"
        while not self._pipe.poll(_POLL_S):
            memory = self._resident_mb()
            if memory > self._limits.memory_mb:
                self.kill()
                raise WorkerMemoryError(f"held {memory:,.0f} MB, the limit is {self._limits.memory_mb:,.0f} MB")
            if time.perf_counter() > began + allowed_s:
                self.kill()
                raise WorkerTimeoutError(f"no answer within {allowed_s:g} s")
        try:
            reply: tuple[Any, ...] = self._pipe.recv()
        except (EOFError, OSError):
            raise self._died() from None
        return reply

    def _resident_mb(self) -> float:
        import psutil

        assert self._process is not None
        try:
            return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20
        except psutil.Error:
            return 0.0

    def _died(self) -> WorkerDiedError:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        how = "closed its pipe" if code is None else f"exited with {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return WorkerDiedError(f"the child {how}{self._last_words()}")

    def _last_words(self) -> str:
        """Return the last line that the child printed and is worth reading."""
        if self._log is None:
            return ""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        # faulthandler's dump ends in a list of extension modules
        lines = [
            line for line in lines if line.strip() and not line.startswith(("  File", "Extension modules", "Thread"))
        ]
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        words = (fatal or lines)[-1:]
        return f": {words[0].strip()[:200]}" if words else ""

    def _cores(self) -> list[int]:
        """Return the last cores, as many as threads: the parent and the system tend to use the first."""
        if self._cores_given is not None:
            return list(self._cores_given)
        threads = int(str(self._config["threads"]))
        return usable_cores()[-threads:]

    def _environment(self) -> dict[str, str]:
        threads = str(self._config["threads"])
        names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
        return {
            **os.environ,
            **{f"{name}_NUM_THREADS": threads for name in names},
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "GLOG_minloglevel": "2",
            # models are fetched before a run: a download must never be part of a measured load
            "FACEBENCH_OFFLINE": "1",
            **({"CUDA_VISIBLE_DEVICES": ""} if self._config["device"] == "cpu" else {}),
        }

"""Keeps a detector in a child process of its own: starts and pins it, passes images, enforces time and memory.

Whatever the detector does (raise, abort, hang, eat memory) reaches the caller as one `WorkerError`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ... import supervised
from ...detectors import Device, RGBImage
from ...errors import (
    ResultsError,
    WorkerDiedError,
    WorkerError,
    WorkerMemoryError,
    WorkerMessageError,
    WorkerTimeoutError,
)
from ..store.records import Start
from .child import answers
from .child.answers import Answer, BatchAnswer, Check
from .child.arena import Arena
from .child.messages import POLL_S, PROTOCOL, Channel, Message
from .environment import usable_cores

_LOOK_S = 0.2
"""How often a child that answers quickly is looked at; one that is waited for, ten times as often."""
_LONGEST_LOG = 2**24
"""Bytes of what a child prints: what is longer is forgotten."""
_LAST_WORDS = 2**16


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take.

    Attributes:
        load_s: seconds from start until the detector is loaded.
        image_s: seconds an image.
        memory_mb: resident memory of the child and all that it starts, MB.
    """

    load_s: float = 300.0
    image_s: float = 120.0
    memory_mb: float = 6144.0


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
        self._printed: IO[bytes] | None = None
        self._channel: Channel | None = None
        self._number = 0
        self._tree_mb = 0.0
        self._next_look = 0.0
        self._ended = self._signalled = False
        self._arena = Arena()

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
        """Start the child and load the detector; a child that is killed meanwhile gets a second try.

        Raises:
            WorkerError: it could not be loaded; the child is gone.
        """
        try:
            return self._start()
        except WorkerDiedError:
            if not self._signalled:
                raise
        return self._start()

    def _start(self) -> Start:
        began = time.perf_counter()
        self._spawn()
        try:
            try:
                hello = self._receive(0, began, self._limits.load_s)
            except WorkerMessageError as error:
                raise WorkerMessageError(f"{error}; {self._python} may have another version of facebench") from None
            if hello.fields.get("protocol") != PROTOCOL:
                raise WorkerDiedError(
                    f"{self._python} has another version of facebench: its child speaks protocol "
                    f"{hello.fields.get('protocol')}, this one {PROTOCOL}. Install versions that agree"
                )
            spawn_s = time.perf_counter() - began
            self._send("load", **self._config)
            loaded = self._receive(self._number, began, self._limits.load_s)
            return answers.read_start(answers.expect(loaded, "loaded"), spawn_s)
        except WorkerError:
            self.kill()
            raise

    def _spawn(self) -> None:
        self.kill()
        try:
            self._printed = open(self._log or os.devnull, "w+b", buffering=0)  # noqa: SIM115, PTH123
            # appending, so that what it prints begins at the front again once the file was cut
            printed = open(self._log or os.devnull, "ab")  # noqa: SIM115, PTH123
        except OSError as error:
            raise ResultsError(
                f"cannot write {self._log}: {error.strerror or error}. Free some space or choose another folder"
            ) from error
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, watched=True)
        files = (theirs.fileno(), self._arena.fileno())
        command = [
            self._python,
            "-P",
            "-m",
            "facebench.benchmarks.worker",
            *map(str, files),
            ",".join(map(str, self._cores())),
        ]
        self._number, self._tree_mb, self._next_look, self._ended = 0, 0.0, 0.0, False
        self._signalled = False
        with printed, theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                pass_fds=files,
                start_new_session=True,  # Ctrl-C is for the parent, which stops the child itself
            )

    def detect(self, image: RGBImage) -> Answer:
        """Run one image.

        Raises:
            DetectorRaisedError: the detector raised, or its detections are not what the contract says; the child lives
                on.
            WorkerError: any other; the child is gone, `start` makes a new one.
        """
        try:
            began = time.perf_counter()
            found = self._ask("detect", "found", image)
            now = time.perf_counter()
            answer = answers.read_answer(found, (now - began) * 1000)
        except WorkerMessageError:
            self.kill()
            raise
        if now > self._next_look:
            self._look(_LOOK_S)
        if self._tree_mb > answer.peak_rss_mb:
            answer = replace(answer, peak_rss_mb=self._tree_mb)
        return answer

    def detect_batch(self, images: Sequence[RGBImage]) -> BatchAnswer:
        """Run images as one batch, for which it may take as long as for all of them.

        Raises:
            WorkerError: as `detect`.
        """
        try:
            began = time.perf_counter()
            found = self._ask("detect together", "found together", *images)
            answer = answers.read_batch_answer(found, len(images), (time.perf_counter() - began) * 1000)
        except WorkerMessageError:
            self.kill()
            raise
        # a batch is long, and what it holds for a moment counts: no answer goes by without a look
        self._look(_LOOK_S)
        return replace(answer, peak_rss_mb=max(answer.peak_rss_mb, self._tree_mb))

    def check(self, image: RGBImage) -> Check:
        """Run one image outside every clock and look for what would make the times of this child invalid.

        Raises:
            WorkerError: as `detect`.
        """
        try:
            return answers.read_check(self._ask("check", "checked", image))
        except WorkerMessageError:
            self.kill()
            raise

    def kill(self) -> None:
        """End the child now, and all that it started."""
        if self._process is not None:
            supervised.end(self._process)
            self._process = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._printed is not None:
            self._cut(self._printed)
            self._printed.close()
            self._printed = None

    def close(self) -> None:
        """Let the detector close, then end the child and free the shared memory."""
        if self._process is not None and self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.send(Message("close", 0))
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        self.kill()
        self._arena.close()

    def _ask(self, task: str, answered: str, *images: RGBImage) -> Message:
        capacity = self._arena.put(*images)
        self._send(task, sizes=[image.shape[:2] for image in images], capacity=capacity)
        allowed_s = self._limits.image_s * len(images)
        return answers.expect(self._receive(self._number, time.perf_counter(), allowed_s), answered)

    def _send(self, kind: str, **fields: Any) -> None:
        assert self._channel is not None, "start() comes first"
        self._number += 1
        try:
            self._channel.send(Message(kind, self._number, fields))
        except TimeoutError:
            raise WorkerMessageError("the child does not read what it is sent") from None
        except OSError:
            raise self._died() from None

    def _receive(self, number: int, began: float, allowed_s: float) -> Message:
        """Wait for an answer, watching the clock, the child's life and its memory."""
        assert self._channel is not None, "start() comes first"
        try:
            message = self._channel.receive(lambda: self._watch(began, allowed_s))
        except (EOFError, OSError):
            raise self._died() from None
        if message.number != number:
            raise WorkerMessageError(f"the child answered request {message.number}, expected request {number}")
        return message

    def _watch(self, began: float, allowed_s: float) -> None:
        assert self._process is not None
        now = time.perf_counter()
        if now > began + allowed_s:
            self.kill()
            raise WorkerTimeoutError(f"no answer within {allowed_s:g} s")
        if self._ended:
            raise self._died()
        # what it sent last may lie between the last look at the socket and this one
        self._ended = self._process.poll() is not None
        if now > self._next_look:
            self._look(POLL_S)

    def _look(self, pause_s: float) -> None:
        """Look at the memory of the child and of all that it started, and at how much it printed."""
        assert self._process is not None and self._printed is not None
        began = time.perf_counter()
        memory = supervised.resident_mb(self._process.pid)
        self._tree_mb = max(self._tree_mb, memory)
        if memory > self._limits.memory_mb:
            self.kill()
            raise WorkerMemoryError(f"held {memory:,.0f} MB, the limit is {self._limits.memory_mb:,.0f} MB")
        self._cut(self._printed)
        now = time.perf_counter()
        self._next_look = now + max(pause_s, 10 * (now - began))

    @staticmethod
    def _cut(printed: IO[bytes]) -> None:
        if os.fstat(printed.fileno()).st_size > _LONGEST_LOG:
            os.ftruncate(printed.fileno(), 0)

    def _died(self) -> WorkerDiedError:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self._signalled = code is not None and code < 0
        words = self._last_words()
        self.kill()
        how = "closed its pipe" if code is None else f"exited with {code}"
        if code is not None and code < 0:
            names = {int(one): one.name for one in signal.Signals}
            how = f"was killed by {names.get(-code, f'signal {-code}')}"
        return WorkerDiedError(f"the child {how}{words}")

    def _last_words(self) -> str:
        """Return the last line that the child printed and is worth reading."""
        assert self._printed is not None
        begin = max(0, os.fstat(self._printed.fileno()).st_size - _LAST_WORDS)
        text = os.pread(self._printed.fileno(), _LAST_WORDS, begin).decode("utf-8", errors="replace")
        # faulthandler's dump ends in a list of extension modules
        lines = [
            line
            for line in text.splitlines()
            if line.strip() and not line.startswith(("  File", "Extension modules", "Thread"))
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

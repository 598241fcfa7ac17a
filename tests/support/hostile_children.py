"""Detectors that attack the border to their parent, each in one way; loaded in children as `hostile_children:Name`.

`REASONS` says what their cells must be told for.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from facebench.tests.support.hostile_detectors import Good

REASONS: dict[str, str] = {}
"""Name of a class -> a pattern that the reason of its failed cell holds."""
LONG_S = 600.0


def fails(words: str) -> Any:
    """Say why the cell of a class must fail."""

    def note(kind: type) -> type:
        REASONS[kind.__name__] = words
        return kind

    return note


def socket_end() -> int:
    """Return the file of the socket to the parent, which a detector has no business with."""
    return next(int(one.name) for one in Path("/proc/self/fd").iterdir() if _is_socket(one))


def _is_socket(file: Path) -> bool:
    try:
        return int(file.name) > 2 and str(file.readlink()).startswith("socket:")
    except OSError:
        return False


def framed(*parts: Any, arrays: bytes = b"") -> bytes:
    header = json.dumps(parts).encode()
    return struct.pack(">4sII", b"\x00fb5", len(header), len(arrays)) + header + arrays


class Says(Good):
    """Writes bytes of its own to the parent, then ends, so that nothing of the right answer follows."""

    said = b""

    def detect(self, image):
        os.write(socket_end(), self.said)
        os._exit(0)


@fails("which is no message")
class SaysNonsense(Says):
    said = b"Traceback (most recent call last):\n  all is well"


@fails("which is no message")
class SaysZeros(Says):
    said = bytes(4096)


@fails("exited with 0")
class SaysHalf(Says):
    said = framed("found", 1, {"ms": 1.0}, {})[:9]


@fails("more than any has")
class AnnouncesTooMuch(Says):
    said = struct.pack(">4sII", b"\x00fb5", 2**31, 2**31)


@fails("cannot be read")
class SaysNoJson(Says):
    said = struct.pack(">4sII", b"\x00fb5", 5, 0) + b"\xff\xfe{[["


@fails("cannot be read")
class NestsDeeply(Says):
    said = struct.pack(">4sII", b"\x00fb5", 40_000, 0) + b"[" * 40_000


@fails("four parts|cannot be read")
class SaysAList(Says):
    said = framed(1, 2, 3)


@fails("four parts")
class SaysOtherTypes(Says):
    said = framed(1, "two", [], {})


@fails("bytes for arrays")
class SaysArraysOfAnotherLength(Says):
    said = framed("found", 1, {}, {"boxes": [3, 4]}, arrays=bytes(7))


@fails("four parts")
class SaysNegativeShapes(Says):
    said = framed("found", 1, {}, {"boxes": [-1, 4]})


@fails("")
class SaysBye(Says):
    said = framed("closed", 1, {}, {})


@fails("")
class AnswersAnotherRequest(Says):
    said = framed("found", 999, {"ms": 1.0}, {})


@fails("")
class AnswersNothing(Says):
    said = framed("found", 1, {}, {})


class SaysAndWaits(Good):
    """Half a message, then silence."""

    def detect(self, image):
        os.write(socket_end(), framed("found", 1, {}, {})[:14])
        time.sleep(LONG_S)
        return super().detect(image)


class Returns(Good):
    """Goes around the check of `Detections`, as an adapter of a stranger may."""

    boxes = np.array([[10, 10, 30, 30]], np.float32)
    scores = np.array([0.9], np.float32)

    def detect(self, image):
        found = super().detect(image)
        object.__setattr__(found, "boxes", self.boxes)
        object.__setattr__(found, "scores", self.scores)
        return found


@fails("")
class ReturnsThreeColumns(Returns):
    boxes = np.ones((1, 3), np.float32)


@fails("")
class ReturnsMoreScores(Returns):
    scores = np.array([0.9, 0.8], np.float32)


@fails("")
class ReturnsInfinity(Returns):
    boxes = np.array([[10, 10, np.inf, 30]], np.float32)


@fails("")
class ReturnsTurnedBoxes(Returns):
    boxes = np.array([[30, 30, 10, 10]], np.float32)


@fails("")
class ReturnsTexts(Returns):
    boxes = np.array([["a", "b", "c", "d"]])


@fails("")
class ReturnsNone(Good):
    def detect(self, image):
        return None


class ThreadsOfNumpy(Good):
    """A whole number, and not one that JSON takes: right all the same."""

    def threads_used(self):
        return np.int64(1)

    def device_memory_mb(self):
        return np.float32(12.5)


@fails("expected a whole number")
class ThreadsAsText(Good):
    def threads_used(self):
        return "1"


@fails("expected a whole number")
class ThreadsWithoutEnd(Good):
    def threads_used(self):
        return float("inf")


@fails("expected a whole number")
class MinusOneThread(Good):
    def threads_used(self):
        return -1


@fails("expected a finite number")
class MemoryAsAFunction(Good):
    def device_memory_mb(self):
        return lambda: 1.0


@fails("expected a finite number")
class MemoryThatIsNoNumber(Good):
    def device_memory_mb(self):
        return float("nan")


@fails("expected cpu or cuda|asked for cpu")
class DeviceOfBytes(Good):
    def device_used(self):
        return b"cpu"


@fails("TypeError|expected a finite number")
class ThresholdAsText(Good):
    def __init__(self, *, device="cpu", threads=1, score_floor=None):
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self.operating_threshold = "0.5"


@fails("expected a finite number|finite")
class ThresholdThatIsNoNumber(Good):
    def __init__(self, *, device="cpu", threads=1, score_floor=None):
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self.operating_threshold = float("nan")


class LeavesAProcess(Good):
    """Works, and starts one that leaves its session and holds the socket open."""

    def detect(self, image):
        subprocess.Popen(["sleep", str(LONG_S)], start_new_session=True, close_fds=False)
        return super().detect(image)


@fails("SIGKILL|killed|ended|exit code")
class DiesBeforeItsProcess(Good):
    """Is gone while a process of its own still holds the socket open."""

    def detect(self, image):
        if os.fork() == 0:
            os.setsid()
            time.sleep(LONG_S)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(image)


@fails("Bad file descriptor|exit code|ended")
class ClosesTheSocket(Good):
    def detect(self, image):
        os.close(socket_end())
        return super().detect(image)


class KilledOnceWhileLoading(Good):
    """As when the machine's memory is short for a moment: the second try works."""

    def __init__(self, *, mark: str = "", device="cpu", threads=1, score_floor=None):
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        if not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)


@fails("SIGKILL|killed")
class KilledWhileLoading(Good):
    def __init__(self, *, device="cpu", threads=1, score_floor=None):
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        os.kill(os.getpid(), signal.SIGKILL)


@fails("")
class RaisesAnEnd(Good):
    def detect(self, image):
        sys.exit("bye")


@fails("")
class RaisesWhatCannotBeShown(Good):
    def detect(self, image):
        class MuteError(Exception):
            def __str__(self):
                raise ValueError("no text")

        raise MuteError


@fails("")
class RaisesAtLength(Good):
    def detect(self, image):
        raise ValueError("\x1b[31mlong\n" * 1_000_000)


class PrintsMuch(Good):
    """Twenty megabytes on both outputs: the log is bounded."""

    def detect(self, image):
        for _ in range(200):
            print("x" * 100_000)
        print("\x1b]0;title\x07", file=sys.stderr)
        return super().detect(image)


GOOD = ("ThreadsOfNumpy", "LeavesAProcess", "PrintsMuch")

"""The real `facebench` command in a process of its own, marked so that no child of it can hide."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_MARK = "FAULTS_MARK"
_GRACE_S = 60.0
"""Until a process counts as left behind; on a busy machine one needs a while to notice that it should end."""
LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit status; minus the signal that ended it.
        out: standard output.
        err: standard error.
        seconds: that it took.
        left: processes that it started and that did not end with it.
    """

    code: int
    out: str
    err: str
    seconds: float
    left: int

    @property
    def refusal(self) -> str:
        """What is wrong with this as a refusal (exit code 2 and one message without a traceback), or ""."""
        if "Traceback" in self.err or "Traceback" in self.out:
            last = self.err.strip().splitlines()[-1:]
            return f"a traceback, at its end {last[0] if last else 'nothing'}"
        if self.code != 2:
            return f"exit code {self.code}"
        return "" if "facebench: " in self.err else f"no message: {self.err.strip()[-200:]!r}"


class Command:
    """A command that runs.

    Args:
        arguments: what stands behind `facebench`.
        environment: variables besides those of this process.
        program: what is run instead of the command, such as a module that disturbs it.
        prepare: called in the new process before the program begins.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "facebench.cli"),
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._mark = uuid.uuid4().hex
        self._began = time.perf_counter()
        # files, because a child that outlives the command would keep a pipe open
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env={**os.environ, "COLUMNS": "200", **(environment or {}), _MARK: self._mark},
            preexec_fn=prepare,  # noqa: PLW1509 - this process has no threads then
        )

    @property
    def age_s(self) -> float:
        """Seconds since it was started."""
        return time.perf_counter() - self._began

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it as the system does for lack of memory."""
        self.process.send_signal(signal.SIGKILL)

    def end(self) -> Ended:
        """Wait until it and all that it started have ended; what does not end is counted, then killed."""
        try:
            self.process.wait(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            self._err.write(f"\nfaults: killed after {LONGEST_S:g} s".encode())
            self.kill()
            self.process.wait()
        seconds = self.age_s
        deadline = time.perf_counter() + _GRACE_S
        while (left := list(self._marked())) and time.perf_counter() < deadline:
            time.sleep(0.01)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return Ended(self.process.returncode, _text(self._out), _text(self._err), seconds, len(left))

    def _marked(self) -> Iterator[int]:
        """Processes with the mark in their environment; those that have ended have none any more."""
        wanted = f"{_MARK}={self._mark}".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with contextlib.suppress(OSError):
                    if wanted in (folder / "environ").read_bytes().split(b"\0"):
                        yield int(folder.name)


def run(arguments: Sequence[str], **options: object) -> Ended:
    """Run the command to its end; see `Command`."""
    return Command(arguments, **options).end()  # type: ignore[arg-type]


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    with file:
        return file.read().decode("utf-8", errors="replace")

"""Processes that leave nobody behind: whatever one starts ends with it, and with the process that asked for it.

A stranger's code may start processes, which may start others, leave their session and lose their parents. So a child
forks before it does anything else, and the first process stays behind to wait, as a "child subreaper" of Linux
(prctl(2)): every process below it whose parent has ended becomes its child, so that none gets away. It ends them all
when the child ends, on SIGTERM, and when its own parent is gone. Elsewhere than on Linux the process group ends alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

_SET_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
"""Of prctl(2)."""
_AWAITED = (signal.SIGCHLD, signal.SIGTERM)
_PATIENCE_S = 10.0
"""For a supervisor to end what is below it; what hangs in the kernel, such as on a lost disk, takes longer."""


def supervise() -> None:
    """Fork: return in a new process with a session of its own; the first one ends all that is left when that ends.

    The first one ends as the new one did, with its exit code or by its signal. Call this before any thread starts.
    """
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child:
        _end_as(_wait_for(child))
    os.setsid()
    die_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that called `supervise`, and all below it."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:  # stopped, or it waits for a process that cannot be ended
        for one in (process.pid, *descendants(process.pid)):
            with contextlib.suppress(OSError):
                os.kill(one, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)


def descendants(process: int) -> list[int]:
    """Return the processes below one that are seen now, those that were started first at the front."""
    if not os.path.exists(f"/proc/{process}/task/{process}/children"):  # noqa: PTH110
        import psutil

        try:
            return [one.pid for one in psutil.Process(process).children(recursive=True)]
        except psutil.Error:
            return []
    found = [process]
    for one in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{one}/task"):  # noqa: PTH208
                with open(f"/proc/{one}/task/{thread}/children", encoding="ascii") as children:  # noqa: PTH123
                    found += map(int, children.read().split())
    return found[1:]


def resident_mb(process: int) -> float:
    """Return the resident memory of all below a process that called `supervise`, MB; pages that they share count once.

    Where only one is there, all its pages count, also those that it shares with others.
    """
    below = descendants(process)
    return sum(_resident_kb(one, shared=len(below) > 1) for one in below) / 1024


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Ask Linux to send this process a signal when its parent ends, even inside code that hangs."""
    _prctl(_SET_DEATH_SIGNAL, by)


def _wait_for(child: int) -> int:
    """Return the status with which the child ended, once nothing is left of what it started."""
    while signal.sigwait(_AWAITED) != signal.SIGTERM:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                _end_all(child)
                return ended[1]
    return _end_all(child)


def _end_all(child: int) -> int:
    """End the child's group, then what has left it, until this process has no children; return the child's status."""
    status = signal.SIGKILL.value
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, how = os.waitpid(-1, os.WNOHANG)
            if ended == child:
                status = how
            if not ended:
                for one in descendants(os.getpid()):
                    with contextlib.suppress(OSError):
                        os.kill(one, signal.SIGKILL)
                time.sleep(0.001)
    return status


def _end_as(status: int) -> None:
    """End this process as another ended."""
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core dump is enough
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _resident_kb(process: int, *, shared: bool) -> float:
    import psutil

    if shared:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{process}/smaps_rollup", encoding="ascii") as told:  # noqa: PTH123
            return float(next(line.split()[1] for line in told if line.startswith("Pss:")))
    try:
        return float(psutil.Process(process).memory_info().rss) / 1024
    except psutil.Error:
        return 0.0


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)

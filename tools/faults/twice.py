"""Two runs in one folder at once: the second is refused at once, the first does not notice."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .command import Command, run
from .detector import SPEC
from .images import write_small
from .inspection import Snapshot, faults_of_files, faults_of_result
from .table import Row

_PAUSE_MS = 60
_IMAGES = 16
_PAIRS: Sequence[tuple[str, Sequence[str], Sequence[str]]] = (
    ("two plain runs", (), ()),
    ("a run beside one with workers", ("--executor", "local:2"), ()),
    ("a run with workers beside a plain one", (), ("--executor", "local:2")),
)


def twice(scratch: Path, *, times: int = 3, seed: int = 1) -> list[Row]:
    """Start a second run in the folder of a running one; then end the first by SIGKILL and start the second again.

    Args:
        scratch: an empty folder.
        times: how often for each pair of commands.
        seed: of the images.
    """
    data = write_small(scratch / "pictures", _IMAGES, seed)
    rows: list[Row] = []
    for title, first, second in _PAIRS:
        holder, other = _arguments(data, first), _arguments(data, second)
        undisturbed = scratch / f"undisturbed-{len(rows)}"
        run(holder(undisturbed))
        began, faults, waited, beside, after = time.perf_counter(), list[str](), list[float](), 0, 0
        for _ in range(times):
            found = _beside(holder, other, scratch / "shared", undisturbed, waited)
            beside += not found
            faults += found
            found = _after_a_kill(holder, scratch / "killed", undisturbed)
            after += not found
            faults += found
        seen = (
            f"second refused with exit 2 and first equal to an undisturbed run: {beside} (the refusal took up to "
            f"{max(waited):.1f} s, start included); free after SIGKILL of the first, and completed: {after}"
        )
        rows.append(Row(f"two runs in one folder: {title}", times, seen, tuple(faults), time.perf_counter() - began))
    return rows


def _arguments(data: Path, options: Sequence[str]) -> Callable[[Path], list[str]]:
    spec = f"{SPEC}:pause_ms={_PAUSE_MS}"
    return lambda out: ["run", "--dataset", f"folder:{data}", "--detectors", spec, *options, "--out", str(out)]


def _under_way(process: Command, folder: Path) -> bool:
    """Wait until the run has results; tell whether it still goes on then."""
    while process.running and not Snapshot.of(folder).lines:
        time.sleep(0.01)
    return process.running


def _beside(
    holder: Callable[[Path], list[str]],
    other: Callable[[Path], list[str]],
    folder: Path,
    undisturbed: Path,
    waited: list[float],
) -> list[str]:
    first = Command(holder(folder))
    under_way = _under_way(first, folder)
    # halted, so that a slow machine does not let it finish first
    first.process.send_signal(signal.SIGSTOP)
    second = run(other(folder))
    first.process.send_signal(signal.SIGCONT)
    waited.append(second.seconds)
    ended = first.end()
    found = [] if under_way else ["the first run ended before the second began: no finding"]
    if second.refusal or "another facebench writes" not in second.err:
        found.append(f"not refused: {second.refusal or second.err.strip()[-200:]}")
    if ended.code != 0 or ended.left or second.left:
        found.append(f"the first ended with {ended.code}, processes left: {ended.left + second.left}")
    found += faults_of_result(folder, undisturbed)
    shutil.rmtree(folder)
    return found


def _after_a_kill(holder: Callable[[Path], list[str]], folder: Path, undisturbed: Path) -> list[str]:
    first = Command(holder(folder))
    _under_way(first, folder)
    first.kill()
    first.end()
    found = faults_of_files(folder)
    again = run(holder(folder))
    if again.code != 0:
        found.append(f"not free after a kill: exit code {again.code}: {again.err.strip()[-200:]}")
    else:
        found += faults_of_result(folder, undisturbed)
    shutil.rmtree(folder)
    return found

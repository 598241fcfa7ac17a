"""SIGKILL at random instants of a run, resumed each time: nothing lost, doubled, half-read or left behind.

Instants are drawn in two ways, half each: over the time from the first write to the end, and over the file operations
from the first to the last, so that also what takes a millisecond (a table moved to its place, run.json written) is hit.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .command import Command, Ended
from .detector import SPEC
from .events import FolderEvents
from .images import write_small
from .inspection import Snapshot, faults_between, faults_of_files, faults_of_result
from .table import Row

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "one child, two rounds": ("--rounds", "2"),
    "two workers, no times": ("--executor", "local:2"),
    "two workers, then timed": ("--executor", "local:2", "--rounds", "1"),
}
_PAUSE_MS = 4
_WAYS = ("a random time", "a random file operation")
_LONGEST_CHAIN = 5
_KINDS = ("lost", "doubled", "half-read", "left behind", "processes left")


@dataclass(frozen=True, slots=True)
class _Course:
    """How an undisturbed run goes: its folder, its first write, its end, and how many file operations it makes."""

    folder: Path
    first_s: float
    end_s: float
    operations: int


@dataclass(slots=True)
class _Tally:
    kills: int = 0
    completed: int = 0
    kept: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def seen(self) -> str:
        where = ", ".join(f"{name} {count}" for name, count in self.phases.most_common())
        kinds = Counter(fault.partition(":")[0] for fault in self.faults)
        what = ", ".join(f"{kind} {kinds[kind]}" for kind in dict.fromkeys([*_KINDS, *kinds]))
        return f"killed in: {where}; {self.completed} runs completed, {self.kept} journal lines survived; {what}"


def kills(scratch: Path, *, times: int = 200, seed: int = 1) -> list[Row]:
    """Kill `times` runs, spread over the variants and the two ways; a row each.

    Args:
        scratch: an empty folder.
        times: SIGKILLs in all that end a process.
        seed: of the instants.
    """
    data = write_small(scratch / "pictures")
    parts = [(variant, way) for variant in VARIANTS for way in _WAYS]
    shares = [times // len(parts) + (number < times % len(parts)) for number in range(len(parts))]
    rows = []
    for number, ((variant, way), share) in enumerate(zip(parts, shares, strict=True)):
        if not share:
            continue
        began = time.perf_counter()
        command = _arguments(data, VARIANTS[variant])
        course = _undisturbed(scratch / f"{number}-undisturbed", command)
        random = np.random.default_rng((seed, number))
        tally = _Tally()
        while tally.kills < share:
            _chain(scratch / f"{number}-killed", command, course, _instant(random, course, way), share, tally)
        row = Row(
            f"SIGKILL at {way} ({variant})", share, tally.seen(), tuple(tally.faults), time.perf_counter() - began
        )
        rows.append(row)
    return rows


def _arguments(data: Path, options: Sequence[str]) -> Callable[[Path], list[str]]:
    spec = f"{SPEC}:pause_ms={_PAUSE_MS}"
    return lambda out: ["run", "--dataset", f"folder:{data}", "--detectors", spec, *options, "--out", str(out)]


def _undisturbed(folder: Path, command: Callable[[Path], list[str]]) -> _Course:
    folder.mkdir()
    first, operations = 0.0, 0
    with FolderEvents(folder) as events:
        process = Command(command(folder))
        while process.running or not operations:
            operations += len(events.wait(0.05))
            first = first or process.age_s * (operations > 0)
        ended = process.end()
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed run ended with {ended.code}: {ended.err}")
    return _Course(folder, first, ended.seconds, operations)


def _instant(random: np.random.Generator, course: _Course, way: str) -> Callable[[Command, FolderEvents], None]:
    """Return what waits for the next instant to kill at, drawn again at each call."""

    def at_time(process: Command, events: FolderEvents) -> None:
        instant = random.uniform(course.first_s, course.end_s)
        while process.running and process.age_s < instant:
            time.sleep(min(0.005, max(0.0, instant - process.age_s)))

    def at_operation(process: Command, events: FolderEvents) -> None:
        left = int(random.integers(1, course.operations + 1))
        while process.running and left > 0:
            left -= len(events.wait(0.02))

    return at_time if way == _WAYS[0] else at_operation


def _chain(
    folder: Path,
    command: Callable[[Path], list[str]],
    course: _Course,
    wait: Callable[[Command, FolderEvents], None],
    share: int,
    tally: _Tally,
) -> None:
    """Kill and resume one run until it completes, after a few kills undisturbed; then compare what it holds."""
    folder.mkdir()
    survived = Snapshot()
    for number in range(_LONGEST_CHAIN):
        with FolderEvents(folder) as events:
            process = Command(command(folder))
            if number < _LONGEST_CHAIN - 1 and tally.kills < share:
                wait(process, events)
                before = Snapshot.of(folder)
                process.kill()
            else:
                before = Snapshot()
            ended = process.end()
        killed = ended.code == -9
        tally.faults += _faults_of_end(ended, killed)
        tally.faults += faults_of_files(folder)
        for snapshot in (survived, before):
            tally.faults += faults_between(snapshot, folder)
        if not killed:
            break
        tally.kills += 1
        survived = Snapshot.of(folder)
        tally.kept += survived.lines
        tally.phases[_phase(folder)] += 1
    tally.completed += 1
    tally.faults += faults_of_result(folder, course.folder)
    shutil.rmtree(folder)


def _faults_of_end(ended: Ended, killed: bool) -> list[str]:
    found = [f"processes left: {ended.left}"] if ended.left else []
    if not killed and ended.code != 0:
        found.append(f"not resumed: exit code {ended.code}: {ended.err.strip()[-300:]}")
    return found


def _phase(folder: Path) -> str:
    """Say how far a killed run had come."""
    if not (folder / "pictures.parquet").exists():
        return "looking at the images"
    if any(folder.glob("cells/*/journal.jsonl")):
        return "detecting" if not any(folder.glob("cells/*/timings.parquet")) else "laying out tables"
    return "previews" if any(folder.glob("cells/*/timings.parquet")) else "between images and cells"

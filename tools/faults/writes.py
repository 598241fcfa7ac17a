"""A disk that is full, or read-only, from each single write of a command on; and real file-size limits.

Promised: exit code 2 and one message without a traceback; what was measured before is kept; the same command, once
there is room, completes with the results of an undisturbed run.
"""

from __future__ import annotations

import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .command import Ended, run
from .detector import SPEC
from .images import write_small
from .inspection import Snapshot, faults_between, faults_of_files, faults_of_result
from .table import Row

KINDS = ("full", "read-only")
_INJECTED = ("-m", "facebench.tools.faults.injected")
_BEYOND = 10**9
_IMAGES = 2


@dataclass(slots=True)
class _Tally:
    times: int = 0
    kept: int = 0
    equal: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def count(self, ended: Ended, where: str) -> None:
        """Take a refusal, or an end in peace where the operation was not needed any more."""
        self.times += 1
        self.codes[ended.code] += 1
        if ended.refusal and (ended.code != 0 or "Traceback" in ended.err):
            self.faults.append(f"at {where}: {ended.refusal}")
        if ended.left:
            self.faults.append(f"at {where}: processes left: {ended.left}")

    def again(self, arguments: Sequence[str], folder: Path, undisturbed: Path, where: str) -> None:
        """Run once more with room, look at what is there then, and remove the folder."""
        before, found = Snapshot.of(folder), faults_of_files(folder)
        self.kept += before.lines
        ended = run(arguments)
        if ended.code != 0:
            found.append(f"not resumed: exit code {ended.code}: {ended.err.strip()[-300:]}")
        else:
            found += faults_between(before, folder) + faults_of_result(folder, undisturbed)
        self.equal += not found
        self.faults += [f"at {where}: {fault}" for fault in found]
        shutil.rmtree(folder, ignore_errors=True)

    @property
    def after(self) -> str:
        """What came of it once there was room."""
        return f"{self.kept} journal lines kept; the same command then completed with equal results: {self.equal}"

    def row(self, done: str, seen: str, began: float) -> Row:
        codes = ", ".join(f"exit {code}: {count}" for code, count in sorted(self.codes.items()))
        return Row(done, self.times, f"{codes}; {seen}", tuple(self.faults), time.perf_counter() - began)


def writes(scratch: Path, *, times: int = 0, seed: int = 1) -> list[Row]:
    """Let the disk fail at each write of `run`, of `run` with an executor, of `report` and of `pick`.

    Args:
        scratch: an empty folder.
        times: writes at most for each row, drawn without repetition; 0 for all of them.
        seed: of that draw.
    """
    data = write_small(scratch / "pictures", _IMAGES)
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for title, options in (("run", ()), ("run --executor local:2", ("--executor", "local:2"))):
        command = _run_arguments(data, options)
        undisturbed = scratch / f"undisturbed-{len(rows)}"
        operations = _operations(command(undisturbed), undisturbed, scratch)
        rows += [_runs(title, kind, command, undisturbed, operations(kind), times, random, scratch) for kind in KINDS]
        rows.append(_limits(title, command, undisturbed, times, scratch))
    finished = scratch / "undisturbed-0"
    files = {"report": "report.html", "pick": "default_detector.json"}
    rows += [
        _single_file(title, kind, finished, name, times, random, scratch)
        for title, name in files.items()
        for kind in KINDS
    ]
    return rows


def _run_arguments(data: Path, options: Sequence[str]) -> Callable[[Path], list[str]]:
    return lambda out: ["run", "--dataset", f"folder:{data}", "--detectors", SPEC, *options, "--out", str(out)]


def _operations(arguments: list[str], folder: Path, scratch: Path) -> Callable[[str], list[str]]:
    """Run undisturbed; return for a kind of disk the operations that could fail."""
    listed = {}
    for kind in KINDS:
        shutil.rmtree(folder, ignore_errors=True)
        log = scratch / "log"
        log.unlink(missing_ok=True)
        ended = run([kind, str(_BEYOND), str(folder), str(log), "--", *arguments], program=_INJECTED)
        if ended.code != 0:
            raise RuntimeError(f"the undisturbed command ended with {ended.code}: {ended.err}")
        listed[kind] = log.read_text(encoding="utf-8").splitlines()
    return lambda kind: listed[kind]


def _chosen(operations: Sequence[str], times: int, random: np.random.Generator) -> list[int]:
    """Return numbers of operations, from 1: all, or `times` of them."""
    if not times or times >= len(operations):
        return list(range(1, len(operations) + 1))
    return sorted(int(number) + 1 for number in random.choice(len(operations), times, replace=False))


def _runs(
    title: str,
    kind: str,
    command: Callable[[Path], list[str]],
    undisturbed: Path,
    operations: Sequence[str],
    times: int,
    random: np.random.Generator,
    scratch: Path,
) -> Row:
    began, tally = time.perf_counter(), _Tally()
    for number in _chosen(operations, times, random):
        folder = scratch / "disturbed"
        where = f"operation {number} ({operations[number - 1]})"
        given = [kind, str(number), str(folder), str(scratch / "log"), "--", *command(folder)]
        tally.count(run(given, program=_INJECTED), where)
        tally.again(command(folder), folder, undisturbed, where)
    return tally.row(f"disk {kind} from each write on, `{title}`", f"of {len(operations)} writes; {tally.after}", began)


def _limits(title: str, command: Callable[[Path], list[str]], undisturbed: Path, times: int, scratch: Path) -> Row:
    """Let the kernel cut the files at a size, which tears a line or a table in the middle."""
    began, tally = time.perf_counter(), _Tally()
    # no less than an image in shared memory takes, and no more than the largest file of the run
    sizes = np.linspace(24_000, 30_000, min(times or 8, 8)).astype(int)
    whole = _whole_sizes(undisturbed)
    for size in np.unique([*sizes, *(one - 1 for one in whole)])[: times or None]:
        folder = scratch / "disturbed"

        def limit(size: int = int(size)) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        tally.count(run(command(folder), prepare=limit), f"a limit of {size} bytes")
        tally.again(command(folder), folder, undisturbed, f"a limit of {size} bytes")
    return tally.row(f"files cut at a size by the kernel, `{title}`", tally.after, began)


def _whole_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 1]


def _single_file(
    title: str, kind: str, finished: Path, name: str, times: int, random: np.random.Generator, scratch: Path
) -> Row:
    """Let the disk fail under a verb that writes one file: it is whole afterwards, the old one or the new."""
    began, tally = time.perf_counter(), _Tally()
    folder = scratch / f"written-{title}-{kind}"
    folder.mkdir()
    accepted = ["--demo", "--accept-noise"] if title == "pick" else []
    arguments = [title, str(finished), "-o", str(folder / name), *accepted]
    operations = _operations_of_file(kind, arguments, folder, scratch)
    for number in _chosen(operations, times, random):
        (folder / name).write_bytes(b"the file of before")
        where = f"operation {number} ({operations[number - 1]})"
        given = [kind, str(number), str(folder), str(scratch / "log"), "--", *arguments]
        ended = run(given, program=_INJECTED)
        tally.count(ended, where)
        there = (folder / name).read_bytes()
        tally.kept += there == b"the file of before"
        if (there == b"the file of before") == (ended.code == 0):
            tally.faults.append(f"at {where}: exit code {ended.code}, and the file is {there[:40]!r}")
        for path in folder.iterdir():
            if path.name != name:
                if kind == "full":
                    tally.faults.append(f"at {where}: left behind: {path.name}")
                path.unlink()
    return tally.row(
        f"disk {kind} from each write on, `{title}`",
        f"of {len(operations)} writes; the old file stood {tally.kept} times, else the new one",
        began,
    )


def _operations_of_file(kind: str, arguments: Sequence[str], folder: Path, scratch: Path) -> list[str]:
    log = scratch / "log"
    log.unlink(missing_ok=True)
    ended = run([kind, str(_BEYOND), str(folder), str(log), "--", *arguments], program=_INJECTED)
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed command ended with {ended.code}: {ended.err}")
    return log.read_text(encoding="utf-8").splitlines()

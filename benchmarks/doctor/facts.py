"""What `facebench doctor` asks a machine, and the form in which it says what it found.

Every fact comes through one `Machine`, so that each finding can be fetched about with made-up facts.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Literal, Protocol

from ... import importable
from ..measure.environment import usable_cores

Level = Literal["ok", "note", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")
"""From the best to the worst. A note may be of interest, a warning touches results, a problem stops something."""
Subject = Literal["system", "packages", "detectors", "models", "default", "data", "GPU", "timing"]

NO_SUCH_PROGRAM = 127
PROBE_TIMEOUT_S = 300.0
"""Only what hangs takes longer: beside other work the TensorFlow of mtcnn alone took 40 s to load."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it belongs to.
        check: a lasting name of the check, for programs; unique within a subject but for checks of several things.
        level: how bad it is.
        found: what was found.
        meaning: what it means for results; empty where all is well.
        remedy: the command that fixes it; empty where there is nothing to fix, or no command does.
    """

    subject: Subject
    check: str
    level: Level
    found: str
    meaning: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed distribution.

    Attributes:
        name: normalised (PEP 503): small letters, hyphens.
        version: as its metadata has it.
        folders: absolute folders of the import packages that its wheel has put there.
    """

    name: str
    version: str
    folders: frozenset[Path] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Reply:
    """How a child process ended.

    Attributes:
        code: its exit status; negative for the signal that killed it, `NO_SUCH_PROGRAM` where there is no such program,
            None where it did not end in time.
        output: what it printed.
        errors: what it printed to standard error.
    """

    code: int | None
    output: str = ""
    errors: str = ""

    def fault(self) -> str:
        """Say why it failed: the last line that it printed, or how it ended."""
        if self.code is None:
            return "no answer in time"
        if self.code < 0:
            return f"was killed: {signal.strsignal(-self.code)}"
        lines = [line.strip() for line in (self.errors or self.output).splitlines() if line.strip()]
        return lines[-1][:300] if lines else f"exited with {self.code}"


class Run(Protocol):
    """Runs a program in a child process, with variables added to its environment."""

    def __call__(
        self, command: Sequence[str], *, timeout_s: float = ..., variables: Mapping[str, str] | None = ...
    ) -> Reply:
        """Return how it ended; never raises for what the program does."""


def run_child(
    command: Sequence[str], *, timeout_s: float = PROBE_TIMEOUT_S, variables: Mapping[str, str] | None = None
) -> Reply:
    """Run a program; one that does not end in time is killed with all that it has started."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(variables or {})},
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return Reply(NO_SUCH_PROGRAM, errors=str(error))
    with child:
        try:
            output, errors = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return Reply(None)
    return Reply(child.returncode, output, errors)


def installed() -> tuple[Package, ...]:
    """Return the distributions of this interpreter; of a name that is there twice, the one that is imported."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if not name:  # what a removal that was cut short leaves behind
            continue
        folders = set()
        for line in (distribution.read_text("RECORD") or "").splitlines():
            head, _, rest = line.partition(",")[0].partition("/")
            if rest == "__init__.py":
                folders.add(Path(str(distribution.locate_file(head))).resolve())
        normalised = re.sub(r"[-_.]+", "-", name).lower()
        found.setdefault(normalised, Package(normalised, distribution.version, frozenset(folders)))
    return tuple(found.values())


def find_module(name: str) -> Path | None:
    """Return the file of a module, or its folder where it has no file; neither it nor its parents are imported."""
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
        for part in rest:
            spec = spec and PathFinder.find_spec(part, list(spec.submodule_search_locations or []))
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    return Path(spec.origin if spec.has_location and spec.origin else next(iter(spec.submodule_search_locations or [])))


@dataclass(frozen=True, slots=True)
class Machine:
    """Where facts come from; by default this machine and this process.

    Attributes:
        root: folder of the trees `proc`, `sys` and `dev`.
        environment: the environment variables.
        cores: numbers of the cores that this process may run on.
        system: "Linux", or what else `platform.system` says.
        encoding: of standard output.
        packages: the installed distributions.
        module: where a module lies, None where there is none; imports nothing.
        load_fault: why a module or shared library cannot be loaded, asked in a child process; empty where it can.
        run: runs a program with a time limit.
        free_bytes: free space of the disk that holds a folder.
    """

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cores: Sequence[int] = field(default_factory=usable_cores)
    system: str = field(default_factory=platform.system)
    encoding: str = field(default_factory=lambda: sys.stdout.encoding or "ascii")
    packages: Sequence[Package] = field(default_factory=installed)
    module: Callable[[str], Path | None] = find_module
    load_fault: Callable[[str], str] = importable.fault
    run: Run = run_child
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free

    def read(self, path: str | Path) -> str | None:
        """Return the text of a file below the root, stripped; None where it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str | Path) -> int | None:
        """Return the whole number that a file below the root holds; None where there is none."""
        text = self.read(path)
        return int(text) if text and re.fullmatch(r"-?\d+", text) else None

    def paths(self, pattern: str) -> list[Path]:
        """Return the paths below the root that fit a pattern, sorted."""
        return sorted(self.root.glob(pattern))

    def package(self, name: str) -> Package | None:
        """Return an installed distribution by its normalised name."""
        return next((package for package in self.packages if package.name == name), None)

    def probe(self, name: str, *arguments: str) -> tuple[dict[str, Any], str]:
        """Ask a function of `probes` in a child process, with FACEBENCH_OFFLINE.

        Returns:
            What it answers, empty where it failed; and why it failed, empty where it did not.
        """
        command = [sys.executable, "-P", "-m", "facebench.benchmarks.doctor.probes", name, *arguments]
        answer = self.run(command, timeout_s=PROBE_TIMEOUT_S, variables={"FACEBENCH_OFFLINE": "1"})
        if answer.code != 0:
            return {}, answer.fault()
        try:
            document = json.loads(answer.output.strip().rpartition("\n")[2])
        except ValueError:
            return {}, f"answered {answer.output.strip()[-80:]!r}"
        return (document, "") if isinstance(document, dict) else ({}, f"answered {document!r}")

"""What everything stands on: Python, the terminal's encoding, room for models."""

from __future__ import annotations

import functools
import platform
import tempfile
from pathlib import Path

from ...errors import did_you_mean
from ...importable import ALLOW_LOCAL_CODE
from ..measure.environment import machine as this_machine
from .facts import Finding, Machine

VARIABLES = (
    ALLOW_LOCAL_CODE,
    "FACEBENCH_CACHE",
    "FACEBENCH_DATA",
    "FACEBENCH_DEFAULT",
    "FACEBENCH_MODELS",
    "FACEBENCH_OFFLINE",
)
"""The environment variables that facebench reads."""

# what tables hold beside ASCII
_PRINTED = "–×≥…"

_finding = functools.partial(Finding, "system")


def system(machine: Machine, cache: Path, wanted_bytes: int) -> list[Finding]:
    """Look at what everything stands on.

    Args:
        machine: where facts come from.
        cache: the folder into which models are fetched.
        wanted_bytes: size of the models that are still to be fetched there.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    findings = (
        _finding("python", "ok", f"{python} on {platform.platform()}"),
        _finding("machine", "ok", this_machine()),
        _encoding(machine),
        _variables(machine),
        _cache(machine, cache, wanted_bytes),
    )
    return [finding for finding in findings if finding is not None]


def _encoding(machine: Machine) -> Finding | None:
    try:
        _PRINTED.encode(machine.encoding)
    except (UnicodeEncodeError, LookupError):
        meaning = "tables hold other signs than these can write: the command breaks off while it prints."
        found = f"standard output is written as {machine.encoding}"
        return _finding("encoding", "warning", found, meaning, "export PYTHONIOENCODING=utf-8")
    return None


def _variables(machine: Machine) -> Finding | None:
    unknown = sorted(name for name in machine.environment if name.startswith("FACEBENCH_") and name not in VARIABLES)
    if not unknown:
        return None
    meaning = f"nothing reads {'it' if len(unknown) == 1 else 'them'}. {did_you_mean(unknown[0], VARIABLES)}"
    return _finding("variables", "warning", f"{', '.join(unknown)} set", meaning, f"unset {' '.join(unknown)}")


def _cache(machine: Machine, cache: Path, wanted_bytes: int) -> Finding:
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = machine.free_bytes(there)
    except OSError as error:
        found, meaning = f"cannot write to the cache {cache}: {error.strerror}", "no model can be fetched here."
        return _finding("cache", "warning", found, meaning, "export FACEBENCH_CACHE=DIR")
    found = f"cache {cache}, {free / 1e9:,.1f} GB free"
    if free < wanted_bytes:
        meaning = f"{wanted_bytes / 1e6:,.0f} MB of models are still to come."
        return _finding("cache", "warning", found, meaning, "export FACEBENCH_CACHE=DIR")
    return _finding("cache", "ok", found)

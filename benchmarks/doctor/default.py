"""The picked default: where it comes from, on what it was picked, and whether it can be loaded here."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...detectors.models import ModelFile
from ...detectors.models import store as model_store
from ...errors import ResultsError
from ..choose.default import BUILT_IN, read_pick
from ..measure.environment import machine as this_machine
from .facts import Finding, Machine

_PICK = "facebench run --dataset wider-face:val --data DIR --out runs/wider && facebench pick runs/wider"
_FAILS = "facebench.load_default(), facebench detect and --detectors default fail."

_finding = functools.partial(Finding, "default")


def default(machine: Machine, file: Path, *, offline: bool) -> list[Finding]:
    """Look at the picked default and load it in a child process.

    Args:
        machine: runs the child.
        file: as `default_file` finds it.
        offline: whether a missing model may not be fetched.
    """
    origin = _origin(machine, file)
    try:
        choice, setting = read_pick(file)
    except ResultsError as error:
        fixes = {"FACEBENCH_DEFAULT": "unset FACEBENCH_DEFAULT", "the working folder": f"mv {file} {file}.unreadable"}
        remedy = fixes.get(origin, "pip install --force-reinstall --no-deps facebench")
        return [_finding("file", "problem", str(error), _FAILS, remedy)]
    detector = setting.spec
    found = f"{detector}, {setting.words}, from {file} ({origin})"
    return [_finding("file", "ok", found), *_measured(choice), _loaded(machine, detector, offline)]


def _origin(machine: Machine, file: Path) -> str:
    if machine.environment.get("FACEBENCH_DEFAULT"):
        return "FACEBENCH_DEFAULT"
    return "built in" if file == BUILT_IN else "the working folder"


def _measured(choice: Mapping[str, Any]) -> list[Finding]:
    """What the numbers behind the choice are worth here."""
    run = choice.get("run")
    elsewhere = run.get("machine") if isinstance(run, dict) else None
    if choice.get("demo"):
        found = f"it was picked on {choice.get('measured_on')}, a demonstration"
        return [_finding("measured-on", "warning", found, "its winner is nobody's best detector.", _PICK)]
    if elsewhere is not None and elsewhere != this_machine():
        found = f"it was measured on {elsewhere}, this is {this_machine()}"
        return [_finding("measured-on", "note", found, "another detector may be the fastest here.", _PICK)]
    return []


def _loaded(machine: Machine, detector: str, offline: bool) -> Finding:
    said, fault = machine.probe("default")
    if not (fault or said["fault"]):
        return _finding("load", "ok", f"{detector} can be loaded and used")
    absent = [] if fault else [model_store.model_file(name) for name in said["absent"]]
    if absent:
        return _without_model(detector, absent, offline)
    reason = fault or str(said["fault"])
    found = reason if reason.startswith(detector) else f"{detector} cannot be loaded: {reason}"
    return _finding("load", "problem", found, _FAILS, "" if fault else said["remedy"])


def _without_model(detector: str, absent: Sequence[ModelFile], offline: bool) -> Finding:
    names = [file.name for file in absent]
    found = f"{detector} needs the model {' and '.join(names)}, which is not on this machine"
    remedy = f"facebench models fetch {' '.join(names)}"
    if not all(file.sources for file in absent):
        meaning = f"{_FAILS} The file is nowhere to be had: put it into a folder of FACEBENCH_MODELS."
        return _finding("load", "problem", found, meaning)
    if offline:
        return _finding(
            "load", "problem", f"{found}; FACEBENCH_OFFLINE is set", _FAILS, f"FACEBENCH_OFFLINE=0 {remedy}"
        )
    fetched_later = f"the model {' and '.join(names)} of {detector} is not fetched yet"
    return _finding("load", "note", fetched_later, "the first use fetches it from the network.", remedy)

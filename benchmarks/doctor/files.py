"""Files that runs need: models and data, as the model store and the loaders see them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...detectors.models import ModelFile, ModelStatus
from ...detectors.models import store as model_store
from .facts import Finding, Level, Machine

_NO_DATA = "only data sets that need no download can be used: scenes, expression-scenes:demo."
_NAME_DATA = "export FACEBENCH_DATA=DIR"

_model = functools.partial(Finding, "models")
_data = functools.partial(Finding, "data")


@dataclass(frozen=True, slots=True)
class Models:
    """What is known of the model files.

    Attributes:
        statuses: of every file in models.toml.
        damaged: model -> a file at its place, or with its name in FACEBENCH_MODELS, that has other bytes.
        folder: the folder in FACEBENCH_MODELS, None where it is not set.
        cache: the folder of the cache.
        offline: whether downloads are forbidden.
    """

    statuses: Sequence[ModelStatus]
    damaged: Mapping[str, Path]
    folder: Path | None
    cache: Path
    offline: bool


def read_models() -> Models:
    """Ask the model store; nothing is downloaded.

    Raises:
        UsageError: FACEBENCH_MODELS is not a folder.
    """
    statuses, folder = model_store.status(), model_store.user_folder()
    damaged = {}
    for status in statuses:
        cached = model_store.cache_path(status.file)
        if status.path is None and cached.is_file():
            damaged[status.file.name] = cached
        elif folder is not None and status.origin != "FACEBENCH_MODELS":
            namesake = next((path for path in sorted(folder.rglob(status.file.file_name)) if path.is_file()), None)
            if namesake is not None:
                damaged[status.file.name] = namesake
    cache = model_store.cache_path(statuses[0].file).parent
    return Models(statuses, damaged, folder, cache, model_store.is_offline())


def models(found: Models, needed: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Look for model files that detectors need.

    Args:
        found: what is known of the files.
        needed: model -> the built-in detectors that load it.
    """
    here = sum(status.path is not None for status in found.statuses if status.file.name in needed)
    places = f"{found.folder} (FACEBENCH_MODELS), then {found.cache}" if found.folder else f"{found.cache}"
    offline = "; FACEBENCH_OFFLINE forbids downloads" if found.offline else ""
    level: Level = "ok" if here == len(needed) else "note"
    verified = f"{here} of {len(needed)} files that built-in detectors need are here, verified"
    findings = [
        _model("places", "ok", f"searched: {places}{offline}"),
        _model("verified", level, verified, "" if level == "ok" else "the others are listed below."),
    ]
    missing = [status.file for status in found.statuses if status.path is None and status.file.name in needed]
    fetchable = [file for file in missing if file.sources]
    if fetchable:
        findings.append(_fetchable(fetchable, needed, found.offline))
    for file in missing:
        if not file.sources:
            meaning = f"{_detectors_of([file], needed)} cannot run: put the file into a folder of FACEBENCH_MODELS."
            findings.append(_model("without-source", "warning", f"{file.name} is nowhere to be had", meaning))
    damaged = (status for status in found.statuses if status.file.name in found.damaged)
    return [*findings, *(_other_bytes(status, found.damaged[status.file.name]) for status in damaged)]


def _fetchable(files: Sequence[ModelFile], needed: Mapping[str, Sequence[str]], offline: bool) -> Finding:
    names = " ".join(file.name for file in files)
    found = f"not fetched yet: {names} ({sum(file.bytes for file in files) / 1e6:.1f} MB)"
    detectors, remedy = _detectors_of(files, needed), f"facebench models fetch {names}"
    if offline:
        meaning = f"{detectors} cannot run while FACEBENCH_OFFLINE is set."
        return _model("missing", "warning", found, meaning, f"FACEBENCH_OFFLINE=0 {remedy}")
    meaning = f"the first use of {detectors} fetches what it needs; fetch them now before you go offline."
    return _model("missing", "note", found, meaning, remedy)


def _other_bytes(status: ModelStatus, path: Path) -> Finding:
    name = status.file.name
    found = f"{path} has not the bytes of {name} (sha256 {status.file.sha256[:12]})"
    if status.path is not None:
        return _model("other-bytes", "warning", found, f"it is not used; {status.path} is.")
    meaning = "it is not used, since other weights give other results."
    return _model("other-bytes", "warning", found, meaning, f"facebench models fetch {name}")


def data(machine: Machine, root: Path, origin: str) -> list[Finding]:
    """Ask each loader for one image, in a child process; what it says is the finding.

    Args:
        machine: runs the child.
        root: the folder of the data.
        origin: what named the folder, such as "FACEBENCH_DATA"; empty where nothing named one.
    """
    where = f"{root} ({origin or 'neither --data nor FACEBENCH_DATA names another'})"
    if not root.exists():
        return [_data("folder", "warning" if origin else "note", f"there is no {where}", _NO_DATA, _NAME_DATA)]
    said, fault = machine.probe("data", str(root))
    if fault:
        return [_data("folder", "warning", f"the loaders failed on {where}: {fault}", _NO_DATA)]
    return [_data("folder", "ok", f"looked for in {where}"), *(_dataset(name, said[name]) for name in said)]


def _dataset(name: str, said: Mapping[str, Any]) -> Finding:
    if said["state"] == "missing":
        return _data(name, "note", f"{name} is not there", said["message"], _NAME_DATA)
    if said["state"] != "there":
        return _data(name, "warning", f"{name} cannot be read", said["message"])
    found = f"{name} can be read, {said['total']:,} images are annotated"
    # the other notes are about the one image, or always there
    lacking = [note for note in said["notes"] if "have no file" in note or note.startswith("No official list")]
    return _data(name, "note" if lacking else "ok", found, " ".join(lacking))


def _detectors_of(files: Sequence[ModelFile], needed: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(dict.fromkeys(detector for file in files for detector in needed[file.name]))

"""The model store: a name in models.toml becomes a verified local file, wherever its bytes come from.

Searched in this order, and everything is compared with size and sha256 each time it is asked for:

1. the folder in FACEBENCH_MODELS, with its subfolders, by content: file names do not matter; files are used in place;
2. the cache: the folder `models` in FACEBENCH_CACHE, or else in the user's cache folder;
3. the sources of the file in models.toml, in their order, into the cache; none of them with FACEBENCH_OFFLINE=1.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import platformdirs

from ...downloads import (
    NotFetchedError,
    Progress,
    Sleep,
    UrlSource,
    fetch_file,
    locked,
    no_progress,
    sha256_of,
)
from ...downloads import is_offline as is_offline  # noqa: PLC0414  part of what this module offers
from ...errors import HashMismatchError, ModelStoreError, OfflineError, UsageError, did_you_mean
from .sources import Source, WheelSource

Origin = Literal["FACEBENCH_MODELS", "cache"]

CATALOG = Path(__file__).with_name("models.toml")
LOCK_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file as models.toml describes it.

    Attributes:
        name: the key in models.toml.
        file_name: what it is called in the cache.
        sha256: 64 lower-case hexadecimal digits.
        bytes: its size.
        licence: of the weights, an SPDX identifier where there is one; "unknown" where no statement is known.
        trained_on: data sets seen in training; "unknown" among them where not all are published.
        description: what it is.
        sources: where it can be had, the preferred one first.
        note: what else a reader must know, such as why there is no source.
    """

    name: str
    file_name: str
    sha256: str
    bytes: int
    licence: str
    trained_on: tuple[str, ...]
    description: str
    sources: tuple[Source, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether a model file is on this machine.

    Attributes:
        file: the file meant.
        state: "available" (verified) or "missing".
        path: where it is, or None.
        origin: which of the two local places it was found in, or None.
    """

    file: ModelFile
    state: Literal["available", "missing"]
    path: Path | None
    origin: Origin | None


@functools.cache
def catalog() -> Mapping[str, ModelFile]:
    """Return the files of models.toml by name; it is read once."""
    tables = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
    return MappingProxyType({name: _model_file(name, table) for name, table in tables.items()})


def _model_file(name: str, table: dict[str, Any]) -> ModelFile:
    sources = tuple(WheelSource(**entry) if "wheel" in entry else UrlSource(**entry) for entry in table["sources"])
    return ModelFile(name=name, **table | {"sources": sources, "trained_on": tuple(table["trained_on"])})


def model_file(name: str) -> ModelFile:
    """Return the file of this name in models.toml.

    Raises:
        UsageError: there is none.
    """
    try:
        return catalog()[name]
    except KeyError:
        raise UsageError(f"no model file is called {name!r}. {did_you_mean(name, catalog())}") from None


def locate(model: str | ModelFile) -> Path | None:
    """Return the verified local file, or None; never downloads.

    Raises:
        UsageError: the name is unknown, or FACEBENCH_MODELS is not a folder.
    """
    found = _search(_as_file(model), _user_files())
    return found[0] if found else None


def status() -> list[ModelStatus]:
    """Return for each file of models.toml whether it is on this machine; never downloads.

    Raises:
        UsageError: FACEBENCH_MODELS is not a folder.
    """
    user_files = _user_files()
    return [_status(file, _search(file, user_files)) for file in catalog().values()]


def _status(file: ModelFile, found: tuple[Path, Origin] | None) -> ModelStatus:
    return ModelStatus(file, "available", *found) if found else ModelStatus(file, "missing", None, None)


def fetch(
    model: str | ModelFile,
    *,
    progress: Progress | None = None,
    sleep: Sleep = time.sleep,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> Path:
    """Return the verified local file, and fetch it first where it is missing.

    Args:
        model: a name in models.toml, or a file that is not listed there.
        progress: called with the bytes that are there and the bytes expected.
        sleep: waits between attempts at a download.
        lock_timeout_s: how long to wait for another process that fetches the same file.

    Raises:
        UsageError: the name is unknown, or FACEBENCH_MODELS is not a folder.
        OfflineError: a download would be needed, and FACEBENCH_OFFLINE is set.
        HashMismatchError: no source sent it, and one of them at least sent other bytes.
        ModelStoreError: no source sent it, or the cache cannot be written.
    """
    file = _as_file(model)
    if path := locate(file):
        return path
    if is_offline():
        raise OfflineError(_failure(f"{_title(file)} is not on this machine, and FACEBENCH_OFFLINE is set", file, []))
    target = cache_path(file)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target, lock_timeout_s):
            if not _holds(target, file):
                _fetch(file, target, progress or no_progress, sleep)
    except TimeoutError as error:
        raise ModelStoreError(str(error)) from error
    except OSError as error:
        raise ModelStoreError(
            f"{_title(file)} cannot be written to the cache folder {target.parent}: {error}. "
            "Make room or name a folder that can be written in FACEBENCH_CACHE."
        ) from error
    return target


def _fetch(file: ModelFile, target: Path, progress: Progress, sleep: Sleep) -> None:
    """Put the file at `target`, from the first source that has the right bytes."""
    try:
        fetch_file(target, file.sources, lambda part: _fault(part, file), file.bytes, progress=progress, sleep=sleep)
    except NotFetchedError as error:
        kind = HashMismatchError if error.mismatch else ModelStoreError
        raise kind(_failure(f"{_title(file)} could not be fetched", file, error.failures)) from error


def _fault(part: Path, file: ModelFile) -> str:
    size, sha256 = part.stat().st_size, sha256_of(part)
    if (size, sha256) == (file.bytes, file.sha256):
        return ""
    return f"sent {size} bytes with sha256 {sha256}, expected {file.bytes} bytes with {file.sha256}"


def _search(file: ModelFile, user_files: Mapping[int, list[Path]]) -> tuple[Path, Origin] | None:
    for path in user_files.get(file.bytes, []):
        if _holds(path, file):
            return path, "FACEBENCH_MODELS"
    target = cache_path(file)
    return (target, "cache") if _holds(target, file) else None


def _user_files() -> Mapping[int, list[Path]]:
    """Return the files under FACEBENCH_MODELS by size, so that only files of the right size are hashed."""
    folder = user_folder()
    by_size: defaultdict[int, list[Path]] = defaultdict(list)
    if folder is None:
        return by_size
    if not folder.is_dir():
        raise UsageError(f"FACEBENCH_MODELS must name a folder with model files, got {str(folder)!r}")
    for root, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(root, name) for name in sorted(names)):
            with contextlib.suppress(OSError):  # a dangling link
                by_size[path.stat().st_size].append(path)
    return by_size


def _holds(path: Path, file: ModelFile) -> bool:
    try:
        return path.stat().st_size == file.bytes and sha256_of(path) == file.sha256
    except OSError:
        return False


def user_folder() -> Path | None:
    """Return the folder that FACEBENCH_MODELS names, whether it is there or not; None where it is not set."""
    folder = os.environ.get("FACEBENCH_MODELS")
    return Path(folder).expanduser().absolute() if folder else None


def cache_path(file: ModelFile) -> Path:
    """Return where the cache has a file, or would have it."""
    folder = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(folder).expanduser().absolute() / "models" / file.file_name


def _as_file(model: str | ModelFile) -> ModelFile:
    return model_file(model) if isinstance(model, str) else model


def _what_is_there(target: Path) -> str:
    try:
        return f"has other bytes ({target.stat().st_size}, sha256 {sha256_of(target)})"
    except OSError:
        return "is not there"


def _title(file: ModelFile) -> str:
    return f"model file {file.name} ({file.file_name}, {file.bytes} bytes, sha256 {file.sha256})"


def _failure(what: str, file: ModelFile, failures: list[str]) -> str:
    """Return the message for a file that is not to be had: what was tried, and what to do."""
    folder, target = user_folder(), cache_path(file)
    tried = [
        f"FACEBENCH_MODELS: {f'no file with these bytes in {folder}' if folder else 'not set'}",
        f"cache: {target} {_what_is_there(target)}",
        *(failures or [f"{source}: not asked" for source in file.sources]),
    ]
    lines = [f"{what}. Tried:", *(f"- {entry}" for entry in tried)]
    if file.note:
        lines.append(f"Note: {file.note}")
    lines.append("Put the file into a folder, under any name, and name that folder in FACEBENCH_MODELS.")
    return "\n".join(lines)

"""The file that names the default: the picked setting, written by `facebench pick`, read by pipelines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ... import importable
from ...detectors import Detector, Setting
from ...detectors.registry import module_of
from ...errors import ResultsError, UsageError
from ..store.documents import json_text, read_json
from ..store.run_folder import write_atomically

SCHEMA = "facebench.default"
SCHEMA_VERSION = 3
"""3: what to load stands in one object, `setting`. Version 2 had its fields beside the others; version 1 no size and no
threads, which were the original size and one thread. Both are read."""
FILE_NAME = "default_detector.json"
BUILT_IN = Path(__file__).parents[2] / FILE_NAME
_REMEDY = "Write one with: facebench pick RUN"


def write_pick(choice: dict[str, Any], path: Path) -> None:
    """Write default_detector.json, whole or not at all."""
    write_atomically(path, f"{json_text(choice, indent=2)}\n".encode())


def default_file() -> Path:
    """Return the file that holds the default: FACEBENCH_DEFAULT, else the working folder's, else the built-in one."""
    named = os.environ.get("FACEBENCH_DEFAULT")
    if named:
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.is_file() else BUILT_IN


def default_setting(path: str | Path | None = None) -> Setting:
    """Return what the default is: detector, threshold, size, device and threads, exactly as they were measured.

    Args:
        path: a file written by `facebench pick`; by default as `default_file` finds it.

    Raises:
        ResultsError: the file cannot be read, or is not such a file.
    """
    return read_pick(Path(path) if path is not None else default_file())[1]


def load_default(path: str | Path | None = None, *, threads: int | None = None) -> Detector:
    """Build the picked detector in this process, in the setting that was measured.

    Args:
        path: a file written by `facebench pick`; by default as `default_file` finds it.
        threads: CPU threads; None for as many as it was measured with.

    Raises:
        ResultsError: the file cannot be read, or is not such a file.
        UsageError: `threads` is not a whole number of at least 1.
        UnavailableError: the detector's package or model is missing.
        DeviceError: its device cannot be used here.
    """
    setting = default_setting(path)
    return (setting if threads is None else replace(setting, threads=threads)).build()


def read_pick(path: Path) -> tuple[dict[str, Any], Setting]:
    """Read and check a default_detector.json.

    Returns:
        The whole document in the form of `SCHEMA_VERSION`, and its setting.

    Raises:
        ResultsError: it cannot be read, is not such a file, or names code in the working folder, which is
            imported where `importable.ALLOW_LOCAL_CODE` says so.
    """
    choice = read_json(path, _REMEDY)
    if not isinstance(choice, dict) or choice.get("schema") != SCHEMA:
        raise ResultsError(f'{path} is not a default detector: expected an object with "schema": "{SCHEMA}". {_REMEDY}')
    version = choice.get("schema_version")
    if version in (1, 2) and not isinstance(version, bool):
        choice = _from_before(choice)
    elif version != SCHEMA_VERSION:
        raise ResultsError(
            f"{path} has schema version {version!r}, this facebench reads 1 to {SCHEMA_VERSION}. {_REMEDY}"
        )
    stored = choice.get("setting")
    if not isinstance(stored, dict):
        raise ResultsError(f'{path}: got {stored!r} as its "setting", expected an object. {_REMEDY}')
    try:
        setting = Setting.from_json(stored)
    except (UsageError, ValueError, OverflowError) as error:
        raise ResultsError(f"{path}: {error}. {_REMEDY}") from error
    module = module_of(setting.spec)
    if module is not None and importable.forbidden_local(module):
        raise ResultsError(
            f"{path} names the detector {setting.spec}, whose code lies in the working folder; code that a file names "
            "is not imported from there. If it is yours: facebench --allow-local-code …, or, for Python, "
            f"export {importable.ALLOW_LOCAL_CODE}=1"
        )
    return choice, setting


def _from_before(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Put the fields of version 1 or 2 where version 3 has them; what is missing is found out when they are checked."""
    usual = {"size": "original", "threads": 1} if choice["schema_version"] == 1 else {}
    names = {"detector": "spec", "threshold": "threshold", "size": "size", "device": "device", "threads": "threads"}
    setting = {new: choice[old] for old, new in names.items() if old in choice}
    rest = {name: value for name, value in choice.items() if name not in names}
    return {**rest, "schema_version": SCHEMA_VERSION, "setting": usual | setting}

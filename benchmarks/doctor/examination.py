"""`facebench doctor`: is this machine fit to measure, and is what is needed there?

Each part looks at one subject and returns findings; none of them changes anything, downloads, or imports a detector's
library in this process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...datasets import data_root
from ...detectors import default_specs, resolve
from ...detectors.models import store as model_store
from ...errors import UsageError
from ..choose.default import default_file
from .default import default
from .facts import LEVELS, Finding, Level, Machine
from .files import data, models, read_models
from .gpu import gpu
from .packages import detectors, packages
from .system import system
from .timing import timing

SCHEMA = "facebench.doctor"
SCHEMA_VERSION = 1


def examine(machine: Machine, data_folder: Path | None = None) -> tuple[Finding, ...]:
    """Look at everything.

    Args:
        machine: where facts come from.
        data_folder: the folder of the data; by default as `datasets.data_root` finds it.

    Returns:
        The findings, subject by subject.
    """
    # first, before what follows makes a load of its own
    timed = timing(machine)
    specs = [resolve(text) for text in default_specs()]
    needed: defaultdict[str, list[str]] = defaultdict(list)
    for spec in specs:
        for model in spec.models():
            needed[model].append(str(spec))
    # these wait for children, most of the time
    with ThreadPoolExecutor() as pool:
        packaged = pool.submit(packages, machine)
        on_gpu = pool.submit(gpu, machine)
        picked = pool.submit(default, machine, default_file(), offline=model_store.is_offline())
        loaded = pool.submit(data, machine, data_root(data_folder), _origin(machine, data_folder))
        found_models, wanted_bytes = _models(needed)
    cache = model_store.cache_path(next(iter(model_store.catalog().values()))).parent
    return (
        *system(machine, cache, wanted_bytes),
        *packaged.result(),
        *detectors(machine, {spec.name: spec.adapter for spec in specs}),
        *found_models,
        *picked.result(),
        *loaded.result(),
        *on_gpu.result(),
        *timed,
    )


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level; "ok" where there is no finding.

    >>> worst([Finding("system", "python", "ok", "3.12"), Finding("timing", "load", "warning", "busy")])
    'warning'
    """
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for machines: the worst level, how many of each, and every one."""
    levels = [finding.level for finding in findings]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "worst": worst(findings),
        "counts": {level: levels.count(level) for level in LEVELS},
        "findings": [
            {
                "subject": finding.subject,
                "check": finding.check,
                "level": finding.level,
                "found": finding.found,
                "meaning": finding.meaning,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def _models(needed: dict[str, list[str]]) -> tuple[list[Finding], int]:
    """The findings about models, and how many bytes are still to be fetched."""
    try:
        found = read_models()
    except UsageError as error:
        meaning = "every command that needs a model ends with this error."
        return [Finding("models", "places", "problem", str(error), meaning, "unset FACEBENCH_MODELS")], 0
    missing = (status.file for status in found.statuses if status.path is None and status.file.name in needed)
    return models(found, needed), sum(file.bytes for file in missing)


def _origin(machine: Machine, data_folder: Path | None) -> str:
    if data_folder is not None:
        return "--data"
    return "FACEBENCH_DATA" if machine.environment.get("FACEBENCH_DATA") else ""

"""One row of the matrix: a detector under a protocol, on a data set, on a device; and the key that names it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...detectors import DetectorSpec, Device
from ...detectors.models import model_file
from ...detectors.resized import check_size
from ...importable import HEADLESS, OPENCV
from ..store.records import Protocol, StoredCell
from .code_digest import MEASURING, code_digest
from .environment import machine, versions


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured, down to every input that can change the result.

    Attributes:
        spec: the detector's spec string, such as "haar:scale_factor=1.05".
        detector: its name.
        parameters: all its parameters, defaults included.
        models: name -> sha256 of every model file it loads.
        code: hash over the adapter's code and what measures it, so that an edited adapter is measured again.
        packages: versions of the packages that do the work.
        dataset: fingerprint of the data set.
        protocol: how images are given.
        device: "cpu" or "cuda".
        threads: CPU threads.
        machine: processor and cores.
        threshold: score from which a detection is a face, at which it is timed; None: the detector's own, which
            parameters and code decide.
    """

    spec: str
    detector: str
    parameters: Mapping[str, Any]
    models: Mapping[str, str]
    code: str
    packages: Mapping[str, str]
    dataset: str
    protocol: Protocol
    device: Device
    threads: int
    machine: str
    threshold: float | None = None

    @property
    def key(self) -> str:
        """Hash of everything but the spelling of the spec: 16 hexadecimal digits."""
        content = {name: value for name, value in asdict(self).items() if name != "spec"}
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder_name(self) -> str:
        """A readable, unique name for files of this cell."""
        return re.sub(r"[^\w.=-]+", "_", self.spec)[:60] + "-" + self.key


def make_cell(
    spec: DetectorSpec, dataset: str, protocol: Protocol, device: Device, threads: int, threshold: float | None = None
) -> Cell:
    """Gather what identifies a cell.

    Raises:
        UsageError: the size is written wrongly.
    """
    check_size(protocol.size)
    files = {name: model_file(name).sha256 for name in spec.models()}
    for name, value in spec.parameters.items():
        if isinstance(value, (str, Path)) and Path(value).is_file():
            files[f"parameter {name}"] = hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return Cell(
        spec=str(spec),
        detector=spec.name,
        parameters=dict(spec.parameters),
        models=files,
        code=code_digest(spec.adapter.__module__, *MEASURING),
        packages=versions({"numpy", OPENCV, HEADLESS, spec.adapter.info.package, *_engines(spec)}),
        dataset=dataset,
        protocol=protocol,
        device=device,
        threads=threads,
        machine=machine(),
        threshold=threshold,
    )


def stored_cell(spec: DetectorSpec, cell: Cell) -> StoredCell:
    """Return a cell as run.json holds it before anything was measured: a tuple is a list there, and so it is here."""
    content = {**asdict(cell), "key": cell.key, "folder": cell.folder_name, "info": asdict(spec.card())}
    return StoredCell.from_json({**json.loads(json.dumps(content, default=str)), "status": "running"}, str(spec))


@cache
def _owners() -> Mapping[str, list[str]]:
    """Return the distributions that own each importable name; reading them takes a third of a second."""
    from importlib.metadata import packages_distributions

    return packages_distributions()


def _engines(spec: DetectorSpec) -> set[str]:
    """Return the distributions behind the modules that an adapter needs."""
    owners = _owners()
    return {owner for module in spec.adapter.requires for owner in owners.get(module.partition(".")[0], [])}

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
from ...detectors.models.store import model_file
from ...detectors.resized import check_size
from ...importable import HEADLESS, OPENCV
from .code_digest import MEASURING, code_digest
from .environment import machine, versions


@dataclass(frozen=True, slots=True)
class Protocol:
    """How pictures are given to a detector; part of a result's identity.

    Attributes:
        size: as `detectors.resized` describes it: "original", "long=640", "original+long=320". Resizing is inside
            the clock, boxes come back in the image's own pixels.
        score_floor: keep detections down to this score, or None for each detector's own floor (`DetectorInfo`).
            Times are taken at the threshold, not here.

    Raises:
        UsageError: the size is written wrongly.
    """

    size: str = "original"
    score_floor: float | None = None

    def __post_init__(self) -> None:
        check_size(self.size)


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
        protocol: how pictures are given.
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


def cell_label(cell: Mapping[str, Any]) -> str:
    """Name a stored cell: the spec, with size, device and threads where they are not the usual ones.

    >>> cell_label({"spec": "haar", "protocol": {"size": "long=640"}, "device": "cpu", "threads": 2})
    'haar, long=640, 2 threads'
    """
    parts = [str(cell["spec"])]
    if cell.get("threshold") is not None:
        parts.append(f"from {cell['threshold']:.4g}")
    if cell["protocol"]["size"] not in ("original", "unknown"):
        parts.append(str(cell["protocol"]["size"]))
    if cell["device"] != "cpu":
        parts.append(str(cell["device"]))
    if cell["threads"] != 1:
        parts.append(f"{cell['threads']} threads")
    return ", ".join(parts)


def setting_of(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a stored cell was measured in but for its threshold: spec, size, device, threads."""
    return cell["spec"], cell["protocol"]["size"], cell["device"], cell["threads"]


def make_cell(
    spec: DetectorSpec, dataset: str, protocol: Protocol, device: Device, threads: int, threshold: float | None = None
) -> Cell:
    """Gather what identifies a cell."""
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


def stored_cell(spec: DetectorSpec, cell: Cell) -> dict[str, Any]:
    """Return a cell as run.json holds it before anything was measured: a tuple is a list there, and so it is here."""
    identity = {name: value for name, value in asdict(cell).items() if name != "dataset"}
    plain: dict[str, Any] = json.loads(json.dumps({**identity, "info": asdict(spec.card())}, default=str))
    return {
        "key": cell.key,
        "folder": cell.folder_name,
        **plain,
        "status": "running",
        "reason": "",
        "mend": "",
        "rounds": 0,
        "rounds_started": [],
        "detections_differ": 0,
        "repeats_failed": 0,
        "failed_pictures": {},
    }


def kept_from(stored: Mapping[str, Any]) -> float:
    """Return how far down scores are kept: as the protocol says, else the card's floor; no higher than a threshold."""
    asked, threshold = stored["protocol"]["score_floor"], stored.get("threshold")
    if asked is None or stored["info"]["score_kind"] != "probability":
        asked = stored["info"]["score_floor"]
    return float(asked if threshold is None else min(asked, threshold))


@cache
def _owners() -> Mapping[str, list[str]]:
    """Return the distributions that own each importable name; reading them takes a third of a second."""
    from importlib.metadata import packages_distributions

    return packages_distributions()


def _engines(spec: DetectorSpec) -> set[str]:
    """Return the distributions behind the modules that an adapter needs."""
    owners = _owners()
    return {owner for module in spec.adapter.requires for owner in owners.get(module.partition(".")[0], [])}

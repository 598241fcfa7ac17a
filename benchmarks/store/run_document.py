"""The content of run.json, checked when it is read. Attributes have the names of its keys, or say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...datasets.query import shown_name
from ...detectors.base import UNKNOWN
from .plain import LEFT_OUT, Record, named
from .records import StoredCell


@dataclass(frozen=True, slots=True)
class Environment(Record):
    """What a reader needs to judge a timing.

    Attributes:
        machine: processor and cores usable here.
        boot: a mark of the time since the machine was started; empty where it has none.
        system: as `platform.platform` names it.
        python: version.
        memory_gb: of the machine.
        packages: name -> version.
    """

    machine: str
    system: str
    python: str
    memory_gb: float
    packages: Mapping[str, str]
    boot: str = ""


@dataclass(frozen=True, slots=True)
class DatasetInfo(Record):
    """The data set of a run; see `datasets.Dataset`.

    Attributes:
        name: under which it can be loaded again.
        coverage: how much of it, in words.
        images: how many; "pictures" in the file.
        total: how many the whole set has.
        lists: names of the evaluation lists, the hardest last.
        demo: whether it is a demonstration.
        description: a sentence.
        licence: of the images.
        fingerprint: of images and annotation.
        notes: what is odd about the annotation.
    """

    name: str
    coverage: str
    images: int = field(metadata=named("pictures"))
    total: int
    lists: tuple[str, ...]
    demo: bool
    description: str
    licence: str
    fingerprint: str
    notes: tuple[str, ...]

    @property
    def shown(self) -> str:
        """What tables and reports call it: of a folder only its own name."""
        return shown_name(self.name)

    @property
    def ranking(self) -> str:
        """The list that ranks: the hardest, or "overall" where there are none."""
        return self.lists[-1] if self.lists else "overall"


@dataclass(frozen=True, slots=True)
class Floor(Record):
    """The smallest times that this harness can show here, medians over calls with a 1024×768 image.

    Attributes:
        detect_ms: of an empty `detect`: it is inside every latency of a table.
        round_trip_ms: image into shared memory, pipe, call and answer: what an image costs beside its latency.
        calls: how many.
    """

    detect_ms: float
    round_trip_ms: float
    calls: int


@dataclass(frozen=True, slots=True)
class RunDocument(Record):
    """The content of run.json but for its schema.

    Attributes:
        environment: that measured.
        dataset: what was measured on.
        created: when, in ISO 8601.
        cells: in the order of the plan.
        excluded: image, verdict and why of those that could not be decoded; None until all were looked at.
        floor: what the harness costs; None until it was measured.
    """

    environment: Environment
    dataset: DatasetInfo
    created: str
    cells: tuple[StoredCell, ...]
    excluded: tuple[tuple[str, str, str], ...] | None = field(default=None, metadata=LEFT_OUT)
    floor: Floor | None = field(default=None, metadata=LEFT_OUT)


def upgraded(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return run.json of before as it would be written now, as far as it can be read at all.

    Version 1 had one protocol and one round for the whole run. Older cards say one licence for code and weights, and do
    not say whether they name all training data.
    """
    cells = document.get("cells")
    if not isinstance(cells, list):
        return document
    of_run = {"protocol": document.get("protocol"), "rounds": 1} if document.get("schema_version") == 1 else {}
    return {
        **document,
        "cells": [_upgraded_cell({**cell, **of_run}) if isinstance(cell, dict) else cell for cell in cells],
    }


def _upgraded_cell(cell: dict[str, Any]) -> dict[str, Any]:
    info = cell.get("info")
    if not isinstance(info, dict) or "weights_licence" in info:
        return cell
    named = info.get("trained_on", [])
    trained_on = [*named, UNKNOWN] if isinstance(named, list) else named
    return {**cell, "info": {**info, "weights_licence": UNKNOWN, "trained_on": trained_on}}

"""Records of run.json, made from plain values: what a test does not say is as in a usual run."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from facebench.benchmarks.store.records import StoredCell
from facebench.benchmarks.store.run_document import RunDocument

ENVIRONMENT = {
    "machine": "Abacus <2 cores>",
    "system": "Linux",
    "python": "3.11.0",
    "memory_gb": 4.0,
    "packages": {"facebench": "0.1.0", "numpy": "2.0"},
}
DATASET = {
    "name": "made-up:val?sample=3&seed=1",
    "coverage": "3 of 1,234 images",
    "pictures": 3,
    "total": 1234,
    "lists": [],
    "demo": False,
    "description": "Images <b>made up</b> for a test.",
    "licence": "none & void",
    "fingerprint": "f" * 16,
    "notes": ["2 boxes <lie> outside"],
}
THRESHOLDS = {"operating_threshold": 0.5, "score_floor": 0.02}
START = THRESHOLDS | dict.fromkeys(("spawn_s", "import_s", "load_s", "first_call_s"), 0.1)
PREDICTIONS = {"format": "jsonl", "pictures": 3, "missing": 0, "extra": 0, "outside": 0, "remarks": []}


def without_checksums(run_json: dict[str, Any]) -> dict[str, Any]:
    """What run.json holds, as a facebench of before wrote it: whatever is changed in it is believed."""
    cells = [{name: value for name, value in cell.items() if name != "crc32"} for cell in run_json["cells"]]
    return {name: value for name, value in run_json.items() if name != "crc32"} | {"cells": cells}


def document(*, dataset: dict[str, Any] | None = None, **changes: Any) -> RunDocument:
    """A run without cells; `changes` as run.json has them."""
    created = "2026-01-02T03:04:05+00:00"
    plain = {"environment": ENVIRONMENT, "dataset": DATASET | (dataset or {}), "created": created, "cells": []}
    return RunDocument.from_json(plain | changes)


def plain_cell(spec: str = "haar", **changes: Any) -> dict[str, Any]:
    """A finished cell as run.json has it; changes are named as its fields; parts that they leave out are as usual."""
    info = {
        "name": spec,
        "family": "single-stage CNN",
        "package": "numpy",
        "licence": "MIT",
        "score_kind": "probability",
        "devices": [],
        "landmarks": False,
        "weights_licence": "MIT",
        "trained_on": ["WIDER FACE"],
        "reference": "nobody",
    }
    keys = {field.name: field.metadata.get("key", field.name) for field in fields(StoredCell)}
    changes = {keys[name]: value for name, value in changes.items()}
    for name, usual in (("info", info), ("start", THRESHOLDS), ("predictions", PREDICTIONS)):
        if changes.get(name) is not None:
            changes[name] = usual | changes[name]
    return {
        "key": "0" * 16,
        "folder": "cell-0",
        "spec": spec,
        "detector": spec.partition(":")[0],
        "parameters": {"size": 300},
        "models": {},
        "code": "0" * 16,
        "packages": {"numpy": "2.0"},
        "protocol": {"size": "original", "score_floor": None},
        "device": "cpu",
        "threads": 1,
        "rounds": 1,
        "machine": "Abacus <2 cores>",
        "status": "done",
        "start": START,
        "peak_rss_mb": 100.0,
        "info": info,
        **changes,
    }


def stored(spec: str = "haar", **changes: Any) -> StoredCell:
    """The same as a record."""
    return StoredCell.from_json(plain_cell(spec, **changes))

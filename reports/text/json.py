"""The comparison of two versions for machines: full numbers, None where there is none."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...benchmarks.compare.gate import GateResult
from ...benchmarks.compare.pair import CellComparison
from ...benchmarks.compare.runs import Comparison
from ...benchmarks.store.documents import finite
from ...benchmarks.store.records import StoredCell

SCHEMA = "facebench.comparison"
SCHEMA_VERSION = 2


def comparison_json(comparison: Comparison, result: GateResult | None = None) -> dict[str, Any]:
    """Return the comparison and, where it was judged, the verdicts.

    `outcome` is "pass", "fail" or "inconclusive", None for a comparison without limits. Times are milliseconds, memory
    MB, starts seconds, ratios head over base, differences head less base.
    """
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "outcome": None if result is None else result.outcome,
        "base": comparison.base,
        "head": comparison.head,
        "dataset": comparison.dataset.name,
        "dataset_fingerprint": comparison.dataset.fingerprint,
        "pictures": comparison.images,
        "metric": f"ap_{comparison.primary}",
        "interleaved": comparison.interleaved,
        "resampled": dataclasses.asdict(comparison.resampled),
        "cells": [_cell(cell) for cell in comparison.cells],
        "base_only": [_side(cell) for cell in comparison.base_only],
        "head_only": [_side(cell) for cell in comparison.head_only],
        "judgements": [] if result is None else [_judgement(one) for one in result.judgements],
        "notes": list(comparison.notes if result is None else result.notes),
    }
    found: dict[str, Any] = finite(document)
    return found


def _cell(cell: CellComparison) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(cell)]
    found = {
        "label": cell.label,
        "base": _side(cell.base),
        "head": _side(cell.head),
        **{name: _value(getattr(cell, name)) for name in names if name not in ("base", "head")},
        "memory_mb": cell.memory_mb,
        "cold_start_s": cell.cold_start_s,
        "threshold": cell.threshold,
    }
    if cell.detections is not None:
        found["detections"]["identical"] = cell.detections.identical
    return found


def _side(cell: StoredCell) -> dict[str, Any]:
    stored = cell.to_json()
    return {name: stored[name] for name in ("spec", "key", "status", "reason", "protocol", "device", "threads")}


def _judgement(one: Any) -> dict[str, Any]:
    return {"detector": one.detector, "criterion": one.criterion, **dataclasses.asdict(one.verdict)}


def _value(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return [_value(one) for one in value] if isinstance(value, tuple) else value

"""Reading `emotions.json` and the classification report, which `facebench emotions` writes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...benchmarks.resampling.bootstrap import CONFIDENCE, Interval
from ...benchmarks.store.documents import read_document
from ...errors import ResultsError

FILE_NAME = "emotions.json"
SCORES, CLASSIFICATION = "facebench.emotions", "facebench.emotion-classification"
_VERSION = 1


def read(path: Path, schema: str) -> Mapping[str, Any]:
    """Return the content of a file.

    Raises:
        ResultsError: it cannot be read, or is another file than one of this schema.
        SchemaVersionError: another version of the format wrote it.
    """
    return read_document(path, schema, _VERSION, "Make it again")


def tables_of(document: Mapping[str, Any], classifier: str | None, policy: str | None) -> list[Mapping[str, Any]]:
    """Return the tables of one classifier, the wanted policy first, or else that of the most rows.

    A sweep adds tables of few rows beside the full one of the usual crop.

    Raises:
        ResultsError: there is no such classifier or policy.
    """
    tables: list[Mapping[str, Any]] = document["tables"]
    if not tables and classifier is None and policy is None:
        return []
    names = [table["classifier"]["name"] for table in tables]
    if classifier is not None and classifier not in names:
        raise ResultsError(
            f"no emotion scores of the classifier {classifier!r} are stored, only of {sorted(set(names))}"
        )
    sha256 = [t["classifier"]["sha256"] for t in tables if classifier in (None, t["classifier"]["name"])][-1]
    of_one = [table for table in tables if table["classifier"]["sha256"] == sha256]
    known = [table["policy"] for table in of_one]
    if policy is not None and policy not in known:
        raise ResultsError(f"no emotion scores with the crop {policy!r} are stored, only with {known}")
    return sorted(of_one, key=lambda table: -len(table["rows"]) if policy is None else table["policy"] != policy)


def interval(values: Sequence[float | None]) -> Interval:
    """Return value, low and high as they are stored, None being no number."""
    value, low, high = (math.nan if number is None else float(number) for number in values)
    return Interval(value, low, high, CONFIDENCE, 0)


def differences_of(table: Mapping[str, Any]) -> dict[tuple[str, str], Interval]:
    """Return first less second of each pair, by their keys."""
    return {(one["first"], one["second"]): interval(one["value"]) for one in table["differences"]}

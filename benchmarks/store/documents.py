"""The JSON files of a run: read with their schema and its version, written without NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ResultsError, SchemaVersionError


def read_document(path: Path, schema: str, version: int, remedy: str) -> dict[str, Any]:
    """Return the content of a file.

    Args:
        path: of the file.
        schema: what its "schema" must be.
        version: what its "schema_version" must be.
        remedy: a sentence that ends every message: what to do about a file that is none of these.

    Raises:
        ResultsError: it cannot be read, or is another file than one of this schema.
        SchemaVersionError: another version of the format wrote it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"cannot read {path}: {error}. {remedy}") from error
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise ResultsError(f'{path} is another file: expected "schema": {schema!r}. {remedy}')
    if document.get("schema_version") != version:
        raise SchemaVersionError(
            f"{path} has schema version {document.get('schema_version')!r}, this facebench reads {version}. {remedy}"
        )
    return document


def json_text(value: object, indent: int | None = 1) -> str:
    """Return plain values as JSON, which has no NaN and no infinity: null stands for them. No indent: no space.

    >>> json_text({"ap": float("nan"), "of": (1, 2.5)}, indent=None)
    '{"ap":null,"of":[1,2.5]}'
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(finite(value), indent=indent, separators=separators, allow_nan=False)


def finite(value: Any) -> Any:
    """Return plain values with None for every number that is not finite."""
    if isinstance(value, Mapping):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

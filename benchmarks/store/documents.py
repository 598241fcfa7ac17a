"""The JSON files of a run: read with their schema and its version, written without NaN and with a checksum.

The checksum, a CRC-32, is taken over the values and not over the bytes, so that a file may be laid out again. Files of
before have none. A part that has a checksum of its own, as cells of run.json have, is left out of that of the whole.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ResultsError, SchemaVersionError
from .inside import read_inside

CHANGED = "it was changed after it was written: its checksum is another one"
_KEY = "crc32"
_MOST_BYTES = 2**28
_DEEPEST = 60
"""Levels of nesting; the deepest file of facebench has ten."""


def read_document(path: Path, schema: str, version: int, remedy: str, *, folder: Path | None = None) -> dict[str, Any]:
    """Return the content of a file.

    Args:
        path: of the file.
        schema: what its "schema" must be.
        version: what its "schema_version" must be.
        remedy: a sentence that ends every message: what to do about a file that is none of these.
        folder: the run folder in which the file must lie, not by a link; None for a file that the user named.

    Raises:
        ResultsError: it cannot be read, is another file than one of this schema, or was changed.
        SchemaVersionError: another version of the format wrote it.
    """
    document = read_json(path, remedy, folder=folder)
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise ResultsError(f'{path} is another file: expected "schema": {schema!r}. {remedy}')
    if document.get("schema_version") != version:
        raise SchemaVersionError(
            f"{path} has schema version {document.get('schema_version')!r}, this facebench reads {version}. {remedy}"
        )
    if not is_whole(document):
        raise ResultsError(f"{path} is damaged: {CHANGED}. {remedy}")
    return document


def read_json(path: Path, remedy: str, *, folder: Path | None = None) -> Any:
    """Return what a JSON file holds, whatever it is; see `read_document`.

    Raises:
        FileNotFoundError: there is none in the folder.
        ResultsError: it cannot be read, is not JSON, or is nested too deeply.
    """
    try:
        data = path.read_bytes() if folder is None else read_inside(folder, str(path.relative_to(folder)), _MOST_BYTES)
        document = json.loads(data.decode("utf-8"))
    except FileNotFoundError as error:
        if folder is not None:
            raise
        raise ResultsError(f"cannot read {path}: {error.strerror}. {remedy}") from error
    except RecursionError:
        raise ResultsError(f"cannot read {path}: it is nested too deeply. {remedy}") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"cannot read {path}: {error}. {remedy}") from error
    if _is_deep(document, _DEEPEST):
        raise ResultsError(f"cannot read {path}: it is nested too deeply. {remedy}")
    return document


def _is_deep(value: Any, left: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left < 0 or any(_is_deep(one, left - 1) for one in inner if isinstance(one, dict | list))


def sealed(document: Mapping[str, Any], apart: str = "") -> dict[str, Any]:
    """Return a document with its checksum.

    Args:
        document: plain values.
        apart: key of a part that the checksum leaves out.
    """
    plain = {name: finite(value) for name, value in document.items() if name != _KEY}
    return {**plain, _KEY: _checksum(plain, apart)}


def is_whole(document: Mapping[str, Any], apart: str = "") -> bool:
    """Whether a document is as `sealed` gave it; one without a checksum is taken for one."""
    return _KEY not in document or document[_KEY] == _checksum(document, apart)


def _checksum(document: Mapping[str, Any], apart: str) -> str:
    values = {name: value for name, value in document.items() if name not in (_KEY, apart)}
    return f"{zlib.crc32(json.dumps(values).encode()):08x}"


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

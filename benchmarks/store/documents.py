"""Reading JSON files that name their schema and its version, as those beside a run do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import ResultsError, SchemaVersionError


def read_document(path: Path, schema: str, version: int, mend: str) -> dict[str, Any]:
    """Return the content of a file.

    Args:
        path: of the file.
        schema: what its "schema" must be.
        version: what its "schema_version" must be.
        mend: a sentence that ends every message: what to do about a file that is none of these.

    Raises:
        ResultsError: it cannot be read, or is another file than one of this schema.
        SchemaVersionError: another version of the format wrote it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"cannot read {path}: {error}. {mend}") from error
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise ResultsError(f'{path} is another file: expected "schema": {schema!r}. {mend}')
    if document.get("schema_version") != version:
        raise SchemaVersionError(
            f"{path} has schema version {document.get('schema_version')!r}, this facebench reads {version}. {mend}"
        )
    return document

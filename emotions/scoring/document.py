"""`emotions.json` beside a run: every answer once given, and the tables made of them.

```
schema, schema_version
dataset          name, coverage, fingerprint, images, faces (labelled ones), labels {emotion: faces}
answers          one a detector, classifier, crop policy and variant, with `identity`: what it was computed from.
                 faces: the emotion answered for each labelled face, -1 where it was not found; alarm_picture,
                 alarm_emotion: the false alarms. The detector "annotated" is the oracle.
tables           one a classifier and crop policy; all numbers are [value, low, high], null where undefined
```

Answers stay valid while their identity does; tables are made again each time, which takes a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.resampling.bootstrap import Interval
from ...benchmarks.store.documents import finite, json_text, read_document, sealed
from ...benchmarks.store.run_folder import write_atomically
from ...errors import ResultsError
from .losses import Answers

FILE_NAME = "emotions.json"
SCHEMA = "facebench.emotions"
SCHEMA_VERSION = 1
_REMEDY = "Remove it to score again"

Identity = Mapping[str, Any]
"""What answers were computed from: plain values."""


class ScoreFile:
    """The file, read and written whole."""

    def __init__(self, path: Path, dataset: Mapping[str, Any]) -> None:
        """Open a file, or begin one.

        Args:
            path: of the file.
            dataset: what it is about; its `fingerprint` must be that of a file that is there.

        Raises:
            ResultsError: the file is damaged, or about other images.
            SchemaVersionError: another version of the format wrote it.
        """
        self._path = path
        self._document: dict[str, Any] = (
            read(path) if path.exists() else {"dataset": dict(dataset), "answers": [], "tables": []}
        )
        stored = self._document["dataset"].get("fingerprint")
        if stored != dataset["fingerprint"]:
            raise ResultsError(
                f"{path} is about images with fingerprint {stored}, got {dataset['fingerprint']}. {_REMEDY}"
            )

    def find(self, identity: Identity) -> Mapping[str, Any] | None:
        """Return what was stored for this identity; None where nothing was."""
        answers: list[dict[str, Any]] = self._document["answers"]
        return next((one for one in answers if one["identity"] == dict(identity)), None)

    def put(self, identity: Identity, content: Mapping[str, Any]) -> None:
        """Store answers in place of those of the same detector, classifier, policy and variant, and save."""
        place = _place(identity)
        kept = [one for one in self._document["answers"] if _place(one["identity"]) != place]
        self._document["answers"] = [*kept, {"identity": dict(identity), **content}]
        self.save()

    def scored(self, classifier: str, policy: str) -> set[tuple[str, str]]:
        """Return cell key and variant of every row of a table, named by the classifier's sha256; empty without one."""
        place = (classifier, policy)
        return {row for table in self._document["tables"] if _table_place(table) == place for row in _rows_of(table)}

    def put_table(self, table: Mapping[str, Any]) -> None:
        """Store a table in the place of the one of the same classifier and policy; `save` writes it."""
        tables: list[dict[str, Any]] = self._document["tables"]
        places = [_table_place(one) for one in tables]
        if _table_place(table) in places:
            tables[places.index(_table_place(table))] = dict(table)
        else:
            tables.append(dict(table))

    def save(self) -> None:
        """Write the file.

        Raises:
            ResultsError: the folder cannot be written to.
        """
        document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **self._document}
        write_atomically(self._path, json_text(sealed(document), indent=None).encode())


def read(path: Path) -> dict[str, Any]:
    """Return the content of a file.

    Raises:
        ResultsError: it cannot be read or is not such a file.
        SchemaVersionError: another version of the format wrote it.
    """
    document = read_document(path, SCHEMA, SCHEMA_VERSION, _REMEDY)
    missing = [name for name in ("dataset", "answers", "tables") if name not in document]
    if missing:
        raise ResultsError(f"{path} lacks {', '.join(missing)}. {_REMEDY}")
    try:
        _ = [_place(one["identity"]) for one in document["answers"]]
        _ = [(_table_place(table), _rows_of(table)) for table in document["tables"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"{path} is damaged: {error!r}. {_REMEDY}") from error
    return document


def plain_answers(answers: Answers) -> dict[str, list[int]]:
    """Return answers as plain values."""
    return {
        "faces": answers.faces.tolist(),
        "alarm_picture": answers.alarm_image.tolist(),
        "alarm_emotion": answers.alarm_emotion.tolist(),
    }


def answers_from(content: Mapping[str, Any]) -> Answers:
    """Return the answers that plain values hold.

    Raises:
        DataError: they contradict one another.
        ResultsError: something is missing.
    """
    try:
        return Answers(
            np.array(content["faces"], np.int8),
            np.array(content["alarm_picture"], np.int64),
            np.array(content["alarm_emotion"], np.int8),
        )
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise ResultsError(
            f"stored emotion answers are damaged: {error!r}. Remove {FILE_NAME} to score again"
        ) from error


def oracle_from(content: Mapping[str, Any]) -> NDArray[np.int8]:
    """Return the oracle's answers that plain values hold; see `answers_from`."""
    return answers_from(content).faces


def plain_interval(interval: Interval) -> list[float | None]:
    """Return value, low and high; None for what is not a number."""
    ends: list[float | None] = finite([round(number, 6) for number in (interval.value, interval.low, interval.high)])
    return ends


def _place(identity: Identity) -> tuple[Any, ...]:
    return tuple(identity[name] for name in ("detector", "classifier", "policy", "variant"))


def _table_place(table: Mapping[str, Any]) -> tuple[Any, ...]:
    return table["classifier"]["sha256"], table["policy"]


def _rows_of(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(row["cell"], row["variant"]) for row in table["rows"]]

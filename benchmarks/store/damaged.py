"""Cells that cannot be believed: shown as damaged with what can be read of them, so that the others can be used."""

from __future__ import annotations

from typing import Any

from ...detectors import DetectorInfo
from ...errors import ResultsError
from .documents import CHANGED, is_whole
from .plain import read_fields
from .records import Protocol, StoredCell

_NAMED_BY = ("key", "spec", "detector", "parameters", "protocol", "device", "machine", "threshold", "info")
"""What says which cell it is."""


def read_cell(value: object, whole: object, place: str) -> StoredCell:
    """Read a cell of run.json; one that cannot be read, or was changed after it was written, has the status "damaged".

    Args:
        value: as it would be written now.
        whole: as it stands in the file, with its checksum if it has one.
        place: of the cell in the file.
    """
    try:
        cell = StoredCell.from_json(value, place)
    except ResultsError as error:
        return _damaged(value, place, str(error))
    if isinstance(whole, dict) and not is_whole(whole):
        return _damaged(value, place, f"{place}: {CHANGED}")
    return cell


def _damaged(value: object, place: str, reason: str) -> StoredCell:
    known = {name: one for name, one in read_fields(StoredCell, value).items() if name in _NAMED_BY}
    nothing: dict[str, Any] = {
        "key": place,
        "spec": place,
        "detector": place,
        "parameters": {},
        "protocol": Protocol(),
        "device": "cpu",
        "machine": "unknown",
        "info": DetectorInfo(place, "unknown", "unknown", "unknown", "none", (), landmarks=False),
    }
    unread: dict[str, Any] = {"folder": "", "models": {}, "code": "", "packages": {}, "threads": 1}
    return StoredCell(**{**nothing, **known, **unread}, status="damaged", reason=f"run.json: {reason}")

"""What the tables of a run must hold: the columns that are read, and no number that facebench would not write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .records import MOST_MS

BOX = ["x1", "y1", "x2", "y2"]
LANDMARKS = tuple(f"{axis}{point}" for point in range(1, 6) for axis in ("lx", "ly"))
_COUNTS = ("round", "pixels", "detections")
_TIMES = ("detect_ms", "cpu_ms", "queued_ms", "pre_ms", "inference_ms", "post_ms")


def check_images(table: pd.DataFrame) -> None:
    """Check pictures.parquet.

    Raises:
        ValueError: a column is missing or of another kind, or a value is absurd.
    """
    _check_text(table, "image_id", "verdict")
    _check_range(table, ("width", "height"), np.iinfo(np.int64).max, whole=True)
    if not table["image_id"].is_unique:
        raise ValueError(f"got {table['image_id'][table['image_id'].duplicated()].iloc[0]!r} twice, expected it once")


def check_faces(table: pd.DataFrame, lists: Sequence[str]) -> None:
    """Check faces.parquet, which has a column for each list.

    Raises:
        ValueError: as `check_images`.
    """
    _check_boxes(table)
    for name in lists:
        _numbers(table, name)
    if "ignore" not in table or table["ignore"].dtype != np.bool_:
        raise ValueError("expected a column ignore of truth values")


def check_detections(table: pd.DataFrame) -> None:
    """Check detections.parquet.

    Raises:
        ValueError: as `check_images`.
    """
    _check_boxes(table)
    # annotated boxes may be
    if (table["x2"] < table["x1"]).any() or (table["y2"] < table["y1"]).any():
        raise ValueError("got a box of negative size")
    if not np.isfinite(_numbers(table, "score")).all():
        raise ValueError("got a score that is not finite")
    if LANDMARKS[0] in table:
        for name in LANDMARKS:
            _numbers(table, name)


def check_timings(table: pd.DataFrame) -> None:
    """Check timings.parquet, of which older ones lack some columns.

    Raises:
        ValueError: as `check_images`.
    """
    _check_text(table, "image_id")
    _check_range(table, [name for name in _COUNTS if name in table], np.iinfo(np.int64).max, whole=True)
    _check_range(table, [name for name in _TIMES if name in table or name == _TIMES[0]], MOST_MS)
    if np.isnan(_numbers(table, _TIMES[0])).any():
        raise ValueError(f"got nan in the column {_TIMES[0]}")


def check_batches(table: pd.DataFrame) -> None:
    """Check batches.parquet.

    Raises:
        ValueError: as `check_images`.
    """
    _check_text(table, "image_id")
    _check_range(table, ("batch", "round", "call"), np.iinfo(np.int64).max, whole=True)
    _check_range(table, ("batch_ms",), MOST_MS)
    if not (table["batch_ms"] > 0).all() or (table["batch"] < 1).any():
        raise ValueError("got a batch that took no time or has no image")
    if len(table) and table.groupby("call")[["batch", "round", "batch_ms"]].nunique().gt(1).any(axis=None):
        raise ValueError("got a call with several sizes, rounds or times")


def _check_boxes(table: pd.DataFrame) -> None:
    _check_text(table, "image_id")
    if not all(np.isfinite(_numbers(table, name)).all() for name in BOX):
        raise ValueError("got a box that is not finite")


def _check_range(table: pd.DataFrame, names: Sequence[str], most: float, *, whole: bool = False) -> None:
    for name in names:
        values = _numbers(table, name)
        wrong = (values < 0) | (values > most)
        if whole and not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"got {values.dtype} in the column {name}, expected whole numbers")
        if wrong.any():
            raise ValueError(f"got {values[wrong][0]} in the column {name}, expected 0 to {most:g}")


def _check_text(table: pd.DataFrame, *names: str) -> None:
    for name in names:
        if name not in table:
            raise ValueError(f"it lacks the column {name}")
        if len(table) and not all(isinstance(value, str) for value in table[name].unique()):
            raise ValueError(f"got something else than text in the column {name}")


def _numbers(table: pd.DataFrame, name: str) -> NDArray[Any]:
    if name not in table:
        raise ValueError(f"it lacks the column {name}")
    values = table[name].to_numpy()
    if not (np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating)):
        raise ValueError(f"got {values.dtype} in the column {name}, expected numbers")
    return values

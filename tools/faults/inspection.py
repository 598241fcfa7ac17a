"""What a run folder holds at an instant, and whether anything in it is lost, doubled, half-read or left behind."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...benchmarks.store.run_folder import RunFolder

_DIFFERS = ("decode_ms", "detect_ms", "cpu_ms", "queued_ms", "pre_ms", "inference_ms", "post_ms", "order")
"""Columns that are times, and the order in which they were taken."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The journals of a run folder: for each cell's folder the whole lines of its journal.

    Attributes:
        journals: folder of the cell -> lines.
    """

    journals: dict[str, list[bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Path) -> Snapshot:
        """Read the folder as it lies there."""
        return cls({path.parent.name: _whole_lines(path) for path in run.glob("cells/*/journal.jsonl")})

    @property
    def lines(self) -> int:
        """All whole lines."""
        return sum(map(len, self.journals.values()))


def faults_of_files(run: Path) -> list[str]:
    """Say what cannot be read in a folder whose writer was just ended, or stands in a journal twice."""
    found = []
    if (run / "run.json").exists():
        try:
            RunFolder.open(run)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            found.append(f"half-read: {error}")
    for table in run.rglob("*.parquet"):
        try:
            pd.read_parquet(table)
        except Exception as error:  # noqa: BLE001
            found.append(f"half-read: {table.name}: {error}")
    for name, lines in Snapshot.of(run).journals.items():
        events = Counter(filter(None, map(_identity, lines)))
        found += [f"doubled: {identity} in the journal of {name}" for identity, count in events.items() if count > 1]
    return found


def faults_between(before: Snapshot, run: Path) -> list[str]:
    """Say which whole lines of a journal are no longer there or no longer the same.

    A journal that is gone must have become the tables of its cell, with the very times that it had. One that is another
    is that of a further round, once the cell is done with the earlier ones.
    """
    now = Snapshot.of(run).journals
    found = []
    for name, lines in before.journals.items():
        if now.get(name, [])[: len(lines)] != lines:
            found += _faults_of_tables(RunFolder.open(run), name, lines)
    return found


def faults_of_result(run: Path, undisturbed: Path, kept: Collection[str] = ()) -> list[str]:
    """Say in what a finished folder differs from that of an undisturbed run, times and files that are kept apart."""
    here, there = RunFolder.open(run), RunFolder.open(undisturbed)
    unfinished = (path.name for path in run.rglob("*") if path.name.endswith((".tmp", ".jsonl", ".part")))
    found = [f"left behind: {name}" for name in unfinished if name not in kept]
    for name, value in _plain(there).items():
        if _plain(here)[name] != value:
            found.append(f"other {name} in run.json: {_plain(here)[name]!r}, undisturbed {value!r}")
    found += _compare("images", here.images(), there.images())
    found += _compare("faces", here.faces(), there.faces())
    for mine, theirs in zip(here.cells, there.cells, strict=False):
        if mine.done and theirs.done:
            found += _compare("detections", here.detections(mine), there.detections(theirs))
            calls = ["image_id", "round", "pixels", "detections"]
            order = ["round", "image_id"]
            found += _compare(
                "timings",
                here.timings(mine)[calls].sort_values(order, ignore_index=True),
                there.timings(theirs)[calls].sort_values(order, ignore_index=True),
            )
    return found


def _whole_lines(path: Path) -> list[bytes]:
    try:
        return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    except FileNotFoundError:
        return []


def _identity(line: bytes) -> str:
    """Return what may stand in a journal once, or ""."""
    event = json.loads(line)
    if event["event"] in ("picture", "put_aside"):
        return f"image {event['image_id']}"
    if event["event"] == "repeat":
        return f"round {event['round']} of {event['image_id']}"
    return ""


def _faults_of_tables(run: RunFolder, name: str, lines: list[bytes]) -> list[str]:
    cell = next((cell for cell in run.cells if cell.folder == name), None)
    if cell is None or not cell.done:
        return [f"lost: the {len(lines)} lines of the journal of {name} are gone and its cell is not done"]
    timings, detected = run.timings(cell), Counter(run.detections(cell)["image_id"])
    times = dict(zip(zip(timings["image_id"], timings["round"], strict=True), timings["detect_ms"], strict=True))
    found = []
    for line in lines:
        event = json.loads(line)
        if event["event"] == "picture":
            count = len(base64.b64decode(event["scores"])) // 4
            if detected[event["image_id"]] != count:
                found.append(f"lost: {event['image_id']} had {count} boxes, {detected[event['image_id']]} in the table")
        if event["event"] in ("picture", "repeat") and np.isfinite(event["detect_ms"]):
            place = event["image_id"], event.get("round", 0)
            if times.get(place) != event["detect_ms"]:
                found.append(
                    f"lost: {place} took {event['detect_ms']} ms in the journal, {times.get(place)} in the table"
                )
    return found


def _compare(name: str, mine: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    mine, theirs = (table.drop(columns=[c for c in _DIFFERS if c in table]) for table in (mine, theirs))
    if mine.equals(theirs) and list(mine.columns) == list(theirs.columns):
        return []
    kind = "doubled" if len(mine) > len(theirs) else "lost" if len(mine) < len(theirs) else "changed"
    return [f"{kind}: {name} has {len(mine)} rows, undisturbed {len(theirs)}"]


def _plain(run: RunFolder) -> dict[str, Any]:
    """What run.json says that no fault may change."""
    names = ("key", "status", "reason", "rounds", "failed_pictures", "detections_differ", "repeats_failed")
    cells = [{name: cell.to_json()[name] for name in names} | {"known": len(cell.rounds_started)} for cell in run.cells]
    excluded, notes = run.document.excluded, run.document.dataset.notes
    return {"cells": cells, "excluded": excluded, "notes": notes, "data set": run.document.dataset.fingerprint}

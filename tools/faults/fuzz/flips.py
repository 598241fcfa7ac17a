"""Single bits flipped in every kind of file of a run folder, and every key of its JSON removed or given another value.

Promised: a flipped bit is harmless, costs the cell that it hit, or is an error of facebench's own that names the file;
it is never read as another number. Nonsense in JSON without checksums, as runs of before have it, is never a traceback.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.random import Generator, default_rng

from ....benchmarks.analysis.table import Resampling, summarise_run
from ....benchmarks.choose.default import default_setting, write_pick
from ....benchmarks.compare.limits import read_limits
from ....benchmarks.measure.plan import Plan
from ....benchmarks.measure.previews import read_preview, read_previews
from ....benchmarks.measure.runner import run
from ....benchmarks.store.journal import Journal
from ....benchmarks.store.run_folder import RunFolder
from ....datasets import load
from ....detectors import Setting, resolve_all
from ....errors import FacebenchError
from ....reports.text.markdown import markdown_table
from ....reports.values.table import to_json
from ..detector import SPEC
from ..images import write_small
from ..table import Row
from ..tampered import flip, unfinished

_DAMAGED = "damaged"
_DEFAULT, _LIMITS = "default_detector.json", "limits.toml"
_ODD: tuple[Any, ...] = (None, "x", -1, 0.5, math.nan, math.inf, 10**400, True, [], {}, ["x"], {"x": "x"})
_Told = dict[str, Any]


def flips(scratch: Path, *, times: int = 2500, seed: int = 1) -> list[Row]:
    """Change one file after the other and read the folder.

    Args:
        scratch: an empty folder.
        times: how often each kind of file is changed.
        seed: of where.
    """
    random = default_rng(seed)
    whole = scratch / "whole"
    plan = Plan(load(f"folder:{write_small(scratch / 'pictures', 8)}"), resolve_all([SPEC, "haar"]))
    run(plan, whole)
    journal = unfinished(Path(shutil.copytree(whole, scratch / "unfinished")))
    shutil.copy(journal, whole / "journal.jsonl")
    setting = Setting(SPEC, 0.5)
    write_pick({"schema": "facebench.default", "schema_version": 3, "setting": setting.to_json()}, whole / _DEFAULT)
    (whole / _LIMITS).write_text("[default]\nmax_ap_loss = 0.01\nmax_slowdown = 1.1\n", encoding="utf-8")
    rows = [
        _flips(whole, file, read, times, random)
        for file, read in (
            (journal_file(whole), _tell_journal),
            *((file, _tell_run) for file in _files_of_the_run(whole)),
            (whole / _DEFAULT, _tell_default),
            (whole / _LIMITS, _tell_limits),
        )
    ]
    readers = {"run.json": _tell_all, "previews.json": _tell_run, _DEFAULT: _tell_default}
    rows += [_odd_values(next(whole.rglob(name)), whole, read, times, random) for name, read in readers.items()]
    return rows


def journal_file(folder: Path) -> Path:
    """Return the journal of the trial."""
    return folder / "journal.jsonl"


def _files_of_the_run(whole: Path) -> Iterator[Path]:
    yield whole / "run.json"
    yield whole / "previews" / "previews.json"
    for pattern in ("pictures.parquet", "faces.parquet", "detections.parquet", "timings.parquet", "*.jpg"):
        yield sorted(whole.rglob(pattern))[0]


def _tell_run(folder: Path) -> _Told:
    """Read everything that a table or a report is made of."""
    opened = RunFolder.open(folder)
    told: _Told = {"document": opened.document.to_json() | {"cells": ()}}
    told["images"], told["faces"] = opened.images(), opened.faces()
    for number, cell in enumerate(opened.cells):
        told[f"cell {number}"] = [_DAMAGED, cell.reason]
        if cell.done:
            told[f"cell {number}"] = [cell.to_json(), opened.detections(cell), opened.timings(cell)]
    told["previews"] = [(preview, read_preview(opened, preview)) for preview in read_previews(opened)]
    return told


def _tell_all(folder: Path) -> _Told:
    told = _tell_run(folder)
    summary = summarise_run(RunFolder.open(folder), Resampling(draws=5))
    return told | {"text": markdown_table(summary), "json": json.dumps(to_json(summary))}


def _tell_journal(folder: Path) -> _Told:
    journal = Journal(journal_file(folder))
    try:
        content = journal.open()
    finally:
        journal.close()
    records = [
        (
            one.image_id,
            one.pixels,
            repr((one.detect_ms, one.cpu_ms, one.stages_ms, one.queued_ms)),
            _bytes(one.detections),
        )
        for one in content.records.values()
    ]
    told = content.repeats, content.skipped, content.deaths, content.starts, content.peak_rss_mb
    return {"records": records, "rest": repr(told)}


def _bytes(detections: Any) -> list[bytes]:
    arrays = (detections.boxes, detections.scores, detections.landmarks)
    return [b"" if array is None else array.tobytes() for array in arrays]


def _tell_default(folder: Path) -> _Told:
    return {"setting": default_setting(folder / _DEFAULT)}


def _tell_limits(folder: Path) -> _Told:
    return {"limits": read_limits(folder / _LIMITS)}


def _flips(whole: Path, file: Path, read: Callable[[Path], _Told], times: int, random: Generator) -> Row:
    began, faults, seen = time.perf_counter(), list[str](), Counter[str]()
    content, expected = file.read_bytes(), read(whole)
    by_hand = file.name in (_DEFAULT, _LIMITS)
    for number in range(times):
        changed = flip(content, random)
        file.write_bytes(changed)
        place = next(n for n, (a, b) in enumerate(zip(content, changed, strict=True)) if a != b)
        try:
            told = read(whole)
        except FacebenchError as error:
            seen["refused"] += 1
            if file.name not in str(error):
                faults.append(f"flip {number} at byte {place}: the message does not name it: {error}")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            seen["traceback"] += 1
            faults.append(f"flip {number} at byte {place}: {type(error).__name__}: {error}")
        else:
            what = _difference(expected, told, file.name, torn=place == len(content) - 1)
            what = "read as a person's change" if by_hand and what == "believed" else what
            seen[what] += 1
            if what == "believed":
                faults.append(f"flip {number} of bit {content[place] ^ changed[place]:#x} at byte {place}: believed")
    file.write_bytes(content)
    order = (
        "refused",
        "its cell damaged",
        "harmless",
        "torn last line",
        "read as a person's change",
        "believed",
        "traceback",
    )
    words = ", ".join(f"{name} {seen[name]}" for name in order if seen[name] or name in ("believed", "traceback"))
    words = words.replace(", believed 0", "") if by_hand else words
    return Row(f"one bit of {_kind(file)} flipped", times, words, tuple(faults), time.perf_counter() - began)


def _kind(file: Path) -> str:
    return "a preview" if file.suffix == ".jpg" else file.name


def _difference(expected: _Told, told: _Told, name: str, *, torn: bool) -> str:
    changed = {part for part in expected if not _same(expected[part], told.get(part))}
    if not changed:
        return "harmless"
    if torn and name == "journal.jsonl":
        return "torn last line"
    damaged = {part for part in changed if part.startswith("cell ") and told[part][0] == _DAMAGED}
    named = all(name in told[part][1] for part in damaged)
    return "its cell damaged" if changed == damaged and named else "believed"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, pd.DataFrame):
        return isinstance(b, pd.DataFrame) and a.equals(b) and list(a.columns) == list(b.columns)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(*pair) for pair in zip(a, b, strict=True))
    return bool(a == b)


def _odd_values(file: Path, whole: Path, read: Callable[[Path], _Told], times: int, random: Generator) -> Row:
    """Remove each key and each element, or put nonsense in its place, in a document without checksums."""
    began, faults, seen = time.perf_counter(), list[str](), Counter[str]()
    content = file.read_bytes()
    document = _without_checksums(json.loads(content))
    places = list(_places(document))
    changes = [(place, value) for place in places for value in (..., *_ODD)]
    removals = len(places)
    if len(changes) > times:
        changes = [changes[n] for n in sorted(random.choice(len(changes), times, replace=False))]
        removals = sum(value is ... for _, value in changes)
    for place, value in changes:
        file.write_text(json.dumps(_changed(document, place, value)), encoding="utf-8")
        try:
            told = read(whole)
        except FacebenchError:
            seen["refused"] += 1
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            seen["traceback"] += 1
            faults.append(f"{'.'.join(map(str, place))} {value!r:.20}: {type(error).__name__}: {error}")
        else:
            damaged = any(isinstance(one, list) and one[:1] == [_DAMAGED] for one in told.values())
            seen["its cell damaged" if damaged else "read"] += 1
    file.write_bytes(content)
    order = ("refused", "its cell damaged", "read", "traceback")
    return Row(
        f"{file.name} of before: a key removed ({removals}) or given nonsense",
        len(changes),
        ", ".join(f"{name} {seen[name]}" for name in order if seen[name] or name == "traceback"),
        tuple(faults),
        time.perf_counter() - began,
    )


def _without_checksums(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_checksums(one) for name, one in value.items() if name != "crc32"}
    return [_without_checksums(one) for one in value] if isinstance(value, list) else value


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*way, name)
        yield from _places(one, (*way, name))


def _changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = inner = copy.deepcopy(document)
    for step in place[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed

"""Files changed behind facebench's back: a model, the files of a run, predictions.

Promised: never a traceback; what is damaged is named and is not used. Single flipped bits are the matter of `flips`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from ...benchmarks.store.run_folder import RunFolder
from .command import Ended, run
from .detector import SPEC
from .images import write_small
from .inspection import faults_of_result
from .table import Row

MODEL = "yunet"
_ZIP_HEADER = 30
DATA_SET, DATA_FILE = "wider-face:val", "WIDER_val.zip"
_DAMAGED_JOURNAL = "journal-damaged-1.jsonl"

_Damage = Callable[[bytes, Generator], bytes | None]


def _cut(data: bytes, random: Generator) -> bytes:
    return data[: int(random.integers(1, len(data)))]


def flip(data: bytes, random: Generator) -> bytes:
    """Flip one bit."""
    place, bit = int(random.integers(len(data))), int(random.integers(8))
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def _without(key: str) -> _Damage:
    def remove(data: bytes, random: Generator) -> bytes:
        document = json.loads(data)
        del document[key]
        return json.dumps(document).encode()

    return remove


def _set(key: str, value: object) -> _Damage:
    return lambda data, random: json.dumps({**json.loads(data), key: value}).encode()


_RUN_JSON: Mapping[str, _Damage] = {
    "cut": _cut,
    "of another schema": _set("schema", "other"),
    "of a later version": _set("schema_version", 99),
    "without its cells": _without("cells"),
    "without its data set": _without("dataset"),
    "with a list of cells that is text": _set("cells", "none"),
    "emptied": lambda data, random: b"",
}
_TABLE: Mapping[str, _Damage] = {"cut": _cut, "one bit flipped": flip, "removed": lambda data, random: None}
_READERS = ("table", "report", "pick", "export", "compare", "run")


def tampered(scratch: Path, *, times: int = 40, seed: int = 1) -> list[Row]:
    """Damage one file after the other and use it.

    Args:
        scratch: an empty folder.
        times: how often each table is damaged. run.json is damaged once in each way for each verb that reads it; for
            one verb where this is below 6.
        seed: of where.
    """
    random = np.random.default_rng(seed)
    data = write_small(scratch / "pictures", 8)
    whole = scratch / "whole"
    run(_run(data, whole))
    rows = [_model(scratch)]
    verbs = [_READERS if times >= len(_READERS) else (_READERS[n % len(_READERS)],) for n in range(len(_RUN_JSON))]
    rows += [
        _run_json(scratch, data, whole, name, damage, some, random)
        for (name, damage), some in zip(_RUN_JSON.items(), verbs, strict=True)
    ]
    for file in ("detections.parquet", "timings.parquet", "pictures.parquet", "faces.parquet"):
        rows.append(_table(scratch, data, whole, file, times, random))
    rows += [_resumed(scratch, data, whole, random), _predictions(scratch, data, whole, times, random)]
    rows += [_archive_at_hand(scratch, random), _archive_in_use(scratch, data, random)]
    return rows


def _run(data: Path, out: Path) -> list[str]:
    return ["run", "--dataset", f"folder:{data}", "--detectors", SPEC, "--out", str(out)]


def _reader(verb: str, folder: Path, data: Path, whole: Path) -> list[str]:
    other = folder.with_name("written")
    return {
        "table": ["table", str(folder), "--json"],
        "report": ["report", str(folder), "-o", str(other / "report.html")],
        "pick": ["pick", str(folder), "--demo", "--accept-noise", "-o", str(other / "pick.json")],
        "export": ["export", str(folder), "--format", "jsonl", "--force", "-o", str(other / "found.jsonl")],
        "compare": ["compare", str(whole), str(folder), "--json"],
        "run": _run(data, folder),
    }[verb]


def _copy(whole: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    folder.with_name("written").mkdir(exist_ok=True)
    return folder


def _model(scratch: Path) -> Row:
    """Flip a byte of a model in the cache, with no other copy and no network; then ask for it."""
    from ...detectors.models import store as model_store

    began, file = time.perf_counter(), model_store.model_file(MODEL)
    source = model_store.locate(file)
    done = f"one byte of the cached model of `{MODEL}` flipped: models fetch, run"
    if source is None:
        return Row(done, 0, f"not tried: facebench models fetch {MODEL} fetches it", (), 0.0)
    data, cache = source.read_bytes(), scratch / "cache"
    (cache / "models").mkdir(parents=True)
    environment = {"FACEBENCH_CACHE": str(cache), "FACEBENCH_MODELS": "", "FACEBENCH_OFFLINE": "1"}
    faults, codes = list[str](), Counter[int]()
    for place in (0, len(data) // 2, len(data) - 1):
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        (cache / "models" / file.file_name).write_bytes(flipped)
        hashes = {file.sha256, hashlib.sha256(flipped).hexdigest()}
        out = scratch / f"model-{place}"
        measure = ["run", "--dataset", "scenes?count=2", "--detectors", MODEL, "--out", str(out)]
        for arguments in (["models", "fetch", MODEL], measure):
            ended = run(arguments, environment=environment)
            if arguments is not measure:
                codes[ended.code] += 1
            if arguments is not measure and ended.refusal:
                faults.append(f"byte {place}: {ended.refusal}")
            if not hashes <= set(re.findall(r"\b[0-9a-f]{64}\b", ended.err)):
                faults.append(f"byte {place}: {arguments[0]} does not name the hash got and the one expected")
            if "Traceback" in ended.err:
                faults.append(f"byte {place}: a traceback from {arguments[0]}")
        if any(out.rglob("detections.parquet")):
            faults.append(f"byte {place}: it was used")
    seen = (
        f"models fetch: {_codes(codes)}; neither used it nor failed to name the hash got and the one expected: "
        f"{3 - len({fault.partition(':')[0] for fault in faults})}"
    )
    return Row(done, 3, seen, tuple(faults), time.perf_counter() - began)


def _run_json(
    scratch: Path,
    data: Path,
    whole: Path,
    name: str,
    damage: _Damage,
    verbs: Sequence[str],
    random: Generator,
) -> Row:
    began, faults, codes = time.perf_counter(), list[str](), Counter[int]()
    for verb in verbs:
        folder = _copy(whole, scratch / "damaged")
        changed = damage((folder / "run.json").read_bytes(), random)
        assert changed is not None
        (folder / "run.json").write_bytes(changed)
        ended = run(_reader(verb, folder, data, whole))
        codes[ended.code] += 1
        faults += [f"{verb}: {fault}" for fault in _faults_of_refusal(ended, "run.json")]
    seen = f"{_codes(codes)}; refused in one message that names run.json: {len(verbs) - len(faults)}"
    return Row(f"run.json {name}: {', '.join(verbs)}", len(verbs), seen, tuple(faults), time.perf_counter() - began)


def _table(scratch: Path, data: Path, whole: Path, file: str, times: int, random: Generator) -> Row:
    """Damage a table; read it here, and let one verb a kind of damage read it."""
    from ...errors import FacebenchError

    began, faults, refused, harmless, other = time.perf_counter(), list[str](), 0, 0, 0
    source = next(whole.rglob(file))
    read = {
        "detections.parquet": lambda one: one.detections(one.cells[0]),
        "timings.parquet": lambda one: one.timings(one.cells[0]),
        "pictures.parquet": RunFolder.images,
        "faces.parquet": RunFolder.faces,
    }[file]
    expected = read(RunFolder.open(whole))
    folder = _copy(whole, scratch / "damaged")
    place = folder / source.relative_to(whole)
    for number in range(times):
        name = list(_TABLE)[number % 2]
        place.write_bytes(_TABLE[name](source.read_bytes(), random) or b"")
        try:
            table = read(RunFolder.open(folder))
        except FacebenchError as error:
            refused += 1
            if file not in str(error):
                faults.append(f"{name}: the message does not name it: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            faults.append(f"{name}: {type(error).__name__}: {error}")
        else:
            harmless += table.equals(expected)
            other += not table.equals(expected)
            if not table.equals(expected):
                faults.append(f"{name}: read as another table")
    codes = Counter[int]()
    for name, damage in _TABLE.items():
        changed = damage(source.read_bytes(), random) if name != "one bit flipped" else b"PAR1" + bytes(64)
        place.unlink(missing_ok=True)
        if changed is not None:
            place.write_bytes(changed)
        ended = run(_reader("table", folder, data, whole))
        codes[ended.code] += 1
        faults += [f"table, {name}: {fault}" for fault in _faults_of_refusal(ended, file)]
    seen = f"refused {refused}, read as it was {harmless}, read as another table {other}"
    return Row(
        f"{file} cut or one bit flipped",
        times,
        f"{seen}; `table`: {_codes(codes)}",
        tuple(faults),
        time.perf_counter() - began,
    )


def _resumed(scratch: Path, data: Path, whole: Path, random: Generator) -> Row:
    """Damage a line inside a journal, and its last one, and run again."""
    began, faults, codes = time.perf_counter(), list[str](), Counter[int]()
    for inside in (True, False):
        folder = _copy(whole, scratch / "damaged")
        journal = unfinished(folder)
        lines = journal.read_bytes().splitlines(keepends=True)
        if inside:
            lines[1] = lines[1][: len(lines[1]) // 2] + b"\n"
        else:
            lines[-1] = lines[-1][: len(lines[-1]) // 2]
        journal.write_bytes(b"".join(lines))
        ended = run(_run(data, folder))
        codes[ended.code] += 1
        if inside:
            kept = [path.read_bytes() for path in folder.rglob("journal-damaged-*.jsonl")]
            if kept != [b"".join(lines)] or _DAMAGED_JOURNAL not in ended.err:
                faults.append(f"inside: not kept, or not said: {ended.err.strip()[-200:]}")
        found = faults_of_result(folder, whole, kept=[_DAMAGED_JOURNAL] if inside else [])
        faults += [f"{'inside' if inside else 'last line'}: {fault}" for fault in found]
    return Row(
        "a line of a journal cut, inside and at its end, `run`",
        2,
        f"{_codes(codes)}; {2 - min(2, len(faults))} as promised: kept aside and its cell measured again",
        tuple(faults),
        time.perf_counter() - began,
    )


def unfinished(folder: Path) -> Path:
    """Turn a finished run back into one that was killed before its tables; return its journal."""
    from ...benchmarks.store.journal import Journal

    run_folder = RunFolder.open(folder)
    cell = run_folder.cells[0]
    content = run_folder.content(cell)
    path = run_folder.cell_path(cell) / "journal.jsonl"
    journal = Journal(path)
    journal.open()
    for call in content.repeats:
        record = content.records[call.image_id]
        timed = replace(
            record, detect_ms=call.detect_ms, cpu_ms=call.cpu_ms, stages_ms=call.stages_ms, queued_ms=call.queued_ms
        )
        journal.image(timed, 1.0)
    journal.close()
    run_folder.put_cell(replace(cell, status="running", rounds=0))
    return path


def _predictions(scratch: Path, data: Path, whole: Path, times: int, random: Generator) -> Row:
    """Damage a file of predictions: either it is refused with one message, or what is left of it is valid."""
    began, faults, codes = time.perf_counter(), list[str](), Counter[int]()
    file = scratch / "found.jsonl"
    run(["export", str(whole), "--format", "jsonl", "-o", str(file)])
    content = file.read_bytes()
    tries = max(1, times // 4)
    for number in range(tries):
        file.write_bytes((_cut, flip)[number % 2](content, random))
        ended = run(["score", str(file), "--dataset", f"folder:{data}", "--json"])
        codes[ended.code] += 1
        if ended.code != 0 and ended.refusal:
            faults.append(ended.refusal)
    return Row(
        "a file of predictions cut or one bit flipped, `score`",
        tries,
        f"{_codes(codes)}; tracebacks: {sum('traceback' in fault for fault in faults)}",
        tuple(faults),
        time.perf_counter() - began,
    )


def _archive_at_hand(scratch: Path, random: Generator) -> Row:
    """Offer other bytes under the name of a published archive: no zip, one of another size, and one of its size."""
    from ...datasets.fetch.catalog import entry

    began, faults, codes = time.perf_counter(), list[str](), Counter[int]()
    published = next(file for file in entry(DATA_SET).files if file.name == DATA_FILE)
    at_hand, size = scratch / published.name, published.bytes or 1000
    for data, size_now, words in (
        (random.bytes(1000), 1000, "not an archive"),
        (b"PK\x03\x04" + random.bytes(996), 1000, f"1,000 bytes, expected {size:,}"),
        (b"PK\x03\x04" + random.bytes(996), size, published.hashes["sha256"]),
    ):
        at_hand.write_bytes(data)
        os.truncate(at_hand, size_now)
        root = scratch / f"data-{len(codes)}-{size_now}"
        ended = run(
            ["data", "fetch", DATA_SET, "--from", str(at_hand), "--data", str(root), "--accept-terms"],
            environment={"FACEBENCH_OFFLINE": "1"},
        )
        codes[ended.code] += 1
        found = _faults_of_refusal(ended, DATA_FILE)
        if words not in ended.err:
            found.append(f"does not say {words!r}: {ended.err.strip()[:200]}")
        with at_hand.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if size_now == size and digest not in ended.err:
            found.append("does not name the hash that it got")
        if any(root.rglob(published.folder)):
            found.append("it was unpacked")
        faults += found
    at_hand.unlink()
    seen = f"{_codes(codes)}; refused with size or hash, got and published: {3 - min(3, len(faults))}"
    return Row(
        f"other bytes under the name {DATA_FILE}, `data fetch`", 3, seen, tuple(faults), time.perf_counter() - began
    )


def _archive_in_use(scratch: Path, data: Path, random: Generator) -> Row:
    """Flip a bit of an image inside a zip that is read in place, stored and deflated."""
    began, faults, codes = time.perf_counter(), list[str](), Counter[int]()
    archive, name = scratch / "pictures.zip", "picture-003.png"
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(archive, "w", compression) as packed:
            for file in sorted(data.iterdir()):
                packed.write(file, file.name)
            member = packed.getinfo(name)
        content = bytearray(archive.read_bytes())
        first = member.header_offset + _ZIP_HEADER + len(name)
        content[first + int(random.integers(member.compress_size))] ^= 1 << int(random.integers(8))
        archive.write_bytes(content)
        out = scratch / f"zip-{compression}"
        ended = run(["run", "--dataset", f"folder:{archive}", "--detectors", SPEC, "--out", str(out)])
        codes[ended.code] += 1
        faults += _faults_of_refusal(ended, name)
    seen = f"{_codes(codes)}; refused in one message that names the image: {2 - min(2, len(faults))}"
    return Row("one bit of an image in a zip flipped, `run`", 2, seen, tuple(faults), time.perf_counter() - began)


def _faults_of_refusal(ended: Ended, file: str) -> list[str]:
    if ended.refusal:
        return [ended.refusal]
    return [] if file in ended.err else [f"the message does not name {file}: {ended.err.strip()[-200:]}"]


def _codes(codes: Counter[int]) -> str:
    return ", ".join(f"exit {code}: {count}" for code, count in sorted(codes.items()))

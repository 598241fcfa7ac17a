"""What crosses the border of a run folder is checked: changed lines and cells, links, pipes, absurd numbers, locks."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.compare.runs import compare_runs
from facebench.benchmarks.exchange.export import find_cell
from facebench.benchmarks.measure.previews import read_preview, read_previews, write_previews
from facebench.benchmarks.store.documents import is_whole, json_text, read_document, sealed
from facebench.benchmarks.store.inside import read_inside
from facebench.benchmarks.store.journal import ImageRecord, Journal, Repeat
from facebench.benchmarks.store.locking import lock
from facebench.benchmarks.store.records import Start
from facebench.benchmarks.store.run_folder import RunFolder, write_atomically
from facebench.detectors import Detections
from facebench.errors import ContractError, FacebenchError, ResultsError, RunLockedError
from facebench.tests.support import runs
from facebench.tests.support.records import THRESHOLDS, without_checksums

FOUND = Detections.from_arrays([[1, 2, 30, 40], [5, 5, 9, 9]], [0.9, 0.5], np.ones((2, 5, 2)))


def journal_of(path: Path) -> Journal:
    """Write one line of each kind."""
    journal = Journal(path)
    journal.open()
    journal.start(Start(**THRESHOLDS, spawn_s=0.25, threads_put_back={"cv2": (8, 1)}))
    journal.image(ImageRecord("a.jpg", FOUND, 12.5, 100, 11.0, (1.0, 9.0, 2.5), 0.125), 99.5, 12.0)
    journal.repeat(Repeat(1, "a.jpg", 13.5, 12.0, None, 2, same=True))
    journal.death("b.jpg", "SIGABRT")
    journal.skipped("b.jpg", "raised")
    journal.close()
    return journal


def as_before(line: bytes) -> bytes:
    """A line without its checksum."""
    return line[: line.index(b', "crc32"')] + b"}\n"


def told(journal: Journal) -> str:
    content = journal.open()
    journal.close()
    records = {
        name: (one.detections.records(), replace(one, detections=FOUND)) for name, one in content.records.items()
    }
    return repr((records, content.repeats, content.skipped, content.deaths, content.starts, content.peak_rss_mb))


def test_no_flipped_bit_of_a_journal_is_believed(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = journal_of(path)
    whole, expected = path.read_bytes(), told(journal)
    bits = np.random.default_rng(1).permutation(len(whole) * 8)[:500]
    for place, bit in zip(*np.divmod(bits, 8), strict=True):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(bit)]) + whole[place + 1 :])
        if place == len(whole) - 1:
            continue  # a torn last line, which is cut off
        try:
            assert told(journal) == expected
        except ResultsError as error:
            line = whole[:place].count(b"\n") + 1
            assert f"journal.jsonl is damaged in line {line}: " in str(error)
    path.write_bytes(whole)
    assert told(journal) == expected


def test_a_journal_of_before_is_read_and_goes_on_with_checksums(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = journal_of(path)
    expected, lines = told(journal), path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(map(as_before, lines)))
    assert told(journal) == expected
    journal.open()
    journal.skipped("c.jpg", "raised")
    journal.close()
    assert path.read_bytes().splitlines()[-1].endswith(b'"}') and b"crc32" in path.read_bytes()
    path.write_bytes(path.read_bytes() + as_before(lines[-1]))
    with pytest.raises(ResultsError, match="damaged in line 7: it has no checksum, and lines before it have one"):
        journal.open()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"picture"', '"pictur"'),
        ('"a.jpg"', "7"),
        ("12.5", "-1"),
        ("12.5", "1e300"),
        ("12.5", '"12"'),
        ("12.5", "1" * 5000),
        ("[1.0, 9.0, 2.5]", "[1.0, 9.0]"),
        ("[1.0, 9.0, 2.5]", "3"),
        ('"pixels": 100', '"pixels": -100'),
        ('"pixels": 100, ', ""),
        ('"peak_rss_mb": 99.5', '"peak_rss_mb": NaN'),
        ('"peak_rss_mb": 99.5', '"peak_rss_mb": []'),
        ('"boxes": "', '"boxes": "?'),
        ('"boxes": "', '"boxes": "AAAA'),
        ('"device_memory_mb"', '"device_memory_mb": ' + "[" * 3000 + "]" * 3000 + ', "x"'),
    ],
)
@pytest.mark.parametrize("indexed", [False, True])
def test_a_line_of_before_that_says_nonsense_is_refused(tmp_path, old, new, indexed):
    path = tmp_path / "journal.jsonl"
    journal = journal_of(path)
    line = as_before(path.read_bytes().splitlines(keepends=True)[1]).decode()
    assert old in line
    path.write_text(line.replace(old, new, 1))
    with closing(journal), pytest.raises(ResultsError, match=r"journal\.jsonl is damaged"):
        if indexed:
            _, places = journal.open_index()
            list(journal.read(places.values()))
        else:
            journal.open()


@pytest.mark.parametrize("value", [math.inf, -1.0, 1e9, "1", None, np.float32(1), True])
def test_an_absurd_time_is_not_written(value):
    with pytest.raises(ContractError, match=r"expected milliseconds from 0 to 8\.64e\+07"):
        ImageRecord("a", FOUND, value, 100)
    with pytest.raises(ContractError):
        Repeat(1, "a", 1.0, value, None, 2, same=True)


@pytest.mark.parametrize("name", ["operating_threshold", "score_floor", "timed_from", "load_s"])
@pytest.mark.parametrize("value", [math.nan, math.inf, "0.5"])
def test_a_start_without_a_threshold_is_not_written(name, value):
    with pytest.raises(ContractError, match=name):
        Start(**THRESHOLDS | {name: value})


@pytest.fixture
def folder(tmp_path):
    run = runs.make_run(tmp_path / "run")
    runs.add_cell(run, "exact", runs.EXACT)
    runs.add_cell(run, "poor", runs.POOR)
    write_previews(run, runs.image)
    return run


def changed(folder: RunFolder, change, *, before: bool) -> None:
    """Change the second cell in run.json, behind its checksum or, as of before, without one."""
    document = json.loads((folder.path / "run.json").read_text())
    change(document["cells"][1])
    (folder.path / "run.json").write_text(json.dumps(without_checksums(document) if before else document))


def nan_threshold(cell) -> None:
    cell["start"]["operating_threshold"] = math.nan


CHANGES = {
    "threshold nan": (nan_threshold, r"cells\[1\]\.start\.operating_threshold: got nan"),
    "threshold infinite": (lambda cell: cell.update(threshold=math.inf), r"cells\[1\]\.threshold: got inf"),
    "own threshold nan": (lambda cell: cell.update(threshold=math.nan), r"cells\[1\]\.threshold: got nan"),
    "negative time": (lambda cell: cell["start"].update(load_s=-1.0), r"cells\[1\]\.start: got load_s -1\.0"),
    "outside": (lambda cell: cell.update(folder="../.."), r"cells\[1\]: folder: got '\.\./\.\.'"),
    "absolute": (lambda cell: cell.update(folder="/etc"), r"cells\[1\]: folder: got '/etc'"),
    "threads": (lambda cell: cell.update(threads=-1), r"cells\[1\]: got threads -1"),
    "digits": (lambda cell: cell.update(threads=10**400), r"cells\[1\]\.threads: got 1000"),
    "digits of a number": (lambda cell: cell.update(peak_rss_mb=10**400), r"cells\[1\]\.peak_rss_mb: got 1000"),
    "no object": (lambda cell: cell.update(info=3), r"cells\[1\]\.info: got 3, expected an object"),
}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_a_damaged_cell_is_shown_and_the_others_are_used(folder, change, words, before):
    changed(folder, change, before=before)
    opened = RunFolder.open(folder.path)
    assert [cell.status for cell in opened.cells] == ["done", "damaged"]
    summary = summarise_run(opened)
    assert [(row.cell.spec, row.done) for row in summary.rows] == [("exact", True), ("poor", False)]
    assert re.search(words, summary.rows[1].cell.reason), summary.rows[1].cell.reason


def test_a_changed_number_of_a_cell_or_of_the_run_is_seen(folder):
    changed(folder, lambda cell: cell["start"].update(score_floor=0.03), before=False)
    assert "its checksum is another one" in RunFolder.open(folder.path).cells[1].reason
    document = json.loads((folder.path / "run.json").read_text())
    document["environment"]["memory_gb"] += 1
    (folder.path / "run.json").write_text(json.dumps(document))
    with pytest.raises(ResultsError, match=r"run\.json is damaged: it was changed after it was written"):
        RunFolder.open(folder.path)


def read_whole(folder: Path) -> list[object]:
    """What a table is made of; of a damaged cell why."""
    run = RunFolder.open(folder)
    cells = [
        [cell.to_json(), run.detections(cell).to_json(), run.timings(cell).to_json()] if cell.done else cell.reason
        for cell in run.cells
    ]
    return [run.document.dataset, run.document.environment, run.images().to_json(), run.faces().to_json(), *cells]


@pytest.mark.parametrize("name", ["run.json", "pictures.parquet", "cells/cell-1/detections.parquet"])
def test_no_flipped_bit_of_a_run_is_believed(folder, name):
    path = folder.path / name
    whole, expected, random = path.read_bytes(), read_whole(folder.path), np.random.default_rng(2)
    refused = 0
    for place in random.integers(0, len(whole), 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(random.integers(8))]) + whole[place + 1 :])
        try:
            read = read_whole(folder.path)
        except ResultsError as error:
            refused += 1
            assert path.name in str(error)
            continue
        changed = [(before, now) for before, now in zip(expected, read, strict=True) if before != now]
        assert all(isinstance(now, str) and path.name in now for _, now in changed)
        refused += bool(changed)
    assert refused >= 50, "what is left is space and the name of a checksum"


def every_place(value: object, way: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*way, name)
        yield from every_place(one, (*way, name))


def test_no_key_that_is_missing_from_run_json_is_a_traceback(folder):
    document = without_checksums(json.loads((folder.path / "run.json").read_text()))
    places = list(every_place(document))
    for *way, last in places:
        changed = inner = copy.deepcopy(document)
        for step in way:
            inner = inner[step]
        del inner[last]
        (folder.path / "run.json").write_text(json.dumps(changed))
        with suppress(ResultsError):
            read_whole(folder.path)
    assert len(places) > 100


@pytest.mark.parametrize("damage", [b"PAR1 not really", None])
def test_a_damaged_table_costs_its_cell(folder, damage):
    table = folder.path / "cells" / folder.cells[1].folder / "detections.parquet"
    table.unlink() if damage is None else table.write_bytes(damage)
    opened = RunFolder.open(folder.path)
    assert [cell.status for cell in opened.cells] == ["done", "damaged"]
    assert "detections.parquet" in opened.cells[1].reason
    with pytest.raises(ResultsError, match=r"detections\.parquet"):
        find_cell(opened, "poor")
    assert [row.done for row in summarise_run(opened).rows] == [True, False]
    found = compare_runs(opened, opened)
    assert [cell.head.status for cell in found.cells] == ["done", "damaged"]
    opened.save()
    assert [cell.status for cell in opened.document.cells] == ["done", "done"], "it may be readable later"
    opened.put_cell(opened.document.cells[1])
    assert [cell.status for cell in opened.cells] == ["done", "done"], "it was measured again"


def test_a_run_without_a_readable_cell_is_refused(folder):
    for cell in folder.cells:
        (folder.path / "cells" / cell.folder / "detections.parquet").unlink()
    with pytest.raises(ResultsError, match=r"detections\.parquet is missing"):
        summarise_run(RunFolder.open(folder.path))


@pytest.mark.parametrize("column", ["score", "x1", "detect_ms"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_table_of_absurd_numbers_is_refused(folder, column, value):
    cell = folder.cells[1]
    for name, table in (("detections", folder.detections(cell)), ("timings", folder.timings(cell))):
        if column in table:
            table.loc[0, column] = value
            table.to_parquet(folder.path / "cells" / cell.folder / f"{name}.parquet")
    assert "parquet: got" in RunFolder.open(folder.path).cells[1].reason


def test_nothing_outside_the_folder_is_read(folder, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (folder.path / "link").symlink_to(tmp_path / "secret")
    (folder.path / "up").symlink_to(tmp_path)
    os.mkfifo(folder.path / "pipe")
    for name in ("link", "up/secret", "../secret", str(tmp_path / "secret"), "pipe", "cells", "a\0b"):
        with pytest.raises(ResultsError):
            read_inside(folder.path, name)
    with pytest.raises(FileNotFoundError):
        read_inside(folder.path, "none")
    (tmp_path / "alias").symlink_to(folder.path)
    assert read_inside(tmp_path / "alias", "run.json") == (folder.path / "run.json").read_bytes()
    with pytest.raises(ResultsError, match="larger than 3 bytes"):
        read_inside(folder.path, "run.json", 3)


@pytest.mark.parametrize("damage", ["link", "text", "another", "flipped"])
def test_a_preview_is_the_image_that_was_written(folder, tmp_path, damage):
    first, second = read_previews(folder)[:2]
    file = folder.path / "previews" / first.file
    whole = file.read_bytes()
    file.unlink()
    if damage == "link":
        (tmp_path / "secret").write_bytes(whole)
        file.symlink_to(tmp_path / "secret")
    elif damage == "text":
        file.write_text("root:x:0:0")
    elif damage == "another":
        file.write_bytes((folder.path / "previews" / second.file).read_bytes())
    else:
        file.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    with pytest.raises(ResultsError, match=first.file):
        read_preview(folder, first)
    # of before, without a checksum, the size and the format are checked
    if damage != "flipped":
        with pytest.raises(ResultsError, match=first.file):
            read_preview(folder, replace(first, crc32=""))


def test_a_document_is_sealed_and_may_be_laid_out_again(tmp_path):
    path = tmp_path / "x.json"
    plain = {"schema": "x", "schema_version": 1, "ä": [1.5, None, {"b": math.nan}], "apart": 3}
    path.write_text(json.dumps(json.loads(json_text(sealed(plain))), indent=7, ensure_ascii=False), encoding="utf-8")
    assert read_document(path, "x", 1, "")["ä"] == [1.5, None, {"b": None}]
    path.write_text(path.read_text(encoding="utf-8").replace("1.5", "2.5"), encoding="utf-8")
    with pytest.raises(ResultsError, match="checksum"):
        read_document(path, "x", 1, "")
    assert is_whole(sealed(plain, apart="apart") | {"apart": 4}, apart="apart")


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 100 + "]" * 100, "[" * 100_000, "\ud800", b"\xff", b"\0" * 9])
def test_json_that_no_reader_expects_is_one_error(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    with pytest.raises(ResultsError, match=r"x\.json"):
        read_document(path, "x", 1, "")


def test_a_temporary_name_cannot_be_known(tmp_path, monkeypatch):
    names = set()
    plain = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (names.add(self.name), plain(self, target))[1])
    for _ in range(20):
        write_atomically(tmp_path / "x", b"")
    assert len(names) == 20
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")
    (tmp_path / f".x.0.{os.getpid()}.tmp").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match="cannot write"):
        write_atomically(tmp_path / "x", b"secret")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_a_removed_lock_lets_nobody_in(tmp_path):
    with lock(tmp_path):
        (tmp_path / ".lock").unlink()
        with pytest.raises(RunLockedError), lock(tmp_path):
            pass
    with lock(tmp_path):
        pass


@pytest.mark.parametrize("name", [".lock", "run.json", "cells", "previews", "stress/blur-1"])
def test_a_folder_with_links_is_not_written_into(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.jpg").touch()
    place = tmp_path / "run" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FacebenchError, match="is a link"), lock(tmp_path / "run"):
        pass
    assert [one.name for one in (tmp_path / "elsewhere").iterdir()] == ["mine.jpg"]

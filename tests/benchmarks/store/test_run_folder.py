"""What is written is whole or not there; what is read is checked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from facebench.benchmarks.store.journal import ImageRecord, Journal
from facebench.benchmarks.store.records import Start
from facebench.benchmarks.store.run_folder import RunFolder, write_atomically
from facebench.detectors import Detections
from facebench.errors import ResultsError, SchemaVersionError
from facebench.tests.support.records import document, plain_cell, stored


def record(name: str = "a.jpg", landmarks: bool = True, seed: int = 0) -> ImageRecord:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 100, (3, 2))
    boxes = np.hstack([corners, corners + random.uniform(1, 50, (3, 2))])
    points = random.uniform(0, 100, (3, 5, 2)) if landmarks else None
    return ImageRecord(name, Detections.from_arrays(boxes, random.uniform(0, 1, 3), points), 1.25, 100)


def test_a_journal_gives_back_every_bit(tmp_path):
    journal = Journal(tmp_path / "cell" / "journal.jsonl")
    journal.open()
    written = [record("a.jpg"), record("ü\n'\".jpg", landmarks=False, seed=1)]
    start = Start(spawn_s=0.5, operating_threshold=0.5, score_floor=0.1, threads_put_back={"cv2": (8, 1)})
    journal.start(start)
    for index, item in enumerate(written):
        journal.image(item, 100.0 + index)
    journal.death("c.jpg", "SIGABRT")
    journal.skipped("d.jpg", "raised")
    journal.close()
    content = journal.open()
    journal.close()
    for item in written:
        found = content.records[item.image_id].detections
        np.testing.assert_array_equal(found.boxes, item.detections.boxes)
        np.testing.assert_array_equal(found.scores, item.detections.scores)
        if item.detections.landmarks is None:
            assert found.landmarks is None
        else:
            np.testing.assert_array_equal(found.landmarks, item.detections.landmarks)
    assert content.starts == [start]
    assert content.deaths == {"c.jpg": ["SIGABRT"]} and content.skipped == {"d.jpg": "raised"}
    assert content.peak_rss_mb == 101.0


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_line_is_cut_off_and_the_journal_goes_on(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.open()
    journal.image(record("a.jpg"), 1)
    whole = path.read_bytes()
    journal.image(record("b.jpg"), 1)
    journal.close()
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    content = journal.open()
    assert list(content.records) == ["a.jpg"]
    journal.image(record("c.jpg"), 1)
    journal.close()
    assert list(journal.open().records) == ["a.jpg", "c.jpg"]
    journal.close()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_atomically(path, b"old")

    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(ResultsError, match=r"cannot write .*run\.json: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResultsError, match="cannot write"):
        RunFolder.create(tmp_path / "file" / "run", document())


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, ResultsError, "holds no run"),
        ("{ torn", ResultsError, "cannot read"),
        ("[]", ResultsError, "not a facebench run"),
        ('{"schema": "other"}', ResultsError, "not a facebench run"),
        (json.dumps({"schema": "facebench.run", "schema_version": 99}), SchemaVersionError, "version 99.*reads 2"),
        (json.dumps({"schema": "facebench.run"}), SchemaVersionError, "version None"),
    ],
)
def test_a_folder_that_is_no_run_says_so(tmp_path, content, error, words):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(error, match=words):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PAR1 not really", None])
def test_a_damaged_table_says_what_to_do(tmp_path, damage):
    run = RunFolder.create(tmp_path, document())
    cell = stored("x")
    run.write_cell(cell, [record()])
    assert len(run.detections(cell)) == 3
    file = run.cell_path(cell) / "detections.parquet"
    file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(ResultsError, match="run"):
        run.detections(cell)


def test_cells_without_detections_still_make_tables(tmp_path):
    run = RunFolder.create(tmp_path, document())
    cell = stored("x")
    run.write_cell(cell, [ImageRecord("a.jpg", Detections.empty(), 1.0, 10)])
    assert len(run.detections(cell)) == 0
    assert run.detections(cell).columns.tolist() == ["image_id", "x1", "y1", "x2", "y2", "score"]
    assert run.timings(cell)["detections"].tolist() == [0]


def test_a_cell_is_replaced_by_detector_device_and_threads(tmp_path):
    run = RunFolder.create(tmp_path, document())
    run.write_cell(stored("x"), [record()])
    for device, threads, status in [("cpu", 1, "running"), ("cuda", 1, "done"), ("cpu", 2, "done"), ("cpu", 1, "done")]:
        run.put_cell(stored("x", device=device, threads=threads, status=status))
    assert [(cell.device, cell.threads, cell.status) for cell in RunFolder.open(tmp_path).cells] == [
        ("cpu", 1, "done"),
        ("cuda", 1, "done"),
        ("cpu", 2, "done"),
    ]


@pytest.mark.parametrize(("named", "read"), [(["WIDER FACE"], ["WIDER FACE", "unknown"]), ([], ["unknown"])])
def test_a_card_of_before_says_nothing_of_its_weights(tmp_path, named, read):
    """It held one licence for code and weights, and an empty list could mean anything."""
    run = RunFolder.create(tmp_path, document())
    cells = [plain_cell(spec, info={"trained_on": named}) for spec in "ab"]
    del cells[0]["info"]["weights_licence"]
    run.write_cell(stored("a"), [record()])
    plain = json.loads((tmp_path / "run.json").read_text()) | {"cells": cells}
    (tmp_path / "run.json").write_text(json.dumps(plain))
    old, new = (cell.info for cell in RunFolder.open(run.path).cells)
    assert (old.weights_licence, old.trained_on) == ("unknown", tuple(read))
    assert (new.weights_licence, new.trained_on) == ("MIT", tuple(named))

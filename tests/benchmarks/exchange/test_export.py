"""Detections of a run in the formats of others, and back."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.exchange.as_run import store_predictions
from facebench.benchmarks.exchange.export import export, find_cell
from facebench.benchmarks.exchange.predictions import read_predictions
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.datasets import Dataset
from facebench.datasets.base import Faces, Sample
from facebench.errors import ResultsError, UsageError
from facebench.tests.support.runs import add_cell, make_run

NAMES = [f"{event}/{event}_{index}.jpg" for event in ("0--Parade", "1--Picnic") for index in range(6)]


def make_dataset(names: Sequence[str] = NAMES) -> Dataset:
    rng = np.random.default_rng(5)
    samples = []
    for name in names:
        corner, size = rng.uniform(0, 900, (4, 2)), rng.uniform(5, 90, (4, 2))
        boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        faces = Faces(boxes, np.array([0, 0, 0, 1], bool), {"hard": np.array([1, 0, 1, 0], np.int8)})
        samples.append(Sample(name, Path("absent") / name, faces))
    return Dataset("made-up", tuple(samples), len(samples), ("hard",), False, "", "none", "f" * 16)


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset()


def make_run_of(dataset: Dataset, path: Path) -> RunFolder:
    """A run whose detections are float32 near the faces, with sizes and scores of all magnitudes, and one silence."""
    rng = np.random.default_rng(6)
    lines = []
    for index, sample in enumerate(dataset.samples):
        boxes = np.repeat(sample.faces.boxes, 3, axis=0)
        boxes = boxes + rng.normal(0, 4, boxes.shape).astype(np.float32) * np.float32(index % 4)
        boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
        scores = np.exp(-rng.uniform(0, 30, len(boxes))).astype(np.float32)
        kept = slice(0, 0) if index == 3 else slice(None)
        found = {"image_id": sample.image_id, "boxes": boxes[kept].tolist(), "scores": scores[kept].tolist()}
        lines.append(json.dumps(found))
    file = path.with_name("made.jsonl")
    file.write_text("\n".join(lines))
    return store_predictions(read_predictions(file, dataset), dataset, path)


@pytest.fixture
def run(dataset, tmp_path) -> RunFolder:
    return make_run_of(dataset, tmp_path / "run")


def detections(folder: RunFolder) -> pd.DataFrame:
    return folder.detections(folder.cells[0])


@pytest.mark.parametrize(
    ("format", "name"), [("wider", "tree"), ("wider", "tree.zip"), ("coco", "r.json"), ("jsonl", "d.jsonl")]
)
def test_what_is_written_scores_exactly_the_same(format, name, run, dataset, tmp_path):
    written = export(run, run.cells[0], tmp_path / "out" / name, format)
    images = written[0] if format == "coco" else None
    found = read_predictions(tmp_path / "out" / name, dataset, images=images)
    again = store_predictions(found, dataset, tmp_path / "again")
    pd.testing.assert_frame_equal(detections(again), detections(run), check_exact=True)
    before, after = (summarise_run(folder).rows[0] for folder in (run, again))
    assert 0.1 < before.exact_ap("hard") < 1
    assert before.intervals == after.intervals
    assert found.missing == ()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)


def test_the_official_tree_as_text(run, tmp_path):
    export(run, run.cells[0], tmp_path / "tree", "wider")
    assert (tmp_path / "tree/0--Parade/0--Parade_3.txt").read_text() == "0--Parade_3\n0\n"
    lines = (tmp_path / "tree/0--Parade/0--Parade_0.txt").read_text().splitlines()
    assert lines[:2] == ["0--Parade_0", "12"]
    x, y, width, height, score = map(float, lines[2].split())
    first = detections(run).iloc[0]
    assert [x, y, x + width, y + height, score] == first[["x1", "y1", "x2", "y2", "score"]].tolist()
    export(run, run.cells[0], tmp_path / "tree.zip", "wider")
    with zipfile.ZipFile(tmp_path / "tree.zip") as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    assert texts == {str(p.relative_to(tmp_path / "tree")): p.read_bytes() for p in (tmp_path / "tree").rglob("*.txt")}
    export(run, run.cells[0], tmp_path / "again.zip", "wider")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "tree.zip").read_bytes()


def test_coco_ground_truth_holds_the_annotation(run, dataset, tmp_path):
    truth, results = export(run, run.cells[0], tmp_path / "r.json", "coco")
    assert truth.name == "r.ground_truth.json"
    document = json.loads(truth.read_text())
    assert [image["file_name"] for image in document["images"]] == NAMES
    assert document["categories"] == [{"id": 1, "name": "face"}]
    annotation = document["annotations"][3]
    x1, y1, x2, y2 = map(float, dataset.samples[0].faces.boxes[3])
    assert annotation["bbox"] == [x1, y1, x2 - x1, y2 - y1] and annotation["area"] == (x2 - x1) * (y2 - y1)
    assert (annotation["id"], annotation["image_id"], annotation["iscrowd"]) == (4, 1, 1)
    assert document["annotations"][0]["attributes"] == {"hard": 1}
    ids = {image["id"] for image in document["images"]}
    entries = json.loads(results.read_text())
    assert len(entries) == len(detections(run))
    assert {entry["image_id"] for entry in entries} == ids - {4}, "nothing was found in the fourth"


def test_images_that_could_not_be_decoded_are_left_out(tmp_path):
    run = make_run(tmp_path / "run", excluded=[("broken.jpg", "truncated", "half")])
    cell = add_cell(run, "haar", {"group.jpg": [((1, 2, 3, 4), 0.5)]})
    export(run, cell, tmp_path / "d.jsonl", "jsonl")
    lines = [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]
    assert [len(line["scores"]) for line in lines] == [1, 0, 0]
    assert "broken.jpg" not in {line["image_id"] for line in lines}
    truth, _ = export(run, cell, tmp_path / "c.json", "coco")
    assert json.loads(truth.read_text())["images"][0] == {
        "id": 1,
        "file_name": "group.jpg",
        "width": 200,
        "height": 100,
    }


@pytest.mark.parametrize(
    "name",
    [
        "../up.jpg",
        "a/../../up.jpg",
        "/etc/up.jpg",
        "a//up.jpg",
        "a\\..\\up.jpg",
        "C:/up.jpg",
        "a/b\n.jpg",
        "./x.jpg",
        "",
    ],
)
@pytest.mark.parametrize(("format", "output"), [("wider", "tree"), ("wider", "t.zip"), ("coco", "c"), ("jsonl", "l")])
def test_names_that_leave_the_folder_are_refused(format, output, name, tmp_path):
    run = make_run_of(make_dataset(["fine.jpg"]), tmp_path / "run")
    for file in ("pictures", "faces"):
        table = pd.read_parquet(run.path / f"{file}.parquet").assign(image_id=name)
        table.to_parquet(run.path / f"{file}.parquet")
    (tmp_path / "out").mkdir()
    with pytest.raises(ResultsError, match="that stays in its folder"):
        export(run, run.cells[0], tmp_path / "out" / output, format)
    assert list((tmp_path / "out").iterdir()) == []


def test_names_that_differ_in_the_suffix_alone(tmp_path):
    run = make_run_of(make_dataset(["a.jpg", "a.png"]), tmp_path / "run")
    with pytest.raises(ResultsError, match="two images are named a but for the suffix"):
        export(run, run.cells[0], tmp_path / "tree", "wider")
    assert len(export(run, run.cells[0], tmp_path / "l", "jsonl")) == 1


def test_a_folder_is_replaced_only_by_force_and_only_if_an_export_wrote_it(run, tmp_path):
    tree = tmp_path / "tree"
    (tree / "old").mkdir(parents=True)
    export(run, run.cells[0], tree, "wider")
    assert not (tree / "old").exists(), "an empty folder is as good as none"
    (tree / "old.txt").write_text("old")
    with pytest.raises(UsageError, match=r"holds 13 files already.*--force"):
        export(run, run.cells[0], tree, "wider")
    export(run, run.cells[0], tree, "wider", force=True)
    assert len(list(tree.rglob("*.txt"))) == 12 and not (tree / "old.txt").exists()
    (tree / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds thesis\.tex, which no export wrote"):
        export(run, run.cells[0], tree, "wider", force=True)
    assert (tree / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        export(run, run.cells[0], tmp_path / "file", "wider", force=True)


@pytest.mark.parametrize(
    ("format", "name", "there"),
    [("wider", "t.zip", "t.zip"), ("coco", "c.json", "c.ground_truth.json"), ("jsonl", "l", "l")],
)
def test_a_file_is_replaced_only_by_force(format, name, there, run, tmp_path):
    (tmp_path / there).write_text("old")
    with pytest.raises(UsageError, match=r"exists already.*--force"):
        export(run, run.cells[0], tmp_path / name, format)
    assert (tmp_path / there).read_text() == "old" and ((tmp_path / name).exists() == (name == there))
    export(run, run.cells[0], tmp_path / name, format, force=True)
    assert (tmp_path / there).read_bytes() != b"old"
    (tmp_path / "folder").mkdir()
    if name != "t.zip":
        with pytest.raises(UsageError, match="is a folder, expected a file"):
            export(run, run.cells[0], tmp_path / "folder", format, force=True)


def test_a_failed_write_leaves_everything_as_it_was(run, tmp_path, monkeypatch):
    export(run, run.cells[0], tmp_path / "out" / "tree", "wider")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.txt")}
    write, rename = Path.write_bytes, Path.rename

    def full_disk(path: Path, data: bytes) -> int:
        if path.name.endswith("_4.txt"):
            raise OSError(28, os.strerror(28))
        return write(path, data)

    def no_move(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(16, os.strerror(16))
        return rename(path, target)

    for name, broken in (("write_bytes", full_disk), ("rename", no_move)):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, broken)
            with pytest.raises(ResultsError, match=r"cannot write .*tree"):
                export(run, run.cells[0], tmp_path / "out" / "tree", "wider", force=True)
        assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.txt")} == before
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["tree"]


def test_the_cell_is_named_where_there_are_several(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(UsageError, match="no finished cell, expected one"):
        find_cell(run, None)
    first = add_cell(run, "haar", {})
    add_cell(run, "broken", status="failed", reason="it broke")
    assert find_cell(run, None) == first
    second = add_cell(run, "yunet", {})
    fast = add_cell(run, "yunet", {}, threads=2)
    with pytest.raises(UsageError, match=r"has 3 such cells, expected one; name one by --cell: .*haar, cpu, 1"):
        find_cell(run, None)
    assert (find_cell(run, "haar"), find_cell(run, fast.key)) == (first, fast)
    with pytest.raises(UsageError, match=f"2 such cells.*{second.key}"):
        find_cell(run, "yunet")
    with pytest.raises(UsageError, match="no finished cell 'broken'"):
        find_cell(run, "broken")

"""Previews: the same verdicts as the scores, a repeatable choice, files that a report can rely on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.measure.previews import Outcomes, choose, judge, read_previews, write_previews
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.store.truth import RunReader
from facebench.errors import ResultsError, SchemaVersionError
from facebench.tests.support import runs
from PIL import Image

NONE: runs.Found = {}


@pytest.fixture
def run(tmp_path):
    run = runs.make_run(tmp_path / "run")
    runs.add_cell(run, "exact", runs.EXACT)
    runs.add_cell(run, "poor", runs.POOR)
    return run


def judged(run: RunFolder, spec: str) -> Outcomes:
    reader = RunReader(run)
    return judge(reader.truth, reader.matched(next(cell for cell in run.cells if cell.spec == spec)))


def test_outcomes_of_known_boxes(run):
    outcomes = judged(run, "poor")
    assert outcomes.image.tolist() == [0, 0, 0, 2, 2]
    assert outcomes.hit.tolist() == [True, False, False, False, False]
    assert outcomes.false_alarm.tolist() == [False, True, True, True, True]
    assert outcomes.counted.tolist() == [True, True, False, True]
    assert outcomes.found.tolist() == [True, False, False, False]


def test_a_box_on_an_ignored_face_is_neither(run):
    outcomes = judged(run, "exact")
    assert outcomes.hit.tolist() == [True, True, False, True]
    assert not outcomes.false_alarm.any()


@pytest.mark.parametrize("seed", range(5))
def test_outcomes_add_up_to_the_scores(tmp_path, monkeypatch, seed):
    """Random boxes with many equal scores, some exactly at the threshold, crowds, ignored faces, empty images."""
    rng = np.random.default_rng(seed)
    names = [f"{place}.jpg" for place in range(8)]

    def boxes(count: int) -> list[runs.Box]:
        corners = rng.integers(0, 40, (count, 2))
        return [
            tuple(row) for row in np.hstack([corners, corners + rng.integers(8, 14, (count, 2))]).astype(float).tolist()
        ]

    monkeypatch.setattr(runs, "SIZES", dict.fromkeys(names, (64, 64)))
    monkeypatch.setattr(
        runs,
        "FACES",
        {name: [(box, bool(rng.random() < 0.2)) for box in boxes(rng.integers(0, 9))] for name in names[:6]},
    )
    run = runs.make_run(tmp_path)
    found = {name: [(box, float(rng.choice([0.3, 0.7, 0.9]))) for box in boxes(rng.integers(0, 20))] for name in names}
    runs.add_cell(run, "a", found)
    runs.add_cell(run, "b", found, start={"operating_threshold": 0.7})
    for row in summarise_run(run).rows:
        outcomes, point = judged(run, row.cell.spec), row.intervals.operating
        hits, boxes = outcomes.hit.sum(), (outcomes.hit | outcomes.false_alarm).sum()
        assert hits > 0
        assert (hits / boxes, hits / outcomes.counted.sum()) == (point["precision"].value, point["recall"].value)
        assert outcomes.found.sum() == hits
        assert not (outcomes.hit & outcomes.false_alarm).any()


GROUP_ALL, GROUP_ONE = {"group.jpg": runs.EXACT["group.jpg"]}, {"group.jpg": runs.EXACT["group.jpg"][:1]}
LARGE = {runs.HOSTILE: runs.EXACT[runs.HOSTILE]}
ALARM = {"empty.jpg": [((5.0, 5.0, 25.0, 25.0), 0.9)]}


@pytest.mark.parametrize(
    ("found", "limit", "chosen"),
    [
        ([], 12, []),
        ([NONE], 12, ["group.jpg", runs.HOSTILE]),
        ([NONE, LARGE], 12, [runs.HOSTILE, "group.jpg"]),
        ([NONE, GROUP_ALL], 12, ["group.jpg", runs.HOSTILE]),
        ([LARGE, GROUP_ALL], 12, ["group.jpg", runs.HOSTILE]),
        ([NONE, LARGE | GROUP_ONE], 12, [runs.HOSTILE, "group.jpg"]),
        ([NONE, LARGE], 1, [runs.HOSTILE]),
        ([NONE, LARGE], 0, []),
        ([NONE, ALARM], 12, ["group.jpg", runs.HOSTILE, "empty.jpg"]),
        ([NONE, ALARM], 5, ["group.jpg", runs.HOSTILE]),
    ],
    ids=[
        "no finished cell", "more errors first", "more different first", "more faces different", "root of the faces",
        "half of two against one", "limit", "none wanted", "false alarms on an empty image", "a sixth of the limit",
    ],
)  # fmt: skip
def test_choice(tmp_path, found, limit, chosen):
    run = runs.make_run(tmp_path)
    for place, boxes in enumerate(found):
        runs.add_cell(run, f"detector-{place}", boxes)
    runs.add_cell(run, "broken", status="failed", start=None)
    assert choose(run, limit) == chosen


def test_only_decoded_images_are_chosen(tmp_path):
    run = runs.make_run(tmp_path, excluded=[("torn.jpg", "truncated", "")])
    runs.add_cell(run, "poor", runs.POOR)
    assert "torn.jpg" not in choose(run, 12)


def test_what_is_written_comes_back(run):
    written = write_previews(run, runs.image)
    assert read_previews(run) == written
    assert {p.image_id: (p.width, p.height, p.scale) for p in written} == {
        "group.jpg": (200, 100, 1.0),
        runs.HOSTILE: (720, 450, 0.5),
        "empty.jpg": (60, 120, 1.0),
    }
    for preview in written:
        with Image.open(run.path / "previews" / preview.file) as image:
            assert (image.format, image.size) == ("JPEG", (preview.width, preview.height))


def test_writing_again_gives_the_same_and_removes_what_is_no_longer_shown(run):
    write_previews(run, runs.image)
    folder = run.path / "previews"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(before) == 4
    write_previews(run, runs.image)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    kept = write_previews(run, runs.image, 1)
    assert {path.name for path in folder.iterdir()} == {kept[0].file, "previews.json"}


def test_a_run_without_previews_has_none(run):
    assert read_previews(run) == []


GOOD = {"schema": "facebench.previews", "schema_version": 1, "previews": []}
ENTRY = {"image_id": "a", "file": "0a.jpg", "width": 1, "height": 1, "scale": 1.0}


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("{", ResultsError, "cannot read"),
        ("[]", ResultsError, "expected \"schema\": 'facebench.previews'"),
        (json.dumps(GOOD | {"schema_version": 2}), SchemaVersionError, "schema version 2, this facebench reads 1"),
        (json.dumps(GOOD | {"previews": [{"file": "0a.jpg"}]}), ResultsError, "damaged"),
        (
            json.dumps(GOOD | {"previews": [ENTRY | {"file": "../../secret.jpg"}]}),
            ResultsError,
            "expected one beside",
        ),
        (json.dumps(GOOD | {"previews": [ENTRY | {"scale": "wide"}]}), ResultsError, "damaged"),
        (json.dumps(GOOD | {"previews": [ENTRY | {"file": ""}]}), ResultsError, "expected one beside"),
    ],
)
def test_a_damaged_index(run, content, error, words):
    (run.path / "previews").mkdir()
    (run.path / "previews" / "previews.json").write_text(content)
    with pytest.raises(error, match=words):
        read_previews(run)

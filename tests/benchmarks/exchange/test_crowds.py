"""Crowd regions of an annotation, from the COCO file to every number of a run and out again.

Each image of 100 x 80 pixels has a face, a region on its right half and, low on its left, a face to be ignored. One
detector finds the faces; the other has ten boxes more in each region, surer than the face: nothing may change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from facebench.benchmarks.analysis.depth import analyse
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.compare.gate import gate
from facebench.benchmarks.compare.runs import compare_runs
from facebench.benchmarks.exchange.as_run import store_predictions
from facebench.benchmarks.exchange.export import export
from facebench.benchmarks.exchange.predictions import read_predictions
from facebench.benchmarks.measure.previews import judge
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.store.truth import RunReader
from facebench.datasets import Dataset, load
from facebench.tests.support.annotation_files import write

IMAGES = [f"{number}.png" for number in range(6)]
FACE, REGION, IGNORED = [5, 5, 20, 20], [50, 0, 50, 80], [5, 50, 20, 20]
Scored = tuple[list[float], float]
FEW: list[Scored] = [([6, 5, 20, 20], 0.7), ([5, 51, 20, 20], 0.8)]
IN_REGION: list[Scored] = [([50.0 + number, 3.0 * number, 20, 20], 0.9) for number in range(10)]
DRAWS = Resampling(draws=50, seed=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    marks = [(FACE, {}), (REGION, {"iscrowd": 1}), (IGNORED, {"ignore": 1})]
    document = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(IMAGES)],
        "categories": [{"id": 1, "name": "face"}],
        "annotations": [
            {"id": 3 * image + place, "image_id": image, "category_id": 1, "bbox": bbox, **mark}
            for image in range(len(IMAGES))
            for place, (bbox, mark) in enumerate(marks)
        ],
    }
    write(tmp_path / "set", {"truth.json": json.dumps(document)}, IMAGES)
    return load(f"folder:{tmp_path / 'set'}")


def stored(dataset: Dataset, path: Path, found: Sequence[Scored]) -> RunFolder:
    entries = [
        {"image_id": name, "category_id": 1, "bbox": bbox, "score": score} for name in IMAGES for bbox, score in found
    ]
    path.mkdir()
    (path / "found.json").write_text(json.dumps(entries))
    return store_predictions(read_predictions(path / "found.json", dataset), dataset, path / "run")


def test_boxes_in_a_region_change_no_number(dataset: Dataset, tmp_path: Path) -> None:
    assert "Crowd regions, inside which detections are neither right nor wrong: 6." in dataset.notes
    few, many = (stored(dataset, tmp_path / name, found) for name, found in (("few", FEW), ("many", FEW + IN_REGION)))
    expected, got = summarise_run(few, DRAWS), summarise_run(many, DRAWS)
    row = got.rows[0]
    assert row.intervals == expected.rows[0].intervals
    assert (row.exact_ap("overall"), row.official_ap("overall"), row.intervals.operating["precision"].value) == (
        1,
        1,
        1,
    )
    deep, deeper = (next(iter(analyse(one, DRAWS).cells.values())) for one in (expected, got))
    # an IoU of 19 / 21: a hit at nine of the ten thresholds
    assert deeper.lists["overall"].coco.value == deep.lists["overall"].coco.value == pytest.approx(0.9)
    assert deeper.lists["overall"].coco50.value == 1
    assert deeper.errors == deep.errors
    assert not any(cost.count for cost in deeper.errors.kinds.values())
    reader = RunReader(many)
    assert not judge(reader.truth, reader.matched(many.cells[0])).false_alarm.any()


def test_boxes_near_a_region_are_false_alarms_near_what_is_ignored(dataset: Dataset, tmp_path: Path) -> None:
    """Three tenths of the box lie in the region: too few to be dropped, too many for background."""
    run = stored(dataset, tmp_path / "near", [*FEW, ([36, 30, 20, 20], 0.9)])
    summary = summarise_run(run, DRAWS)
    assert summary.rows[0].intervals.operating["precision"].value == 0.5
    kinds = next(iter(analyse(summary, DRAWS).cells.values())).errors.kinds
    assert {kind: cost.count for kind, cost in kinds.items() if cost.count} == {"near_ignored": 6}


def test_the_gate_sees_no_change(dataset: Dataset, tmp_path: Path) -> None:
    few, many = (stored(dataset, tmp_path / name, found) for name, found in (("few", FEW), ("many", FEW + IN_REGION)))
    comparison = compare_runs(few, many, resampling=DRAWS, pairs=[(few.cells[0].spec, many.cells[0].spec)])
    (cell,) = comparison.cells
    change = next(change for change in cell.accuracy if change.list_name == "overall")
    assert (change.base, change.head, change.difference.value) == (1, 1, 0)
    assert gate(comparison).judgements


def test_an_export_is_the_same_annotation(dataset: Dataset, tmp_path: Path) -> None:
    """Evaluators of COCO know `iscrowd` alone, so both marks are that; read here, a face stays a face."""
    run = stored(dataset, tmp_path / "many", FEW + IN_REGION)
    truth, results = export(run, run.cells[0], tmp_path / "set" / "r.json", "coco")
    marks = [(row["iscrowd"], row["attributes"]) for row in json.loads(truth.read_text())["annotations"]]
    assert marks == [(0, {}), (1, {}), (1, {})] * len(IMAGES)
    again = load(f"folder:{tmp_path / 'set'}?annotations={truth.name}")
    assert again.fingerprint == dataset.fingerprint
    back = store_predictions(read_predictions(results, again, images=truth), again, tmp_path / "back")
    assert summarise_run(back, DRAWS).rows[0].intervals == summarise_run(run, DRAWS).rows[0].intervals

"""`facebench score` and `facebench export` as a person or a script meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from facebench.datasets import load
from facebench.tests.support.annotation_files import write

DATASET = "scenes?count=3"


@pytest.fixture(scope="module")
def perfect(tmp_path_factory) -> Path:
    """The annotated faces as if they had been detected."""
    file = tmp_path_factory.mktemp("predictions") / "perfect.jsonl"
    lines = [
        json.dumps(
            {
                "image_id": sample.image_id,
                "boxes": sample.faces.boxes.tolist(),
                "scores": [0.9 - i / 100 for i in range(len(sample.faces))],
            }
        )
        for sample in load(DATASET).samples
    ]
    file.write_text("\n".join(lines))
    return file


def test_a_folder_is_scored_by_its_path_and_called_by_its_name(facebench, tmp_path):
    made = write(tmp_path / "secret" / "photos", {"f.csv": "image,x1,y1,x2,y2\na.png,1,2,31,42\n"}, ("a.png",))
    found = tmp_path / "found.jsonl"
    found.write_text('{"image_id": "A.PNG", "boxes": [[1, 2, 31, 42]], "scores": [0.9]}')
    code, out, _ = facebench("score", found, "--dataset", f"{made}?seed=1", "--json")
    assert (code, json.loads(out)["scope"], json.loads(out)["rows"][0]["AP_overall"]) == (
        0,
        "photos?seed=1, 1 images",
        1,
    )


def test_score_prints_one_row_without_latency(facebench, perfect):
    code, out, _ = facebench("score", perfect, "--dataset", DATASET, "--json")
    table = json.loads(out)
    assert (code, table["scope"]) == (0, "scenes?count=3, 3 images; a demonstration on two people, not a comparison")
    (row,) = table["rows"]
    assert (row["spec"], row["AP_overall"], row["threshold"]) == ("perfect.jsonl", 1.0, 0.5)
    assert {row[name] for name in ("p50_ms", "p90_ms", "images_per_s", "start_s", "peak_MB", "device")} == {None}
    assert len(row["predictions"].pop("path_hash")) == 16
    assert row["predictions"] == {
        "format": "jsonl",
        "source": f"{perfect.parent.name}/perfect.jsonl",
        "pictures": 3,
        "missing": 0,
        "extra": 0,
        "outside": 0,
        "remarks": [],
    }


def test_faults_are_exit_code_two_and_allow_missing_shows_what_it_allowed(facebench, perfect, tmp_path):
    lines = perfect.read_text().splitlines()
    file = tmp_path / "some.jsonl"
    file.write_text("\n".join([*lines[:2], '{"image_id": "zebra.png", "boxes": [], "scores": []}']))
    code, out, err = facebench("score", file, "--dataset", DATASET)
    assert (code, out) == (2, "")
    assert "facebench: " in err and "faults: 2" in err and "zebra.png" in err and "--allow-missing" in err
    code, out, err = facebench("score", file, "--dataset", DATASET, "--allow-missing", "--json")
    (row,) = json.loads(out)["rows"]
    assert (code, row["predictions"]["missing"], row["predictions"]["extra"]) == (0, 1, 1)
    assert row["AP_overall"] < 1
    code, out, err = facebench("score", file, "--dataset", DATASET, "--allow-missing")
    words = " ".join(out.replace("│", " ").split())
    assert code == 0
    for word in ("some.jsonl", "missing,", "too", "much"):
        assert word in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", DATASET, "--threshold", "nan"], "expected a finite number"),
        (["--dataset", DATASET, "--format", "wider"], "cannot be read as a zip"),
        (["--dataset", DATASET, "--format", "voc"], "voc"),
        (["--dataset", DATASET, "--images", "i.json"], "explains the numbers of COCO"),
        (["--dataset", "scens"], "Did you mean scenes?"),
        ([], "--dataset"),
    ],
)
def test_wrong_use(facebench, perfect, arguments, words):
    code, out, err = facebench("score", perfect, *arguments)
    assert (code, out) == (2, "") and words in err


def test_a_kept_score_serves_table_report_pick_and_export(facebench, perfect, tmp_path):
    run = tmp_path / "run"
    _, scored, _ = facebench("score", perfect, "--dataset", DATASET, "--out", run, "--json")
    assert facebench("table", run, "--json")[:2] == (0, scored)
    code, _, err = facebench("report", run, "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert code == 0, err
    assert "perfect.jsonl" in page and "facebench score perfect.jsonl" in page and "facebench run" not in page
    assert "not say how the images were given" in page
    code, _, err = facebench("pick", run, "--demo", "-o", tmp_path / "pick.json")
    assert code == 2 and "its latency was not measured" in err
    for file_format, name in (("wider", "tree"), ("wider", "t.zip"), ("coco", "c.json"), ("jsonl", "l.jsonl")):
        code, out, err = facebench("export", run, "--format", file_format, "-o", tmp_path / name)
        assert code == 0 and f"wrote {tmp_path / name}" in out, err
    images = ("--images", tmp_path / "c.ground_truth.json")
    for name, more in (("tree", ()), ("t.zip", ()), ("c.json", images), ("l.jsonl", ())):
        code, out, err = facebench("score", tmp_path / name, "--dataset", DATASET, "--json", *more)
        row = json.loads(out)["rows"][0]
        assert (code, row["AP_overall"], row["spec"]) == (0, 1.0, name), err
    code, _, err = facebench("export", run, "--format", "jsonl", "-o", tmp_path / "l.jsonl")
    assert code == 2 and "--force" in err
    code, _, err = facebench("export", run, "--format", "jsonl", "-o", tmp_path / "l.jsonl", "--cell", "prefect.jsonl")
    assert code == 2 and "Did you mean perfect.jsonl?" in err

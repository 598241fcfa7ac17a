"""Prediction files of other programs: what is read, and how each known fault is told."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import Row, summarise_run
from facebench.benchmarks.exchange.as_run import store_predictions
from facebench.benchmarks.exchange.predictions import Predictions, detect_format, read_predictions
from facebench.datasets import Dataset, load
from facebench.datasets.base import Faces, Sample
from facebench.errors import DataError, UsageError

A, JPG, GPJ = "0--Parade/0_a.jpg", "0--Parade/1_jpg.jpg", "1--Picnic/gpj.jpg"
OUTSIDE = "2--Couple/c.jpg"


@pytest.fixture
def dataset() -> Dataset:
    """Three images of a set of four, a face at (10, 10, 50, 50) in each."""
    faces = Faces(np.array([[10, 10, 50, 50]], np.float32), np.zeros(1, bool), {"hard": np.ones(1, np.int8)})
    samples = tuple(Sample(name, Path("absent") / name, faces) for name in (A, JPG, GPJ))
    return Dataset("made-up", samples, 4, ("hard",), False, "", "none", "f" * 16, (), frozenset({OUTSIDE}))


HIT = "10 10 40 40 0.9"
TREE = {
    "0--Parade/0_a.txt": f"0_a\n2\n100 100 20 20 0.25\n{HIT}\n",
    "0--Parade/1_jpg.txt": f"1_jpg\n1\n{HIT}\n",
    "1--Picnic/gpj.txt": f"gpj\n1\n{HIT}\n",
}
READ = {A: [[10, 10, 50, 50, 0.9], [100, 100, 120, 120, 0.25]]} | {name: [[10, 10, 50, 50, 0.9]] for name in (JPG, GPJ)}


def write_tree(path: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_zip(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def rows(predictions: Predictions) -> dict[str, list[list[float]]]:
    return {name: table.tolist() for name, table in predictions.rows.items()}


def stored_row(predictions: Predictions, dataset: Dataset, out: Path, **options: object) -> Row:
    return summarise_run(store_predictions(predictions, dataset, out, **options)).rows[0]


def refusal(path: Path, dataset: Dataset, **options: object) -> str:
    with pytest.raises(DataError) as error:
        read_predictions(path, dataset, **options)
    return str(error.value)


def coco(path: Path, entries: list[dict[str, object]]) -> Path:
    path.write_text(json.dumps(entries))
    return path


def results(names: dict[str, object]) -> list[dict[str, object]]:
    return [
        {"image_id": names[name], "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for name, table in READ.items()
        for x1, y1, x2, y2, score in table
    ]


def lines(path: Path, images: dict[str, list[list[float]]], **changes: object) -> Path:
    entries = [
        {"image_id": name, "boxes": [row[:4] for row in table], "scores": [row[4] for row in table], **changes}
        for name, table in images.items()
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "val/predictions/", "./"])
@pytest.mark.parametrize("write", [write_tree, write_zip])
def test_the_official_tree(write, prefix, dataset, tmp_path):
    files = {prefix + name: text for name, text in TREE.items()}
    litter = {
        "__MACOSX/0--Parade/0_a.txt": b"\0\5\26\7",
        "0--Parade/._0_a.txt": b"\0",
        ".idea/x.txt": "x",
        "readme.md": "",
    }
    path = write(tmp_path / "predictions.any", files | litter)
    found = read_predictions(path, dataset)
    assert rows(found) == READ
    assert (found.name, found.format, found.missing, found.extra) == ("predictions.any", "wider", (), ())


@pytest.mark.parametrize(
    "names",
    [
        {A: A, JPG: JPG, GPJ: GPJ},
        {A: "0_a.jpg", JPG: "1_jpg.jpg", GPJ: "gpj.jpg"},
        {A: "0_a", JPG: "1_jpg", GPJ: "1--Picnic/gpj"},
        {A: f"/data/images/{A}", JPG: f"C:\\images\\{JPG}", GPJ: f"./{GPJ}"},
        {A: f"../{A.upper()}", JPG: JPG.replace("-", "%2D"), GPJ: GPJ.removesuffix("jpg") + "png"},
    ],
    ids=["image_id", "file name", "without suffix", "whole path", "another spelling"],
)
def test_names_in_coco_and_jsonl(names, dataset, tmp_path):
    assert rows(read_predictions(coco(tmp_path / "r", results(names)), dataset)) == READ
    images = {names[name]: table for name, table in READ.items()}
    assert rows(read_predictions(lines(tmp_path / "l", images), dataset)) == READ


def test_a_name_that_several_images_have_is_told_with_them(dataset, tmp_path):
    twin = Sample(f"3--Riot/{A.rpartition('/')[2]}", Path("absent"), dataset.samples[0].faces)
    both = replace(dataset, samples=(*dataset.samples, twin))
    for more in ({}, {JPG: READ[JPG]}):
        text = refusal(lines(tmp_path / "l", {"0_a.jpg": READ[A], "0_a": READ[A], **more}), both)
        assert all(f"{name} (it could be {A} or {twin.image_id})" in text for name in ("0_a.jpg", "0_a"))


def test_coco_numbers_mean_what_the_file_of_images_says(dataset, tmp_path):
    images = tmp_path / "images.json"
    images.write_text(json.dumps({"images": [{"id": 7 + i, "file_name": name} for i, name in enumerate(READ)]}))
    path = coco(tmp_path / "r", results({A: 7, JPG: 8, GPJ: 9})[:2])
    found = read_predictions(path, dataset, images=images)
    assert rows(found) == {A: READ[A], JPG: [], GPJ: []}, "a listed image was looked at, and nothing was found in it"
    text = refusal(path, dataset)
    assert "got image_id 7, expected a name, or --images" in text and "3 × images without predictions" in text
    path = coco(tmp_path / "r", [*results({A: 7, JPG: 8, GPJ: 9}), {"image_id": 5, "bbox": [0, 0, 1, 1], "score": 1}])
    assert "image_id 5, which images.json lacks" in refusal(path, dataset, images=images)
    assert read_predictions(path, dataset, images=images, allow_missing=True).extra == (
        "image_id 5, which images.json lacks",
    )


def numbered(count: int) -> Dataset:
    faces = Faces(np.array([[10, 10, 40, 40]], np.float32), np.zeros(1, bool))
    samples = tuple(Sample(f"val/{i:06d}.jpg", b"", faces) for i in range(1, count + 1))
    return Dataset("numbered", samples, count, (), False, "", "none", "f" * 16)


def entry(**changes: object) -> dict[str, object]:
    return {"category_id": 1, "bbox": [10, 10, 30, 30], "score": 0.9} | changes


def test_a_file_name_says_which_image(tmp_path):
    """As Ultralytics writes them: image_id is a number where the name is one, whatever the annotation's ids are."""
    found = [entry(image_id=9 - i, file_name=f"{i:06d}.jpg") for i in (1, 2)]
    assert list(read_predictions(coco(tmp_path / "r", found), numbered(2)).rows) == ["val/000001.jpg", "val/000002.jpg"]
    images = tmp_path / "images.json"
    images.write_text(json.dumps({"images": [{"id": 8, "file_name": "000002.jpg"}]}))
    text = refusal(coco(tmp_path / "r", found), numbered(2), images=images)
    assert "image_id 8, which is 000002.jpg, with file_name 000001.jpg, expected one image" in text


def test_a_number_is_the_one_image_of_that_name(tmp_path):
    found = coco(tmp_path / "r", [entry(image_id=i) for i in (1, 2)])
    assert list(read_predictions(found, numbered(2)).rows) == ["val/000001.jpg", "val/000002.jpg"]
    twice = numbered(2)
    again = Sample("train/1.jpg", b"", twice.samples[0].faces)
    both = Dataset("numbered", (*twice.samples, again), 3, (), False, "", "none", "f" * 16)
    assert "got image_id 1, expected a name, or --images" in refusal(found, both, allow_missing=True)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_coco_document_with_scores_is_results_and_images(tmp_path, indent):
    document = {
        "images": [{"id": 7, "file_name": "000001.jpg"}, {"id": 9, "file_name": "000002.jpg"}],
        "annotations": [entry(image_id=9)],
        "categories": [{"id": 1, "name": "face"}],
    }
    (tmp_path / "r").write_text(json.dumps(document, indent=indent))
    found = read_predictions(tmp_path / "r", numbered(2))
    assert {name: len(rows) for name, rows in found.rows.items()} == {"val/000001.jpg": 0, "val/000002.jpg": 1}
    del document["annotations"][0]["score"]
    (tmp_path / "r").write_text(json.dumps(document, indent=indent))
    assert "without scores is ground truth" in refusal(tmp_path / "r", numbered(2))


def test_an_empty_list_says_nothing(tmp_path):
    assert "Got an empty list" in refusal(coco(tmp_path / "r", []), numbered(2))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"PK\3\4", "wider"),
        (b"PK\5\6" + bytes(18), "wider"),
        (b" \n[{}]", "coco"),
        (b"\xef\xbb\xbf{}", "jsonl"),
    ],
)
def test_the_format_is_seen_from_the_content(content, expected, tmp_path):
    (tmp_path / "f").write_bytes(content)
    assert detect_format(tmp_path / "f") == expected
    assert detect_format(tmp_path) == "wider"


@pytest.mark.parametrize(("content", "got"), [(b"", "an empty file"), (b"0_a\n1\n", "begins with b'0_a")])
def test_an_unknown_format_names_the_known_ones(content, got, dataset, tmp_path):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UsageError, match=r"--format wider\|coco\|jsonl") as error:
        read_predictions(tmp_path / "f", dataset)
    assert got in str(error.value)
    with pytest.raises(UsageError, match="there is no"):
        read_predictions(tmp_path / "absent", dataset)
    with pytest.raises(UsageError, match="--images explains the numbers of COCO"):
        read_predictions(tmp_path, dataset, images=tmp_path / "f")


def test_images_outside_the_part_that_is_scored_are_counted(dataset, tmp_path):
    found = read_predictions(write_tree(tmp_path, TREE | {"2--Couple/c.txt": "not even read"}), dataset)
    assert (rows(found), found.outside) == (READ, 1)


# --- known faults of writers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"0_a\r\n1\r\n{HIT}\r\n", 1),
        (f"\ufeff0_a\n1\n{HIT}", 1),
        (f"\n 0_a.jpg \n\n1 \n\n  {HIT} \t\n\n \n", 1),
        (f"0--Parade/0_a.jpg\n1\n{HIT}\n", 1),
        ("0_a\n0\n", 0),
        ("0_a\n0\n0 0 0 0 0\n", 0),
        ("0_a\n0\n0 0 0 0 0 0 0 0 0 0\n", 0),
    ],
    ids=["CRLF", "BOM", "spaces and blank lines", "whole name", "count 0", "count 0 and zeros", "annotation's zeros"],
)
def test_harmless_ways_of_writing(text, expected, dataset, tmp_path):
    found = rows(read_predictions(write_tree(tmp_path, TREE | {"0--Parade/0_a.txt": text}), dataset))
    assert found[A] == READ[A][:expected]


def test_unsorted_rows_score_as_sorted_ones(dataset, tmp_path):
    low, high = "100 100 20 20 0.25", HIT
    rows_of = {}
    for name, body in {"up": (low, high), "down": (high, low)}.items():
        tree = TREE | {"0--Parade/0_a.txt": "\n".join(["0_a", "2", *body])}
        found = read_predictions(write_tree(tmp_path / name, tree), dataset)
        rows_of[name] = stored_row(found, dataset, tmp_path / f"run-{name}")
        assert np.diff(found.rows[A][:, 4]).max() < 0
    assert rows_of["up"].intervals == rows_of["down"].intervals
    assert rows_of["up"].exact_ap("hard") == 1.0


def test_a_missing_file_is_told_and_is_no_silence(dataset, tmp_path):
    path = write_tree(tmp_path / "p", {name: text for name, text in TREE.items() if "gpj" not in name})
    text = refusal(path, dataset)
    assert "1 × images without predictions; one in which nothing was found must say so" in text
    assert GPJ in text and "--allow-missing" in text
    found = read_predictions(path, dataset, allow_missing=True)
    row = stored_row(found, dataset, tmp_path / "run")
    assert (found.missing, row.exact_ap("hard")) == ((GPJ,), pytest.approx(2 / 3))
    assert row.cell.predictions.remarks == ("1 image missing, counted as without detections",)


def test_names_mangled_by_rstrip_are_told_with_what_was_meant(dataset, tmp_path):
    files = {name: text for name, text in TREE.items() if "1_jpg" not in name} | {"0--Parade/1_.txt": f"1_\n1\n{HIT}"}
    text = refusal(write_tree(tmp_path, files), dataset)
    assert f"0--Parade/1_ (is it {JPG}? rstrip('.jpg') eats characters of a name)" in text
    assert "1 × images without predictions" in text


def test_all_scores_equal(dataset, tmp_path):
    tree = {name: text.replace("0.25", "1").replace("0.9", "1") for name, text in TREE.items()}
    row = stored_row(read_predictions(write_tree(tmp_path / "p", tree), dataset), dataset, tmp_path / "run")
    assert row.cell.info.score_kind == "none"
    assert row.exact_ap("hard") == row.official_ap("hard") == pytest.approx(3 / 4)
    assert row.intervals.operating["recall"].value == 1.0, "without scores every box counts"


def test_coordinates_are_not_cut_to_whole_numbers(dataset, tmp_path):
    tree = TREE | {"0--Parade/0_a.txt": "0_a\n1\n10.75 -0.125 40.0625 1e1 0.123456789\n"}
    found = read_predictions(write_tree(tmp_path / "p", tree), dataset)
    assert found.rows[A].tolist() == [[10.75, -0.125, 50.8125, 9.875, 0.123456789]]
    folder = store_predictions(found, dataset, tmp_path / "run")
    table = folder.detections(folder.cells[0])
    assert table.loc[table["image_id"] == A, ["x1", "y1", "x2", "y2", "score"]].to_numpy().tolist() == rows(found)[A]


def test_scores_of_two_decimals_are_told(dataset, tmp_path):
    body = "\n".join(f"10 10 40 40 {index % 100 / 100}" for index in range(2000))
    found = read_predictions(write_tree(tmp_path / "p", TREE | {"0--Parade/0_a.txt": f"0_a\n2000\n{body}"}), dataset)
    remarks = stored_row(found, dataset, tmp_path / "run").cell.predictions.remarks
    assert remarks == ("only 100 distinct scores (rounded?): ties cost AP",)


def test_scores_that_end_at_a_threshold_are_told(dataset, tmp_path):
    for lowest, told in ((0.25, True), (0.01, False)):
        body = "\n".join(f"10 10 40 40 {lowest + index / 1000}" for index in range(200))
        tree = write_tree(tmp_path / f"p{lowest}", TREE | {"0--Parade/0_a.txt": f"0_a\n200\n{body}"})
        remarks = stored_row(read_predictions(tree, dataset), dataset, tmp_path / f"r{lowest}").cell.predictions.remarks
        assert any("no score below 0.25: AP counts as missed" in one for one in remarks) == told


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        ("", "wrong counts", "0_a.txt: got an empty file"),
        ("0_a\n", "wrong counts", "got only the line '0_a'"),
        ("0_a\nmany\n", "wrong counts", "0_a.txt:2: got 'many', expected the number of rows"),
        ("0_a\n-1\n", "wrong counts", "got '-1'"),
        (f"0_a\n2\n{HIT}", "wrong counts", "0_a.txt:2: got the count 2 and 1 rows"),
        (f"0_a\n0\n{HIT}", "wrong counts", "got the count 0 and 1 rows"),
        (f"0_a\n1\n{HIT}\n{HIT}", "wrong counts", "got the count 1 and 2 rows"),
        (f"0_a\n1\n{HIT} 7", "rows with too few or too many", "0_a.txt:3: got 6 values, expected 5 numbers"),
        ("0_a\n1\n10 10 40 40", "rows with too few or too many", "0_a.txt:3: got 4 values"),
        ("0_a\n1\n10 10 40 40 high", "rows with too few or too many", "got '10 10 40 40 high'"),
        ("0_a\n1\n1_0 10 40 40 0.5", "rows with too few or too many", "got '1_0 10 40 40 0.5'"),
        ("0_a\n1\n10 10 nan 40 0.5", "NaN, infinite", "0_a.txt:3: got x1 10"),
        ("0_a\n1\n10 10 40 40 inf", "NaN, infinite", "score inf"),
        ("0_a\n1\n10 10 40 1e39 0.5", "NaN, infinite", "y2 1e+39"),
        ("0_a\n\n1\n\n10 10 -40 40 0.5", "negative size", "0_a.txt:5: got x1 10, y1 10, x2 -30"),
        (f"0_b\n1\n{HIT}", "names that disagree", "0_a.txt:1: got '0_b', expected 0_a"),
        (b"0_a\n1\n\xff", "cannot be read", "0_a.txt: got bytes that are not UTF-8 text (byte 6)"),
    ],
)
def test_a_faulty_image_is_refused_whatever_is_allowed(text, kind, detail, dataset, tmp_path):
    path = write_tree(tmp_path, TREE | {"0--Parade/0_a.txt": text})
    for allow_missing in (False, True):
        told = refusal(path, dataset, allow_missing=allow_missing)
        assert "faults: 1\n" in told and "1 × " in told
        assert kind in told and detail in told


def test_all_faults_are_told_at_once_the_first_of_a_kind_in_full(dataset, tmp_path):
    bad = "\n".join(["10 10 40 40"] * 30 + ["1 1 1 1 nan", "1 1 -1 1 1"])
    files = {"0--Parade/0_a.txt": f"0_b\n31\n{bad}", "1--Picnic/gpj.txt": "gpj\n1\n1 1 -1 1 1", "x/y.txt": ""}
    told = refusal(write_tree(tmp_path, files), dataset)
    assert "faults: 35\n" in told, "30 rows, a name, a count, a negative size, a missing and an extra image"
    assert told.count("got 4 values") == 8 and "… and 22 more" in told
    for words in ("1 × names that disagree", "1 × wrong counts", "1 × boxes of negative size", "1 × images that the"):
        assert words in told
    assert "the other faults must be fixed" in told


def test_extra_and_double_images(dataset, tmp_path):
    extra = write_tree(tmp_path / "extra", TREE | {"9--Zoo/z.txt": "z\n0\n", "1--Picnic/0_a.txt": "0_a\n0\n"})
    told = refusal(extra, dataset)
    assert "2 × images that the data set does not have" in told and "9--Zoo/z" in told and "1--Picnic/0_a" in told
    found = read_predictions(extra, dataset, allow_missing=True)
    assert (rows(found), set(found.extra)) == (READ, {"9--Zoo/z", "1--Picnic/0_a"})
    assert stored_row(found, dataset, tmp_path / "run").cell.predictions.remarks == ("2 images too much, dropped",)
    double = write_tree(tmp_path / "double", TREE | {"old/0--Parade/0_a.txt": f"0_a\n1\n{HIT}"})
    told = refusal(double, dataset, allow_missing=True)
    assert "1 × images that stand twice" in told and f"old/0--Parade/0_a.txt: {A}" in told
    path = lines(tmp_path / "l", READ | {f"./{A}": READ[A]})
    assert f"l:4: {A}" in refusal(path, dataset)


def test_nothing_at_all_for_the_data_set(dataset, tmp_path):
    path = write_tree(tmp_path / "p", {"9--Zoo/z.txt": "z\n0\n"})
    assert "Got 9--Zoo/z in" in refusal(path, dataset, allow_missing=True)
    (tmp_path / "empty").mkdir()
    assert "Got no .txt file in" in refusal(tmp_path / "empty", dataset)


def test_a_damaged_zip(dataset, tmp_path):
    path = write_zip(tmp_path / "p.zip", TREE | {"0--Parade/0_a.txt": f"0_a\n400\n{(HIT + chr(10)) * 400}"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as a zip" in refusal(path, dataset)
    path.write_bytes(whole[:60] + bytes(20) + whole[80:])
    told = refusal(path, dataset)
    assert "faults: 1\n" in told and "1 × parts that cannot be read\n    0--Parade/0_a.txt: " in told


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"bbox": [1, 2, 3]}, "r[1]: got bbox [1, 2, 3]"),
        ({"bbox": [1, 2, 3, 4, 5]}, "expected bbox [x, y, width, height] and a score"),
        ({"bbox": None}, "got bbox None"),
        ({"bbox": [1, 2, "3", 4]}, "got bbox [1, 2, '3', 4]"),
        ({"bbox": [1, 2, True, 4]}, "got bbox [1, 2, True, 4]"),
        ({"score": None}, "score None"),
        ({"bbox": [1, 2, -3, 4]}, "boxes of negative size\n    r[1]: "),
        ({"score": float("nan")}, "NaN, infinite or beyond float32\n    r[1]: "),
        ({"score": 10**400}, "NaN, infinite or beyond float32\n    r[1]: "),
        ({"image_id": [1]}, "r[1]: got image_id [1], expected an object with image_id"),
        ({"image_id": "nobody.jpg"}, "images that the data set does not have\n    nobody.jpg"),
        ({"category_id": 2}, "got category_id 1 (first at [0]), 2 (first at [1]), expected faces alone"),
    ],
)
def test_faulty_coco_entries(change, detail, dataset, tmp_path):
    entries = results({A: A, JPG: JPG, GPJ: GPJ})
    entries[1] |= change
    told = refusal(coco(tmp_path / "r", entries), dataset)
    assert "faults: 1\n" in told and detail in told


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ('[\n{"image_id": "a"\n', "not JSON at line 3, column 1"),
        ('{"images": [], "annotations": []}', "an object with images, annotations"),
        ("[" * 100_000, "cannot be read"),
        (b"[\xff", "not UTF-8 text"),
    ],
)
def test_coco_files_that_are_none(content, detail, dataset, tmp_path):
    (tmp_path / "r").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert detail in refusal(tmp_path / "r", dataset, format="coco")


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ('{"image_id": ', "l:1: got something that is not JSON at line 1, column 14"),
        ("[1]", "l:1: got '[1]', expected an object"),
        ('{"image_id": 7, "boxes": [], "scores": []}', "l:1: got"),
        (json.dumps({"image_id": A, "scores": []}), "l:1: got the keys image_id, scores, expected lists of boxes"),
        (json.dumps({"image_id": A, "boxes": [[1, 2, 3, 4]], "scores": []}), "l:1: got 1 boxes and 0 scores"),
        (json.dumps({"image_id": A, "boxes": [[1, 2, 3]], "scores": [1]}), "l:1, box 0: got [1, 2, 3] with score 1"),
        (json.dumps({"image_id": A, "boxes": [[5, 2, 3, 4]], "scores": [1]}), "negative size\n    l:1, box 0"),
        (json.dumps({"image_id": A, "boxes": [[1, 2, 3, float("inf")]], "scores": [1]}), "l:1, box 0: got x1 1"),
    ],
)
def test_faulty_lines(line, detail, dataset, tmp_path):
    path = lines(tmp_path / "l", {name: table for name, table in READ.items() if name != A})
    path.write_text(f"{line}\n\n{path.read_text()}")
    assert detail in refusal(path, dataset, format="jsonl")


# --- operating point and real numbers ---------------------------------------------------------------------------------


def test_score_kind_and_threshold(dataset, tmp_path):
    found = read_predictions(write_tree(tmp_path / "p", TREE), dataset)
    row = stored_row(found, dataset, tmp_path / "a")
    assert (row.cell.info.score_kind, row.cell.operating_threshold) == ("probability", 0.5)
    assert row.intervals.operating["precision"].value == 1.0
    assert row.latency is None and row.done
    assert stored_row(found, dataset, tmp_path / "b", threshold=0.2).intervals.operating["precision"].value == 0.75
    margins = {name: text.replace("0.25", "-2").replace("0.9", "1.5") for name, text in TREE.items()}
    found = read_predictions(write_tree(tmp_path / "m", margins), dataset)
    row = stored_row(found, dataset, tmp_path / "c")
    assert (row.cell.info.score_kind, row.intervals.operating["precision"].value) == ("margin", 0.75)
    with pytest.raises(DataError, match="scores outside 0 to 1"):
        store_predictions(found, dataset, tmp_path / "d", score_kind="probability")
    with pytest.raises(UsageError, match="threshold nan, expected a finite number"):
        store_predictions(found, dataset, tmp_path / "d", threshold=float("nan"))
    assert not (tmp_path / "d").exists()


def test_several_files_share_a_results_folder_of_the_same_data(dataset, tmp_path):
    found = read_predictions(write_tree(tmp_path / "p", TREE), dataset)
    for name in ("one", "two", "one"):
        store_predictions(Predictions(name, f"p/{name}", "wider", found.rows), dataset, tmp_path / "run")
    summary = summarise_run(store_predictions(found, dataset, tmp_path / "run"))
    assert [row.cell.spec for row in summary.rows] == ["one", "p", "two"]
    other = Dataset("other", dataset.samples, 4, ("hard",), False, "", "none", "e" * 16)
    with pytest.raises(UsageError, match="holds a run on made-up"):
        store_predictions(found, other, tmp_path / "run")


def test_files_of_one_name_are_kept_apart(dataset, tmp_path):
    """As `predictions.json` of two trainings; before, the second took the place of the first without a word."""
    for folder in ("first", "second", "other/second"):
        (tmp_path / folder).mkdir(parents=True)
    half = coco(tmp_path / "first/predictions.json", results({A: A, JPG: JPG, GPJ: GPJ})[:1])
    whole = coco(tmp_path / "second/predictions.json", results({A: A, JPG: JPG, GPJ: GPJ}))
    images = tmp_path / "images.json"
    images.write_text(json.dumps({"images": [{"id": i, "file_name": name} for i, name in enumerate(READ)]}))

    def stored(path, **options):
        found = read_predictions(path, dataset, images=images)
        run = store_predictions(found, dataset, tmp_path / "run", **options)
        return {cell.spec: len(run.detections(cell)) for cell in run.cells}

    assert stored(half) == {"predictions.json": 1}
    assert stored(whole) == {"predictions.json": 1, "second/predictions.json": 4}
    # the same source again takes its own place
    coco(half, results({A: A, JPG: JPG, GPJ: GPJ})[:2])
    assert stored(half) == {"predictions.json": 2, "second/predictions.json": 4}
    third = coco(tmp_path / "other/second/predictions.json", results({A: A, JPG: JPG, GPJ: GPJ})[:2])
    assert stored(third, name="third")["third"] == 2


FULL = {"official": [0.906958, 0.881579, 0.738286], "exact": [0.907363, 0.881862, 0.738664]}
THERE = {"official": [0.965792, 0.951091, 0.892501], "exact": [0.965798, 0.951114, 0.892612]}


@pytest.mark.slow
@pytest.mark.parametrize(("query", "outside", "expected"), [("", 0, FULL), ("?pictures=there", 3096, THERE)])
def test_the_reference_predictions(query, outside, expected, shared, tmp_path):
    dataset = load(f"wider-face:val{query}", root=shared / "data", annotation_only=True)
    archive = shared / "data" / "wider_predictions" / "retinaface_mobilenet025_original_size.zip"
    found = read_predictions(archive, dataset)
    row = stored_row(found, dataset, tmp_path / "run")
    got = {
        "official": [row.official_ap(name) for name in dataset.lists],
        "exact": [row.exact_ap(name) for name in dataset.lists],
    }
    assert found.outside == outside
    for kind, numbers in expected.items():
        assert got[kind] == pytest.approx(numbers, abs=1e-6)

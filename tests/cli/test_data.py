"""`facebench data …`: what is printed, and with which exit code."""

from __future__ import annotations

import json
import sys
from types import MappingProxyType

import pytest
from facebench.datasets.fetch import catalog as downloads
from facebench.datasets.fetch.catalog import DataFile, DataSetEntry
from facebench.tests.support.annotation_files import write
from facebench.tests.support.image_kinds import encoded
from facebench.tests.support.packed import zipped
from PIL import Image

CSV = "image,x1,y1,x2,y2\na.png,1,2,31,42\nb.png,,,,\n"


@pytest.fixture
def made(tmp_path):
    return write(tmp_path / "set", {"f.csv": CSV}, ("images/a.png", "images/b.png"))


@pytest.fixture
def one(tmp_path, monkeypatch):
    """A catalogue of one small data set, whose archive is available."""
    path = zipped(tmp_path / "set.zip", ("pictures/a.jpg", b"a"))
    file = DataFile("set.zip", "pictures", ("http://127.0.0.1:9/set.zip",), {}, path.stat().st_size, "us", 1 << 20)
    entry = DataSetEntry("fddb", "My set", "http://home", "Be kind.", "mine", (file,))
    monkeypatch.setattr(downloads, "catalog", lambda: MappingProxyType({"fddb": entry}))
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    monkeypatch.setenv("FACEBENCH_DATA", str(tmp_path / "data"))
    return path


def test_list_says_what_can_be_fetched(facebench, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEBENCH_DATA", str(tmp_path))
    code, out, _ = facebench("data", "list")
    assert code == 0 and "not here; facebench data fetch wider-face:val (375 MB). WIDER FACE is for non-comm" in out
    code, out, _ = facebench("data", "list", "--json")
    rows = {row["dataset"]: row for row in json.loads(out)}
    assert rows["fddb"]["here"] is False and "here" not in rows["scenes"]
    assert rows["wider-face:val"]["bytes"] == sum(file["bytes"] for file in rows["wider-face:val"]["files"])


def test_terms_are_needed_once(facebench, one, tmp_path):
    code, _, err = facebench("data", "fetch", "fddb", "--from", one)
    assert code == 2 and "Be kind." in err and "--accept-terms" in err
    code, out, _ = facebench("data", "fetch", "fddb", "--from", one, "--accept-terms")
    assert (code, out) == (0, f"fddb: {tmp_path / 'data' / 'mine'}\n")
    (tmp_path / "data" / "mine" / "pictures").rename(tmp_path / "away")
    code, out, _ = facebench("data", "fetch", "fddb", "--from", one)
    assert code == 0


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_user_at_a_terminal_is_asked(facebench, one, monkeypatch, answer, code):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    got, _, err = facebench("data", "fetch", "fddb", "--from", one)
    assert got == code and "Do you accept these terms?" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["data", "fetch", "scenes"], "No data set 'scenes' can be fetched", id="nothing to fetch"),
        pytest.param(["data", "fetch", "fddb", "--accept-terms"], "FACEBENCH_OFFLINE is set", id="offline"),
        pytest.param(["data", "stats", "nonsense"], "There is no data set 'nonsense'", id="unknown"),
        pytest.param(
            ["data", "convert", "scenes?count=1", "-o", ".", "--format", "csv"], "lies already", id="full folder"
        ),
    ],
)
def test_wrong_use(facebench, one, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = facebench(*arguments)
    assert code == 2 and message in err


def test_verify_says_what_is_broken_by_its_exit_code(facebench, made):
    code, out, _ = facebench("data", "verify", made)
    assert (code, out) == (0, f"{made}: 2 images decoded, 0 faults\n")
    (made / "images" / "b.png").write_text("<html>")
    code, out, _ = facebench("data", "verify", made)
    assert code == 1 and "FAIL" in out and "b.png: not an image" in out
    code, out, _ = facebench("data", "verify", made, "--json")
    assert code == 1 and len(json.loads(out)["faults"]) == 1
    (made / "f.csv").write_text("image,x1,y1,x2,y2\na.png,1,2,3,x\n")
    code, out, _ = facebench("data", "verify", made)
    assert code == 1 and "f.csv:2: got" in out


def test_verify_says_which_images_are_missing_by_its_exit_code(facebench, made):
    (made / "images" / "a.png").rename(made / "images" / "a_.png")
    code, out, _ = facebench("data", "verify", made)
    assert code == 1 and "FAIL  a.png: got no file of this name, is it images/a_.png?" in out
    code, out, _ = facebench("data", "verify", f"{made}?sample=1", "--json")
    assert code == 1 and [fault["file"] for fault in json.loads(out)["faults"]] == ["a.png"]


def test_verify_refuses_large_images_unless_told_otherwise(facebench, made):
    Image.new("L", (1_500, 1_000)).save(made / "images" / "b.png")
    code, out, _ = facebench("data", "verify", made, "--max-megapixels", "1")
    assert code == 1 and "expected at most 1,000,000 pixels (--max-megapixels 2 of detect, run and data verify" in out
    assert facebench("data", "verify", made, "--max-megapixels", "2")[0] == 0


def test_verify_and_convert_say_what_to_install(facebench, made, monkeypatch):
    (made / "images" / "b.png").write_bytes(encoded("HEIF"))
    assert facebench("data", "verify", made)[0] == 0
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    code, out, _ = facebench("data", "verify", made)
    assert code == 1 and "b.png: no decoder: got HEIC" in out and "pip install 'facebench[heif]'" in out
    code, out, _ = facebench("data", "stats", made)
    assert code == 0 and "b.png: the size cannot be read (got HEIC" in out and "pip install 'facebench[heif]'" in out
    code, _, err = facebench("data", "convert", made, "-o", made / "out", "--format", "coco")
    assert code == 2 and "Got no size of b.png" in err and "pip install 'facebench[heif]'" in err


def test_verify_holds_files_against_their_record(facebench, one, tmp_path):
    facebench("data", "fetch", "fddb", "--from", one, "--accept-terms")
    (tmp_path / "data" / "mine" / "pictures" / "a.jpg").write_bytes(b"b")
    code, out, _ = facebench("data", "verify", "fddb")
    assert code == 1 and "a.jpg: got sha256" in out


def test_stats(facebench, made):
    code, out, _ = facebench("data", "stats", made)
    assert code == 0 and "images without a face" in out and "annotated as CSV" in out
    code, out, _ = facebench("data", "stats", made, "--json")
    assert code == 0 and json.loads(out)["faces"] == 1


def test_convert(facebench, made, tmp_path):
    code, out, _ = facebench("data", "convert", made, "-o", tmp_path / "out", "--format", "voc")
    assert code == 0 and out.startswith(f"wrote 2 images with 1 faces to {tmp_path / 'out'}\nnote: Numbers: corners")
    code, out, _ = facebench("data", "convert", made, "-o", tmp_path / "copy", "--format", "coco", "--json")
    assert code == 0 and json.loads(out) == {"folder": str(tmp_path / "copy"), "pictures": 2, "faces": 1, "lost": []}


@pytest.mark.slow
def test_a_folder_is_measured_like_any_other_data_set(facebench, tmp_path):
    facebench("data", "convert", "scenes?count=3", "-o", tmp_path / "mine", "--format", "yolo")
    run = ["run", "--detectors", "haar", "--dataset", tmp_path / "mine", "--out", tmp_path / "run"]
    code, out, err = facebench(*run, "--json")
    assert code == 0 and "mine: 3 images. Images of your own" in err and str(tmp_path) not in err, err
    assert json.loads(out)["scope"] == "mine, 3 images"
    (row,) = json.loads(out)["rows"]
    code, out, err = facebench(
        "run", "--detectors", "haar", "--dataset", "scenes?count=3", "--out", tmp_path / "x", "--json"
    )
    assert row["AP_overall"] == json.loads(out)["rows"][0]["AP_overall"] > 0

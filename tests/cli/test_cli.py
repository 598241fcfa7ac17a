"""The command as a person or a script meets it: exit codes, messages, files."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from facebench.detectors import default_specs
from facebench.detectors.probe_images import FACE, portrait
from facebench.tests.support.command import facebench, facebench_process, python_path
from facebench.tests.support.paths import SUPPORT
from facebench.tests.support.records import without_checksums
from PIL import Image


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A finished run of two detectors and one that fails, on a few scenes."""
    out = tmp_path_factory.mktemp("runs") / "r"
    detectors = "hostile_detectors:Good,haar,hostile_detectors:Raises"
    done = facebench("run", "--dataset", "scenes?count=4", "--detectors", detectors, "--out", out)
    assert done.returncode == 1, done.stderr
    assert "the cascade of doom" in done.stderr
    return out


def test_the_table_names_everything_that_a_number_depends_on(run_folder):
    done = facebench_process("table", run_folder)
    assert done.returncode == 0
    for words in ("scenes?count=4", "4 images", "a demonstration on two people", "haar", "p50 ms", "AP overall"):
        assert words in done.stdout
    assert "hostile_detectors:Raises: failed: failed on" in done.stdout
    assert "The harness itself: " in done.stdout


def test_the_table_as_json_and_markdown(run_folder):
    table = json.loads(facebench("table", run_folder, "--json").stdout)
    rows = {row["spec"]: row for row in table["rows"]}
    assert rows["haar"]["status"] == "done" and 0 <= rows["haar"]["AP_overall"] <= 1
    assert rows["haar"]["p90_ms"] >= rows["haar"]["p50_ms"] > 0
    assert rows["hostile_detectors:Raises"]["AP_overall"] is None
    markdown = facebench("table", run_folder, "--markdown").stdout
    assert markdown.startswith("| detector | AP overall |") and "Measured on scenes?count=4" in markdown


def test_a_finished_run_is_not_measured_again(run_folder):
    before = (run_folder / "run.json").read_bytes()
    done = facebench("run", "--dataset", "scenes?count=4", "--detectors", "haar", "--out", run_folder)
    assert (run_folder / "run.json").read_bytes() == before
    assert "done haar" not in done.stderr


def test_report(run_folder, tmp_path):
    done = facebench("report", run_folder, "-o", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "haar" in page and "the cascade of doom" in page and "demonstration" in page


def test_pick_refuses_a_demonstration_and_takes_it_when_told(run_folder, tmp_path):
    file = tmp_path / "default_detector.json"
    refused = facebench("pick", run_folder, "-o", file)
    assert (refused.returncode, file.exists()) == (2, False)
    assert "its winner is not a default" in refused.stderr
    done = facebench("pick", run_folder, "-o", file, "--demo", "--accept-noise")
    assert done.returncode == 0, done.stderr
    assert json.loads(file.read_text())["setting"]["spec"] in done.stdout


def test_detect_with_the_picked_default(run_folder, tmp_path):
    facebench("pick", run_folder, "-o", tmp_path / "default_detector.json", "--demo", "--accept-noise")
    Image.fromarray(portrait()).save(tmp_path / "astronaut.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    files = ("astronaut.png", "broken.jpg", "absent.jpg")
    done = facebench("detect", *files, "-o", "boxes", cwd=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, "an image that cannot be read is a failed check"
    assert np.abs(np.array(lines[0]["faces"][0]["box"]) - FACE).max() < 30
    with Image.open(tmp_path / lines[0]["overlay"]) as drawn:
        assert drawn.size == (512, 512)
    assert "not an image" in lines[1]["error"] and "unreadable" in lines[2]["error"]


def test_detect_has_a_sample_for_whom_no_image_is_at_hand(tmp_path):
    done = facebench("detect", "--sample", "--detector", "haar", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["picture"] == "out/sample.png" and len(line["faces"]) >= 2
    for name in (line["picture"], line["overlay"]):
        with Image.open(tmp_path / name) as image:
            assert image.mode == "RGB" and min(image.size) > 400
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sample.faces.jpg", "sample.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "got no image, expected images"),
        (["-o", "out"], "got no image, expected images"),
        (["--sample"], "got --sample without -o, expected images"),
        (["--sample", "a.png", "-o", "out"], "got --sample and images, expected"),
        ([""], "got an empty name, expected an image"),
        (["--sample", "-o", "out.mp4"], "got -o out.mp4 for images, expected a folder"),
    ],
)
def test_detect_says_what_it_looks_at(arguments, words, tmp_path):
    done = facebench("detect", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--detectors", "yunett"], "unknown detector 'yunett'. Did you mean yunet?"),
        (["run", "--detectors", "haar:scale=1.2"], "has no parameter 'scale'. Did you mean scale_factor?"),
        (["run", "--detectors", "haar:scale_factor=0.9"], "expected more than 1"),
        (["run", "--dataset", "scens"], "Did you mean scenes?"),
        (["run", "--dataset", "wider-face:val", "--data", "nowhere"], "wider"),
        (["run", "--device", "tpu"], "cpu"),
        (["run", "--size", "big"], "expected original, long=PIXELS"),
        (["run", "--batch", "4,0"], "--batch 4,0: expected whole numbers above 0, separated by commas"),
        (
            ["run", "--batch", "4", "--rounds", "0", "--executor", "local:1", "--dataset", "scenes?count=1"],
            "got batches of 4 images in 0 rounds, expected at least 1 of both",
        ),
        (["run", "--threads", "1000", "--dataset", "scenes?count=1"], "expected 1 to"),
        (["report", "nowhere"], "holds no run"),
        (["pick", "nowhere"], "holds no run"),
        (
            ["pick", "nowhere", "--require", "recall[shares>=.2] >= .9"],
            "unknown attribute 'shares'. Did you mean share?",
        ),
        (["pick", "nowhere", "--require-on", "r"], "got --require-on without --require"),
        (["models", "fetch", "yunette"], "Did you mean yunet"),
        (["detectors", "check", "no.such:Class"], "cannot load the detector"),
        (["frobnicate"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_message_and_exit_code_two(arguments, words, tmp_path):
    done = facebench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_another_schema_version_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": "facebench.run", "schema_version": 7}')
    for arguments in (
        ["table", tmp_path],
        ["run", "--dataset", "scenes?count=2", "--detectors", "haar", "--out", tmp_path],
    ):
        done = facebench(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and "schema version 7" in done.stderr


def test_a_results_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = facebench("run", "--dataset", "scenes?count=2", "--detectors", "haar", "--out", tmp_path / "file" / "run")
    assert done.returncode == 2 and "Choose another folder with --out" in done.stderr


def test_detectors_list_says_what_is_missing_and_how_to_remedy_it(tmp_path):
    settings = {"FACEBENCH_CACHE": str(tmp_path), "FACEBENCH_MODELS": ""}
    rows = {row["detector"]: row for row in json.loads(facebench("detectors", "list", "--json", **settings).stdout)}
    assert set(default_specs()) <= set(rows)
    assert rows["haar"]["state"] == "available"
    assert rows["yunet"]["state"] == "model not fetched yet: fetched on first use"
    assert rows["yunet"]["remedy"] == "facebench models fetch yunet"
    assert rows["ssd"]["remedy"] == "facebench models fetch ssd-net ssd-weights"
    offline = facebench("detectors", "list", "--json", FACEBENCH_OFFLINE="1", **settings)
    states = {row["detector"]: row["state"] for row in json.loads(offline.stdout)}
    assert states["haar"] == "available" and states["yunet"].startswith("unavailable: yunet needs the model file")


def test_the_table_of_detectors_leaves_extras_in_the_commands_that_remedy(monkeypatch):
    from facebench.cli import app
    from typer.testing import CliRunner

    monkeypatch.setitem(sys.modules, "mtcnn", None)
    done = CliRunner().invoke(app, ["detectors", "list"])
    assert "'facebench[mtcnn]'" in done.stdout, "what is in brackets is not markup"


def test_offline_run_goes_on_with_what_is_there(tmp_path):
    settings = {"FACEBENCH_CACHE": str(tmp_path / "cache"), "FACEBENCH_MODELS": "", "FACEBENCH_OFFLINE": "1"}
    arguments = ("run", "--dataset", "scenes?count=2", "--detectors", "yunet,haar", "--out", tmp_path / "r")
    done = facebench(*arguments, **settings)
    assert done.returncode == 1, "yunet was named"
    assert "unavailable yunet" in done.stderr and "facebench models fetch yunet" in done.stderr
    assert "done haar" in done.stderr


def test_a_detector_in_the_working_folder_is_found(tmp_path):
    source = (SUPPORT / "hostile_detectors.py").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    arguments = ("run", "--dataset", "scenes?count=2", "--detectors", "mine:Good", "--out", "r", "--json")
    done = facebench_process(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["spec"] == "mine:Good"


def test_check_names_what_fails(tmp_path):
    done = facebench("detectors", "check", "hostile_detectors:ReturnsNan", cwd=tmp_path)
    assert done.returncode == 1
    assert "FAIL  finds the face: raised ContractError: boxes must be finite" in done.stdout


def test_version_help_and_lists():
    from facebench import __version__

    assert facebench_process("--version").stdout.strip() == f"facebench {__version__}"
    assert "run" in facebench("--help").stdout
    for words in ([], ["run"], ["data", "stats"]):
        assert (done := facebench(*words, "-h")).stdout == facebench(*words, "--help").stdout and done.returncode == 0
    assert "scenes" in facebench("data", "list").stdout
    assert {"yunet", "dlib-cnn"} <= {row["model"] for row in json.loads(facebench("models", "list", "--json").stdout)}


def test_output_into_a_closed_pipe_is_no_error(run_folder):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "facebench.cli", "table", str(run_folder)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("orientation", range(1, 9))
def test_detect_sees_the_image_upright_whatever_the_exif_orientation(tmp_path, orientation):
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    image = Image.fromarray(portrait())
    stored = image if turned is None else image.transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    (tmp_path / "p.png").write_bytes(buffer.getvalue())
    done = facebench("detect", tmp_path / "p.png", "--detector", "haar")
    box = json.loads(done.stdout)["faces"][0]["box"]
    assert np.abs(np.array(box) - FACE).max() < 30


def test_a_broken_plugin_does_not_hide_the_others(tmp_path):
    """A distribution of somebody else's whose module cannot be imported."""
    metadata = tmp_path / "broken_detector-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-detector\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[facebench.detectors]\nbroken = no_such_module:Class\n")
    done = facebench_process("detectors", "list", "--json", PYTHONPATH=python_path(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = {row["detector"]: row["state"] for row in json.loads(done.stdout)}
    assert rows["broken"].startswith("broken: ") and "no_such_module" in rows["broken"]
    assert rows["haar"] == "available"


def test_a_pick_does_not_replace_the_default_that_is_shipped(run_folder):
    """In the folder of the source, where the usual name is that of the built-in file, it lies with its run."""
    from facebench.benchmarks.choose.default import BUILT_IN

    before, picked = BUILT_IN.read_bytes(), run_folder / "default_detector.json"
    done = facebench("pick", run_folder, "--demo", "--accept-noise", cwd=BUILT_IN.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"wrote {picked}; to use it: export FACEBENCH_DEFAULT={picked}"
    assert json.loads(picked.read_text())["setting"]["spec"] in done.stdout
    assert BUILT_IN.read_bytes() == before


def test_a_pick_is_used_in_the_folder_it_lies_in(run_folder, tmp_path):
    done = facebench("pick", run_folder, "--demo", "--accept-noise", cwd=tmp_path)
    assert done.stdout.splitlines()[-1].startswith("wrote default_detector.json; facebench detect")
    assert (tmp_path / "default_detector.json").is_file()


def test_a_pick_says_whom_it_left_out_and_why(run_folder, tmp_path):
    options = ("--demo", "--accept-noise", "--licence", "MIT", "--licence", "unknown")
    done = facebench("pick", run_folder, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "  - left out: haar: the licence of its code is Apache-2.0; allowed: MIT, unknown" in lines
    assert any(line.startswith("  - left out: hostile_detectors:Raises: failed: failed on") for line in lines)


def test_an_unfinished_run_is_inconclusive(run_folder, tmp_path):
    document = without_checksums(json.loads((run_folder / "run.json").read_text()))
    for cell in document["cells"]:
        if cell["spec"] == "haar":
            cell |= {"status": "running", "reason": ""}
    shutil.copytree(run_folder, tmp_path / "r")
    (tmp_path / "r" / "run.json").write_text(json.dumps(document))
    refused = facebench("pick", "r", "--demo", "--accept-noise", cwd=tmp_path)
    assert refused.returncode == 3 and "r is unfinished: haar could be chosen with a result" in refused.stderr
    assert not (tmp_path / "default_detector.json").exists()
    done = facebench("pick", "r", "--demo", "--accept-noise", "--accept-unfinished", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "  - left out: haar: unfinished: it has no result yet" in done.stdout.splitlines()
    assert json.loads((tmp_path / "default_detector.json").read_text())["unfinished"] == ["haar"]


def test_a_pick_can_demand_a_slice_on_another_run(run_folder, tmp_path):
    options = ("--demo", "--accept-noise", "--require", "recall[height>=1] >= 0")
    done = facebench("pick", run_folder, *options, "--require-on", run_folder, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    choice = json.loads(done.stdout)
    assert choice["rule"]["requirements"] == ["recall[height>=1] >= 0"]
    assert set(choice["required"]) == {"haar", "hostile_detectors:Good"}


def _options(command):
    yield from command.params
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)


def test_no_help_text_loses_a_word_in_brackets():
    """Rich takes [share>=.2] for markup and prints nothing of it."""
    from facebench.cli import app
    from rich.markup import render
    from typer.main import get_command

    texts = [option.help for option in _options(get_command(app)) if getattr(option, "help", None)]
    assert len(texts) > 100
    assert [text for text in texts if render(text).plain != text.replace("\\[", "[")] == []


@pytest.mark.parametrize("words", [[], ["gate"], ["data", "stats"], ["emotions", "train"]])
def test_an_option_without_a_value_shows_no_type(words):
    from facebench.cli import app
    from typer.testing import CliRunner

    text = CliRunner().invoke(app, [*words, "-h"]).stdout
    assert "--help" in text and "<bool>" not in text

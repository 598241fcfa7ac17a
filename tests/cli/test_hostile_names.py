"""Names of data sets, images, categories and detectors that were made to act: through every output of the command."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from facebench.detectors.probe_images import FACE, portrait
from facebench.tests.support.command import facebench
from facebench.tests.support.two_runs import add, found, start_run
from facebench.tools.faults.images import encode

ODD = (
    "[/x] [bold]\x1b[31m\x1b]0;t\x07 \n::error::pwned\r##[error]x \u202egnp @you :smile: ![i](https://evil/i.png) "
    "<img src=x>"
)
NAME = ODD.replace("/", "_")
"""As the name of a file."""


def assert_harmless(text: str) -> None:
    acting = {one for one in text if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or one == "\u202e"}
    assert acting <= {"\n"}
    assert not re.search(r"^\s*::|##\[", text, re.MULTILINE)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / NAME
    folder.mkdir()
    (folder / f"{NAME}.png").write_bytes(encode(portrait()))
    (folder / "broken.png").write_bytes(b"no image")
    x1, y1, x2, y2 = FACE
    document = {
        "images": [{"id": 0, "file_name": f"{NAME}.png"}, {"id": 1, "file_name": "broken.png"}],
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}],
        "categories": [{"id": 1, "name": "face"}, {"id": 2, "name": ODD}],
    }
    (folder / "all.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["data", "stats"], 0),
        (["data", "verify"], 1),
        (["data", "stats", "?category=none"], 2),
        (["data", "stats", "?format=none"], 2),
    ],
)
def test_of_a_data_set(data, arguments, code):
    done = facebench(*arguments[:2], f"folder:{data}{''.join(arguments[2:])}", PYTHONIOENCODING="ascii")
    assert done.returncode == code, done.stderr
    assert_harmless(done.stdout)
    assert_harmless(done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_of_a_run_and_what_reads_it(data, tmp_path):
    out = tmp_path / ODD.replace("/", "_")
    commands: list[tuple[list[str | Path], int]] = [
        (["run", "--dataset", f"folder:{data}", "--detectors", "haar", "--out", out], 0),
        (["table", out], 0),
        (["table", out, "--markdown"], 0),
        (["report", out, "-o", tmp_path / "report.html"], 0),
        (["export", out, "--format", "jsonl", "-o", tmp_path / "e.jsonl"], 2),
        (["compare", out, out], 0),
        (["detect", data, "--detector", "haar", "-o", tmp_path / "copies"], 1),
        (["score", tmp_path / "p.jsonl", "--dataset", f"folder:{data}", "--allow-missing"], 0),
        (["run", "--dataset", ODD, "--detectors", "haar"], 2),
        (["run", "--dataset", "scenes", "--detectors", ODD], 2),
    ]
    (tmp_path / "p.jsonl").write_text(
        json.dumps({"image_id": f"{NAME}.png", "boxes": [], "scores": []}), encoding="utf-8"
    )
    for arguments, code in commands:
        done = facebench(*arguments, cwd=tmp_path)
        assert done.returncode == code, (arguments, done.stderr)
        assert_harmless(done.stdout)
        assert_harmless(done.stderr)
        assert "Traceback" not in done.stderr


def test_of_a_comparison(tmp_path):
    base, head = start_run(tmp_path / "base"), start_run(tmp_path / "head")
    for run, more in ((base, {}), (head, {"boxes": found(range(20))})):
        add(run, f"own:{ODD}", **more)
        add(run, "haar", status="failed", reason=ODD * 200)
    files = tmp_path / "gate.md", tmp_path / "gate.xml"
    done = facebench("gate", base.path, head.path, "--markdown", files[0], "--junit", files[1])
    assert done.returncode == 1, done.stderr
    markdown, junit = (file.read_text(encoding="utf-8") for file in files)
    for text in (done.stdout, done.stderr, markdown, junit):
        assert "pwned" in text or not text
        assert_harmless(text)
    assert len(junit) < 20_000 and len(markdown) < 60_000
    assert "<img" not in markdown and "@you" not in markdown and "![" not in markdown and "://" not in markdown

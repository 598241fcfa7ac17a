"""A copy of the package with the change that docs/contributing.md shows in a section, and commands that run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from facebench.tests.support.pages import blocks
from facebench.tests.support.paths import ROOT

NOT_COPIED = shutil.ignore_patterns(
    ".*", "tests", "runs", "out", "build", "dist", "__pycache__", "*.egg-info", "shared"
)


def changed_copy(folder: Path, heading: str) -> Path:
    """Copy the package into a folder and apply the diffs of one section."""
    copy = folder / "facebench"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    diffs = blocks(page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0], "diff")
    assert diffs, f"docs/contributing.md shows no diff under {heading!r}"
    for diff in diffs:
        apply(diff, copy)
    return copy


def apply(diff: str, folder: Path) -> None:
    """Apply the diff of one file, of which each hunk must fit in one place."""
    header, *hunks = diff.split("\n@@ ")
    file = folder / header.rpartition("\n+++ b/")[2]
    text = "" if "\n--- /dev/null\n" in header else file.read_text(encoding="utf-8")
    for hunk in hunks:
        lines = hunk.splitlines(keepends=True)[1:]
        before = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
        after = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
        assert not before or text.count(before) == 1, f"a hunk of {file.name} fits in {text.count(before)} places"
        text = text.replace(before, after, 1) if before else after
    file.write_text(text, encoding="utf-8")


def python(copy: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run Python with the copy in the place of facebench, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=copy.parent,
        env={**os.environ, "PYTHONPATH": str(copy.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in codes, done.stderr
    return done.stdout

"""What everything stands on: encoding, variables, room."""

from __future__ import annotations

import pytest
from facebench.benchmarks.doctor.system import system
from facebench.tests.support.made_up_machine import assert_says, made_up

# facts of the machine, bytes of models still to come; check, level, words
CHECKS = {
    "UTF-8": ({}, 0, "encoding", None, ()),
    "ASCII": ({"encoding": "ascii"}, 0, "encoding", "warning", ("written as ascii", "PYTHONIOENCODING=utf-8")),
    "Latin-1 lacks the dash of intervals": ({"encoding": "latin-1"}, 0, "encoding", "warning", ("latin-1",)),
    "Windows' Western code page lacks a sign": ({"encoding": "cp1252"}, 0, "encoding", "warning", ("cp1252",)),
    "an unknown encoding": ({"encoding": "x-none"}, 0, "encoding", "warning", ("x-none",)),
    "variables that are read": (
        {"environment": {"FACEBENCH_MODELS": "a", "FACEBENCH_CACHE": "b", "HOME": "c"}}, 0, "variables", None, (),
    ),
    "a variable that is misspelt": (
        {"environment": {"FACEBENCH_MODEL": "a"}}, 0, "variables", "warning",
        ("nothing reads it. Did you mean FACEBENCH_MODELS", "unset FACEBENCH_MODEL"),
    ),
    "room for models": ({"free_bytes": lambda folder: 10**9}, 10**9, "cache", "ok", ("1.0 GB free",)),
    "no room for models": ({"free_bytes": lambda folder: 10**9}, 10**9 + 1, "cache", "warning", ("1,000 MB of",)),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "wanted", "check", "level", "words"), CHECKS.values(), ids=CHECKS)
def test_what_is_said(facts, wanted, check, level, words, tmp_path):
    assert_says(system(made_up(tmp_path, **facts), tmp_path / "cache" / "models", wanted), check, level, *words)


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    found = system(made_up(tmp_path), tmp_path / "file" / "models", 0)
    assert_says(found, "cache", "warning", "cannot write to the cache", "FACEBENCH_CACHE=DIR")


def test_looking_at_the_cache_leaves_nothing_there(tmp_path):
    assert_says(system(made_up(tmp_path), tmp_path / "a" / "models", 0), "cache", "ok", str(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []

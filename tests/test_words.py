"""Plain words: what a reader from outside would have to learn does not stand in names, messages, templates or docs."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from facebench.tests.support.paths import ROOT

PLAIN = {
    r"pictures?": "image",
    r"(?<![a-z])mend(s|ed|ing)?(?![a-z])": "fix, remedy",
    r"(?<![a-z])(bring|brings|brought|bringing)(?![a-z])": "fetch, download, collect, give",
    r"(?<![a-z])anew(?![a-z])": "again",
    r"put(s|ting)?[ _]aside": "skip, fail",
    r"\ba lie\b": "invalid",
    r"\bholds? (zero|0)\b": "includes 0",
    r"\bimages cannot tell\b": "not significantly different",
    r"\b(a|one) (row|line|bar|dot) an? [a-z]+\b": "one row per …",
    r"(?<![a-z])wish(es)?(?![a-z])": "target",
    r"\bdear(er|est)\b": "costlier",
    r"\bfor want of\b": "for lack of",
    r"\bat hand\b": "available",
    r"\beach for itself\b": "each separately",
    r"\bhears? of\b": "is told of",
    r"\bcore was shared\b": "had … of its core",
    r"\bfastest of the best\b": "recommended",
    r"(?<![a-z])(seats?|crews?)(?![a-z])": "worker slot, pool",
    r"(?<![a-z])(applicants?|lookers?|stand[-_]ins?)(?![a-z])": "candidates, reader, placeholder",
}
ON_DISK = re.compile(
    # keys, file names and options that stored runs, scripts and commands of before hold
    r"pictures\.parquet|failed_pictures|picture_(width|height)_px|[\"'`](pictures?|mend|put_aside|brought)[\"'`]|pictures=|"
    r"false_alarms_per_picture|alarm_picture|--(no-)?pictures|pictures\.(sha256|npz|zip)|\.pictures\.|pictures/|picture-|dataset\.pictures"
)
ANY = re.compile("|".join(f"(?:{word})" for word in PLAIN), re.IGNORECASE)
NOT_PROSE = {"CHANGELOG.md", "tests/test_words.py"}


def python_text(text: str) -> Iterator[tuple[int, str]]:
    """Give the line and the text of names, strings and comments."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT):
            yield token.start[0], token.string


def coined(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    parts = python_text(text) if path.suffix == ".py" else enumerate(text.splitlines(), start=1)
    suspect = [(line, ON_DISK.sub("", part)) for line, part in parts if ANY.search(part)]
    return [
        f"{path.relative_to(ROOT)}:{line}: {found[0]}: {plain}"
        for line, part in suspect
        for word, plain in PLAIN.items()
        if (found := re.search(word, part, re.IGNORECASE))
    ]


def texts(suffix: str) -> list[Path]:
    tops = [top for top in ROOT.iterdir() if top.name not in {"runs", "build", "dist"} and top.name[0] != "."]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob(f"*{suffix}"))]
    return [path for path in found if path.suffix == suffix and str(path.relative_to(ROOT)) not in NOT_PROSE]


@pytest.mark.parametrize("suffix", [".py", ".md", ".j2", ".js", ".css"])
def test_words_are_plain(suffix):
    assert [found for path in texts(suffix) for found in coined(path)] == []


def test_a_coined_word_is_seen():
    for text in ("picture = 1", "x = 'to mend: go'", "# measure anew", "class Seat:\n    pass"):
        assert any(re.search(word, part, re.IGNORECASE) for _, part in python_text(text) for word in PLAIN), text
    assert ON_DISK.sub("", 'cell["failed_pictures"]') == 'cell[""]'

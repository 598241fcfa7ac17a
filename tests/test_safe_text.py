"""What strangers write does nothing in a terminal, a log, Markdown or XML."""

from __future__ import annotations

import ast
import re
import unicodedata
from xml.etree import ElementTree as ET

import pytest
from facebench.reports.text.markdown import escape
from facebench.safe_text import bounded, visible
from facebench.tests.support.paths import ROOT
from hypothesis import given
from hypothesis import strategies as st

ANYTHING = st.text(st.characters(codec=None, categories=None)) | st.text("\x1b[]()<>@:#!|/\\w.\n\r\t\u202e\udc80 a")


@given(ANYTHING)
def test_no_character_that_acts_is_left(text):
    shown = visible(text)
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in shown)
    assert not any(unicodedata.bidirectional(one) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI") for one in shown)
    assert not shown.lstrip().startswith("::") and "##[" not in shown
    assert visible(shown) == shown
    shown.encode()
    ET.fromstring(f"<a>{shown.replace('&', '').replace('<', '')}</a>")


def test_ordinary_text_is_left_alone():
    for text in ("a/b c.jpg", "顔_été.png", "👨‍👩‍👧 [x] 50 % :: a", ""):
        assert visible(text) == text


@given(ANYTHING)
def test_markdown_is_text(text):
    shown = escape(text)
    assert "\n" not in shown and "<" not in shown
    assert not re.search(r"(?<!\\)(\\\\)*[|\[\]]", shown)
    assert not re.search(r"@\w", shown) and "://" not in shown and "www." not in shown.lower()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![x](https://evil/a.png)", r"!\[x\](https:\//evil/a.png)"),
        ("\n::error::no", r"\\n::error::no"),
        ("::error::no", r"\\::error::no"),
        ("@you and a@b.c", "@\u2060you and a@\u2060b.c"),
        ("<img src=x> &amp;", "&lt;img src=x> &amp;amp;"),
    ],
)
def test_in_markdown_nothing_is_a_link_an_image_a_mention_or_an_order(text, shown):
    assert escape(text) == shown


def test_a_long_text_keeps_its_ends():
    assert len(bounded("x" * 10**6)) <= 2000 and bounded("x") == "x"


def test_the_command_prints_through_one_function():
    """`typer.echo` is for JSON, Markdown and help alone, which have escapes of their own."""
    others = []
    for path in (ROOT / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "print"):
                first = ast.unparse(node.args[0])
                if not first.startswith(("json_text(", "comparison_markdown(", "markdown_table(", "context.get_help(")):
                    others.append(f"{path.name}: {first[:60]}")
    assert others == ["console.py: visible(line)"]

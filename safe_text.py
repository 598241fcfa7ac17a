r"""Text of strangers, made fit to be shown: names of files, categories and detectors, notes, reasons.

Such text may move the cursor, colour the screen, turn the direction of writing (Unicode TR 36, 3.1), begin lines of its
own or give orders to the CI service that reads a log. What does is shown as its escape instead, such as `\x1b`. Each
border has one function on top of these: `cli.console.say` and its consoles, `reports.text.markdown.escape`,
`reports.text.junit`.
"""

from __future__ import annotations

import re

LONGEST = 2000
"""Characters of a stranger's sentence that are kept, see `bounded`."""

# control characters, marks and overrides of direction, line and paragraph separators, half surrogates (which stand for
# bytes that are not UTF-8), and what is not a character
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# lines that GitHub's runner obeys, whatever spaces stand before them; the older form anywhere in a line
_ORDER = re.compile(r"^(\s*):(?=:)|##(?=\[)")


def visible(text: str) -> str:
    r"""Return a line that does nothing but stand there; line breaks and other unsafe characters become escapes.

    >>> visible("a\x1b[2J\nb\u202egpj.exe"), visible("::error::no"), visible("caf\xe9 :: 顔")
    ('a\\x1b[2J\\nb\\u202egpj.exe', '\\::error::no', 'café :: 顔')
    """
    if _UNSAFE.search(text):
        text = _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
    return (
        _ORDER.sub(lambda found: found[0][:-1] + "\\" + found[0][-1], text) if "::" in text or "##[" in text else text
    )


def bounded(text: str, most: int = LONGEST) -> str:
    """Return a text of at most so many characters, its begin and its end with what was left out between them counted.

    >>> bounded("a" * 50 + "z" * 50, 40)
    'aaaaa … 90 characters … zzzzz'
    """
    if len(text) <= most:
        return text
    kept = max((most - 30) // 2, 1)
    return f"{text[:kept]} … {len(text) - 2 * kept:,} characters … {text[-kept:]}"

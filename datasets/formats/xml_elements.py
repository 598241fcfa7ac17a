"""Reading small XML files, with the line of each element and in the encodings that people's programs declare."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from xml.parsers import expat

from ..storage.places import Tree
from .annotated import Faults

_HEAD = 4096
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(slots=True)
class Element:
    """An element, with the line on which it begins."""

    tag: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        """Return the first child of this tag."""
        return next((child for child in self.children if child.tag == tag), None)

    def value(self, tag: str) -> str:
        """Return the text of the first child of this tag; "" where there is none."""
        child = self.child(tag)
        return child.text.strip() if child else ""


def has_root(tree: Tree, path: str, tag: str) -> bool:
    """Tell whether an element of this tag begins near the begin of a file."""
    head = tree.data(path)[:_HEAD].replace(b"\0", b"")  # of two bytes a letter
    return re.search(rb"<" + tag.encode() + rb"[\s/>]", head) is not None


def parse(tree: Tree, path: str, root: str, faults: Faults) -> Element | None:
    """Return the root element; None where a fault was noted.

    Entities of a file's own are refused, since a few lines of them fill any memory.
    """
    parser = expat.ParserCreate()
    top = Element("", 0)
    stack = [top]

    def begin(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, parser.CurrentLineNumber, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def end(tag: str) -> None:
        stack.pop()

    def add(text: str) -> None:
        stack[-1].text += text

    def refuse(*entity: object) -> None:
        raise expat.ExpatError("entities are not accepted")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = add, refuse
    data = tree.data(path)
    text = decoded(data)
    if text is None:
        declared = _declared(data) or "no encoding"
        faults.add(f"{tree.where(path)}:1", f"got bytes that are not UTF-8, and {declared} declared; save it as UTF-8")
        return None
    try:
        parser.Parse(text, True)  # a text is read as it is, whatever it declares
    except expat.ExpatError as error:
        faults.add(f"{tree.where(path)}:{parser.CurrentLineNumber}", f"got {error}, expected whole XML")
        return None
    if top.children[0].tag != root:
        got = top.children[0]
        faults.add(f"{tree.where(path)}:{got.line}", f"got <{got.tag}>, expected <{root}>")
        return None
    return top.children[0]


def decoded(data: bytes) -> str | None:
    """Return the text of an XML file: UTF-8 where the bytes are, else as declared; None where they are neither.

    Many programs declare one encoding and write another; text of another encoding is hardly ever valid UTF-8.
    """
    encodings = [encoding for mark, encoding in _MARKS.items() if data.startswith(mark)] or ["utf-8"]
    declared = _declared(data)
    if declared and not declared.lower().startswith(("utf-16", "utf-32")):  # which its own declaration belies
        # seven-bit encodings such as ISO-2022-JP are valid UTF-8 too
        encodings.insert(0 if data.isascii() else len(encodings), declared)
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    return None


def _declared(data: bytes) -> str:
    found = _DECLARED.match(data[:_HEAD])
    return found[1].decode() if found else ""

"""Reads a report as a browser would, as far as a test must know."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "input", "br", "wbr"}


class Page(HTMLParser):
    """Elements with their attributes, and the text of each section.

    Attributes:
        elements: (tag, attributes) of every start tag.
        raw: the text inside <style> and <script>, by tag.
        sections: the text below each heading of level two, by that heading's id; "" is what comes before.
        rows: the cells of every table row, as text.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self.sections: dict[str, str] = {"": ""}
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "h2":
            self._section = attributes["id"] or ""
            self.sections[self._section] = ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
            return
        self.sections[self._section] += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """The cells of the first row whose first cell begins with `name`."""
        return next([cell.strip() for cell in row] for row in self.rows if row and row[0].strip().startswith(name))

    def values(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.elements if attribute in attributes]

"""`python -m facebench.tools.detector_lists`: write the lists of detectors in README.md and docs/detectors/index.md.

They follow from the adapters' cards and from the pages: a detector has the page of its name, or stands in the head of
the page of its family. A head says, last, what the detector looks at.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from ..detectors import default_specs, resolve

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "detectors"
_LIST = re.compile(r"(?<=<!-- detectors -->\n).*?(?=<!-- end of detectors -->)", re.DOTALL)


def built_in() -> list[str]:
    """Return the names of the built-in detectors, sorted."""
    return sorted({resolve(spec).name for spec in default_specs()})


def head(page: str) -> str:
    """Return the paragraph in italics under the title of a page: who made it, who runs it, what it looks at.

    Raises:
        LookupError: it is not there, or does not end in "Looks at ….".
    """
    found = re.search(r"^\*(\w.*?)\*$", (PAGES / f"{page}.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    paragraph = " ".join(found[1].split()) if found else ""
    if not re.search(r" Looks at [^.]+\.$", paragraph):
        raise LookupError(f"docs/detectors/{page}.md: expected a paragraph in italics that ends in Looks at ….")
    return paragraph


def families() -> Mapping[str, list[str]]:
    """Return page -> its detectors, the one of its name first.

    Raises:
        LookupError: a detector is on no page.
    """
    names = built_in()
    found = {name: [name] for name in names if (PAGES / f"{name}.md").is_file()}
    for name in (name for name in names if name not in found):
        page = next((page for page in found if f"`{name}`" in head(page)), None)
        if page is None:
            raise LookupError(f"{name} has no page docs/detectors/{name}.md, and no other page names it in its head")
        found[page].append(name)
    return found


def table() -> str:
    """Return the table of docs/detectors/index.md."""
    rows = ["| page | kind | looks at | landmarks |", "|---|---|---|---|"]
    for page, names in families().items():
        card = resolve(page).adapter.info
        cell = ", ".join((f"[{page}]({page}.md)", *names[1:]))
        looks_at = head(page).rpartition("Looks at ")[2].rstrip(".")
        rows.append(f"| {cell} | {card.family} | {looks_at} | {'yes' if card.landmarks else 'no'} |")
    return "\n".join(rows) + "\n"


def sentence() -> str:
    """Return the list in README.md."""
    names = ", ".join(f"`{name}`" for name in built_in())
    return textwrap.fill(f"**Detectors**: {names}.", 120, break_on_hyphens=False) + "\n"


def written() -> dict[Path, str]:
    """Return file -> its text with the list as it should be."""
    lists = {PAGES / "index.md": f"\n{table()}\n", ROOT / "README.md": sentence()}
    return {path: _LIST.sub(lambda _: text, path.read_text("utf-8"), count=1) for path, text in lists.items()}  # noqa: B023


def main() -> None:
    """Write both files."""
    for path, text in written().items():
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()

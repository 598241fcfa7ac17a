"""What to know about the data: notes, and the images that were left out or failed."""

from __future__ import annotations

from .base import Page, Section

ORDER = 170


def section(page: Page) -> Section:
    """List the notes of the data set, and every image without a result."""
    document = page.summary.run.document
    done = [row for row in page.summary.rows if row.done]
    values = {"dataset": document.dataset, "excluded": document.excluded or (), "done": done}
    return Section("notes", "notes.html.j2", values, "notes")

"""What the run was measured on."""

from __future__ import annotations

from ...benchmarks.store.records import UNKNOWN_SIZE, Protocol
from .base import Page, Section

ORDER = 10


def section(page: Page) -> Section:
    """Say data set, terms, protocol and machine."""
    document = page.summary.run.document
    protocols = dict.fromkeys(_protocol_text(row.cell.protocol) for row in page.summary.rows)
    values = {"document": document, "dataset": document.dataset, "environment": document.environment}
    return Section("scope", "scope.html.j2", {**values, "protocol": "; or ".join(protocols)})


def _protocol_text(protocol: Protocol) -> str:
    size = "images at their original size"
    if protocol.size == UNKNOWN_SIZE:
        size = "predictions from a file, which does not say how the images were given to the detector"
    elif protocol.size != "original":
        size = f"images scaled to {protocol.size} px, inside the clock"
    floor = "each detector's own score floor"
    if protocol.score_floor is not None:
        floor = f"scores kept from {protocol.score_floor:g} on"
    return f"{size}; {floor}; a hit is an overlap (IoU) of at least 0.5"

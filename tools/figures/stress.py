"""Who keeps how much of its AP on degraded pictures, with intervals; from docs/stress.json."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from .drawing import BLUE, ORANGE, panels

MEASURED = Path(__file__).parents[1] / "stress.json"


def draw() -> Figure:
    """Left: the share of AP that is kept, which ranks the detectors. Right: the AP that this leaves."""
    document = json.loads(MEASURED.read_text(encoding="utf-8"))
    rows = [row for row in document["rows"] if row["kept"][0] is not None][::-1]
    figure, axes = panels(2, 9, 0.8 + 0.3 * len(rows))
    for panel, name, colour, title in zip(
        axes,
        ("kept", "ap_degraded"),
        (BLUE, ORANGE),
        ("share of AP kept", f"AP on degraded pictures, list {document['list']}"),
        strict=True,
    ):
        for place, row in enumerate(rows):
            value, low, high = row[name]
            panel.plot([low, high], [place, place], color=colour, linewidth=2, alpha=0.5)
            panel.plot(value, place, "o" if row["tied_with_best"] else "s", color=colour, markersize=5)
        panel.set(yticks=range(len(rows)), xlim=(0, 1))
        panel.set_title(title, fontsize=9)
    axes[0].set_yticklabels([row["detector"] for row in rows], fontsize=8)
    axes[1].set_yticklabels([])
    return figure

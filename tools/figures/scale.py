"""Memory of a long run over time, and what grows with the number of pictures; from docs/scale.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .drawing import BLUE, GREEN, ORANGE, RED, panels

MEASURED = Path(__file__).parents[1] / "scale.json"


def draw() -> Figure:
    """Left: resident memory of the largest runs. Right: seconds against pictures, both axes logarithmic."""
    document = json.loads(MEASURED.read_text(encoding="utf-8"))
    runs, after = document["measurements"], document["afterwards"]
    largest = max(run["pictures"] for run in runs)
    figure, (memory, growth) = panels(2, 9, 3.6)
    for run, colour in zip(
        [run for run in runs if run["pictures"] == largest], (BLUE, ORANGE, GREEN, RED), strict=False
    ):
        at, own, _ = np.array(run["memory"]).T
        memory.plot(at, own, color=colour, linewidth=1.2, label=run["executor"])
    memory.set(xlabel="seconds", ylabel="MB held by the process that writes", ylim=(0, None))
    memory.set_title(f"{largest:,} pictures", fontsize=9)
    memory.legend(fontsize=8)
    for executor, colour in zip(
        dict.fromkeys(run["executor"] for run in runs), (BLUE, ORANGE, GREEN, RED), strict=False
    ):
        points = sorted((run["pictures"], run["detect_s"]) for run in runs if run["executor"] == executor)
        growth.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, label=f"detect, {executor}")
    for name, line in (("table_s", "s--"), ("report_s", "^--")):
        points = sorted((one["pictures"], one[name]) for one in after)
        growth.plot(*zip(*points, strict=True), line, color="black", markersize=4, label=name.removesuffix("_s"))
    growth.set(xlabel="pictures", ylabel="seconds", xscale="log", yscale="log")
    growth.set_title("one detector", fontsize=9)
    growth.legend(fontsize=7)
    return figure

"""Figures of the pages that are about no detector: a long run's memory, degraded images, and what degradations do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...benchmarks.stress.strips import window
from ...datasets import decode
from ...datasets.degraded.degradations import KINDS, Degradation, degrade_faces, degrade_image, encode
from .drawing import BLUE, GREEN, ORANGE, RED, boxes, panels, scene, show

DOCS = Path(__file__).parents[2] / "docs"
SEVERITIES = (1, 3, 5)
SCENE, FACE = 0, 4
"""Of `scenes`: an image with a face of about 96 pixels, and its place among the faces."""


def _measured(name: str) -> Any:
    return json.loads((DOCS / name).read_text(encoding="utf-8"))


def draw_scale() -> Figure:
    """Memory of a long run over time, and what grows with the number of images; from docs/scale.json.

    Left: resident memory of the largest runs. Right: seconds against images, both axes logarithmic.
    """
    document = _measured("scale.json")
    runs, after = document["measurements"], document["afterwards"]
    largest = max(run["pictures"] for run in runs)
    figure, (memory, growth) = panels(2, 9, 3.6)
    for run, colour in zip(
        [run for run in runs if run["pictures"] == largest], (BLUE, ORANGE, GREEN, RED), strict=False
    ):
        at, own, _ = np.array(run["memory"]).T
        memory.plot(at, own, color=colour, linewidth=1.2, label=run["executor"])
    memory.set(xlabel="seconds", ylabel="MB held by the process that writes", ylim=(0, None))
    memory.set_title(f"{largest:,} images", fontsize=9)
    memory.legend(fontsize=8)
    for executor, colour in zip(
        dict.fromkeys(run["executor"] for run in runs), (BLUE, ORANGE, GREEN, RED), strict=False
    ):
        points = sorted((run["pictures"], run["detect_s"]) for run in runs if run["executor"] == executor)
        growth.plot(*zip(*points, strict=True), "o-", color=colour, markersize=4, label=f"detect, {executor}")
    for name, line in (("table_s", "s--"), ("report_s", "^--")):
        points = sorted((one["pictures"], one[name]) for one in after)
        growth.plot(*zip(*points, strict=True), line, color="black", markersize=4, label=name.removesuffix("_s"))
    growth.set(xlabel="images", ylabel="seconds", xscale="log", yscale="log")
    growth.set_title("one detector", fontsize=9)
    growth.legend(fontsize=7)
    return figure


def draw_stress() -> Figure:
    """Who keeps how much of its AP on degraded images, with intervals; from docs/stress.json.

    Left: the share of AP that is kept, which ranks the detectors. Right: the AP that this leaves.
    """
    document = _measured("stress.json")
    rows = [row for row in document["rows"] if row["kept"][0] is not None][::-1]
    figure, axes = panels(2, 9, 0.8 + 0.3 * len(rows))
    for panel, name, colour, title in zip(
        axes,
        ("kept", "ap_degraded"),
        (BLUE, ORANGE),
        ("share of AP kept", f"AP on degraded images, list {document['list']}"),
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


def draw_degradations() -> Figure:
    """What each degradation does to one face: a window of a scene at its own pixels, with the box as it is scored.

    One row per severity, a column a degradation.
    """
    clean, faces = scene(SCENE)
    figure, _ = panels(1, 8.4, 4.1)
    figure.clear()
    grid = figure.subplots(len(SEVERITIES), len(KINDS), squeeze=False)
    for row, severity in zip(grid, SEVERITIES, strict=True):
        for axes, kind in zip(row, KINDS, strict=True):
            degradation, name = Degradation(kind, severity), f"scene-{SCENE:04d}.png"
            done = degrade_image(clean, faces, degradation, image_id=name)
            image = decode(encode(done, degradation)).image
            assert image is not None, "it was encoded above"
            size = (clean.shape[1], clean.shape[0])
            moved = degrade_faces(faces, size, degradation, image_id=name).boxes
            part, corner = window(image, moved[FACE])
            show(axes, part, f"{kind} {degradation.level:.2g}")
            boxes(axes, moved - np.tile(corner, 2), BLUE, 1.0)
            axes.set_xlim(0, part.shape[1])
            axes.set_ylim(part.shape[0], 0)
    return figure

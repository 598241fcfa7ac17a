"""The accuracy-latency figure: what is drawn, where the names stand, and that it fits the page's policy."""

from __future__ import annotations

import itertools
import re
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.reports.figures.labels import place_labels
from facebench.reports.figures.pareto import Point, accuracy_against_latency, pareto_front, points
from facebench.reports.figures.svg import for_page
from facebench.tests.support import runs


def point(label: str, p50: float, ap: float) -> Point:
    return Point(label, "cascade", p50, p50 * 1.5, ap)


@pytest.mark.parametrize(
    ("candidates", "front"),
    [
        ([], []),
        ([("a", 10, 0.5)], ["a"]),
        ([("slow and worse", 20, 0.4), ("a", 10, 0.5)], ["a"]),
        ([("slow and better", 20, 0.6), ("a", 10, 0.5)], ["a", "slow and better"]),
        ([("slow and equal", 20, 0.5), ("a", 10, 0.5)], ["a"]),
        ([("as fast and worse", 10, 0.4), ("a", 10, 0.5)], ["a"]),
        ([("a", 10, 0.5), ("its twin", 10, 0.5)], ["a"]),
    ],
)
def test_pareto_front(candidates, front):
    assert [found.label for found in pareto_front([point(*candidate) for candidate in candidates])] == front


def overlap(a, b):
    return min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])


@pytest.mark.parametrize("count", [1, 2, 13])
def test_labels_keep_off_each_other_and_off_points_and_bars(count):
    rng = np.random.default_rng(count)
    anchors = [(x, y) for x, y in rng.uniform([300, 150], [420, 350], (count, 2)).tolist()]
    bars = [(x, y, x + 60, y) for x, y in anchors]
    placed = place_labels(anchors, [(90.0, 13.0)] * count, bars, (0, 0, 850, 500))
    assert len(placed) == count
    for a, b in itertools.combinations(placed, 2):
        assert not overlap(a, b)
    for label in placed:
        assert label[0] >= 0 and label[2] <= 850 and label[1] >= 0 and label[3] <= 500
        assert not any(overlap(label, (x - 7, y - 7, x + 7, y + 7)) for x, y in anchors)
        assert not any(overlap(label, (x1, y1 - 2, x2, y2 + 2)) for x1, y1, x2, y2 in bars)


def test_a_label_without_any_free_place_is_still_placed():
    anchors = [(5.0, 5.0)] * 3
    assert len(place_labels(anchors, [(50.0, 13.0)] * 3, [], (0, 0, 10, 10))) == 3


@pytest.fixture
def summary(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT, 20)
    runs.add_cell(run, "haar:min_neighbors=5,scale_factor=1.05", runs.POOR, 5, info={"family": "cascade"})
    runs.add_cell(run, "money:a=$x^$,b=<&>", runs.POOR, 7, threads=2)
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    return summarise_run(run)


def test_the_points_are_the_finished_detectors(summary):
    found = points(summary)
    assert [p.label for p in found] == [
        "exact",
        "haar:min_neighbors=5,scale_factor=1.05",
        "money:a=$x^$,b=<&>, 2 threads",
    ]
    assert (found[0].ap, found[0].p50_ms) == (1.0, 21.0)
    assert (found[0].low, found[0].high) == (pytest.approx(0.025 ** (16 / 9 / 2), abs=0.2), 1.0)


@pytest.mark.parametrize("width", [380, 900])
def test_the_figure_names_every_point_and_passes_the_policy(summary, width):
    svg = accuracy_against_latency(summary, width)
    root = ET.fromstring(svg)
    text = "".join(root.itertext())
    for words in (
        "exact",
        "haar:",
        "scale_factor=1.05",
        "a=$x^$,",
        "b=<&>,",
        "cascade",
        "single-stage CNN",
        "Pareto front",
        "95 % interval",
    ):
        assert words in text
    assert root.attrib["aria-label"] == "Exact AP (overall) against p50 latency of 3 detectors"
    assert root.attrib["viewBox"].split()[2] == str(width)
    names = {name for element in root.iter() for name in element.attrib}
    assert "style" not in names
    assert not [element.tag for element in root.iter() if element.tag.rpartition("}")[2] in ("style", "metadata")]
    assert "currentColor" in {element.attrib.get("fill") for element in root.iter()}
    assert "#010203" not in svg


def test_drawing_is_repeatable_and_leaves_no_trace(summary):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    assert accuracy_against_latency(summary) == accuracy_against_latency(summary)
    assert dict(mpl.rcParams) == before
    assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_the_interval_is_an_upright_bar_through_its_point(summary):
    svg = ET.fromstring(accuracy_against_latency(summary))
    lines = [
        element.attrib["d"].split()[1:6]
        for element in svg.iter()
        if element.attrib.get("clip-path") and element.attrib.get("stroke-opacity") == "0.35"
    ]
    bars = [(float(x1), float(y1), float(y2)) for x1, y1, _, x2, y2 in lines if x1 == x2]
    assert len(lines) == len(bars) == 3
    lengths = [low - high for _, low, high in bars]
    # y falls upwards
    first, *_ = shown = points(summary)
    for found, length in zip(shown, lengths, strict=True):
        assert length == pytest.approx(lengths[0] * (found.high - found.low) / (first.high - first.low), abs=1e-3)
    assert lengths[0] > 100


def test_one_point_alone_can_be_drawn(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    assert "exact" in "".join(ET.fromstring(accuracy_against_latency(summarise_run(run))).itertext())


def test_for_page_turns_style_into_attributes():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9"><style>*{}</style>'
        '<g id="text_1"><text style="font: 11px \'DejaVu Sans\'; fill: #010203; text-anchor: middle">a</text></g></svg>'
    )
    assert for_page(svg, "a title") == (
        '<svg viewBox="0 0 9 9" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="a title">'
        '<g><text font-size="11px" fill="currentColor" text-anchor="middle">a</text></g></svg>'
    )


def test_for_page_numbers_ids_after_what_is_drawn():
    def drawn(first: str, second: str, end: int) -> str:
        return for_page(
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
            f'<defs><path id="{first}" d="M0 0h{end}"/><clipPath id="{second}"><rect/></clipPath></defs>'
            f'<use xlink:href="#{first}" clip-path="url(#{second})"/></svg>',
            "a title",
        )

    one = drawn("m1", "p2", 9)
    root = ET.fromstring(one)
    found = [element.attrib["id"] for element in root.iterfind(".//*[@id]")]
    (use,) = root.iter("{http://www.w3.org/2000/svg}use")
    assert [use.attrib["href"], use.attrib["clip-path"]] == [f"#{found[0]}", f"url(#{found[1]})"]
    assert drawn("another", "hash", 9) == one, "whatever they were called"
    assert drawn("0", "1", 9) == drawn("1", "0", 9) == one, "even like numbers"
    assert not set(found) & {e.attrib["id"] for e in ET.fromstring(drawn("m1", "p2", 8)).iterfind(".//*[@id]")}


@pytest.mark.parametrize("width", [380, 900])
def test_every_reference_of_a_figure_leads_into_it_and_no_other_figure_has_that_id(summary, width):
    svg = accuracy_against_latency(summary, width)
    ids = {element.attrib["id"] for element in ET.fromstring(svg).iterfind(".//*[@id]")}
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    assert used and used <= ids
    other = ET.fromstring(accuracy_against_latency(summary, width + 1))
    assert not ids & {element.attrib["id"] for element in other.iterfind(".//*[@id]")}

"""Sweeps as lines, best operating points, and a strip of every call: in order, bounded, on the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from facebench.benchmarks.analysis.depth import analyse
from facebench.benchmarks.analysis.table import Resampling, Row, Summary, summarise_run
from facebench.reports.figures import svg
from facebench.reports.figures.latency import DOTS, latency_strips, strips, thinned
from facebench.reports.figures.pareto import COLOURS, accuracy_against_latency, family_colours, points, sweeps
from facebench.reports.html import render
from facebench.reports.sections.accuracy.against_latency import operating_points
from facebench.tests.support.page import Page
from facebench.tests.support.timed_run import COUNT, HOSTILE, add_timed, make_run, sweep_run


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarise_run(sweep_run(tmp_path_factory.mktemp("swept")), Resampling(draws=50))


def test_the_points_of_a_sweep_are_named_by_what_differs_fastest_first(swept):
    found = {name: [point.setting for point in of] for name, of in sweeps(points(swept)).items()}
    assert found == {"pooled": ["2 threads", "1 thread"], HOSTILE: ["320 px", "640 px", "1280 px"]}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([], {}),
        ([{}], {}),
        ([{}, {"protocol": {"size": "long=640", "score_floor": None}}], {"a": ["original", "640 px"]}),
        ([{}, {"threads": 2}], {"a": ["1 thread", "2 threads"]}),
        (
            [{}, {"threads": 2, "protocol": {"size": "short=800,max=1200", "score_floor": None}}],
            {"a": ["original, 1 thread", "short=800,max=1200, 2 threads"]},
        ),
        ([{}, {"device": "cuda"}], {}),
        ([{}, {"machine": "another"}], {}),
        ([{}, {"protocol": {"size": "original", "score_floor": 0.5}}], {}),
        ([{"device": "cuda"}, {"device": "cuda", "threads": 2}], {"a, cuda": ["1 thread", "2 threads"]}),
    ],
)
def test_what_is_a_sweep(tmp_path, cells, expected):
    run = make_run(tmp_path)
    for place, changes in enumerate(cells):
        add_timed(run, "a", slower=(1.0 + place,), **changes)
    drawn = points(summarise_run(run, Resampling(draws=5)))
    assert {name: [point.setting for point in of] for name, of in sweeps(drawn).items()} == expected


def test_the_best_operating_points_are_those_that_nothing_of_their_own_beats(swept):
    pooled, sized = operating_points(swept)
    assert (pooled.name, [one.setting for one in pooled.best], pooled.beaten) == ("pooled", ["2 threads"], ["1 thread"])
    assert ([one.setting for one in sized.best], sized.beaten) == (["320 px", "640 px"], ["1280 px"])
    row = find(swept, f"{HOSTILE}", "long=640")
    best = sized.best[1]
    assert row.latency is not None
    ends, ap_ends = row.intervals.latency["p50_ms"], row.intervals.exact["overall"]
    assert float(best.p50) == pytest.approx(row.latency.p50_ms, rel=0.005)
    assert [float(end) for end in best.p50_interval.split("–")] == pytest.approx([ends.low, ends.high], rel=0.005)
    assert float(best.ap) == pytest.approx(row.exact_ap("overall"), abs=0.0006)
    assert [float(end) for end in best.ap_interval.split("–")] == pytest.approx([ap_ends.low, ap_ends.high], abs=0.006)


def find(summary: Summary, spec: str, size: str) -> Row:
    return next(row for row in summary.rows if (row.cell.spec, row.cell.protocol.size) == (spec, size))


@pytest.mark.parametrize("width", [380, 900])
def test_a_sweep_is_one_thin_line_that_names_its_detector_once(swept, width):
    svg = ET.fromstring(accuracy_against_latency(swept, width))
    text = "".join(svg.itertext())
    for name in (HOSTILE, "pooled", "alone"):
        assert text.count(name) == 1
    for setting in ("320 px", "640 px", "1280 px", "1 thread", "2 threads"):
        assert setting in text
    lines = [
        element.attrib["d"].split()
        for element in svg.iter()
        if element.attrib.get("clip-path") and element.attrib.get("fill") == "none"
        if not {"stroke-width", "stroke-opacity"} & set(element.attrib)  # of 1 px, not pale
    ]
    across = [[float(x) for x in line[1::3]] for line in lines]
    assert sorted(len(xs) for xs in across) == [2, 3]
    assert all(xs == sorted(xs) for xs in across), "in order of latency"


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (DOTS, DOTS), (DOTS + 1, DOTS), (100_000, DOTS)])
def test_a_strip_is_bounded_and_keeps_both_ends(count, kept):
    rising = np.arange(count, dtype=np.float64)
    found = thinned(rising)
    assert len(found) == kept
    assert (found[0], found[-1]) == (0, count - 1)
    assert np.all(np.diff(found) > 0)
    if kept > 1:
        assert np.abs(np.quantile(found, [0.5, 0.9]) / np.quantile(rising, [0.5, 0.9]) - 1).max() < 0.01


def test_the_strips_hold_the_calls_fastest_detector_first(swept):
    drawn = strips(swept)
    assert [strip.p50_ms for strip in drawn] == sorted(strip.p50_ms for strip in drawn)
    assert len(drawn) == 6
    for strip in drawn:
        assert strip.calls == len(strip.ms) == COUNT
        assert np.median(strip.ms) == pytest.approx(strip.p50_ms)
        assert np.percentile(strip.ms, 90) == pytest.approx(strip.p90_ms)


@pytest.mark.parametrize("width", [380, 900])
def test_the_figure_of_strips_has_a_dot_a_call_and_passes_the_policy(swept, width):
    text = latency_strips(strips(swept), width)
    svg = ET.fromstring(text)
    assert svg.attrib["aria-label"] == "Latency of every call of 6 detectors"
    words = "".join(svg.itertext())
    for name in (f"{HOSTILE}, long=320", "pooled, 2 threads", "p50", "p90", "single-stage CNN"):
        assert name in words
    dots = [one for one in svg.iter() if one.tag.endswith("use") and one.attrib.get("fill-opacity") == "0.7"]
    assert len(dots) == 6 * COUNT
    names = {name for element in svg.iter() for name in element.attrib}
    assert "style" not in names
    assert "#010203" not in text and "currentColor" in text
    assert latency_strips(strips(swept), width) == text


@pytest.mark.parametrize("count", [1, len(COLOURS), 30])
def test_a_family_has_its_colour_in_any_order(count):
    names = [f"family {place:02d}" for place in range(count)]
    found = family_colours(names)
    assert family_colours(reversed(names)) == found
    assert len(set(found.values())) == min(count, len(COLOURS))


def test_the_page(swept, monkeypatch):
    monkeypatch.setattr(svg, "WIDTHS_PX", {"wide": 900})
    page = Page(render(swept, analyse(swept, Resampling(draws=5))))
    latency, figure = page.sections["latency"], page.sections["figure"]
    assert "b" not in {tag for tag, _ in page.elements}
    assert "from a decoded image in memory to arrays on the host" in latency
    assert "The harness itself: 0.040 ms" in latency
    assert "3 of 1,234 images" in latency and "3 of 1,234 images" in figure
    assert f"{HOSTILE}, long=640" in latency
    assert "Best operating points" in figure and "beaten: 1280 px" in figure
    (row,) = (row for row in page.rows if row[1:2] == ["2 threads"])
    assert row[0] == "pooledbeaten: 1 thread"
    assert "#latency" in page.values("href")

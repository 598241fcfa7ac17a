"""What the report says on latency: the values put in come back, and what was not measured is a dash."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.analysis import analyse
from facebench.benchmarks.journal import PictureRecord, Repeat
from facebench.benchmarks.results import RunFolder
from facebench.benchmarks.summary import Resampling, Row, Summary, summarise_run
from facebench.detectors import Detections
from facebench.reports import html
from facebench.reports.figures import COLOURS, accuracy_against_latency, family_colours, points, sweeps
from facebench.reports.html import render
from facebench.reports.latency import CANNOT_BE_TOLD, LatencySection, decode_sentence, latency_section, operating_points
from facebench.reports.latency_figure import DOTS, latency_strips, strips, thinned
from facebench.reports.markdown import markdown_table
from facebench.reports.numbers import NONE
from facebench.reports.table import floor_sentence
from facebench.tests.reports import runs
from facebench.tests.reports.page import Page

COUNT = 24
SIZES = {f"{place}.jpg": (1000, 200 + 100 * place) for place in range(COUNT)}
FACES = {name: [((10.0, 10.0, 50.0, 50.0), False)] for name in SIZES}
FLOOR = {"detect_ms": 0.0404, "round_trip_ms": 0.3707, "calls": 100}
HOSTILE = "m:<b>&</b>"


def make_run(path: Path, floor: object = FLOOR, **changes: Any) -> RunFolder:
    run = runs.make_run(path, sizes=SIZES, faces=FACES, **changes)
    if floor is not None:
        run.document["floor"] = floor
    return run


def add_timed(
    run: RunFolder, spec: str, *, slower: Sequence[float] = (1.0,), stages: bool = True, hits: int = COUNT, **cell: Any
) -> None:
    """Add a cell of 5 ms a call, 20 ms a megapixel and 2 ms a face found, `slower` times as long in each round.

    Half of a call is the network, a third before it, a sixth after; 0 to 5 faces are found, the first of them, on
    `hits` pictures, a true one; the processor works 0.99 of the time.
    """
    records, repeats = [], []
    for place, (name, (width, height)) in enumerate(SIZES.items()):
        first = FACES[name][0][0] if place < hits else (500.0, 10.0, 550.0, 60.0)
        boxes = [first, *((100.0 * i, 100.0, 100.0 * i + 20, 120.0) for i in range(place % 5))]
        found = Detections.from_arrays(boxes, [0.9, *(0.1 for _ in boxes[1:])])
        ms = 5 + 20 * width * height / 1e6 + 2 * len(boxes)
        for number, factor in enumerate(slower):
            taken = ms * factor
            split = (taken / 3, taken / 2, taken / 6) if stages else None
            if number == 0:
                records.append(PictureRecord(name, found, taken, width * height, taken * 0.99, split))
            else:
                repeats.append(Repeat(number, name, taken, taken * 0.99, split, len(found), same=True))
    stored = runs.add_cell(run, spec, **{"rounds": len(slower), **cell})
    run.write_cell(stored, records, repeats)


def section_of(run: RunFolder) -> LatencySection:
    found = latency_section(summarise_run(run, Resampling(draws=20)))
    assert found is not None
    return found


def costs_of(section: LatencySection, label: str) -> dict[str, tuple[str, str]]:
    """Group and heading of each column -> text and detail."""
    names = [f"{group}: {one.text}" for group, headings in section.costs.groups for one in headings]
    cells = next(cells for heading, cells in section.costs.rows if heading.text == label)
    return {name: (cell.text, cell.detail) for name, cell in zip(names, cells, strict=True)}


START = {"operating_threshold": 0.5, "score_floor": 0.02}
FULL_START = START | {
    "spawn_s": 0.0625,
    "import_s": 1.5,
    "load_s": 0.25,
    "first_call_s": 12.0,
    "device_used": "cpu",
    "threads_used": 1,
    "library_threads": {"cv2": 1, "torch": 2, "libgomp": 2, "cores": 8},
    "threads_put_back": {"cv2": [8, 1]},
}


def info(**changes: Any) -> dict[str, Any]:
    known = {"name": "a", "family": "cascade", "package": "numpy", "licence": "MIT", "score_kind": "probability"}
    return known | {"trained_on": [], "reference": "nobody", "note": "", "devices": ["cpu"]} | changes


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> LatencySection:
    run = make_run(tmp_path_factory.mktemp("full"))
    cell = {"start": FULL_START, "info": info(), "peak_rss_mb": 1234.4, "device_memory_mb": 77.0}
    add_timed(run, "whole", slower=(1.0, 1.1), **cell)
    return section_of(run)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("cost model, ms: base", "5.2"),  # times are medians of two rounds, 1.05 of the first
        ("cost model, ms: a megapixel", "21.0"),
        ("cost model, ms: a face", "2.10"),
        ("cost model, ms: off by", "0.0%"),
        ("cold start, s: spawn", "0.062"),
        ("cold start, s: import", "1.50"),
        ("cold start, s: load", "0.250"),
        ("cold start, s: first call", "12.0"),
    ],
)
def test_the_costs_put_in_come_back(full, column, text):
    assert costs_of(full, "whole")[column][0].startswith(text)


def test_stages_and_the_whole_call_are_parts_and_whole(full):
    found = costs_of(full, "whole")
    pre, inference, post = (float(found[f"stages, median ms: {name}"][0]) for name in ("pre", "inference", "post"))
    assert pre / inference == pytest.approx(2 / 3, rel=0.01)
    assert post / inference == pytest.approx(1 / 3, rel=0.01)
    assert pre + inference + post == pytest.approx(float(found["whole call, ms: p50"][0]), rel=0.02)
    # the picture of 2.5 megapixels with 4 boxes, in the slower round
    assert found["whole call, ms: slowest"] == (f"{(5 + 50 + 8) * 1.1:.1f}", "")
    assert "whole call, ms: p99" not in found, "48 calls are too few"


def test_every_estimate_has_its_interval(full):
    found = costs_of(full, "whole")
    without = {name for name, (_, detail) in found.items() if not detail}
    assert without == {
        "whole call, ms: slowest",
        "cost model, ms: off by",
        *(f"cold start, s: {name}" for name in ("spawn", "import", "load", "first call")),
    }
    ends = found["whole call, ms: p90"][1].strip("()").split("–")
    assert float(ends[0]) <= float(found["whole call, ms: p90"][0]) <= float(ends[1])


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("device", "cpu (CPU only)"),
        ("threads", "asked 1; read back 1 in detector, cv2; 2 in torch, libgomp"),
        ("put_back", "cv2 from 8 to 1"),
        ("processor", "99%"),
        ("rounds", "2 rounds, medians within 10.0%"),
        ("memory", "1,234 MB"),
        ("device_memory", "77 MB"),
    ],
)
def test_the_conditions_put_in_come_back(full, field, text):
    assert getattr(full.conditions[0], field) == text


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"start": START}, "device", f"{NONE} (CPU only)"),
        ({"start": FULL_START, "info": info(devices=["cpu", "cuda"])}, "device", "cpu"),
        (
            {"start": FULL_START | {"device_used": "cuda"}, "device": "cuda", "info": info(devices=["cpu", "cuda"])},
            "device",
            "cuda",
        ),
        ({"start": FULL_START, "info": {k: v for k, v in info().items() if k != "devices"}}, "device", "cpu"),
        ({"start": START}, "threads", f"asked 1; read back {NONE}"),
        ({"start": START, "threads": 4}, "threads", f"asked 4; read back {NONE}"),
        ({"start": FULL_START | {"threads_used": None, "library_threads": {"cores": 2}}}, "threads", "read back –"),
        ({"start": START}, "put_back", NONE),
        ({"start": FULL_START | {"threads_put_back": {}}}, "put_back", "nothing"),
        ({"peak_rss_mb": None}, "memory", NONE),
        ({}, "device_memory", NONE),
        ({"device_memory_mb": None}, "device_memory", NONE),
        ({}, "rounds", "1 round"),
    ],
)
def test_what_is_not_known_is_a_dash(tmp_path, changes, field, text):
    run = make_run(tmp_path)
    add_timed(run, "a", **({"info": info()} | changes))
    assert getattr(section_of(run).conditions[0], field).endswith(text)


def test_where_nothing_can_be_told_nothing_is_made_up(tmp_path):
    """Three pictures, no stages, no processor time, no start: as an old run."""
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "a", runs.EXACT, start=START)
    section = section_of(run)
    found = costs_of(section, "a")
    unknown = {name: pair for name, pair in found.items() if name.startswith(("stages", "cost model"))}
    off = unknown.pop("cost model, ms: off by")
    assert off == (NONE, "") and len(unknown) == 6
    assert set(unknown.values()) == {(NONE, CANNOT_BE_TOLD)}
    assert {pair for name, pair in found.items() if name.startswith("cold start")} == {(NONE, "")}
    assert section.unknown == [("3 pictures are too few for three terms: measure 4 or more", "a")]
    assert section.conditions[0].processor == NONE
    assert "too few to tell a drift" in section.conditions[0].drift


def test_one_reason_stands_once_for_all_detectors_of_it(tmp_path):
    run = runs.make_run(tmp_path)
    for spec in ("a", "b"):
        runs.add_cell(run, spec, runs.EXACT)
    assert [labels for _, labels in section_of(run).unknown] == ["a; b"]


@pytest.mark.parametrize(("rounds", "hedged"), [(1, True), (2, False)])
def test_a_drift_seen_in_one_round_is_no_certain_one(tmp_path, rounds, hedged):
    run = make_run(tmp_path)
    add_timed(run, "a", slower=[1.0, 1.5][:rounds])
    summary = summarise_run(run, Resampling(draws=20))
    assert summary.rows[0].timing is not None
    flagged = replace(summary.rows[0].timing.drift, flagged=True, text="not stationary: 1.5")
    row = replace(summary.rows[0], timing=replace(summary.rows[0].timing, drift=flagged))
    section = latency_section(replace(summary, rows=[row]))
    assert section is not None and section.conditions[0].drift.startswith("not stationary: 1.5")
    assert section.conditions[0].drift.endswith("may be dearer") is hedged


def test_p99_stands_where_calls_suffice_and_is_a_dash_beside_it(tmp_path):
    run = make_run(tmp_path)
    add_timed(run, "many", slower=[1.0] * 42)
    add_timed(run, "few")
    section = section_of(run)
    assert float(costs_of(section, "many")["whole call, ms: p99"][0]) == pytest.approx(63, rel=0.05)
    assert costs_of(section, "few")["whole call, ms: p99"][0] == NONE


def test_a_run_without_latency_has_no_section(tmp_path):
    run = make_run(tmp_path)
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    summary = summarise_run(run)
    assert (latency_section(summary), operating_points(summary), strips(summary)) == (None, [], [])


def test_a_detector_that_was_not_timed_is_named(tmp_path):
    run = make_run(tmp_path)
    add_timed(run, "a")
    add_timed(run, "from a file", predictions={"missing": 0, "extra": 0, "remarks": []})
    assert section_of(run).not_timed == ["from a file"]


@pytest.mark.parametrize(
    ("floor", "text"),
    [
        (None, ""),
        (
            FLOOR,
            "The harness itself: 0.040 ms of every latency are its own, seen with a detector that does nothing; "
            "handing a picture over takes 0.371 ms, outside the latency (medians of 100 calls).",
        ),
    ],
)
def test_the_floor_stands_with_every_table(tmp_path, floor, text):
    run = make_run(tmp_path, floor)
    add_timed(run, "a")
    summary = summarise_run(run, Resampling(draws=20))
    assert floor_sentence(summary) == text
    assert markdown_table(summary).endswith(f"{text}\n")
    assert ("The harness itself" in markdown_table(summary)) is bool(text)


def sweep_run(path: Path) -> RunFolder:
    """One detector at three sizes, the largest worse than the second; one at two thread counts; one alone."""
    run = make_run(path)
    for side, slower, hits in ((320, 1.0, 8), (640, 2.0, 16), (1280, 4.0, 12)):
        protocol = {"size": f"long={side}", "score_floor": None}
        add_timed(run, HOSTILE, slower=(slower,), hits=hits, protocol=protocol)
    for threads in (1, 2):
        add_timed(run, "pooled", slower=(3.0 / threads,), hits=20, threads=threads)
    add_timed(run, "alone", slower=(5.0,))
    return run


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
    return next(row for row in summary.rows if (row.cell["spec"], row.cell["protocol"]["size"]) == (spec, size))


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
    monkeypatch.setattr(html, "_FIGURE_WIDTHS_PX", {"wide": 900})
    page = Page(render(swept, analyse(swept, Resampling(draws=5))))
    latency, figure = page.sections["latency"], page.sections["figure"]
    assert "b" not in {tag for tag, _ in page.elements}
    assert "from a decoded picture in memory to arrays on the host" in latency
    assert "The harness itself: 0.040 ms" in latency
    assert "3 of 1,234 pictures" in latency and "3 of 1,234 pictures" in figure
    assert f"{HOSTILE}, long=640" in latency
    assert "Best operating points" in figure and "beaten: 1280 px" in figure
    (row,) = (row for row in page.rows if row[1:2] == ["2 threads"])
    assert row[0] == "pooledbeaten: 1 thread"
    assert "#latency" in page.values("href")


def test_the_page_of_an_old_run_has_dashes(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "_FIGURE_WIDTHS_PX", {"wide": 900})
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "a", runs.EXACT, start=START)
    summary = summarise_run(run, Resampling(draws=5))
    page = Page(render(summary, analyse(summary, Resampling(draws=5))))
    assert CANNOT_BE_TOLD in page.sections["latency"]
    assert "The harness itself" not in page.sections["latency"]
    assert "Best operating points" not in page.sections["figure"]
    assert "nan" not in page.sections["latency"]


def test_a_run_of_nothing_timed_has_no_latency_on_its_page(tmp_path):
    run = make_run(tmp_path)
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    summary = summarise_run(run)
    page = Page(render(summary, analyse(summary)))
    assert "latency" not in page.sections
    assert math.isnan(summary.rows[0].exact_ap("overall"))


@pytest.mark.parametrize("known", [True, False])
def test_what_decoding_took_is_told_where_it_is_known(tmp_path, known):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "a", runs.EXACT)
    if known:
        run.write_pictures(run.pictures().assign(decode_ms=[3.0, 12.5, 99.0]), run.faces())
    sentence = decode_sentence(summarise_run(run))
    assert ("12.5 ms" in sentence) == known
    assert bool(sentence) == known

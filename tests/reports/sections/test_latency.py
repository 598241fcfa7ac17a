"""What the report says on latency: the values put in come back, and what was not measured is a dash."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from facebench.benchmarks.analysis.depth import analyse
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.reports.figures import svg
from facebench.reports.figures.latency import strips
from facebench.reports.html import render
from facebench.reports.sections.accuracy.against_latency import operating_points
from facebench.reports.sections.latency import (
    CANNOT_BE_TOLD,
    LatencySection,
    decode_sentence,
    latency_section,
)
from facebench.reports.text.markdown import markdown_table
from facebench.reports.values.numbers import NONE
from facebench.reports.values.table import floor_sentence
from facebench.tests.support import runs
from facebench.tests.support.page import Page
from facebench.tests.support.timed_run import FLOOR, add_timed, make_run

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
    known = {
        "name": "a",
        "family": "cascade",
        "package": "numpy",
        "licence": "MIT",
        "weights_licence": "MIT",
        "score_kind": "probability",
    }
    return known | {"trained_on": [], "reference": "nobody", "note": "", "devices": ["cpu"]} | changes


def section_of(run: RunFolder) -> LatencySection:
    found = latency_section(summarise_run(run, Resampling(draws=20)))
    assert found is not None
    return found


def costs_of(section: LatencySection, label: str) -> dict[str, tuple[str, str]]:
    """Group and heading of each column -> text and detail."""
    names = [f"{group}: {one.text}" for group, headings in section.costs.groups for one in headings]
    cells = next(cells for heading, cells in section.costs.rows if heading.text == label)
    return {name: (cell.text, cell.detail) for name, cell in zip(names, cells, strict=True)}


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
    # the image of 2.5 megapixels with 4 boxes, in the slower round
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
    """Three images, no stages, no processor time, no start: as an old run."""
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "a", runs.EXACT, start=START)
    section = section_of(run)
    found = costs_of(section, "a")
    unknown = {name: pair for name, pair in found.items() if name.startswith(("stages", "cost model"))}
    off = unknown.pop("cost model, ms: off by")
    assert off == (NONE, "") and len(unknown) == 6
    assert set(unknown.values()) == {(NONE, CANNOT_BE_TOLD)}
    assert {pair for name, pair in found.items() if name.startswith("cold start")} == {(NONE, "")}
    assert section.unknown == [("3 images are too few for three terms: measure 4 or more", "a")]
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
    assert section.conditions[0].drift.endswith("may be costlier") is hedged


def test_p99_stands_where_images_suffice_and_is_a_dash_beside_it(tmp_path):
    run = make_run(tmp_path)
    add_timed(run, "many", slower=[1.0] * 42)
    add_timed(run, "few")
    assert "whole call, ms: p99" not in costs_of(section_of(run), "many"), "1,008 calls of 24 images"
    summary = summarise_run(run, Resampling(draws=50))
    rows = [
        replace(row, latency=replace(row.latency, p99_ms=63.0 if row.cell.spec == "many" else None))
        for row in summary.rows
    ]
    section = latency_section(replace(summary, rows=rows))
    assert section is not None
    assert float(costs_of(section, "many")["whole call, ms: p99"][0]) == pytest.approx(63, rel=0.05)
    assert costs_of(section, "few")["whole call, ms: p99"][0] == NONE


@pytest.mark.parametrize(
    ("rounds", "words"),
    [((1,), "these images, this process"), ((2, 1), "these images, this process"), ((2, 3), "images and processes")],
    ids=str,
)
def test_what_the_intervals_of_latency_hold_for_is_said(tmp_path, rounds, words):
    run = make_run(tmp_path)
    for number, count in enumerate(rounds):
        add_timed(run, f"m{number}", slower=[1.0] * count)
    section, summary = section_of(run), summarise_run(run, Resampling(draws=5))
    assert words in section.intervals
    text = Page(render(summary, analyse(summary, Resampling(draws=5)))).sections["latency"]
    assert section.intervals in " ".join(text.split())


def test_a_run_without_latency_has_no_section(tmp_path):
    run = make_run(tmp_path)
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    summary = summarise_run(run)
    assert (latency_section(summary), operating_points(summary), strips(summary)) == (None, [], [])


def test_a_detector_that_was_not_timed_is_named(tmp_path):
    run = make_run(tmp_path)
    add_timed(run, "a")
    add_timed(run, "from a file", rounds=0, predictions={"missing": 0, "extra": 0, "remarks": []})
    assert section_of(run).not_timed == ["from a file"]


@pytest.mark.parametrize(
    ("floor", "text"),
    [
        (None, ""),
        (
            FLOOR,
            "The harness itself: 0.040 ms of every latency are its own, seen with a detector that does nothing; "
            "handing an image over takes 0.371 ms, outside the latency (medians of 100 calls).",
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


def test_the_page_of_an_old_run_has_dashes(tmp_path, monkeypatch):
    monkeypatch.setattr(svg, "WIDTHS_PX", {"wide": 900})
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
        run.write_images(run.images().assign(decode_ms=[3.0, 12.5, 99.0]), run.faces())
    sentence = decode_sentence(summarise_run(run))
    assert ("12.5 ms" in sentence) == known
    assert bool(sentence) == known

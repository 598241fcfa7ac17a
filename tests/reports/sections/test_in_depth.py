"""What the report says beyond the table: pairs, protocols, slices, groups, each detector, the reading rules."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from facebench.benchmarks.analysis.depth import Analysis, analyse
from facebench.benchmarks.analysis.table import Resampling, Summary, summarise_run
from facebench.benchmarks.resampling.bands import Band, SweepBands
from facebench.benchmarks.resampling.bootstrap import Difference, Interval
from facebench.benchmarks.resampling.boxes import BoxHabit
from facebench.benchmarks.scoring.calibration import Calibration
from facebench.benchmarks.scoring.slices import DEMOGRAPHICS_CAVEAT
from facebench.reports.figures.curves import Curve, curves, precision_against_recall, reliability_dots
from facebench.reports.html import render
from facebench.reports.sections.accuracy.in_depth import in_depth
from facebench.reports.sections.reading import READING
from facebench.reports.values.grids import event_grid, perceived_grid, protocols, slice_grid
from facebench.reports.values.numbers import between_signed
from facebench.reports.values.standings import Standing, difference, standings
from facebench.reports.values.table import columns, standing
from facebench.tests.support import depth_run, runs
from facebench.tests.support.page import Page

HOSTILE = "m:<b>bold</b>"


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Two detectors, a third of the first's boxes under a hostile name whose scores are margins, one that failed."""
    run = depth_run.make_both(tmp_path_factory.mktemp("depth"))
    runs.add_cell(run, HOSTILE, depth_run.FAIR, 7, info={"score_kind": "margin"})
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    return summarise_run(run)


@pytest.fixture(scope="module")
def analysis(summary: Summary) -> Analysis:
    return analyse(summary, Resampling(draws=40))


@pytest.fixture(scope="module")
def page(summary: Summary, analysis: Analysis) -> Page:
    return Page(render(summary, analysis))


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A detector that finds nothing, beside one whose image holds no face that counts: numbers are missing."""
    run = depth_run.make_run(tmp_path_factory.mktemp("blind"), ignore_all=True, lists=(), columns={})
    runs.add_cell(run, "blind", {})
    runs.add_cell(run, "fair", depth_run.FAIR)
    return summarise_run(run)


def test_the_standing_is_said_beside_the_answer(summary, page):
    assert standing(summary)
    assert standing(summary) in page.sections[""]
    assert "No intervals are given yet" not in "".join(page.sections.values())


def matrix(summary: Summary, analysis: Analysis) -> list[Standing]:
    labels = {row.cell.key: row.cell.spec for row in summary.rows if row.done}
    return standings(labels, analysis.first, {pair: one.interval for pair, one in analysis.differences.items()})


def test_every_number_of_the_matrix_is_row_less_column(summary, analysis):
    rows = {row.label: row for row in matrix(summary, analysis)}
    assert list(rows) == ["good", "fair", HOSTILE]
    good, fair, _ = rows.values()
    assert good.versus[0] is None and fair.versus[1] is None
    # four images do not tell even these apart
    assert (good.versus[1].text, good.versus[1].verdict, good.versus[1].mark) == ("+.667", "unclear", "≈")
    assert (fair.versus[0].text, fair.versus[0].verdict, fair.versus[0].mark) == ("−.667", "unclear", "≈")
    assert (fair.versus[2].text, fair.versus[2].verdict, fair.versus[2].mark) == (".000", "unclear", "≈")
    unseen = 1 - 0.025 ** (1 / 4)
    ends = f"−{unseen:.3f} to +{unseen:.3f}".replace("0.", ".")
    assert fair.versus[2].words == f"fair less {HOSTILE}: .000, 95 % interval {ends}: not significantly different"
    # detectors that tie share a draw
    shares = [float(row.first.rstrip("%")) for row in rows.values()]
    assert shares[1] == shares[2]
    assert sum(shares) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("low", "high", "there", "back"),
    [(0.01, 0.3, "better", "worse"), (-0.3, -0.01, "worse", "better"), (-0.1, 0.2, "unclear", "unclear")],
)
def test_a_difference_reads_the_same_both_ways(summary, analysis, low, high, there, back):
    first, second = (row.cell.key for row in summary.rows[:2])
    changed = dict(analysis.differences) | {(first, second): Difference(Interval(0.1, low, high, 0.95, 40), 0.9)}
    changed = replace(analysis, differences=changed)
    found = difference({(first, second): changed.differences[first, second].interval}, second, first)
    assert (found.value, found.low, found.high) == (-0.1, -high, -low)
    rows = matrix(summary, changed)
    assert (rows[0].versus[1].verdict, rows[1].versus[0].verdict) == (there, back)


def test_the_matrix_says_in_words_what_it_shows_in_colour(page):
    cells = [a for tag, a in page.elements if tag == "td" and str(a.get("class", "")).startswith("versus ")]
    assert len(cells) == 6
    for attributes in cells:
        verdict = {"better": "clearly better", "worse": "clearly worse", "unclear": "not significantly different"}
        assert str(attributes["title"]).endswith(verdict[str(attributes["class"]).split()[1]])
        assert str(attributes["title"]) in page.sections["pairs"]
    # beside the cell of each pair the list that needs no pointer, once for each pair
    listed = page.sections["pairs"].partition("Every pair with its interval")[2]
    assert listed.count(" less ") == listed.count("95 % interval") == 3


def test_one_detector_has_no_pairs(tmp_path):
    run = depth_run.make_run(tmp_path)
    runs.add_cell(run, "good", depth_run.GOOD)
    found = summarise_run(run)
    assert matrix(found, analyse(found, Resampling(draws=2))) == []


def test_protocols(summary, analysis):
    grid = protocols(summary, analysis)
    assert [(name, len(headings)) for name, headings in grid.groups] == [("easy", 5), ("hard", 5), ("overall", 5)]
    head, cells = grid.rows[1]
    assert head.text == "fair"
    # exact, official, and three times COCO, by the numbers of tests/benchmarks/analysis/test_depth.py
    assert [cell.text for cell in cells[5:10]] == [".333", ".500", ".337", ".337", ".337"]
    assert all("–" in cell.detail for cell in cells)


def test_slices(summary, analysis):
    grid = slice_grid(summary, analysis, "recall")
    assert {name: [heading.text for heading in headings] for name, headings in grid.groups} == {
        "height in px": ["below 16", "16–32", "32–96", "96–200"],
        "share of image": ["below 1 %", "1–5 %", "5–20 %", "from 50 %"],
        "blur": ["clear", "normal", "heavy"],
        "pose": ["typical", "atypical"],
        "faces an image": ["1", "2-5"],
    }
    assert [cell.text for cell in grid.rows[1][1][:4]] == [".00", "1.00", ".00", "1.00"]
    assert [cell.text for cell in slice_grid(summary, analysis, "exact").rows[1][1][:4]] == [".00", ".50", ".00", ".50"]
    # four faces are few
    assert grid.few and all(cell.few and cell.level is None for _, cells in grid.rows for cell in cells)


@pytest.mark.parametrize(("images", "faces", "few"), [(5, 4, False), (5, 3, True), (4, 6, True)])
def test_few_faces_or_few_images_say_little(tmp_path, images, faces, few):
    names = [f"0--A/{place}.jpg" for place in range(images)]
    boxes = [(10.0 + 40 * i, 10.0, 30.0 + 40 * i, 30.0) for i in range(faces)]
    run = runs.make_run(
        tmp_path,
        sizes=dict.fromkeys(names, (400, 100)),
        faces={name: [(box, False) for box in boxes] for name in names},
    )
    runs.add_cell(run, "a", {name: [(box, 0.9) for box in boxes] for name in names})
    found = summarise_run(run)
    grid = slice_grid(found, analyse(found, Resampling(draws=3)), "recall")
    assert [(heading.note, heading.few) for heading in grid.groups[0][1]] == [(str(images * faces), few)]
    assert [cell.level for cell in grid.rows[0][1]] == [None if few else 9] * 3


def test_events_are_rows_and_folded_away(summary, analysis, page):
    grid = event_grid(summary, analysis, "exact")
    assert [(head.text, head.note) for head, _ in grid.rows] == [("0--A", "3 faces"), ("1--B", "1 face")]
    assert [heading.text for heading in grid.groups[0][1]] == ["good", "fair", HOSTILE]
    assert [cell.text for cell in grid.rows[0][1]] == ["1.00", ".67", ".67"]
    assert "Exact AP by event (2 events)" in page.sections["slices"]
    assert not [a for tag, a in page.elements if tag == "details" and "open" in a]


def test_perceived_groups_have_gap_and_caveat(summary, analysis, page):
    grid = perceived_grid(summary, analysis)
    ((name, headings),) = grid.groups
    assert (name, [heading.text for heading in headings]) == ("perceived gender", ["Female", "Male", "gap"])
    female, male, gap = grid.rows[1][1]
    assert (female.text, male.text, gap.text) == ("1.00", ".00", "+1.00")
    found = analysis.cells[str(summary.rows[1].cell.key)].gaps["perceived gender"]
    assert gap.detail == f"Female less Male, {between_signed(found.interval, 2)}; {found.by_chance:.2f} by chance"
    assert found.interval.low < 0 < found.by_chance
    assert gap.few
    assert DEMOGRAPHICS_CAVEAT in page.sections["perceived"]


def test_without_labels_there_is_no_section_of_groups(blind):
    assert "perceived" not in Page(render(blind, analyse(blind, Resampling(draws=2)))).sections


def test_each_detector_in_depth(summary, analysis):
    good, fair, margin = in_depth(summary, analysis)
    assert fair.headline.startswith("AP hard .333 (")
    assert dict(fair.operating)["false alarms per image"].startswith("0.75 (")
    assert dict(fair.operating)["precision"].startswith(".400 (")
    assert [(line.name, line.count, line.gain) for line in fair.errors[:2]] == [
        ("boxes on no face", "1", "+.167"),
        ("badly placed boxes", "1", "+.150"),
    ]
    assert [(line.group, line.faces, line.missed, line.share) for line in dict(fair.misses)["height in px"]] == [
        # the bounds of one image: .025 and .975
        ("below 16", "1", "1", "1.00 (.03–1.00)"),
        ("16–32", "1", "0", ".00 (.00–.97)"),
        ("32–96", "1", "1", "1.00 (.03–1.00)"),
        ("96–200", "1", "0", ".00 (.00–.97)"),
    ]
    assert [line.group for line in dict(fair.misses)["blur"]] == ["clear", "normal", "heavy"]
    assert fair.unfound == "2 of 4 faces not found at score\u00a0≥\u00a00.5"
    assert fair.calibration.startswith("ECE ") and fair.calibration.endswith("2 of them hits.")
    assert "kind “margin” do not claim to be probabilities" in margin.calibration
    assert (len(fair.reliability) > 0, list(margin.reliability)) == (True, [])
    assert good.habit[0] == (
        "Boxes are 1.00 (1.00–1.00) times as wide and 1.00 (1.00–1.00) times as high as annotated, the centre "
        "0.0 % (0.0 to 0.0) of the width right and 0.0 % (0.0 to 0.0) of the height below (medians over 4 hits)."
    )
    same = "1.000 → 1.000 (.000)"
    assert f"exact AP50 {same}, AP75 {same}" in good.habit[1]
    assert good.habit[2].startswith("IoU of hits at the threshold: mean 1.00 (.25–1.00), median 1.00 (1.00–1.00)")


@pytest.mark.parametrize(
    ("dx", "dy", "text"),
    [
        (
            Interval(0.02, 0.011, 0.032, 0.95, 9),
            Interval(0.1, -0.01, 0.12, 0.95, 9),
            "2.0 % (1.1 to 3.2) of the width right and 10.0 % (−1.0 to 12.0) of the height below",
        ),
        (
            Interval(-0.02, -0.03, 0.01, 0.95, 9),
            Interval(-0.1, -0.12, -0.08, 0.95, 9),
            "2.0 % (−1.0 to 3.0) of the width left and 10.0 % (8.0 to 12.0) of the height above",
        ),
        (
            Interval(0.0, -0.0001, 0.0, 0.95, 9),
            Interval(-0.1, math.nan, math.nan, 0.95, 0),
            "0.0 % (0.0 to 0.0) of the width right and 10.0 % of the height above",
        ),
    ],
)
def test_where_boxes_lie(summary, analysis, dx, dy, text):
    key = str(summary.rows[0].cell.key)
    cell = analysis.cells[key]
    wide, high = Interval(0.9, 0.85, 0.95, 0.95, 9), Interval(1.2, math.nan, math.nan, 0.95, 0)
    cell = replace(cell, habit=BoxHabit(5, dx, dy, wide, high))
    found = in_depth(summary, replace(analysis, cells={key: cell}))[0].habit[0]
    assert found == (
        f"Boxes are 0.90 (0.85–0.95) times as wide and 1.20 times as high as annotated, the centre {text} "
        "(medians over 5 hits)."
    )


def test_the_best_thresholds_are_shown_with_their_intervals(summary, analysis):
    key = str(summary.rows[1].cell.key)
    bands = SweepBands(*(Band(np.full(5, 0.31 + 0.01 * place), np.full(5, 0.81 + 0.01 * place)) for place in range(5)))
    cell = replace(analysis.cells[key], bands=bands)
    found = in_depth(summary, replace(analysis, cells={key: cell}))[0]
    # hits 0 1 2 2 2, false alarms 1 1 1 2 3 of four faces: F1 is best at the third of five thresholds, as is F2
    best_f1, best_f2 = found.choices[2:]
    assert best_f1.startswith(
        "Best F1 on these images: .571 (.33–.83) at a score of at least 0.8, with 0.25 (0.35–0.85)"
    )
    assert best_f2.startswith("Best F2, recall weighing twice, on these images: .526 (.34–.84) at a score of at least")


@pytest.mark.parametrize("cut", [True, False])
def test_a_cut_curve_is_marked_everywhere(summary, analysis, cut):
    key = str(summary.rows[1].cell.key)
    end = replace(analysis.cells[key].curve_end, is_cut=cut, recall=0.614)
    changed = replace(analysis, cells={key: replace(analysis.cells[key], curve_end=end)})
    remarks = columns(summary, changed)[-1].text
    assert remarks(summary.rows[1]) == "trained on WIDER" + (", curve cut at recall .61" if cut else "")
    assert remarks(summary.rows[0]) == columns(summary)[-1].text(summary.rows[0]) == "trained on WIDER"
    assert in_depth(summary, changed)[0].is_cut is cut
    assert curves(summary, changed)[0].is_cut is cut
    assert ("a lower bound" in in_depth(summary, changed)[0].curve) is cut


@pytest.mark.parametrize("width", [380, 900])
def test_the_curves_are_named_and_marked_where_they_end(width):
    drawn = [
        Curve("first $x^$", [0.0, 0.5, 1.0], [1.0, 0.9, 0.2], is_cut=False),
        Curve(HOSTILE, [0.1], [0.8], is_cut=True),
    ]
    svg = precision_against_recall(drawn, "hard", width)
    root = ET.fromstring(svg)
    text = "".join(root.itertext())
    assert all(name in text for name in ("first $x^$", "bold</b>", "recall, hard", "precision"))
    assert root.attrib["aria-label"] == "Precision against recall (hard) of 2 detectors"
    assert root.attrib["viewBox"].split()[2] == str(width)
    assert "style" not in {name for element in root.iter() for name in element.attrib}
    marks = [element.attrib for element in root.iter() if element.tag.endswith("use") and "x" in element.attrib]
    ends = {(mark["stroke"], mark.get("fill"), mark.get("fill-opacity")) for mark in marks}
    assert {("#0173b2", "#0173b2", None), ("#de8f05", None, "0")} <= ends
    assert svg == precision_against_recall(drawn, "hard", width)


def test_a_band_goes_along_the_low_ends_and_back_along_the_high_ones(summary, analysis):
    found = curves(summary, analysis)[1]
    bands = analysis.cells[str(summary.rows[1].cell.key)].bands
    low = list(zip(bands.recall.low.tolist(), bands.precision.low.tolist(), strict=True))
    high = list(zip(bands.recall.high.tolist(), bands.precision.high.tolist(), strict=True))
    assert list(found.band) == low + high[::-1]


@pytest.mark.parametrize("width", [380, 900])
@pytest.mark.parametrize(
    ("with_band", "drawn", "note"),
    [(0, 0, None), (1, 1, "of the curve"), (2, 2, "of the first 2"), (5, 3, "of the first 3")],
)
def test_only_the_first_curves_lie_on_bands(with_band, drawn, note, width):
    """Each in the colour of its curve; the figure says what the pale areas are."""
    band = [(0.1, 0.8), (0.4, 0.3), (0.6, 0.5), (0.2, 1.0)]
    some = [
        Curve(f"d{i}", [0.1, 0.5], [0.9, 0.4 + 0.1 * i], is_cut=False, band=band if i < with_band else ())
        for i in range(5)
    ]
    root = ET.fromstring(precision_against_recall(some, "hard", width))
    areas = [e.attrib for e in root.iter() if e.tag.endswith("path") and e.attrib.get("opacity") == "0.16"]
    assert [area["fill"] for area in areas] == ["#0173b2", "#de8f05", "#029e73"][:drawn]
    text = " ".join("".join(root.itertext()).split())
    assert ("95 % intervals" in text) is bool(drawn)
    assert note is None or note in text


def test_thirty_curves_look_different():
    drawn = [Curve(f"d{i}", [0.0, 0.03 * i + 0.1], [1.0, 0.5], is_cut=False) for i in range(30)]
    root = ET.fromstring(precision_against_recall(drawn, "hard", 380))
    looks = {
        (element.attrib["stroke"], element.attrib.get("stroke-dasharray"))
        for element in root.iter()
        if element.tag.endswith("path") and "clip-path" in element.attrib and element.attrib["stroke"] != "currentColor"
    }
    assert len(looks) == 30


def test_dots_of_a_reliability_curve():
    found = Calibration(
        count=np.array([0, 8]),
        mean_score=np.array([math.nan, 0.75]),
        hit_share=np.array([math.nan, 0.5]),
        brier=0.2,
        detections=8,
        hits=4,
        score_floor=0.0,
    )
    (dot,) = reliability_dots(found)
    assert (dot.x, dot.y, dot.radius) == (75, 50, 5)
    assert dot.text == "8 detections scored 0.75 on average: 0.50 are hits"


def test_missing_numbers_are_dashes(blind):
    analysis = analyse(blind, Resampling(draws=5))
    html = render(blind, analysis)
    page = Page(html)
    assert matrix(blind, analysis)[0].versus[1].verdict == "none"
    assert [cell.text for cell in protocols(blind, analysis).rows[0][1]] == ["–"] * 5
    assert dict(in_depth(blind, analysis)[0].operating)["recall"] == "–"
    (blind_one, *_) = in_depth(blind, analysis)
    assert blind_one.habit == ["No hit to learn it from."]
    assert blind_one.curve == "There is no curve: no face counts, or there is no box."
    assert len(blind_one.choices) == 2
    assert "curves" not in page.sections
    assert not [cell for row in page.rows for cell in row if "nan" in cell]


def test_hostile_names_are_text_everywhere(page):
    for section in ("table", "latency", "pairs", "protocols", "slices", "errors", "depth"):
        assert HOSTILE in page.sections[section]
    assert "b" not in {tag for tag, _ in page.elements}


@pytest.mark.parametrize(
    "section", ["pairs", "curves", "protocols", "slices", "errors", "calibration", "perceived", "depth"]
)
def test_the_coverage_stands_beside_the_numbers(page, section):
    assert "3 of 1,234 images" in page.sections[section]


def test_what_scrolls_can_be_reached_and_is_named(page):
    boxes = [attributes for _, attributes in page.elements if attributes.get("class") == "scroll"]
    assert len(boxes) > 5
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for attributes in boxes:
        assert (attributes["role"], attributes["tabindex"]) == ("group", "0")
        assert attributes.get("aria-label") or attributes["aria-labelledby"] in ids
    links = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    assert links and {link.removeprefix("#") for link in links} <= set(page.sections)


def test_which_number_to_believe_stands_in_the_report(page):
    assert 8 <= len(READING) <= 12
    text = " ".join(page.sections["reading"].split())
    for lead, rest in READING:
        assert f"{lead} {rest}" in text

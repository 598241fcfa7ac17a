"""The section on degraded images says what the scores say, of every detector, and shows what was done."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.stress.scores import score_stress
from facebench.errors import ResultsError
from facebench.reports.figures.stress import average_precision_by_severity
from facebench.reports.html import write_report
from facebench.reports.sections.stress import answer, ranking, stress_section, to_json

from ...support.page import Page
from ...support.stress_run import FOUND, WANTED, make_stress_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_stress_run(tmp_path_factory.mktemp("stress"))


@pytest.fixture(scope="module")
def scores(run):
    return score_stress(run)


@pytest.fixture(scope="module")
def page(run, tmp_path_factory) -> Page:
    path = tmp_path_factory.mktemp("page") / "r.html"
    write_report(summarise_run(run), path)
    return Page(path.read_text(encoding="utf-8"))


def test_the_ranking_is_that_of_the_faces_found(scores):
    """With one box a face and no false alarm, AP is the share of faces found; kinds weigh the same."""
    head, rows = ranking(scores)
    assert head == ["detector", "AP overall", "AP degraded", "kept", "kept, blur", "kept, rotation"]
    numbers = {row.label: [number for number, _ in row.cells] for row in rows}
    assert list(numbers) == ["steady", "failing<b>", "blind", "stopped"]
    assert numbers["steady"] == ["1.000", ".979", ".979", ".958", "1.000"]
    assert numbers["failing<b>"] == ["1.000", ".396", ".396", ".458", ".333"]
    assert numbers["blind"] == [".000", ".000", "–", "–", "–"]
    assert numbers["stopped"] == ["1.000", "–", "–", "–", "–"]
    assert [row.tied for row in rows] == [True, False, False, False]


def test_the_answer_names_who_and_how_sure(scores):
    first, most, *others = answer(scores)
    assert first.startswith("steady keeps most of its AP on degraded images: .979 (")
    assert first.endswith("mean over 3 degradations (blur, rotation); that it is ahead of every other is clear.")
    assert most.startswith("Most AP on degraded images is left to steady: .979 (")
    assert others == [
        "blind is not ranked: it has no AP on the images as they are.",
        "stopped is not ranked: it has no result for blur:5, rotation:3.",
    ]
    tied = replace(scores, tied=("0000000000000000", "0000000000000001"))
    assert "not significantly different from failing<b>." in answer(tied)[0]
    one = replace(scores, rows=scores.rows[:1])
    assert answer(one)[0].startswith("steady keeps this share of its AP") and "clear" not in answer(one)[0]
    none = replace(scores, rows=scores.rows[3:])
    assert answer(none)[0] == "No detector was run under every degradation: nothing can be ranked."


def test_json_holds_every_number_and_no_nan(scores):
    text = json.dumps(to_json(scores), allow_nan=False)
    document = json.loads(text)
    rows = {row["detector"]: row for row in document["rows"]}
    assert rows["failing<b>"]["points"][1]["change"][0] == pytest.approx(2 / 12 - 1)
    assert rows["steady"]["kept"][0] == pytest.approx(47 / 48) and rows["steady"]["tied_with_best"]
    assert rows["stopped"]["missing"] == ["blur:5", "rotation:3"] and rows["stopped"]["kept"] == [None] * 3
    assert document["degradations"][2]["words"] == WANTED[2].words
    assert {(one["first"][-1], one["second"][-1]) for one in document["differences_kept"]} >= {("0", "1")}


def test_the_section_stands_in_the_report(page):
    text = " ".join(page.sections["stress"].split())
    assert "steady keeps most of its AP" in text and "they are not real night, fog or mask" in text
    assert "out of focus, a disc of radius 3, 10 px (ImageNet-C)" in text
    assert "One face of 0.jpg" in text
    assert "failing<b>" in text and ("b", {}) not in page.elements
    commands = re.findall(r"facebench stress .*? --out RUN", text)
    assert len(commands) == 2 and "--kinds blur --severities 1,5 --seed 7" in commands[0]
    assert "--kinds rotation --severities 3 --seed 7" in commands[1] and "--data DIR" in commands[0]
    assert ("href", "#stress") in [("href", value) for value in page.values("href")]


def test_a_strip_a_kind_with_the_faces_as_they_are_scored(run, scores):
    section = stress_section(run, scores)
    assert [(kind, [tile.title.partition(":")[0] for tile in tiles]) for kind, tiles in section.strips] == [
        ("blur", ["as it is", "1", "5"]),
        ("rotation", ["as it is", "3"]),
    ]
    clean, turned = section.strips[1][1]
    assert clean.boxes == "M20 20h40v50h-40z" and turned.boxes.count("z") == 1 and turned.boxes != clean.boxes
    assert stress_section(run, scores, images=False).strips == []


def test_without_images_the_report_holds_none(run, tmp_path):
    write_report(summarise_run(run), tmp_path / "r.html", images=False)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in text and 'id="stress"' in text and "0.jpg" not in text


def test_a_run_without_stress_has_no_section(tmp_path):
    from facebench.tests.support import runs

    run = runs.make_run(tmp_path / "run")
    runs.add_cell(run, "exact", runs.EXACT)
    assert stress_section(run, score_stress(run)) is None
    write_report(summarise_run(run), tmp_path / "r.html")
    assert 'id="stress"' not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_missing_image_of_a_strip_is_named(tmp_path):
    run = make_stress_run(tmp_path)
    (tmp_path / "stress" / "strips" / "blur-5.jpg").unlink()
    with pytest.raises(ResultsError, match=r"blur-5\.jpg"):
        stress_section(run, score_stress(run))


def test_without_strips_the_rest_is_shown(tmp_path):
    run = make_stress_run(tmp_path, strips=False)
    section = stress_section(run, score_stress(run))
    assert section.strips == [] and len(section.rows) == len(FOUND)


@pytest.mark.parametrize("width", [900, 380])
def test_the_figure_has_a_panel_a_kind_and_a_line_a_detector(scores, width):
    svg = average_precision_by_severity(scores, width)
    for words in ("blur", "rotation", "exact AP, overall", "severity", *FOUND):
        assert f">{words.replace('<', '&lt;').replace('>', '&gt;')}</text>" in svg
    assert "style=" not in svg and 'aria-label="Exact AP (overall) against the severity of blur, rotation' in svg
    assert average_precision_by_severity(scores, width) == svg

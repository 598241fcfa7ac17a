"""The report: complete, honest about its scope, self-contained, and safe against hostile names."""

from __future__ import annotations

import base64
import hashlib
import re

import numpy as np
import pytest
from facebench.benchmarks.analysis import analyse
from facebench.benchmarks.previews import write_previews
from facebench.benchmarks.results import RunFolder
from facebench.benchmarks.summary import Resampling, summarise_run
from facebench.errors import ResultsError
from facebench.reports import html
from facebench.reports.html import answer, render, reproduce, write_report
from facebench.tests.reports import runs
from facebench.tests.reports.page import Page

COVERAGE = "3 of 1,234 pictures"
FAILURE = 'failed on "<b>all</b>" pictures'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two finished detectors, one that failed, one that is not installed, one excluded picture, one failed picture."""
    run = runs.make_run(tmp_path_factory.mktemp("run"), excluded=[("torn<i>.jpg", "truncated", "ends after 7 bytes")])
    run.document["dataset"]["pictures"] = 4
    runs.add_cell(run, "exact", runs.EXACT, ms=20)
    runs.add_cell(run, "poor:size=2", runs.POOR, ms=5, failed_pictures={runs.HOSTILE: "ValueError: <u>no</u>"})
    runs.add_cell(run, "broken", status="failed", reason=FAILURE, start=None)
    runs.add_cell(run, "absent", status="unavailable", reason="no package", mend="pip install absent", start=None)
    write_previews(run, runs.image)
    return run


@pytest.fixture
def one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each figure once, to save time."""
    monkeypatch.setattr(html, "_FIGURE_WIDTHS_PX", {"wide": 900})


def read(run: RunFolder) -> Page:
    summary = summarise_run(run)
    return Page(render(summary, analyse(summary, Resampling(draws=20))))


@pytest.fixture(scope="module")
def page(run: RunFolder) -> Page:
    return read(run)


def test_every_detector_has_its_row(page):
    assert page.row("exact")[1:3] == ["1.000 (1.00–1.00)", "1.000 (1.00–1.00)"]
    assert page.row("exact")[-1] == "trained on WIDER"
    assert page.row("poor:size=2")[-1] == "failed on 1 picture, trained on WIDER, curve cut at recall .67"
    assert page.row("broken")[1] == f"failed: {FAILURE}"
    assert page.row("absent")[1] == "unavailable: no packageTo mend: pip install absent"


def test_the_columns_say_what_they_are(page):
    helps = {attributes.get("title") for tag, attributes in page.elements if tag == "button"}
    assert any("90th percentile of the whole detect call" in str(help) for help in helps)
    sorted_by = [attributes for tag, attributes in page.elements if tag == "th" and "aria-sort" in attributes]
    assert [attributes["aria-sort"] for attributes in sorted_by] == ["descending"]


@pytest.mark.parametrize("section", ["", "scope", "table", "figure", "gallery"])
def test_the_coverage_stands_beside_every_number(page, section):
    assert COVERAGE in page.sections[section]


def test_failed_and_excluded_pictures_are_listed(page):
    notes = page.sections["notes"]
    assert "torn<i>.jpg: truncated, ends after 7 bytes" in notes
    assert f"{runs.HOSTILE}: ValueError: <u>no</u>" in notes
    assert "2 boxes <lie> outside" in notes


def test_nothing_is_fetched(page):
    for attribute in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
        for value in page.values(attribute):
            assert value.startswith(("data:", "#")), f"{attribute}={value[:80]}"
    assert not re.search(r"url\(|@import|https?:", page.raw["style"] + page.raw["script"])


def test_the_policy_lets_through_our_script_and_style_and_nothing_else(page):
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": digest(page.raw["style"]),
        "script-src": digest(page.raw["script"]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    names = {name for _, attributes in page.elements for name in attributes}
    assert "style" not in names, "the policy forbids style attributes"
    assert not {name for name in names if name.startswith("on")}
    assert [tag for tag, _ in page.elements].count("script") == 1


def test_hostile_names_are_text(page):
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) == 3
    assert all(str(attributes["src"]).startswith("data:image/jpeg;base64,") for attributes in pictures)
    assert runs.HOSTILE in {attributes["alt"] for attributes in pictures}
    assert not {"b", "i", "u", "lie"} & {tag for tag, _ in page.elements}
    assert "Pictures <b>made up</b> for a test." in page.sections["scope"]
    assert "Abacus <2 cores>" in page.sections["scope"]


@pytest.mark.usefixtures("one_width")
def test_a_hostile_detector_name_in_the_figure_is_text(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, 'm:<script>alert("$x$")</script>', runs.EXACT)
    page = read(run)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert 'alert("$x$")' in page.sections["figure"]


@pytest.mark.parametrize("demo", [True, False])
@pytest.mark.usefixtures("one_width")
def test_a_demonstration_says_so(tmp_path, demo):
    run = runs.make_run(tmp_path, demo=demo)
    runs.add_cell(run, "exact", runs.EXACT)
    page = read(run)
    assert ("A demonstration, not a comparison." in page.sections[""]) is demo
    assert any(attributes.get("role") == "note" for _, attributes in page.elements) is demo


@pytest.mark.parametrize("status", [None, "failed", "running"])
@pytest.mark.usefixtures("one_width")
def test_a_run_without_a_finished_cell_still_gives_a_report(tmp_path, status):
    run = runs.make_run(tmp_path)
    if status:
        runs.add_cell(run, "broken", status=status, reason="it <broke>" if status == "failed" else "", start=None)
    write_previews(run, runs.image)
    page = read(run)
    assert "No detector finished" in page.sections[""]
    assert not {"figure", "gallery"} & set(page.sections)
    expected = {None: "No detector was run.", "failed": "it <broke>", "running": "it has not finished"}
    assert expected[status] in page.sections["table"]


@pytest.mark.usefixtures("one_width")
def test_an_ap_that_is_not_a_number_is_a_dash(tmp_path):
    run = runs.make_run(tmp_path, ignore_all=True)
    runs.add_cell(run, "exact", {})
    page = read(run)
    assert page.row("exact")[1] == "–"
    assert "No detector can be chosen." in page.sections[""]
    assert "figure" not in page.sections
    cells = [attributes["data-sort"] for tag, attributes in page.elements if tag == "td" and "data-sort" in attributes]
    assert "" in cells
    assert "nan" not in cells


def test_a_detector_without_an_ap_is_named_under_the_figure(page):
    assert "Not drawn, for want of numbers: absent; broken." in page.sections["figure"]


@pytest.mark.usefixtures("one_width")
def test_without_previews_there_is_no_gallery(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    assert "gallery" not in read(run).sections


def test_the_gallery_switches_between_the_finished_detectors(page):
    options = [attributes["value"] for tag, attributes in page.elements if tag == "option"]
    assert options == ["0", "1"]
    layers = [attributes for tag, attributes in page.elements if tag == "g" and "data-layer" in attributes]
    assert len(layers) == 3 * 2
    assert all(("hidden" in attributes) is (attributes["data-layer"] != "0") for attributes in layers)
    assert "exact (score ≥ 0.5)" in page.sections["gallery"]


@pytest.mark.usefixtures("one_width")
def test_two_writes_are_equal(run, tmp_path):
    for name in ("a.html", "b.html"):
        write_report(summarise_run(RunFolder.open(run.path)), tmp_path / "new" / name)
    assert (tmp_path / "new" / "a.html").read_bytes() == (tmp_path / "new" / "b.html").read_bytes()


@pytest.mark.usefixtures("one_width")
def test_a_place_that_cannot_be_written(run, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(ResultsError, match="cannot write"):
        write_report(summarise_run(run), tmp_path / "taken")


ONE_MISS = {"group.jpg": runs.EXACT["group.jpg"][:1], runs.HOSTILE: runs.EXACT[runs.HOSTILE]}


@pytest.mark.parametrize(
    ("cells", "sentence", "note"),
    [
        ([("a", runs.EXACT, 20, {})], "a has the best exact AP (overall), and no detector that these pictures", ""),
        (
            [("a", runs.EXACT, 20, {}), ("b", runs.EXACT, 5, {"threads": 2})],
            "b, 2 threads has the best exact AP (overall), and no detector that these pictures",
            "",
        ),
        ([("a", runs.EXACT, 20, {}), ("b", ONE_MISS, 5, {})], "a has the best", ""),
        (
            [("a", runs.EXACT, 20, {"failed_pictures": {"empty.jpg": "boom"}}), ("b", ONE_MISS, 5, {})],
            "b has the best",
            "Left out of the choice: a (failed on 1 pictures).",
        ),
        ([("a", runs.EXACT, 20, {"device": "cuda"})], "a, cuda has the best", ""),
        (
            [("a", ONE_MISS, 20, {}), ("a", runs.EXACT, 5, {"device": "cuda"})],
            "a has the best",
            "Left out of the choice: a, cuda (measured on cuda).",
        ),
        (
            [("a", runs.EXACT, 20, {}), ("b", None, 0, {"status": "failed", "start": None})],
            "a has the best",
            "1 of 2 detectors have no result",
        ),
    ],
)
def test_the_answer(tmp_path, cells, sentence, note):
    run = runs.make_run(tmp_path)
    for spec, found, ms, changes in cells:
        runs.add_cell(run, spec, found, ms, **changes)
    found = answer(summarise_run(run))
    assert found.sentence.startswith(sentence)
    stable, *others = found.notes
    assert stable.startswith("The same rule chooses it in ")
    assert note in " ".join(others)
    assert bool(others) is bool(note)


@pytest.mark.parametrize(("missed", "winner"), [(1, "quick"), (8, "slow")])
def test_the_fastest_that_cannot_be_told_from_the_best_is_named_with_the_best(tmp_path, missed, winner):
    """Of 25 pictures with five faces one has a face missed, and a third of the resamples does without it; or eight."""
    faces = {f"{n}.jpg": [((x, 10.0, x + 20.0, 30.0), False) for x in np.arange(5) * 30.0] for n in range(25)}
    run = runs.make_run(tmp_path, faces=faces, sizes=dict.fromkeys(faces, (200, 100)))
    every = {name: [(box, 0.9) for box, _ in of] for name, of in faces.items()}
    runs.add_cell(run, "slow", every, 50)
    runs.add_cell(run, "quick", {name: of[int(n) < missed :] for n, (name, of) in enumerate(every.items())}, 10)
    sentence = answer(summarise_run(run)).sentence.replace("\u00a0", " ")
    slow = "AP 1.000, p50 62.0 ms, p90 71.6 ms"
    expected = {
        "quick": "quick is the fastest detector that these pictures cannot tell from the best in exact AP (overall): "
        f"AP .992, p50 22.0 ms, p90 31.6 ms. The best is slow: {slow}.",
        "slow": "slow has the best exact AP (overall), and no detector that these pictures cannot tell from it is "
        f"faster: {slow}.",
    }
    assert sentence == expected[winner]


@pytest.mark.parametrize(
    ("demo", "protocol", "changes", "expected"),
    [
        (True, {}, {}, "facebench run --detectors a --dataset 'made-up:val?sample=3&seed=1' --out RUN"),
        (False, {}, {}, "facebench run --detectors a --dataset 'made-up:val?sample=3&seed=1' --data DIR --out RUN"),
        (
            True,
            {"size": "long=640", "score_floor": 0.02},
            {"device": "cuda", "threads": 2},
            "facebench run --detectors a --dataset 'made-up:val?sample=3&seed=1' --size long=640 --score-floor 0.02 "
            "--device cuda --threads 2 --out RUN",
        ),
    ],
)
def test_the_command_that_measures_again(tmp_path, demo, protocol, changes, expected):
    run = runs.make_run(tmp_path, demo=demo)
    runs.add_cell(run, "a", runs.EXACT, protocol={"size": "original", "score_floor": None} | protocol, **changes)
    assert reproduce(summarise_run(run)) == [expected, "facebench report RUN -o report.html"]


def test_thirteen_detectors_stay_well_under_six_megabytes(tmp_path, monkeypatch):
    """Twelve pictures as hard to compress as photographs are, with 200 boxes of each detector on each."""
    rng = np.random.default_rng(0)
    names = [f"{place}.jpg" for place in range(12)]
    monkeypatch.setattr(runs, "SIZES", dict.fromkeys(names, (720, 540)))
    corners = rng.uniform(0, 500, (200, 2)).round(2)
    boxes = [(x, y, x + 20.55, y + 25.25) for x, y in corners.tolist()]
    monkeypatch.setattr(runs, "FACES", {name: [(box, False) for box in boxes[:100]] for name in names})
    found = {name: [(box, 0.9) for box in boxes] for name in names}
    run = runs.make_run(tmp_path)
    for place in range(13):
        runs.add_cell(run, f"detector-{place}", found)
    noise = rng.integers(0, 160, (540, 720, 3), dtype=np.uint8)
    write_previews(run, lambda name: noise)
    summary = summarise_run(run)
    assert len(render(summary, analyse(summary, Resampling(draws=20))).encode()) < 6e6

"""The report: complete, honest about its scope, self-contained, and safe against hostile names."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from facebench.benchmarks.analysis.depth import analyse
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.compare.runs import compare_runs
from facebench.benchmarks.measure.previews import write_previews
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.errors import ResultsError
from facebench.reports.figures import svg
from facebench.reports.html import render, write_report
from facebench.reports.sections.again import reproduce
from facebench.reports.values.answer import answer
from facebench.reports.values.table import columns
from facebench.tests.support import runs
from facebench.tests.support.page import Page

COVERAGE = "3 of 1,234 images"
FAILURE = 'failed on "<b>all</b>" images'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two finished detectors, one that failed, one that is not installed, one excluded image, one failed image."""
    run = runs.make_run(tmp_path_factory.mktemp("run"), excluded=[("torn<i>.jpg", "truncated", "ends after 7 bytes")])
    run.save(dataset=replace(run.document.dataset, images=4))
    runs.add_cell(run, "exact", runs.EXACT, ms=20)
    runs.add_cell(run, "poor:size=2", runs.POOR, ms=5, failed_images={runs.HOSTILE: "ValueError: <u>no</u>"})
    runs.add_cell(run, "broken", status="failed", reason=FAILURE, start=None)
    runs.add_cell(run, "absent", status="unavailable", reason="no package", remedy="pip install absent", start=None)
    write_previews(run, runs.image)
    return run


@pytest.fixture
def one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each figure once, to save time."""
    monkeypatch.setattr(svg, "WIDTHS_PX", {"wide": 900})


def read(run: RunFolder) -> Page:
    summary = summarise_run(run)
    return Page(render(summary, analyse(summary, Resampling(draws=20))))


@pytest.fixture(scope="module")
def page(run: RunFolder) -> Page:
    return read(run)


def test_every_detector_has_its_row(page):
    ap, official = page.row("exact")[1:3]
    assert ap == official and ap.startswith("1.000 (.") and ap.endswith("–1.00)"), "never certain"
    assert page.row("exact")[-1] == "trained on WIDER"
    assert page.row("poor:size=2")[-1] == "failed on 1 image, trained on WIDER, curve cut at recall .67"
    assert page.row("broken")[1] == f"failed: {FAILURE}"
    assert page.row("absent")[1] == "unavailable: no packageTo fix: pip install absent"


def test_the_columns_say_what_they_are(page):
    helps = {attributes.get("title") for tag, attributes in page.elements if tag == "button"}
    assert any("90th percentile of the whole detect call" in str(help) for help in helps)
    sorted_by = [attributes for tag, attributes in page.elements if tag == "th" and "aria-sort" in attributes]
    assert [attributes["aria-sort"] for attributes in sorted_by] == ["descending"]


@pytest.mark.parametrize("section", ["", "scope", "table", "figure", "gallery"])
def test_the_coverage_stands_beside_every_number(page, section):
    assert COVERAGE in page.sections[section]


def test_failed_and_excluded_images_are_listed(page):
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
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 3
    assert all(str(attributes["src"]).startswith("data:image/jpeg;base64,") for attributes in images)
    assert runs.HOSTILE in {attributes["alt"] for attributes in images}
    assert not {"b", "i", "u", "lie"} & {tag for tag, _ in page.elements}
    assert "Images <b>made up</b> for a test." in page.sections["scope"]
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
    cells = [attributes["data-plain"] for tag, attributes in page.elements if "data-plain" in attributes]
    assert "" in cells
    assert not {"nan", "inf"} & {*cells, *page.values("data-low"), *page.values("data-high")}


def test_a_detector_without_an_ap_is_named_under_the_figure(page):
    assert "Not drawn, for lack of numbers: absent; broken." in page.sections["figure"]


@pytest.mark.usefixtures("one_width")
def test_without_previews_there_is_no_gallery(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    assert "gallery" not in read(run).sections


def test_the_gallery_switches_between_the_finished_detectors(page):
    options = [attributes["value"] for tag, attributes in page.elements if tag == "option"]
    assert options == ["0", "1", "all", "missed", "alarms", "differs"]
    layers = [attributes for tag, attributes in page.elements if tag == "g" and "data-layer" in attributes]
    assert len(layers) == 3 * 2
    assert all(("hidden" in attributes) is (attributes["data-layer"] != "0") for attributes in layers)
    assert "exact (score ≥ 0.5)" in page.sections["gallery"]


def test_every_image_says_what_each_detector_did_on_it(page):
    found = [(a["data-missed"], a["data-alarms"]) for tag, a in page.elements if "data-missed" in a]
    # of the two detectors, on the hostile image, the group and the empty image
    assert found == [("0", "0"), ("1", "0"), ("0", "0"), ("1", "2"), ("0", "0"), ("0", "2")]
    figures = [attributes for tag, attributes in page.elements if tag == "figure" and "class" not in attributes]
    assert ["data-differs" in attributes for attributes in figures] == [True, True, False]
    assert "3 of 3 images shown, with the boxes of exact (score ≥ 0.5)." in page.sections["gallery"]


@pytest.mark.usefixtures("one_width")
def test_one_detector_differs_from_none(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    write_previews(run, runs.image)
    page = read(run)
    assert [attributes["value"] for tag, attributes in page.elements if tag == "option"] == [
        "0",
        "all",
        "missed",
        "alarms",
    ]
    assert "data-differs" not in {name for _, attributes in page.elements for name in attributes}


@pytest.mark.parametrize(
    ("second", "offered"),
    [
        ({}, {}),
        ({"device": "cuda"}, {"device": ["", "cpu", "cuda"]}),
        ({"protocol": {"size": "long=640", "score_floor": None}}, {"protocol": ["", "original size", "long=640"]}),
        ({"status": "failed", "start": None, "device": "cuda"}, {"device": ["", "cpu", "cuda"]}),
    ],
    ids=["the same", "device", "protocol", "of one that failed"],
)
@pytest.mark.usefixtures("one_width")
def test_only_what_tells_rows_apart_can_be_chosen(tmp_path, second, offered):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "first", runs.EXACT)
    runs.add_cell(run, "second", None if "status" in second else runs.POOR, 30, **second)
    page = read(run)
    found, name = {}, ""
    for tag, attributes in page.elements:
        if tag == "select":
            name = attributes["data-filter"]
            found[name] = []
        elif tag == "option":
            found[name].append(attributes["value"])
    assert found == offered
    assert "2 of 2 rows shown." in page.sections["table"]
    assert ("Show all" in page.sections["table"]) is bool(offered)


@pytest.mark.usefixtures("one_width")
def test_a_hostile_family_is_text_and_rows_carry_what_they_are_filtered_by(tmp_path):
    run = runs.make_run(tmp_path)
    family = '"><img src=x onerror=alert(1)>'
    for spec, name in (("first", family), ("second", "")):
        runs.add_cell(run, spec, runs.EXACT, info={"family": name})
    page = read(run)
    assert "img" not in {tag for tag, _ in page.elements}
    rows = [attributes for tag, attributes in page.elements if tag == "tr" and "data-family" in attributes]
    assert [row["data-family"] for row in rows] == [family, "not said"]
    assert {(row["data-device"], row["data-protocol"]) for row in rows} == {("cpu", "original size")}


def test_cells_hold_plain_numbers_with_the_ends_of_their_intervals(page, run):
    found = summarise_run(run)
    cells = [a for tag, a in page.elements if tag in ("td", "th") and "data-plain" in a]
    chosen = columns(found, analyse(found, Resampling(draws=20)))
    for place, row in enumerate(row for row in found.rows if row.done):
        for column, cell in zip(chosen, cells[place * len(chosen) :], strict=False):
            if column.number is None:
                assert cell["data-plain"] == column.text(row)
                continue
            assert float(cell["data-plain"]) == pytest.approx(column.number(row), rel=1e-8)
            limits = column.interval and column.interval(row)
            assert ("data-low" in cell) is (limits is not None)
            if limits is not None:
                ends = float(cell["data-low"]), float(cell["data-high"])
                assert ends == pytest.approx((limits.low, limits.high), rel=1e-8)
    digits = [a.get("data-digits") for tag, a in page.elements if tag == "th" and "scope" in a][: len(chosen)]
    assert digits == [None if column.number is None else str(column.digits) for column in chosen]
    assert {column.title: column.digits for column in chosen if column.title in ("IoU", "p50 ms", "peak MB")} == {
        "IoU": 3,
        "p50 ms": 1,
        "peak MB": 0,
    }


def test_what_needs_the_script_is_hidden_without_it(page):
    parts = [attributes for _, attributes in page.elements if "data-script" in attributes]
    assert len(parts) == 3
    assert all("hidden" in attributes for attributes in parts)


def test_headings_are_in_order_and_what_they_name_is_there(page, compared):
    for one in (page, compared):
        levels = [int(tag[1]) for tag, _ in one.elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert set(one.values("aria-labelledby")) <= set(one.values("id"))
        assert {value[1:] for value in one.values("href") if value.startswith("#")} <= set(one.values("id"))


@pytest.fixture(scope="module")
def compared(run, tmp_path_factory):
    """The report of the run beside two others: one with a detector less and another result, one with nothing new."""
    folder = tmp_path_factory.mktemp("others")
    other = runs.make_run(folder / "<b>other</b>")
    runs.add_cell(other, "exact", runs.POOR)
    runs.add_cell(other, "new", runs.EXACT)
    resampling = Resampling(draws=20)
    comparisons = [compare_runs(run, head, resampling=resampling) for head in (other, run)]
    summary = summarise_run(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svg, "WIDTHS_PX", {"wide": 900})
        return Page(render(summary, analyse(summary, resampling), comparisons=comparisons))


def test_other_runs_stand_beside_the_first(compared, run):
    section = " ".join(compared.sections["compared"].split())
    assert "Base is the run of this report, head the other run." in section
    assert "1 detector compared, 0 with identical detections; 4 detectors on one side only." in section
    assert "2 detectors compared, 2 with identical detections." in section
    assert "base and head are the same folder: nothing can differ" in section
    assert "<b>other</b>" in section and "b" not in {tag for tag, _ in compared.elements}
    rows = [[" ".join(cell.split()) for cell in row] for row in compared.rows]
    start = rows.index(["detector", "AP overall", "detections", "time (head / base)", "memory, start"])
    exact, poor = rows[start + 1 : start + 3]
    assert exact[0] == "exact" and exact[1].startswith("1.000 → .")
    assert exact[2] == "differ on 3 of 3 −2 +4 boxes"
    assert poor == ["poor:size=2", "–", "in the base only", "–", "–"]
    assert ["new", "–", "in the head only", "–", "–"] in rows
    assert "facebench report RUN OTHER OTHER -o report.html" in compared.sections["again"]
    assert "OTHER one that it is compared with" in compared.sections["again"]


def test_a_run_alone_is_compared_with_none(page):
    assert "compared" not in page.sections
    assert "#compared" not in page.values("href")
    assert "OTHER" not in page.sections["again"]


@pytest.mark.usefixtures("one_width")
def test_without_images_none_is_embedded_and_the_report_says_so(run):
    summary = summarise_run(run)
    text = render(summary, analyse(summary, Resampling(draws=20)), images=False)
    page = Page(text)
    assert "data:image" not in text and "img" not in {tag for tag, _ in page.elements}
    assert "holds no image of the data set" in page.sections["gallery"]
    assert runs.HOSTILE not in page.sections["gallery"]
    assert "facebench report RUN --no-images -o report.html" in page.sections["again"]


def test_without_images_no_preview_is_read(tmp_path):
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "exact", runs.EXACT)
    write_previews(run, runs.image)
    for file in (run.path / "previews").glob("*.jpg"):
        file.unlink()
    summary = summarise_run(run)
    write_report(summary, tmp_path / "a.html", images=False)
    with pytest.raises(ResultsError, match="cannot read"):
        write_report(summary, tmp_path / "b.html")


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
        ([("a", runs.EXACT, 20, {})], "a has the best exact AP (overall), and no detector that is not", ""),
        (
            [("a", runs.EXACT, 20, {}), ("b", runs.EXACT, 5, {"threads": 2})],
            "b, 2 threads has the best exact AP (overall), and no detector that is not",
            "",
        ),
        ([("a", runs.EXACT, 20, {}), ("b", ONE_MISS, 5, {})], "a has the best", ""),
        (
            [("a", runs.EXACT, 20, {"failed_images": {"empty.jpg": "boom"}}), ("b", ONE_MISS, 5, {})],
            "b has the best",
            "Left out of the choice: a (failed on 1 image).",
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
        (
            [("a", runs.EXACT, 20, {}), ("b", None, 0, {"status": "running", "start": None})],
            "a has the best",
            "Not finished, and could be chosen with a result: b.",
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
    assert stable.startswith("On ")
    assert note in " ".join(others)
    assert bool(others) is bool(note)


def test_the_answer_says_where_noise_leaves_it_open(tmp_path):
    """b took 22 ms an image, half of it on its core: it may be faster than a with 20 ms."""
    run = runs.make_run(tmp_path)
    runs.add_cell(run, "a", runs.EXACT, 20)
    cell = runs.add_cell(run, "b", runs.EXACT, 22)
    found = run.content(cell)
    shared = [replace(call, cpu_ms=call.detect_ms / 2) for call in found.repeats]
    run.write_cell(cell, list(found.records.values()), shared)
    shown = answer(summarise_run(run))
    assert shown.sentence.startswith("a has the best exact AP")
    assert "By noisy latencies it could be b as well: measure again on a quiet machine." in shown.notes


@pytest.mark.parametrize(("missed", "winner"), [(1, "quick"), (8, "slow")])
def test_the_fastest_that_cannot_be_told_from_the_best_is_named_with_the_best(tmp_path, missed, winner):
    """Of 25 images with five faces one has a face missed, and a third of the resamples does without it; or eight."""
    faces = {f"{n}.jpg": [((x, 10.0, x + 20.0, 30.0), False) for x in np.arange(5) * 30.0] for n in range(25)}
    run = runs.make_run(tmp_path, faces=faces, sizes=dict.fromkeys(faces, (200, 100)))
    every = {name: [(box, 0.9) for box, _ in of] for name, of in faces.items()}
    runs.add_cell(run, "slow", every, 50)
    runs.add_cell(run, "quick", {name: of[int(n) < missed :] for n, (name, of) in enumerate(every.items())}, 10)
    sentence = answer(summarise_run(run)).sentence.replace("\u00a0", " ")
    slow = "AP 1.000, p50 62.0 ms, p90 71.6 ms"
    expected = {
        "quick": "quick is the fastest of those not significantly different from the best in exact AP (overall): "
        f"AP .992, p50 22.0 ms, p90 31.6 ms. The best is slow: {slow}.",
        "slow": "slow has the best exact AP (overall), and no detector that is not significantly different from it is "
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
    """Twelve images as hard to compress as photographs are, with 200 boxes of each detector on each."""
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

"""The report in a browser, opened from a file: what it does, says and looks like, and that it asks for nothing."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from facebench.benchmarks.analysis.depth import analyse
from facebench.benchmarks.analysis.table import Resampling, Row, Summary, summarise_run
from facebench.benchmarks.compare.runs import compare_runs
from facebench.benchmarks.measure.previews import write_previews
from facebench.reports.html import render
from facebench.reports.values.numbers import row_label
from facebench.reports.values.table import columns
from facebench.tests.support import depth_run, runs

if TYPE_CHECKING:
    from facebench.tests.support.browser import Browser

pytestmark = pytest.mark.browser

FORMULA = "=HYPERLINK(\"//x\"),'a|b'"
MARKED_UP = "`m`:<img src=x onerror=alert(1)>,*x*"
FAMILIES = {
    "good": "single-stage CNN",
    "fair": "boosted cascade",
    FORMULA: "single-stage CNN",
    MARKED_UP: "single-stage CNN",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "good": {},
    "fair": {"device": "cuda", "peak_rss_mb": None},
    FORMULA: {"protocol": {"size": "long=640", "score_floor": None}},
    MARKED_UP: {"device": "cuda", "peak_rss_mb": 1234.5},
}
BROKEN = "-broken"


@pytest.fixture(scope="module")
def programs() -> tuple[str, str]:
    """Chromium and its driver."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    return chromium, chromedriver


@pytest.fixture(scope="module")
def browser(programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from facebench.tests.support.browser import Browser

    browser = Browser(*programs, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def summary_at(path: Path, *without_a_miss: str) -> Summary:
    """Four finished detectors of two families, devices and protocols, and one that failed; names are hostile."""
    run = depth_run.make_run(path, excluded=[("torn<i>.jpg", "truncated", "ends after 7 bytes")])
    for place, (spec, settings) in enumerate(SETTINGS.items()):
        found = depth_run.GOOD if spec in ("good", *without_a_miss) else depth_run.FAIR
        runs.add_cell(run, spec, found, 20.0 - 4 * place, info={"family": FAMILIES[spec]}, **settings)
    runs.add_cell(run, BROKEN, status="failed", reason="@once <b>", start=None, info={"family": "CNN cascade"})
    write_previews(run, lambda name: np.full((100, 200, 3), 90, np.uint8))
    return summarise_run(run, Resampling(draws=20))


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summary_at(tmp_path_factory.mktemp("run") / "this")


@pytest.fixture(scope="module")
def page(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    other = summary_at(folder / "other", "fair")
    comparison = compare_runs(summary.run, other.run, resampling=Resampling(draws=20))
    html = render(summary, analyse(summary, Resampling(draws=20)), comparisons=[comparison])
    path = folder / "a report.html"
    path.write_text(html, encoding="utf-8")
    return path


def labels(browser: Browser) -> list[str]:
    """The names of the rows that can be seen, without what else stands in their cells."""
    return [str(head.get_attribute("data-plain")) for head in browser.shown("#results tbody th")]


def label_of(spec: str, summary: Summary) -> str:
    return next(row_label(row) for row in summary.rows if row.cell.spec == spec)


def test_everything_is_done_without_a_request_or_a_complaint(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.clipboard("granted")
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    for css in ("#results thead th:nth-child(3) button", "[data-copy=csv]", "#next", "#annotation", "#large"):
        browser.click(css)
    browser.choose("[data-filter=device]", "cuda")
    browser.choose("#kind", "with false alarms")
    browser.run("scrollTo(0, document.body.scrollHeight)")
    assert browser.complaints() == []
    assert {url for url in browser.requests() if not url.startswith("data:")} == {page.as_uri()}


def test_the_policy_stops_what_is_not_ours_and_the_browser_says_so(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    """What the test above relies on: a page that did ask for something would be heard."""
    spoilt = tmp_path / "spoilt.html"
    foreign = '<script>document.title = "taken"</script><img src="image.png" alt=""><p style="color: red">.</p>'
    spoilt.write_text(page.read_text(encoding="utf-8").replace("</main>", f"{foreign}</main>"), encoding="utf-8")
    browser.open(spoilt)
    complaints = " ".join(browser.complaints())
    for directive in ("script-src 'sha256-", "img-src data:", "style-src 'sha256-"):
        assert directive in complaints
    assert browser.run("return document.title").startswith("facebench")


@pytest.mark.parametrize("title", ["AP hard", "p50 ms", "peak MB"])
def test_numbers_sort_both_ways_with_the_missing_ones_last(browser: Browser, page: Path, summary: Summary, title: str):
    browser.open(page)
    place, column = next((i, c) for i, c in enumerate(columns(summary)) if c.title == title)
    numbers = [column.number(row) for row in summary.rows if row.done]
    missing = [value for value in numbers if not math.isfinite(value)]
    falling = sorted((value for value in numbers if math.isfinite(value)), reverse=True)
    assert len(set(falling)) > 1, "a column in which the order shows"
    expected = {"descending": falling + missing, "ascending": falling[::-1] + missing}
    head = f"#results thead th:nth-child({place + 1})"
    # the table comes sorted by the first of them
    once, twice = ("ascending", "descending") if title == "AP hard" else ("descending", "ascending")
    for direction in (once, twice):
        browser.click(f"{head} button")
        assert [one.get_attribute("aria-sort") for one in browser.shown("#results [aria-sort]")] == [direction]
        assert browser.one(head).get_attribute("aria-sort") == direction
        cells = browser.shown(f"#results tbody:first-of-type td:nth-of-type({place})")
        found = [float(cell.get_attribute("data-plain") or "nan") for cell in cells]
        np.testing.assert_allclose(found, expected[direction], rtol=1e-8)
    assert labels(browser)[-1] == BROKEN, "what failed stays below"


def test_names_sort_with_the_first_letter_first(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("#results thead th:first-child button")
    found = [name for name in labels(browser) if name[0].isalpha()]
    assert found == sorted(found) and len(found) == 2
    browser.click("#results thead th:first-child button")
    assert [name for name in labels(browser) if name[0].isalpha()] == found[::-1]


@pytest.mark.parametrize(
    ("chosen", "specs", "said"),
    [
        ({}, ["good", FORMULA, "fair", MARKED_UP, BROKEN], "5 of 5 rows shown."),
        ({"family": "boosted cascade"}, ["fair"], "1 of 5 rows shown: family boosted cascade."),
        ({"family": "CNN cascade"}, [BROKEN], "1 of 5 rows shown: family CNN cascade."),
        ({"device": "cuda"}, ["fair", MARKED_UP], "2 of 5 rows shown: device cuda."),
        ({"protocol": "long=640"}, [FORMULA], "1 of 5 rows shown: protocol long=640."),
        (
            {"family": "single-stage CNN", "device": "cuda"},
            [MARKED_UP],
            "1 of 5 rows shown: family single-stage CNN, device cuda.",
        ),
        (
            {"family": "boosted cascade", "device": "cpu"},
            [],
            "0 of 5 rows shown: family boosted cascade, device cpu.",
        ),
    ],
    ids=lambda value: " ".join(value.values()) or "none" if isinstance(value, dict) else "",
)
def test_filters(
    browser: Browser, page: Path, summary: Summary, chosen: dict[str, str], specs: list[str], said: str
) -> None:
    browser.open(page)
    elsewhere = browser.run("return document.querySelectorAll('tr:not(#results tr):not([hidden])').length")
    for name, value in chosen.items():
        browser.choose(f"[data-filter={name}]", value)
    assert sorted(labels(browser)) == sorted(label_of(spec, summary) for spec in specs)
    assert browser.texts("#rows-shown") == [said]
    live = browser.one("#rows-shown").find_element("xpath", "ancestor::*[@aria-live]")
    assert live.get_attribute("aria-live") == "polite"
    assert browser.one("#all-rows").is_enabled() is bool(chosen)
    assert browser.run("return document.querySelectorAll('tr:not(#results tr):not([hidden])').length") == elsewhere
    if chosen:
        browser.click("#all-rows")
    assert len(labels(browser)) == 5


def test_csv_holds_plain_numbers_and_names_that_stay_text(browser: Browser, page: Path, summary: Summary) -> None:
    browser.open(page)
    browser.clipboard("granted")
    browser.click("[data-copy=csv]")
    assert browser.said("#copied") == "Copied as CSV: 5 rows below the headings."
    heads, *rows = csv.reader(io.StringIO(browser.copied(), newline=""))
    found = {row[0]: dict(zip(heads, row, strict=True)) for row in rows}
    assert heads[:4] == ["detector", "AP easy", "AP easy low", "AP easy high"]
    expected = {label_of(spec, summary): spec for spec in SETTINGS}
    guarded = {f"'{name}" if name[0] in "=+-@" else name: name for name in [*expected, BROKEN]}
    assert list(found) == list(guarded_in_order(guarded, summary))
    for row in (row for row in summary.rows if row.done):
        cells = next(found[text] for text, name in guarded.items() if name == row_label(row))
        for column in columns(summary):
            if column.number is not None:
                check_number(cells, column.title, column.number(row), column.interval and column.interval(row))
    assert found["'-broken"]["remarks"] == "failed: @once <b>."
    assert set(list(found["'-broken"].values())[1:-1]) == {""}


def guarded_in_order(guarded: dict[str, str], summary: Summary) -> list[str]:
    return [text for row in summary.rows for text, name in guarded.items() if name == row_label(row)]


def check_number(cells: dict[str, str], title: str, value: float, interval: Any) -> None:
    wanted = {title: value}
    if interval is not None and math.isfinite(value):
        wanted |= {f"{title} low": interval.low, f"{title} high": interval.high}
    for name, number in wanted.items():
        assert cells[name] == "" if not math.isfinite(number) else float(cells[name]) == pytest.approx(number, rel=1e-8)


def test_markdown_is_what_is_shown_as_it_is_sorted_and_filtered(browser: Browser, page: Path, summary: Summary) -> None:
    browser.open(page)
    browser.clipboard("granted")
    browser.choose("[data-filter=family]", "single-stage CNN")
    browser.click("#results thead th:first-child button")
    browser.click("[data-copy=markdown]")
    assert browser.said("#copied") == "Copied as Markdown: 3 rows below the headings."
    head, rule, *rows = browser.copied().splitlines()
    titles = [column.title for column in columns(summary)]
    assert head == f"| {' | '.join(titles)} |"
    assert rule == "|---|" + "---:|" * (len(titles) - 2) + "---|"
    names = [re.split(r"(?<!\\)\|", row)[1].strip() for row in rows]
    assert sorted(names) == sorted(
        ["good", "=HYPERLINK(\"//x\"),'a\\|b', long=640", "\\`m\\`:&lt;img src=x onerror=alert(1)>,\\*x\\*, cuda"]
    )
    assert [" ".join(name.split()) for name in labels(browser)] == [unmarked(name) for name in names]
    assert all(len(re.split(r"(?<!\\)\|", row)) == len(titles) + 2 for row in rows)
    good: Row = next(row for row in summary.rows if row.cell.spec == "good")
    assert good.latency is not None
    cells = [cell.strip() for cell in rows[names.index("good")].split("|")[1:-1]]
    assert cells[titles.index("AP hard")].startswith(f"{good.exact_ap('hard'):.3f} (")
    assert cells[titles.index("p50 ms")].startswith(f"{good.latency.p50_ms:.1f} (")
    assert cells[titles.index("peak MB")] == "100"


def unmarked(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text).replace("&lt;", "<").replace("&amp;", "&")


def test_where_the_clipboard_is_closed_the_text_stands_there_selected(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.clipboard("denied")
    browser.click("[data-copy=csv]")
    assert browser.said("#copied").startswith("Not copied: the browser does not allow it.")
    area = browser.one("#copy-text")
    start, end, length = browser.run(
        "const a = arguments[0]; return [a.selectionStart, a.selectionEnd, a.value.length]", area
    )
    assert area.is_displayed() and (start, end) == (0, length) and length > 0
    assert browser.run("return document.activeElement.id") == "copy-text"
    assert browser.run("return document.activeElement.value").startswith('"detector","AP easy"')
    browser.click("#copy-done")
    assert not area.is_displayed()
    assert browser.run("return document.activeElement.dataset.copy") == "csv"
    assert browser.complaints() == []


GALLERY = {
    ("good", "all"): 4,
    ("good", "with missed faces"): 0,
    ("good", "with false alarms"): 0,
    ("good", "where detectors differ in the faces found"): 2,
    ("fair", "with missed faces"): 2,
    ("fair", "with false alarms"): 3,
}
"""Detector and kind -> images: `fair` misses B in image one and E in image three, and has false alarms there and
on the empty image."""


@pytest.mark.parametrize(("spec", "kind"), GALLERY, ids=lambda value: value)
def test_the_gallery_shows_images_of_a_kind(
    browser: Browser, page: Path, summary: Summary, spec: str, kind: str
) -> None:
    browser.open(page)
    name = f"{label_of(spec, summary)} (score ≥ 0.5)"
    browser.choose("#boxes-of", name)
    browser.choose("#kind", kind)
    shown = len(browser.shown("#images figure"))
    assert shown == GALLERY[spec, kind]
    (said,) = browser.texts("#images-shown")
    assert said.startswith(f"{shown} of 4 images shown, ") and name in said
    assert browser.one("#images-shown").get_attribute("aria-live") == "polite"
    layers = {layer.get_attribute("data-layer") for layer in browser.shown("#images [data-layer]")}
    assert layers == ({browser.one("#boxes-of").get_attribute("value")} if shown else set())


def test_keys_alone_reach_and_work_the_controls_and_the_focus_is_seen(browser: Browser, page: Path) -> None:
    from selenium.webdriver import Keys

    browser.open(page)
    reached = set()
    wanted = {"BUTTON", "SELECT", "INPUT", "A", "SUMMARY", "DIV"}
    for _ in range(200):
        browser.press(Keys.TAB)
        tag, mark, outline, left = browser.run(
            "const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();"
            "return [e.tagName, e.id || e.dataset.filter || e.dataset.copy || '', parseFloat(s.outlineWidth), b.left]"
        )
        if tag == "BODY":
            break
        assert outline >= 2 and left >= 0, (tag, mark)
        reached |= {tag, mark}
        if mark in ("family", "kind"):
            browser.press(Keys.ARROW_DOWN)
        elif mark == "next":
            browser.press(Keys.ENTER)
        elif mark == "large":
            browser.press(Keys.SPACE)
    assert tag == "BODY", "the focus comes to the end of the page"
    assert wanted | {"family", "device", "csv", "markdown", "boxes-of", "previous", "next", "kind", "large"} <= reached
    assert browser.texts("#rows-shown") == ["3 of 5 rows shown: family single-stage CNN."]
    assert "those with faces that" in browser.texts("#images-shown")[0]
    assert browser.one("#boxes-of").get_attribute("value") == "1"
    assert browser.run("return document.getElementById('images').className") == "images large"


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_colours_of_the_system(browser: Browser, page: Path, scheme: str, is_dark: bool) -> None:
    browser.open(page, scheme=scheme)

    def brightness(css: str, name: str) -> float:
        value = browser.run("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", css, name)
        return float(np.mean([int(part) for part in re.findall(r"\d+", value)[:3]]))

    for css in ("body", "#results thead th", ".bar button", "select"):
        assert (brightness(css, "backgroundColor") < 128) is is_dark
        assert (brightness(css, "color") < 128) is not is_dark
    assert (brightness(".chart .wide svg", "color") < 128) is not is_dark


FIGURES = {
    "figure": "Exact AP (hard) against p50 latency",
    "latency": "Latency of every call",
    "costs": "Cost of a call by the cost model",
    "curves": "Precision against recall (hard)",
    "slices-recall": "Recall at the operating threshold by height in px, share of image, blur, pose",
    "slices-exact": "Exact AP (hard) by height in px, share of image, blur, pose",
    "errors": "What each kind of error costs in exact AP (hard)",
}
"""Id of the heading above a figure -> how what is read out instead of it begins."""


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_every_figure_is_shown_once_below_its_heading_and_fits(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    figures = browser.run(
        "return [...document.querySelectorAll('.chart')].map((chart) => {"
        " const shown = [...chart.querySelectorAll('svg')].filter((svg) => svg.checkVisibility());"
        " const headings = [...document.querySelectorAll('h2, h3')].filter((heading) =>"
        "  heading.compareDocumentPosition(chart) & Node.DOCUMENT_POSITION_FOLLOWING);"
        " const box = shown[0].getBoundingClientRect();"
        " const outside = [...shown[0].querySelectorAll('text, use')].filter((one) => {"
        "  const b = one.getBoundingClientRect();"
        "  return b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1;"
        " });"
        " return [headings.at(-1).id, shown.map((svg) => svg.getAttribute('aria-label')), box.width,"
        "  outside.map((one) => one.textContent)]; })"
    )
    assert {heading for heading, *_ in figures} == set(FIGURES) and len(figures) == len(FIGURES)
    for heading, labels, across, outside in figures:
        assert len(labels) == 1 and labels[0].startswith(FIGURES[heading])
        assert 0.9 * min(width, 960) - 40 < across <= width
        assert outside == [], heading


@pytest.mark.parametrize(("scheme", "ground"), [("light", 1.0), ("dark", 0.008)])
def test_the_dots_of_figures_stand_out_from_the_ground(
    browser: Browser, page: Path, scheme: str, ground: float
) -> None:
    """At 3 : 1 (WCAG 2.2, 1.4.11)."""
    browser.open(page, scheme=scheme)
    colours = browser.run(
        "return [...new Set([...document.querySelectorAll('.chart .wide use')].map((e) => getComputedStyle(e))"
        ".map(({ stroke, fill }) => (stroke === 'none' ? fill : stroke)))]"
    )
    assert len(colours) >= 4, "three series and ink"
    for colour in colours:
        light = luminance([int(part) for part in re.findall(r"\d+", colour)[:3]])
        brighter, darker = max(light, ground), min(light, ground)
        assert (brighter + 0.05) / (darker + 0.05) >= 3, (colour, light)


def luminance(rgb: list[int]) -> float:
    """Of WCAG 2.2."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (part / 255 for part in rgb)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("heading", ["slices-recall", "slices-exact", "errors"])
def test_the_numbers_of_a_figure_are_folded_below_it_and_open_by_key(
    browser: Browser, page: Path, heading: str
) -> None:
    from selenium.webdriver import Keys

    browser.open(page)
    fold = f"#{heading} ~ figure ~ details"
    assert browser.shown(f"{fold} table") == []
    browser.run("document.querySelector(arguments[0]).focus()", f"{fold} summary")
    browser.press(Keys.ENTER)
    (table, *_) = browser.shown(f"{fold} table")
    heads = [head.text for head in table.find_elements("css selector", "tbody th")]
    assert len(heads) == 4 and heads[0].startswith("good")


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_no_width_makes_the_page_scroll_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    browser.clipboard("denied")
    browser.click("[data-copy=markdown]")
    browser.said("#copied")
    for opened in (False, True):
        browser.run("for (const one of document.querySelectorAll('details')) one.open = arguments[0]", opened)
        found = browser.run(
            "const [page, body] = [document.documentElement, document.body]; scrollTo(9999, 0);"
            "return [innerWidth, page.scrollWidth - page.clientWidth, scrollX,"
            " getComputedStyle(page).overflowX, getComputedStyle(body).overflowX]"
        )
        assert found == [width, 0, 0, "visible", "visible"]
    inside = "return [...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).length"
    assert (browser.run(inside) > 0) is (width < 1440), "wide tables scroll by themselves"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, page: Path, scheme: str, width: int) -> None:
    browser.open(page, scheme=scheme, width=width)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.faults() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, scheme=scheme)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    read, faint = browser.faint()
    assert read > 1000 and faint == []
    browser.run("document.querySelector('#results td').style.cssText = 'background: rgb(127 127 127 / 50%)'")
    browser.run("document.querySelector('#results td').style.color = 'rgb(127 127 127)'")
    value, ends = browser.faint()[1]
    assert value == "1.000" and ends.endswith("–1.00)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_faults_that_are_put_in(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, scheme=scheme)
    browser.run("document.querySelector('h1').insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
    browser.run("document.querySelector('.answer').style.cssText = 'font-size: 1rem; font-weight: 400; color: #777'")
    assert {fault.partition(":")[0] for fault in browser.faults("header")} == {"image-alt", "color-contrast"}


def test_paper_gets_no_controls_and_nothing_is_cut_off(browser: Browser, page: Path) -> None:
    browser.open(page, width=1032, media="print", scheme="dark")
    assert browser.shown(".bar button, select, input, nav") == []
    assert browser.texts("#rows-shown") == ["5 of 5 rows shown."]
    assert browser.texts("#images-shown")[0].startswith("4 of 4 images shown, with the boxes of good")
    assert browser.run("const page = document.documentElement; return page.scrollWidth - page.clientWidth") == 0
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_scripts_everything_is_there_but_the_controls(browser: Browser, page: Path) -> None:
    browser.scripts(run=False)
    try:
        browser.open(page)
        assert browser.shown("[data-filter], [data-copy], #kind, #boxes-of, #large") == []
        assert len(labels(browser)) == 5
        assert len(browser.shown("#images figure")) == 4
    finally:
        browser.scripts(run=True)


def test_without_images_nothing_fails(browser: Browser, summary: Summary, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(summary, analyse(summary, Resampling(draws=20)), images=False), encoding="utf-8")
    browser.open(path)
    browser.choose("[data-filter=device]", "cuda")
    assert browser.texts("#rows-shown") == ["2 of 5 rows shown: device cuda."]
    assert browser.complaints() == []
    assert browser.shown("img") == []


def test_a_killed_test_leaves_no_browser_behind(programs: tuple[str, str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom facebench.tests.support.browser import Browser\n"
        "browser = Browser(*sys.argv[1:3], Path(sys.argv[3]))\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code, *programs, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "ready\n"
        started = psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
    assert len(started) > 2
    _, alive = psutil.wait_procs(started, timeout=300)
    assert alive == []

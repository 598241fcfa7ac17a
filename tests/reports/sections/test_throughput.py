"""What the report says of batches: every size of every detector, in text and as a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from facebench.benchmarks.analysis.depth import analyse
from facebench.benchmarks.analysis.table import Resampling, Summary, summarise_run
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.benchmarks.timing.throughput import BatchRate
from facebench.reports.figures.throughput import RateLine, rate_lines, throughput
from facebench.reports.html import render
from facebench.tests.support.batch_run import add_batched
from facebench.tests.support.page import Page
from facebench.tests.support.timed_run import HOSTILE, add_timed, make_run

NO_MEMORY = "held 7,000 MB, the limit is 6,144 MB"


def make_summary(path: Path, *, batches: bool = True) -> Summary:
    run = make_run(path)
    if batches:
        add_batched(run, HOSTILE)
        add_batched(run, "looped", call_ms=1e-6, together=False, failed={16: NO_MEMORY})
    add_timed(run, "plain")
    return summarise_run(run, Resampling(draws=20))


def test_the_section_has_every_size_of_every_detector(tmp_path: Path) -> None:
    summary = make_summary(tmp_path / "run")
    page = Page(render(summary, analyse(summary)))
    text = page.sections["throughput"]
    rows = {(row[0], row[1]): row[2].split()[0] for row in page.rows if len(row) > 2}
    assert rows["looped", "4, looped"] == "100" and rows["looped", "16, looped"] == "–"
    assert rows[HOSTILE, "1"] == "25.0" and rows[HOSTILE, "16"] == "80.0"
    assert NO_MEMORY in text
    assert "Not timed in batches: plain." in text
    assert "offline, images/s" in text and "single stream, p90 ms" in text
    assert "multi stream" not in text.lower(), "nobody measured batches of eight"
    assert "device MB" not in text, "no library told"
    assert "these are not MLPerf results" in text


def test_a_run_without_batches_has_no_section(tmp_path: Path) -> None:
    summary = make_summary(tmp_path / "run", batches=False)
    assert "throughput" not in Page(render(summary, analyse(summary))).sections


@pytest.mark.parametrize("width_px", [900, 380])
def test_the_figure_names_every_line_and_is_the_same_twice(tmp_path: Path, width_px: int) -> None:
    drawn = rate_lines(make_summary(tmp_path / "run"))
    svg = throughput(drawn, width_px)
    assert svg == throughput(drawn, width_px)
    assert "Images per second over the batch size of 2 detectors" in svg
    assert "looped" in svg and "plain" not in svg
    assert "<b>" not in svg


def test_marks_are_hollow_where_a_detector_takes_one_after_the_other() -> None:
    def line(label: str, together: bool) -> RateLine:
        ends = Interval(10.0, float("nan"), float("nan"), 0.95, 0)
        return RateLine(label, together, [BatchRate(size, ends, None, 1.0, None, 1, 1) for size in (1, 4)])

    marks = {it: re.findall(r"<use[^>]*fill-opacity=.0.[^>]*>", throughput([line("a", it)])) for it in (True, False)}
    assert (len(marks[True]), len(marks[False])) == (0, 2)

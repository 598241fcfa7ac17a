"""Batches as text: what is measured is said, what is not says why, and no detector is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from facebench.benchmarks.analysis.table import Row, Summary, summarise_run
from facebench.reports.text.markdown import markdown_table
from facebench.reports.values.batches import BATCH_COLUMNS, batch_lines, scenarios
from facebench.reports.values.numbers import NONE
from facebench.reports.values.table import columns, remarks, to_json
from facebench.tests.support import runs
from facebench.tests.support.batch_run import add_batched
from facebench.tests.support.timed_run import add_timed, make_run


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    run = make_run(tmp_path_factory.mktemp("batches") / "run")
    add_batched(run, "quick", device_mb=64.0)
    add_batched(run, "looped", call_ms=1e-6, together=False, differ={4: 3})
    add_batched(run, "greedy", failed={16: "held 7,000 MB, the limit is 6,144 MB"})
    add_timed(run, "plain")
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    return summarise_run(run)


def row(summary: Summary, spec: str) -> Row:
    return next(row for row in summary.rows if row.cell.spec == spec)


def line(summary: Summary, spec: str, batch: str) -> dict[str, str]:
    lines = [dict(zip(BATCH_COLUMNS, one, strict=True)) for one in batch_lines(summary)]
    return next(one for one in lines if one["detector"] == spec and one["batch"] == batch)


def test_a_line_says_what_a_batch_size_gives(summary: Summary) -> None:
    one, many = line(summary, "quick", "1"), line(summary, "quick", "16")
    assert one["images/s"] == "25.0\n(25.0–25.0)"
    assert (one["times one"], one["p50 ms"], one["full"]) == (NONE, "40.0", "24 of 24")
    # 16 images in 190 ms and 8 in 110
    assert many["images/s"].startswith("80.0\n(")
    assert many["times one"].startswith("3.20\n(")
    assert (many["p50 ms"], many["peak MB"], many["device MB"], many["full"]) == ("190", "116", "64", "1 of 2")
    assert many["remarks"] == ""


def test_a_size_without_times_says_why(summary: Summary) -> None:
    found = line(summary, "greedy", "16")
    assert found.pop("remarks") == "held 7,000 MB, the limit is 6,144 MB"
    assert set(found.values()) == {"greedy", "16", NONE}
    assert line(summary, "greedy", "4")["remarks"] == ""
    assert remarks(row(summary, "greedy")).endswith("no times in batches of 16")


def test_a_detector_without_a_batch_is_called_looped_and_other_boxes_are_counted(summary: Summary) -> None:
    assert line(summary, "looped", "1")["remarks"] == ""
    assert line(summary, "looped", "4, looped")["remarks"] == "other boxes in batches of 4 on 3 images"
    assert "batches looped, other boxes in batches of 4 on 3 images" in remarks(row(summary, "looped"))
    assert "looped" not in remarks(row(summary, "quick"))


def test_the_table_has_the_best_size_and_every_row(summary: Summary) -> None:
    column = next(one for one in columns(summary) if one.title == "images/s batched")
    assert column.number is not None and column.number(row(summary, "quick")) == pytest.approx(80)
    assert column.text(row(summary, "quick")).endswith("\nbatches of 16")
    assert column.text(row(summary, "plain")) == column.text(row(summary, "broken")) == NONE
    text = markdown_table(summary)
    assert all(spec in text for spec in ("quick", "looped", "greedy", "plain", "broken"))


def test_a_run_without_batches_has_no_column_of_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    add_timed(run, "plain")
    summary = summarise_run(run)
    assert batch_lines(summary) == [] and scenarios(summary) == []
    assert "images/s batched" not in [one.title for one in columns(summary)]
    assert "batches" not in to_json(summary)["rows"][0]


def test_scenarios_have_what_was_measured_and_no_more(summary: Summary) -> None:
    quick = next(one for one in scenarios(summary) if one.label == "quick")
    latency = row(summary, "quick").latency
    assert latency is not None
    assert float(quick.single_stream) == pytest.approx(latency.p90_ms, rel=0.01)
    # nobody asked for batches of eight, and 24 images tell no 99th percentile
    assert quick.multi_stream == NONE
    assert quick.offline.startswith("80.0\n") and quick.offline.endswith("\nbatches of 16")
    assert [one.label for one in scenarios(summary)] == [
        row.cell.spec for row in summary.rows if row.cell.batching is not None
    ]


def test_machines_get_the_numbers_whole(summary: Summary) -> None:
    document = json.loads(json.dumps(to_json(summary), allow_nan=False))
    quick = next(one for one in document["rows"] if one["spec"] == "quick")
    assert quick["batched_together"] is True
    sixteen = quick["batches"][2]
    assert (sixteen["images"], sixteen["batches"], sixteen["full"]) == (16, 2, 1)
    assert sixteen["images_per_s"] == pytest.approx(80) and sixteen["times_one"] == pytest.approx(3.2)
    low, high = sixteen["times_one_interval"]
    assert low < 3.2 < high
    assert (sixteen["p99_ms"], sixteen["peak_rss_mb"], sixteen["device_memory_mb"]) == (None, 116, 64)
    assert quick["batches"][0]["times_one"] is None and quick["batches"][0]["times_one_interval"] is None
    greedy = next(one for one in document["rows"] if one["spec"] == "greedy")
    assert greedy["batches"][2]["reason"] and "images_per_s" not in greedy["batches"][2]

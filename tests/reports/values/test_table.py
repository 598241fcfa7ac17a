"""The main table: no number that is an estimate from images stands without its interval."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest
from facebench.benchmarks.analysis.table import Summary, summarise_run
from facebench.benchmarks.resampling.bootstrap import Interval
from facebench.reports.text.markdown import markdown_table
from facebench.reports.values.numbers import NONE, between_plain
from facebench.reports.values.table import columns, parts, to_json
from facebench.tests.support import depth_run, runs

ESTIMATES = {
    **{f"AP {name}": f"AP_{name}" for name in ("easy", "hard")},
    **{f"official {name}": f"official_{name}" for name in ("easy", "hard")},
    **{name: name for name in ("IoU", "precision", "recall")},
    "p50 ms": "p50_ms",
    "p90 ms": "p90_ms",
    "images/s": "images_per_s",
}
"""Title -> key in the JSON."""
MEASURED_ONCE = ["start s", "peak MB"]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    run = depth_run.make_both(tmp_path_factory.mktemp("table"))
    runs.add_cell(run, "blind", {})
    runs.add_cell(run, "broken", status="failed", reason="it broke", start=None)
    return summarise_run(run)


def cells_of(summary: Summary, spec: str) -> dict[str, str]:
    row = next(row for row in summary.rows if row.cell.spec == spec)
    return {column.title: column.text(row) for column in columns(summary)}


def test_every_estimate_has_its_interval_on_a_second_line(summary):
    cells = cells_of(summary, "fair")
    assert {title for title, text in cells.items() if "\n" in text} == set(ESTIMATES)
    for title in ESTIMATES:
        number, ends = cells[title].split("\n")
        assert number != NONE
        assert ends.startswith("(") and ends.endswith(")") and "–" in ends, title


def test_the_cells_say_value_and_ends(summary):
    row = next(row for row in summary.rows if row.cell.spec == "fair")
    ends = Interval(0.5, 0.25, 0.75, 0.95, 1000)
    slow = Interval(6.5, 5.25, 1234.4, 0.95, 1000)
    changed = replace(
        row,
        intervals=replace(
            row.intervals,
            official=dict.fromkeys(("easy", "hard"), ends),
            operating=dict.fromkeys(row.intervals.operating, ends),
            latency=dict.fromkeys(row.intervals.latency, slow),
        ),
    )
    text = {column.title: column.text(changed) for column in columns(summary)}
    assert text["official hard"] == ".500\n(.25–.75)"
    assert text["recall"] == ".500\n(.25–.75)"
    assert text["p50 ms"] == "6.5\n(5–1,234)"


def test_what_is_measured_once_says_so_and_has_none(summary):
    chosen = {column.title: column for column in columns(summary)}
    for title in MEASURED_ONCE:
        assert chosen[title].interval is None
        assert "measured once: no interval" in chosen[title].help


def test_the_fewer_draws_of_the_official_rule_are_said(summary):
    helps = {column.title: column.help for column in columns(summary)}
    assert "interval of 200 resamples" in helps["official hard"]
    assert "resamples" not in helps["AP hard"]
    few = replace(summary, resampled=replace(summary.resampled, draws=30))
    assert "interval of 30 resamples" in {column.title: column.help for column in columns(few)}["official hard"]


def test_a_number_that_is_undefined_is_a_dash_without_ends(summary):
    cells = cells_of(summary, "blind")
    assert (cells["precision"], cells["IoU"]) == (NONE, NONE)
    assert cells["recall"].startswith(".000\n(.00–.")
    assert all(cells_of(summary, "broken")[title] == NONE for title in ESTIMATES)


def test_the_json_has_the_interval_of_each_estimate(summary):
    table = to_json(summary)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    fair, blind, broken = (
        next(row for row in table["rows"] if row["spec"] == spec) for spec in ("fair", "blind", "broken")
    )
    keys = {*ESTIMATES.values(), "AP_overall", "official_overall"}
    assert {key.removesuffix("_interval") for key in fair if key.endswith("_interval")} == keys
    row = next(row for row in summary.rows if row.cell.spec == "fair")
    recall, p90 = row.intervals.operating["recall"], row.intervals.latency["p90_ms"]
    assert (fair["recall"], fair["recall_interval"]) == (recall.value, [recall.low, recall.high])
    assert (fair["p90_ms"], fair["p90_ms_interval"]) == (p90.value, [p90.low, p90.high])
    assert (blind["precision"], blind["precision_interval"]) == (None, None)
    assert all(broken[f"{key}_interval"] is None for key in keys)


def test_without_lists_overall_stands_once(tmp_path):
    run = depth_run.make_run(tmp_path, lists=(), columns={})
    runs.add_cell(run, "good", depth_run.GOOD)
    (row,) = to_json(summarise_run(run))["rows"]
    assert [key for key in row if key.startswith(("AP_", "official_"))] == [
        "AP_overall",
        "AP_overall_interval",
        "official_overall",
        "official_overall_interval",
    ]


def test_markdown_keeps_a_row_on_a_line(summary):
    lines = markdown_table(summary).splitlines()
    good = next(line for line in lines if line.startswith("| good |"))
    assert all(cell.startswith("1.000 (.") and cell.endswith("–1.00)") for cell in good.split(" | ")[1:3])
    assert {line.count(" | ") for line in lines if line.startswith("| ")} == {len(columns(summary)) - 1}


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (math.nan, math.nan, ""),
        (0.04, 0.06, "0.0–0.1"),
        (8.84, 9.06, "8.8–9.1"),
        (9.0, 99.96, "9.0–100.0"),
        (99.9, 100.0, "100–100"),
        (980.4, 1234.5, "980–1,234"),
    ],
)
def test_ends_of_numbers_that_are_no_shares(low, high, text):
    assert between_plain(Interval(low, low, high, 0.95, 10)) == text


@pytest.mark.parametrize("width", [1, 60, 80, 120, 1000])
def test_a_wide_table_is_split_into_parts_that_fit(summary, width):
    chosen = columns(summary)
    found = parts(chosen, summary.rows, width)
    assert [column.title for part in found for column in part[1:]] == [column.title for column in chosen[1:]]
    assert all(part[0] is chosen[0] for part in found)
    longest = [max(len(line) for row in summary.rows for line in one.text(row).split("\n")) for one in chosen[:-1]]
    needed = {one.title: 3 + max(len(one.title), n) for one, n in zip(chosen, longest, strict=False)}
    needed[chosen[-1].title] = 3 + len("remarks")
    for part in found:
        assert len(part) == 2 or 1 + sum(needed[column.title] for column in part) <= width
    for one, after in itertools.pairwise(found):
        together = 1 + sum(needed[column.title] for column in one) + needed[after[1].title]
        assert together > width, "no part is cut short"


def test_of_no_rows_the_titles_give_the_width(summary):
    assert [len(part) for part in parts(columns(summary), [], 10_000)] == [len(columns(summary))]

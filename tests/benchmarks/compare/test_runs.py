"""Two runs side by side: who is paired with whom, and what the differences are."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import Resampling, summarise_run
from facebench.benchmarks.compare.pair import Measured
from facebench.benchmarks.compare.pairing import pair_cells, parse_pair
from facebench.benchmarks.compare.runs import compare_interleaved, compare_runs, rounds_table
from facebench.benchmarks.resampling.average_precision import ExactAP
from facebench.benchmarks.resampling.bootstrap import paired_difference, resample
from facebench.benchmarks.store.records import StoredCell
from facebench.benchmarks.store.truth import RunReader
from facebench.errors import UsageError
from facebench.tests.support import two_runs
from facebench.tests.support.records import stored
from facebench.tests.support.two_runs import IMAGES, found, times, two


def cell(spec: str, size: str = "original", **changes: object) -> StoredCell:
    return stored(spec, protocol={"size": size, "score_floor": None}, **changes)


HAAR, FINE, FINER = cell("haar"), cell("haar:scale_factor=1.05"), cell("haar:scale_factor=1.02")
YUNET, TWO_THREADS = cell("yunet"), cell("haar", threads=2)


@pytest.mark.parametrize(
    ("base", "head", "wanted", "pairs", "base_only", "head_only"),
    [
        ([], [], (), [], [], []),
        ([HAAR], [], (), [], [HAAR], []),
        ([HAAR, YUNET], [YUNET, HAAR], (), [(HAAR, HAAR), (YUNET, YUNET)], [], []),
        ([HAAR], [FINE], (), [(HAAR, FINE)], [], []),
        ([HAAR], [YUNET], (), [], [HAAR], [YUNET]),
        ([HAAR], [HAAR, FINE], (), [(HAAR, HAAR)], [], [FINE]),
        ([HAAR], [FINE, FINER], (), [], [HAAR], [FINE, FINER]),
        ([HAAR], [HAAR, FINE], [("haar", "haar:scale_factor=1.05")], [(HAAR, FINE)], [], [HAAR]),
        ([HAAR, TWO_THREADS], [FINE], (), [(HAAR, FINE)], [TWO_THREADS], []),
        ([HAAR], [TWO_THREADS], (), [], [HAAR], [TWO_THREADS]),
        ([HAAR], [cell("haar", size="long=640")], (), [], [HAAR], [cell("haar", size="long=640")]),
        ([HAAR], [cell("haar", device="cuda")], (), [], [HAAR], [cell("haar", device="cuda")]),
        ([HAAR], [YUNET], [("haar", "yunet")], [(HAAR, YUNET)], [], []),
    ],
    ids=[
        "nothing", "missing", "same specs in another order", "alone with its name", "another detector",
        "same spec before same name", "two with its name", "as asked for", "same threads", "other threads",
        "other size", "other device", "two detectors",
    ],
)  # fmt: skip
def test_pairs(base, head, wanted, pairs, base_only, head_only):
    pairing = pair_cells(base, head, wanted)
    assert (list(pairing.pairs), list(pairing.base_only), list(pairing.head_only)) == (pairs, base_only, head_only)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ([("harr", "haar")], "no detector harr in the base to pair. Did you mean haar?"),
        ([("haar", "yunett")], "no detector yunett in the head to pair. Did you mean yunet?"),
        ([("haar", "haar"), ("haar", "yunet")], "haar of the base is in 2 pairs"),
        ([("haar", "hog")], "no protocol, device and threads in common"),
    ],
)
def test_pairs_that_cannot_be(wanted, words):
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        pair_cells([HAAR], [HAAR, YUNET, cell("hog", threads=2)], wanted)


def test_a_pair_is_cut_where_the_specs_end():
    assert parse_pair("haar=haar:scale_factor=1.05", [HAAR], [FINE]) == ("haar", "haar:scale_factor=1.05")
    text = "haar:scale_factor=1.02=haar:scale_factor=1.05"
    assert parse_pair(text, [FINER], [FINE]) == ("haar:scale_factor=1.02", "haar:scale_factor=1.05")
    for wrong, words in (("haar", "expected BASE=HEAD"), ("haar=hog", "The base has haar; the head has")):
        with pytest.raises(UsageError, match=words):
            parse_pair(wrong, [HAAR], [FINE])


@pytest.mark.parametrize("column", [True, False], ids=["rounds", "without the column"])
def test_rounds_table(column):
    rows = pd.DataFrame({"image_id": ["b", "a", "x", "a"], "round": [0, 0, 0, 1], "detect_ms": [2.0, 1.0, 9.0, 3.0]})
    rows = rows if column else rows[:3].drop(columns="round")
    expected = [[1.0, 2.0, np.nan], [3.0, np.nan, np.nan]][: 2 if column else 1]
    np.testing.assert_array_equal(rounds_table(rows, ["a", "b", "c"]), expected)


def test_identical_runs_differ_by_nothing_and_nothing_is_drawn(tmp_path):
    comparison = compare_runs(*two(tmp_path))
    (one,) = comparison.cells
    assert one.detections is not None and one.detections.identical and one.label == "haar"
    assert [change.list_name for change in one.accuracy] == ["easy", "hard", "overall"]
    for change in (*one.accuracy, *one.rates):
        assert (change.difference.value, change.difference.low, change.difference.high) == (0.0, 0.0, 0.0)
        assert change.difference.draws == 0
    assert one.changed == () and one.indicative == () and comparison.primary == "hard"


def test_a_threshold_alone_moves_the_rates_and_not_ap(tmp_path):
    start = {"operating_threshold": 0.85, "score_floor": 0.02}
    (one,) = compare_runs(*two(tmp_path, head={"start": start})).cells
    assert one.accuracy_on("hard").difference.draws == 0
    recall = next(rate for rate in one.rates if rate.name == "recall")
    assert (recall.base, recall.head, recall.difference.value) == (1.0, 0.5, -0.5)
    assert one.threshold == (0.5, 0.85)


def test_a_planted_loss_is_what_the_summaries_of_the_runs_say(tmp_path):
    base, head = two(tmp_path, head={"boxes": found(range(0, 40, 2)), "parameters": {"size": 301}, "code": "1" * 16})
    (one,) = compare_runs(base, head).cells
    before, after = (summarise_run(run).rows[0] for run in (base, head))
    for name in ("easy", "hard", "overall"):
        change = one.accuracy_on(name)
        assert (change.base, change.head) == (before.exact_ap(name), after.exact_ap(name))
        assert (change.base_official, change.head_official) == (before.official_ap(name), after.official_ap(name))
        assert change.images == 40
    assert one.accuracy_on("hard").difference.value == pytest.approx(-0.25)
    assert one.accuracy_on("easy").difference.value == 0.0, "the right faces are all there"
    assert [(c.what, c.base, c.head) for c in one.changed] == [
        ("parameter size", "300", "301"), ("adapter code", "0" * 16, "1" * 16),
    ]  # fmt: skip


@pytest.mark.parametrize("resampling", [Resampling(), Resampling(seed=3), Resampling(by_event=True)], ids=str)
def test_the_interval_is_that_of_the_paired_bootstrap(tmp_path, resampling):
    base, head = two(tmp_path, head={"boxes": found([1, 5, 9])})
    (one,) = compare_runs(base, head, resampling=resampling).cells
    truth = RunReader(base).truth
    samples = []
    for run in (head, base):
        statistic = ExactAP(RunReader(run).matched(run.cells[0]).matches, truth.masks["hard"])
        samples.append(resample(statistic, resampling.weights(truth.image_ids)))
    assert one.accuracy_on("hard").difference == paired_difference(*samples).interval


def test_swapping_the_runs_turns_the_difference_round(tmp_path):
    base, head = two(tmp_path, head={"boxes": found([1, 5, 9]), "ms": times(factor=1.2, seed=2)})
    (there,), (back,) = compare_runs(base, head).cells, compare_runs(head, base).cells
    ahead, behind = there.accuracy_on("hard").difference, back.accuracy_on("hard").difference
    assert (ahead.value, ahead.low, ahead.high) == (-behind.value, -behind.high, -behind.low)
    assert there.latency is not None and back.latency is not None
    assert there.latency.median.ratio.value == pytest.approx(1 / back.latency.median.ratio.value)


def test_latency_is_over_the_images_that_every_round_measured(tmp_path):
    slower = times(3, factor=1.5, seed=3)
    slower[1, 7] = np.nan
    (one,) = compare_runs(*two(tmp_path, base={"ms": times(4)}, head={"ms": slower})).cells
    assert one.latency is not None and one.head_latency is not None
    assert one.latency.median.ratio.low < 1.5 < one.latency.median.ratio.high
    assert (one.latency.rounds, one.latency.images, one.latency.left_out) == (3, 39, 1)
    assert one.head_latency.n == 3 * 40 - 1


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({}, []),
        ({"machine": "Other, 8 cores"}, ["machine"]),
        ({"system": "Linux-9"}, ["system"]),
        ({"memory_gb": 8.0}, ["memory (GB)"]),
        ({"boot": "b" * 16}, ["start of the machine"]),
        ({"boot": ""}, []),
        ({"python": "3.12.0", "packages": {"facebench": "0.2.0"}}, []),
    ],
    ids=["same", "machine", "system", "memory", "started again", "unknown", "what is under test"],
)
def test_another_machine(tmp_path, environment, what):
    base, head = (
        two_runs.start_run(tmp_path / "a", boot="a" * 16),
        two_runs.start_run(tmp_path / "b", **({"boot": "a" * 16} | environment)),
    )
    two_runs.add(base)
    two_runs.add(head)
    (one,) = compare_runs(base, head).cells
    assert [change.what for change in one.indicative] == what


def test_versions_are_inputs(tmp_path):
    packages = {"facebench": "0.2.0", "numpy": "2.0", "new": "1"}
    (one,) = compare_runs(*two(tmp_path, environment={"python": "3.12.0", "packages": packages})).cells
    assert [(c.what, c.base, c.head) for c in one.changed] == [
        ("package facebench", "0.1.0", "0.2.0"), ("package new", "none", "1"), ("Python", "3.11.0", "3.12.0"),
    ]  # fmt: skip


def test_images_that_one_side_could_not_decode_are_left_out_and_said(tmp_path):
    base, head = two(tmp_path)
    table = head.images()
    table.loc[table["image_id"] == IMAGES[3], "verdict"] = "truncated"
    head.write_images(table, head.faces())
    comparison = compare_runs(base, head)
    assert comparison.images == 39
    assert comparison.notes == ("1 images could be decoded on one side only and are left out",)


def test_a_cell_that_is_not_done_has_no_numbers_and_is_not_dropped(tmp_path):
    base, head = two_runs.start_run(tmp_path / "a"), two_runs.start_run(tmp_path / "b")
    two_runs.add(base)
    two_runs.runs.add_cell(head, "haar", status="failed", reason="no memory", start=None, peak_rss_mb=None)
    two_runs.add(base, "yunet")
    two_runs.add(head, "ssd")
    comparison = compare_runs(base, head)
    (one,) = comparison.cells
    assert not one.done and one.accuracy == () and one.latency is None
    assert math.isnan(one.memory_mb[1]) and math.isnan(one.threshold[1]) and math.isnan(one.cold_start_s[1])
    assert [c.spec for c in comparison.base_only] == ["yunet"]
    assert [c.spec for c in comparison.head_only] == ["ssd"]


def test_predictions_have_no_latency(tmp_path):
    changes = {"predictions": {}, "rounds": 0}
    (one,) = compare_runs(*two(tmp_path, base=changes, head=changes)).cells
    assert one.latency is None and one.indicative == () and one.accuracy_on("hard").base == 1.0


def test_a_side_that_disagrees_with_itself_is_noted(tmp_path):
    comparison = compare_runs(*two(tmp_path, head={"detections_differ": 3, "repeats_failed": 1}))
    assert comparison.notes == (
        "haar: head gave other detections in 3 of its own repeated calls",
        "haar: head failed on 1 of its repeated calls",
    )


def test_sides_timed_at_different_scores_are_noted(tmp_path):
    """A run of before timed the pass at the floor; a slowdown or a gain would be that of the boxes."""
    base, head = two(tmp_path)
    start = dataclasses.replace(head.cells[0].start, timed_from=0.75)
    head.put_cell(dataclasses.replace(head.cells[0], start=start))
    [note] = compare_runs(base, head).notes
    assert note.startswith("haar: base was timed with boxes from a score of ") and "head from 0.75 on" in note


def test_cells_of_one_spec_pair_by_threshold_first():
    cells = [cell("haar", threshold=one) for one in (None, 0.5)]
    assert pair_cells(cells, cells[::-1]).pairs == ((cells[0], cells[0]), (cells[1], cells[1]))
    assert pair_cells(cells[:1], cells[1:]).pairs == ((cells[0], cells[1]),)


@pytest.mark.parametrize(
    ("change", "metric", "words"),
    [
        ({"dataset": "fingerprint"}, None, "Expected the same images with the same annotation"),
        ({"protocol": {"size": "long=640", "score_floor": None}}, None, '"long=640".*Expected the same'),
        ({}, "ap_hrad", r"unknown metric 'ap_hrad'. Did you mean ap_hard\?"),
    ],
    ids=["data set", "protocol", "metric"],
)
def test_runs_that_do_not_compare(tmp_path, change, metric, words):
    base, head = two(tmp_path, head={key: value for key, value in change.items() if key == "protocol"})
    if "dataset" in change:
        head.save(dataset=dataclasses.replace(head.document.dataset, fingerprint="e" * 16))
    with pytest.raises(UsageError, match=words):
        compare_runs(base, head, metric=metric)


def test_interleaved_rounds_are_paired_and_use_the_second_process_of_the_base(tmp_path):
    base, head = two(tmp_path)
    truth = RunReader(base).truth
    drift = np.exp(np.random.default_rng(1).normal(0, 0.2, (4, 1)))
    sides = [
        Measured(run.cells[0], run.detections(run.cells[0]), times(seed=seed) * drift, run.document.environment)
        for seed, run in enumerate((base, head))
    ]
    again = times(seed=7) * drift
    dataset = base.document.dataset
    comparison = compare_interleaved(*sides, truth, dataset, again=again)
    (one,) = comparison.cells
    assert comparison.interleaved and one.latency is not None and one.latency.floor is not None
    ratio = one.latency.median.ratio
    assert 0.98 < ratio.low < 1.0 < ratio.high < 1.02, "a drift of 20 % between rounds cancels out"
    alone = [dataclasses.replace(side, ms=None) for side in sides]
    assert compare_interleaved(*alone, truth, dataset).cells[0].latency is None

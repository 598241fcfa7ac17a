"""A run becomes a table of what each detector loses: whose faces, whose boxes, what is stored, what goes on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.analysis.table import Resampling
from facebench.benchmarks.scoring import ImageBoxes
from facebench.benchmarks.scoring.verdicts import first_half
from facebench.emotions.pipeline.crops import CropPolicy, window
from facebench.emotions.scoring.answers import FoundBoxes, above, calibrate, equal_alarm_thresholds
from facebench.emotions.scoring.document import FILE_NAME
from facebench.emotions.scoring.score_run import score_run, sweep
from facebench.emotions.scoring.table import EndToEndTable, confusion_of
from facebench.errors import DataError, ResultsError, SchemaVersionError, UsageError
from facebench.tests.support.made_up_run import GreyReader, add_cell, make_dataset, make_run, shifted

LEFT, RIGHT = (20, 20, 68, 68), (140, 60, 204, 124)
EMPTY_PLACE = (80, 100, 120, 140)
FACES = {f"{number}.png": [(LEFT, number % 6), (RIGHT, (number + 2) % 6)] for number in range(6)} | {"none.png": []}
EXACT = {name: [(box, 0.9) for box, _ in of] for name, of in FACES.items()}
FEW = Resampling(draws=50)


def score(run, dataset, classifier=None, **options) -> EndToEndTable:
    options.setdefault("variants", ("same",))
    return score_run(run, dataset, classifier or GreyReader(), resampling=FEW, **options)[0]


def rates(row) -> dict[str, float]:
    return {name: interval.value for name, interval in row.score.rates.items()}


@pytest.mark.parametrize(
    ("what", "found", "expected"),
    [
        ("exact", EXACT, {"detected_rate": 1, "e2e_accuracy": 1, "miss_loss": 0, "crop_loss": 0}),
        ("nothing", {}, {"detected_rate": 0, "e2e_accuracy": 0, "miss_loss": 1, "crop_loss": 0}),
        (
            "one face of two",
            {name: of[:1] for name, of in EXACT.items()},
            {"detected_rate": 0.5, "e2e_accuracy": 0.5, "miss_loss": 0.5, "crop_loss": 0, "accuracy_when_detected": 1},
        ),
        (
            "below its own threshold",
            {name: [(box, 0.4) for box, _ in of] for name, of in EXACT.items()},
            {"detected_rate": 0, "e2e_accuracy": 0, "miss_loss": 1},
        ),
        (
            "boxes a third aside, so that their grey is another",
            {name: [(shifted(box, dx=(box[2] - box[0]) / 3), s) for box, s in of] for name, of in EXACT.items()},
            {"detected_rate": 1, "miss_loss": 0},
        ),
        (
            "a second box on each left face and one on no face",
            {
                name: [*of, (shifted(LEFT, 1), 0.7), (EMPTY_PLACE, 0.8)] if of else [(EMPTY_PLACE, 0.8)]
                for name, of in EXACT.items()
            },
            {"e2e_accuracy": 1, "false_alarms_per_picture": 13 / 7},
        ),
    ],
)
def test_detectors_of_known_faults(tmp_path, what, found, expected):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "made-up", found)
    row = score(run, dataset).rows[0]
    got = rates(row)
    assert {name: got[name] for name in expected} == pytest.approx(expected), what
    assert got["oracle_accuracy"] == 1
    totals = row.score.totals
    assert (totals.images, totals.faces) == (7, 12)
    assert totals.oracle_right - totals.right == totals.missed_right + totals.crop_lost - totals.crop_gained
    if what.startswith("boxes a third"):
        assert totals.crop_lost >= 6


def test_a_false_alarm_gets_the_emotion_of_what_is_there(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "made-up", {"none.png": [(EMPTY_PLACE, 0.9)], "3.png": [(shifted(LEFT, 1), 0.9), (LEFT, 0.8)]})
    alarms = score(run, dataset).rows[0].score.alarm_emotions
    # the background reads as surprise; the box that comes second on the left face of 3.png as its emotion, happy
    assert alarms.tolist() == [0, 0, 0, 1, 0, 0, 1]


def test_faces_that_do_not_count_are_neither_missed_nor_false_alarms(tmp_path):
    faces = {"a.png": [(LEFT, 1), (RIGHT, -1)], "b.png": [(LEFT, 2), (RIGHT, 3)]}
    dataset = make_dataset(faces, ignore=[("b.png", 0)])
    run = make_run(tmp_path, dataset)
    add_cell(run, "finds all", {name: [(box, 0.9) for box, _ in of] for name, of in faces.items()})
    add_cell(run, "finds none", {})
    best, last = score(run, dataset).rows
    assert (best.label, best.score.totals.faces, best.score.totals.right) == ("finds all", 2, 2)
    assert best.score.totals.false_alarms == 0
    assert (last.score.totals.faces, last.score.totals.missed_right) == (2, 2)


def test_boxes_in_a_crowd_region_are_no_false_alarms(tmp_path):
    left, top, _, bottom = RIGHT
    inside = [(left + 5 * step, top, left + 5 * step + 8, bottom) for step in range(3)]
    faces = {"a.png": [(LEFT, 1), (RIGHT, -1)], "b.png": [(LEFT, 2)]}
    alarms = []
    for crowds in (False, True):
        dataset = make_dataset(faces, ignore=[("a.png", 1)], crowds=crowds)
        run = make_run(tmp_path / str(crowds), dataset)
        add_cell(run, "made-up", {"a.png": [(LEFT, 0.9), *((box, 0.8) for box in inside)], "b.png": [(LEFT, 0.9)]})
        totals = score(run, dataset).rows[0].score.totals
        assert (totals.faces, totals.right) == (2, 2)
        alarms.append(totals.false_alarms)
    assert alarms == [3, 0]


def test_images_that_could_not_be_read_are_left_out(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset, excluded=["2.png"])
    add_cell(run, "made-up", EXACT)
    totals = score(run, dataset).rows[0].score.totals
    assert (totals.images, totals.faces, totals.right) == (6, 10, 10)


def test_rows_are_ranked_compared_and_named(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "half", {name: of[:1] for name, of in EXACT.items()})
    add_cell(run, "exact", EXACT)
    add_cell(run, "broken", {}, status="failed")
    table = score(run, dataset)
    assert [row.label for row in table.rows] == ["exact", "half"]
    exact, half = (row.key for row in table.rows)
    assert table.differences[exact, half].interval.value == 0.5
    assert table.tied["same"] == (exact, half), "seven images do not tell them apart"
    assert table.first == {exact: 1, half: 0}
    assert [row.label for row in score(run, dataset, specs=["half"]).rows] == ["half"]


def test_the_oracle_is_told_by_label(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "made-up", EXACT)
    assert score(run, dataset).oracle_confusion.tolist() == np.diag([2, 2, 2, 2, 2, 2, 0]).tolist()
    assert confusion_of(np.array([0, 6, 6]), np.array([1, 6, 0]))[[0, 6, 6], [1, 6, 0]].tolist() == [1, 1, 1]


def test_nothing_is_computed_twice(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "made-up", EXACT)
    first, again, told = GreyReader(), GreyReader(), []
    before = score(run, dataset, first, variants=("same", "calibrated"))
    assert first.seen == 12 * 3  # annotated, same, calibrated
    after = score(run, dataset, again, variants=("same", "calibrated"), observer=lambda name, *_: told.append(name))
    assert (again.seen, told) == (0, [])
    assert [row.score.totals for row in before.rows] == [row.score.totals for row in after.rows]
    add_cell(run, "other", {name: of[:1] for name, of in EXACT.items()})
    score(run, dataset, again, observer=lambda name, done, total: told.append((name, done, total)))
    assert again.seen == 6
    assert told == [("other, same [margin=0,square]", done, 7) for done in range(1, 8)]


@pytest.mark.parametrize("change", ["classifier", "policy", "threshold"])
def test_another_classifier_policy_or_threshold_is_computed(tmp_path, change):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    cell = add_cell(run, "made-up", EXACT)
    score(run, dataset)
    reader = GreyReader("b" * 64 if change == "classifier" else "a" * 64)
    if change == "threshold":
        run.put_cell(replace(cell, start=replace(cell.start, operating_threshold=0.3)))
    score(run, dataset, reader, policies=["margin=0.1"] if change == "policy" else ["square"])
    assert reader.seen == (12 if change == "threshold" else 24)
    tables = json.loads((tmp_path / FILE_NAME).read_text())["tables"]
    assert len(tables) == (1 if change == "threshold" else 2)


def test_an_interrupted_call_keeps_what_was_done(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    for name in ("first", "second"):
        add_cell(run, name, EXACT)

    def stop(name, done, total):
        if name.startswith("second"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(run, dataset, observer=stop)
    reader = GreyReader()
    assert len(score(run, dataset, reader).rows) == 2
    assert reader.seen == 12


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("no json", ResultsError, "cannot read"),
        ('{"schema": "other"}', ResultsError, "expected \"schema\": 'facebench.emotions'"),
        ('{"schema": "facebench.emotions", "schema_version": 9}', SchemaVersionError, "reads 1"),
        ('{"schema": "facebench.emotions", "schema_version": 1}', ResultsError, "lacks dataset, answers, tables"),
        (
            '{"schema": "facebench.emotions", "schema_version": 1, "dataset": {}, "answers": [{}], "tables": []}',
            ResultsError,
            "damaged",
        ),
        (
            '{"schema": "facebench.emotions", "schema_version": 1, "dataset": {"fingerprint": "0"}, "answers": [], '
            '"tables": []}',
            ResultsError,
            "is about images with fingerprint 0",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, error, words):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(error, match=words):
        score(run, dataset)


def test_damaged_answers_are_named(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "made-up", EXACT)
    score(run, dataset)
    document = json.loads((tmp_path / FILE_NAME).read_text())
    document["answers"][1]["faces"] = ["happy"]
    (tmp_path / FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(ResultsError, match="damaged"):
        score(run, dataset)


@pytest.mark.parametrize(
    ("dataset", "specs", "error", "words"),
    [
        (make_dataset(FACES, emotions=False), None, UsageError, "has no emotions"),
        (make_dataset({name: [(box, -1) for box, _ in of] for name, of in FACES.items()}), None, DataError, "no face"),
        (make_dataset(FACES), ["haaar"], UsageError, "Did you mean haar"),
    ],
)
def test_what_cannot_be_scored_is_refused(tmp_path, dataset, specs, error, words):
    run = make_run(tmp_path, dataset)
    add_cell(run, "haar", EXACT)
    with pytest.raises(error, match=words):
        score(run, dataset, specs=specs)


def test_another_data_set_is_refused(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    run.save(dataset=replace(run.document.dataset, fingerprint="0" * 16))
    with pytest.raises(UsageError, match="Load the data set under the name of the run"):
        score(run, dataset)


BOXES = np.array([[10.0, 10, 50, 50], [100, 20, 180, 100], [5, 60, 25, 80]])


@pytest.mark.parametrize("square", [True, False])
@pytest.mark.parametrize(("dx", "dy", "factor"), [(0, 0, 1), (0.1, -0.2, 1.25), (-0.05, 0.3, 0.8)])
def test_calibration_fetches_a_habit_back_to_the_annotated_box(square, dx, dy, factor):
    size = BOXES[:, 2:] - BOXES[:, :2]
    centre = (BOXES[:, :2] + BOXES[:, 2:]) / 2 + size * (dx, dy)
    detected = np.hstack([centre - size * factor / 2, centre + size * factor / 2])
    policy = calibrate(detected, BOXES, CropPolicy(square=square))
    assert policy.scale == pytest.approx(1 / factor, abs=1e-3)
    for box, annotated in zip(detected, BOXES, strict=True):
        assert window(box, policy) == pytest.approx(window(annotated, CropPolicy(square=square)), abs=1)


@pytest.mark.parametrize(
    ("why", "detected", "annotated"),
    [("no pair", np.zeros((0, 4)), np.zeros((0, 4))), ("a box without area", np.zeros((1, 4)), BOXES[:1])],
)
def test_without_a_pair_the_policy_stays(why, detected, annotated):
    assert calibrate(detected, annotated) == CropPolicy(square=True)


def test_of_tall_boxes_the_longer_side_is_fetched_to_the_annotated_one():
    tall = BOXES + np.array([0, -10, 0, 10]) * (BOXES[:, 3:] - BOXES[:, 1:2]) / 40
    policy = calibrate(tall, BOXES, CropPolicy(square=True))
    assert (policy.dx, policy.dy, policy.scale) == (0, 0, pytest.approx(1 / 1.5, abs=1e-4))


def test_a_calibrated_row_fixes_a_habit(tmp_path):
    """Boxes twice as large in area take so much background in that the grey is another."""
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    large = {name: [(shifted(box, grow=0.17 * (box[2] - box[0])), s) for box, s in of] for name, of in EXACT.items()}
    add_cell(run, "large", large)
    table = score(run, dataset, variants=("calibrated",))
    (same,), (calibrated,) = table.of("same"), table.of("calibrated")
    assert same.score.totals.crop_lost > 0
    assert calibrated.score.totals.right == 12
    assert calibrated.policies[0] == calibrated.policies[1] == "margin=0,scale=0.7463,square"
    change = table.differences[calibrated.key, same.key].interval.value
    assert change == pytest.approx(1 - same.score.totals.right / 12)


def test_a_habit_is_fitted_on_one_half_and_used_on_the_other(tmp_path):
    """Boxes are a fifth too large in the first half of the images and right in the second."""
    half = first_half(len(FACES), 0)
    found = {
        name: [(shifted(box, grow=0.1 * (box[2] - box[0]) * bool(first)), s) for box, s in EXACT[name]]
        for name, first in zip(FACES, half, strict=True)
    }
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "moody", found)
    (row,) = score(run, dataset, variants=("calibrated",)).of("calibrated")
    assert row.policies == ("margin=0,square", "margin=0,scale=0.8333,square")
    (same,) = score(run, dataset).rows
    # the first half stays as wrong as it was; in the second smaller crops of one grey stay right
    assert same.score.totals.crop_lost > 0
    assert row.score.totals == same.score.totals


def test_equal_alarms_are_chosen_on_the_other_half():
    images = 8
    half = first_half(images, 0)
    faces = ImageBoxes.from_images([[[10, 10, 50, 50]]] * images)
    found = ImageBoxes.from_images([[[10, 10, 50, 50], [100, 100, 140, 140]]] * images)
    # faces score .9 everywhere; false alarms .8 in the first half and .3 in the second
    alarm = np.where(half, 0.8, 0.3)
    scores = np.stack([np.full(images, 0.9), alarm], axis=1).ravel()
    boxes = FoundBoxes(found, scores)
    counted = np.ones(images, bool)
    assert equal_alarm_thresholds(faces, counted, boxes, 0.0) == (0.9, 0.9)
    assert equal_alarm_thresholds(faces, counted, boxes, 1.0) == (0.3, 0.8)
    kept = above(boxes, (0.5, 0.2))
    assert np.diff(kept.boxes.offsets).tolist() == [2] * images
    assert np.diff(above(boxes, (0.9, 0.2)).boxes.offsets).tolist() == np.where(half, 1, 2).tolist()


def test_without_a_threshold_of_so_few_alarms_there_is_no_such_row(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    noisy = {name: [*((box, 0.6) for box, _ in of), (EMPTY_PLACE, 0.9)] for name, of in EXACT.items()}
    add_cell(run, "noisy", noisy)
    add_cell(run, "exact", EXACT)
    table = score(run, dataset, variants=("equal_alarms",))
    assert [row.label for row in table.of("equal_alarms")] == ["exact"]
    assert [row.label for row in table.of("same")] == ["exact", "noisy"]


def test_landmarks_and_scores_must_fit_the_boxes():
    boxes = ImageBoxes.from_images([[[0, 0, 1, 1]]])
    with pytest.raises(DataError, match="expected scores"):
        FoundBoxes(boxes, np.ones(2))
    with pytest.raises(DataError, match="landmarks"):
        FoundBoxes(boxes, np.ones(1), np.zeros((2, 5, 2), np.float32))


def test_the_sweep_compares_with_its_first_policy(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "exact", EXACT)
    found = sweep(run, dataset, GreyReader(), policies=["square", "margin=0.3"], resampling=FEW)
    assert found["policy"].tolist() == ["margin=0,square", "margin=0.3"]
    assert found["gain"].tolist()[0] == 0
    # a margin of 0.3 makes more than half of the crop background
    assert found["e2e_accuracy"].tolist()[0] == 1 > found["e2e_accuracy"].tolist()[1]
    assert found["gain"].tolist()[1] == pytest.approx(found["e2e_accuracy"].tolist()[1] - 1)
    assert not found[["gain_low", "gain_high", "oracle_accuracy_low"]].isna().any().any()


def test_a_later_call_on_less_leaves_the_stored_table_whole(tmp_path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    for name in ("first", "second"):
        add_cell(run, name, EXACT)
    score(run, dataset, variants=("calibrated", "equal_alarms"))
    reader = GreyReader()
    sweep(run, dataset, reader, policies=["square", "margin=0.1"], resampling=FEW)
    assert reader.seen == 12 * 3, "annotated, first and second with the new margin"
    table = score(run, dataset, reader, specs=["second"])
    assert ([row.key for row in table.rows], reader.seen) == (["0000000000000001/same"], 36)
    stored = json.loads((tmp_path / FILE_NAME).read_text())["tables"]
    assert [(one["policy"], len(one["rows"])) for one in stored] == [("margin=0,square", 6), ("margin=0.1", 2)]


def test_the_file_holds_every_number_of_the_table(tmp_path: Path):
    dataset = make_dataset(FACES)
    run = make_run(tmp_path, dataset)
    add_cell(run, "half", {name: of[:1] for name, of in EXACT.items()})
    add_cell(run, "nothing", {})
    table = score(run, dataset)
    document = json.loads((tmp_path / FILE_NAME).read_text())
    assert document["dataset"]["faces"] == 12
    assert sum(document["dataset"]["labels"].values()) == 12
    stored = document["tables"][0]
    assert [row["label"] for row in stored["rows"]] == [row.label for row in table.rows]
    for row, plain in zip(table.rows, stored["rows"], strict=True):
        for name, value in rates(row).items():
            assert plain["rates"][name][0] == (None if math.isnan(value) else pytest.approx(value, abs=1e-6))
        totals = plain["totals"]
        assert totals["right"] + totals["crop_lost"] + totals["missed_right"] + totals["own_errors"] == totals["faces"]
    assert stored["rows"][1]["rates"]["accuracy_when_detected"] == [None, None, None]

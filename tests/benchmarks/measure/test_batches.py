"""Batches of a run: which images go together, what is stored, and what fails alone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from facebench.benchmarks.measure.batches.schedule import batches_of, in_turns
from facebench.benchmarks.measure.child.answers import read_batch_answer
from facebench.benchmarks.measure.child.messages import Message
from facebench.benchmarks.measure.detector_process import Limits
from facebench.benchmarks.measure.executors import create_executor
from facebench.benchmarks.measure.plan import NullObserver
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.records import Protocol, StoredCell
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.errors import DetectorRaisedError, UsageError, WorkerMessageError
from facebench.tests.support import batch_detectors
from facebench.tests.support.small_dataset import make_dataset, png
from facebench.tests.support.watched_runs import Counts, Interrupts, plan
from hypothesis import given
from hypothesis import strategies as st

NAMES = [f"picture-{index}.png" for index in range(6)]
SIZES = st.lists(st.sampled_from("abc"), min_size=1, max_size=40)


def spec(name: str) -> str:
    return f"{batch_detectors.__name__}:{name}"


def measured(path: Path, name: str, batches: Sequence[int] = (2, 4), **options: Any) -> tuple[RunFolder, StoredCell]:
    data = options.pop("dataset", None) or make_dataset()
    folder = run(plan(data, spec(name), batches=batches, **options), path / "run")
    return folder, folder.cells[0]


# --- which images go together


@given(SIZES, st.integers(1, 9))
def test_every_image_is_in_one_batch_of_one_size(sizes: list[str], size: int) -> None:
    names = [f"{place}" for place in range(len(sizes))]
    seen = dict(zip(names, sizes, strict=True))
    batches = batches_of(names, seen, size)
    assert Counter(name for batch in batches for name in batch.image_ids) == Counter(names)
    for batch in batches:
        assert len({seen[name] for name in batch.image_ids}) == 1
        assert list(batch.image_ids) == sorted(batch.image_ids, key=int)
    # as many are full as can be
    full = sum(len(batch.image_ids) == size for batch in batches)
    assert full == sum(count // size for count in Counter(sizes).values())


@given(SIZES, st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True))
def test_sizes_take_turns(sizes: list[str], batches: list[int]) -> None:
    names = [f"{place}" for place in range(len(sizes))]
    of = {size: batches_of(names, dict(zip(names, sizes, strict=True)), size) for size in batches}
    turns = in_turns(list(of.values()))
    for size in batches:
        assert [batch for batch in turns if batch.size == size] == of[size]
    for size in batches:
        done = list(accumulate(len(batch.image_ids) * (batch.size == size) for batch in turns))
        others = [list(accumulate(len(one.image_ids) * (one.size == other) for one in turns)) for other in batches]
        for other, theirs in zip(batches, others, strict=True):
            assert all(abs(a - b) < max(batches) + max(size, other) for a, b in zip(done, theirs, strict=True))


# --- what is stored


def test_every_size_times_every_image_in_each_round(tmp_path: Path) -> None:
    folder, cell = measured(tmp_path, "Together", rounds=2)
    assert cell.batching is not None
    assert (cell.batching.together, cell.batching.rounds) == (True, 2)
    assert [(size.images, size.reason, size.differ) for size in cell.batching.sizes] == [
        (1, "", 0),
        (2, "", 0),
        (4, "", 0),
    ]
    table = folder.batches(cell)
    for (size, number), rows in table.groupby(["batch", "round"]):
        assert sorted(rows["image_id"]) == NAMES, (size, number)
        assert rows.groupby("call").size().max() == size
    counts = table.groupby("call").size()
    sizes = table.groupby("call")["batch"].first()
    assert list(zip(sizes, counts, strict=True))[:5] == [(1, 1)] * 4 + [(2, 2)]
    first, second = (list(counts[table.groupby("call")["round"].first() == number]) for number in (0, 1))
    assert second == first[::-1]
    assert (table["batch_ms"] > 0).all()
    assert table.groupby("call")["batch_ms"].nunique().eq(1).all()
    # what is read again is what was written
    assert RunFolder.open(folder.path).cells[0].batching == cell.batching


@pytest.mark.parametrize(("name", "size"), [("OneByOne", "original"), ("OneByOne", "long=80"), ("Together", "long=80")])
def test_a_detector_that_takes_one_after_the_other_says_so(tmp_path: Path, name: str, size: str) -> None:
    _, cell = measured(tmp_path, name, (2,), protocols=[Protocol(size)])
    assert cell.batching is not None
    assert cell.batching.together is (name == "Together")
    assert [size.reason for size in cell.batching.sizes] == ["", ""]


def test_what_a_batch_finds_below_the_threshold_is_not_asked_for(tmp_path: Path) -> None:
    folder, cell = measured(tmp_path, "Floored", (2,))
    assert cell.batching is not None
    assert len(folder.detections(cell)) == 12
    assert [size.differ for size in cell.batching.sizes] == [0, 0]


def test_other_boxes_in_a_batch_are_counted(tmp_path: Path) -> None:
    _, cell = measured(tmp_path, "Moves", rounds=2)
    assert cell.batching is not None
    assert {size.images: size.differ for size in cell.batching.sizes} == {1: 0, 2: 0, 4: 2}


def test_the_memory_of_a_size_is_not_that_of_a_larger_one(tmp_path: Path) -> None:
    _, cell = measured(tmp_path, "Grows")
    assert cell.batching is not None
    one, two, four = (size.peak_rss_mb or 0.0 for size in cell.batching.sizes)
    assert 25 < two - one < 60
    assert 65 < four - two < 110


def test_images_that_are_not_of_one_size_make_no_batch(tmp_path: Path) -> None:
    several = make_dataset(sources={index: png(160, 100 + index, index) for index in range(4)})
    protocols = [Protocol(), Protocol("square=80")]
    folder = run(plan(several, spec("Together"), batches=(2, 4, 8), protocols=protocols), tmp_path / "run")
    original, square = (cell.batching for cell in folder.cells)
    assert original is not None and square is not None
    assert [size.reason for size in original.sizes] == [
        "",
        "",
        "no 4 images are seen at one size, at most 2; with --size square=640 all images are",
        "no 8 images are seen at one size, at most 2; with --size square=640 all images are",
    ]
    assert [size.reason for size in square.sizes] == ["", "", "", "no 8 images are seen at one size, at most 6"]
    assert set(folder.batches(folder.cells[0])["batch"]) == {1, 2}


def test_images_that_a_detector_fails_on_alone_are_in_no_batch(tmp_path: Path) -> None:
    class_ = "RaisesOnBright"
    bright = make_dataset(sources={2: png(160, 120, 255)})
    folder, cell = measured(tmp_path, class_, (2,), dataset=bright)
    assert list(cell.failed_images) == ["picture-2.png"]
    assert "picture-2.png" not in set(folder.batches(cell)["image_id"])
    assert cell.batching is not None and [size.reason for size in cell.batching.sizes] == ["", ""]


# --- what fails


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Raises", "RuntimeError: four is too many"),
        ("Aborts", "the child was killed by SIGABRT: Fatal Python error: Aborted"),
        ("Eats", "MB, the limit is 512 MB"),
        ("Forgets", "ContractError: detect_batch must return a result for each of 4 images, got 3"),
        ("Lists", "ContractError: detect_batch must return facebench.Detections, got ndarray"),
    ],
)
def test_a_size_that_fails_is_left_out_alone(tmp_path: Path, name: str, reason: str) -> None:
    folder, cell = measured(tmp_path, name, (2, 4, 6), rounds=2)
    assert (cell.status, cell.rounds, len(folder.timings(cell))) == ("done", 2, 12)
    assert cell.batching is not None
    reasons = {size.images: size.reason for size in cell.batching.sizes}
    assert reason in reasons.pop(4)
    assert set(reasons.values()) == {""}
    assert set(folder.batches(cell)["batch"]) == {1, 2, 6}


def test_a_size_that_fails_later_leaves_none_of_its_times(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class MarksTheFirstRound(NullObserver):
        left = 6 * 2 + 6 * 3

        def image_done(self) -> None:
            self.left -= 1
            if not self.left:
                mark.touch()

    name = spec(f"DiesInTheSecondRound:mark={mark}")
    folder = run(plan(make_dataset(), name, batches=(2, 4), rounds=2), tmp_path / "run", MarksTheFirstRound())
    cell = folder.cells[0]
    assert cell.batching is not None
    assert "SIGABRT" in cell.batching.sizes[2].reason
    table = folder.batches(cell)
    assert Counter(table["batch"]) == {1: 12, 2: 12}


def test_images_that_take_more_memory_than_allowed_are_not_tried(tmp_path: Path) -> None:
    large = make_dataset(sources={index: png(4000, 3000, index) for index in range(6)})
    small_limit = dataclasses.replace(plan(large, spec("Together"), batches=(6,)), limits=Limits(memory_mb=180))
    (cell,) = run(small_limit, tmp_path / "run").cells
    assert cell.batching is not None
    assert [size.reason for size in cell.batching.sizes] == ["", "its images take 206 MB, the limit is 180 MB"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batches": (0,)}, "got batches of 0 images in 1 rounds, expected at least 1 of both"),
        ({"batches": (4,), "rounds": 0}, "got batches of 4 images in 0 rounds"),
    ],
)
def test_wrong_use(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    executor = create_executor("local:1")
    with pytest.raises(UsageError, match=message):
        run(plan(make_dataset(), spec("Together"), executor=executor, **options), tmp_path / "run")


ANSWER = {"batch_ms": 5.0, "peak_rss_mb": 90.0, "together": True, "counts": [1, 0, 2], "device_memory_mb": None}
BOXES = np.array([[0, 0, 9, 9], [1, 1, 5, 5], [0, 0, 4, 4]], np.float32)
SCORES = np.array([0.5, 0.9, 0.6], np.float32)


def told(boxes: Any = BOXES, scores: Any = SCORES, **fields: Any) -> Message:
    return Message("found together", 1, ANSWER | fields, {"boxes": boxes, "scores": scores})


def test_an_answer_is_taken_apart_by_image() -> None:
    answer = read_batch_answer(told(), 3, 6.0)
    assert [one.scores.tolist() for one in answer.detections] == [[0.5], [], pytest.approx([0.9, 0.6])]
    assert answer.detections[2].boxes.tolist() == BOXES[1:].tolist()
    assert (answer.batch_ms, answer.together, answer.peak_rss_mb, answer.device_memory_mb) == (5.0, True, 90.0, None)


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (told(batch_ms=7.0), WorkerMessageError, "told of 7 ms in a round trip of 6 ms"),
        (told(batch_ms=float("nan")), WorkerMessageError, "batch_ms=nan"),
        (told(peak_rss_mb=-1), WorkerMessageError, "peak_rss_mb=-1"),
        (told(device_memory_mb="much"), WorkerMessageError, "device_memory_mb=much"),
        (told(counts=[1, 2]), WorkerMessageError, "no answer for each of 3 images"),
        (told(counts="123"), WorkerMessageError, "no answer for each of 3 images"),
        (told(counts=[1, 1, 2]), WorkerMessageError, r"told of \[1, 1, 2\] boxes, and sent 3 and 3"),
        (told(counts=[4, -1, 0]), WorkerMessageError, "boxes, and sent 3 and 3"),
        (told(counts=[True, 0, 2]), WorkerMessageError, "boxes, and sent 3 and 3"),
        (told(scores=SCORES[:2]), WorkerMessageError, "boxes, and sent 3 and 2"),
        (Message("found together", 1, ANSWER, {"boxes": BOXES}), WorkerMessageError, "no answer for each"),
        (told(boxes=BOXES[:, ::-1].copy()), DetectorRaisedError, "x2 >= x1"),
        (told(boxes=BOXES[:, :3].copy()), DetectorRaisedError, "expected|shape"),
        (told(scores=np.sort(SCORES)), DetectorRaisedError, "highest first"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(message: Message, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        read_batch_answer(message, 3, 6.0)


# --- again


def test_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    measured(tmp_path, "Together", (2,))
    for batches, rounds, more in (((), 1, 0), ((2,), 1, 0), ((1,), 1, 0), ((4,), 1, 18), ((2,), 2, 6 + 36)):
        counts = Counts()
        folder = run(plan(make_dataset(), spec("Together"), batches=batches, rounds=rounds), tmp_path / "run", counts)
        assert counts.measured == more, (batches, rounds)
    batching = folder.cells[0].batching
    assert batching is not None
    assert ([size.images for size in batching.sizes], batching.rounds) == ([1, 2, 4], 2)


def test_batches_are_added_to_a_run_without_them_and_kept_by_further_rounds(tmp_path: Path) -> None:
    measured(tmp_path, "Together", ())
    counts = Counts()
    run(plan(make_dataset(), spec("Together"), batches=(2,)), tmp_path / "run", counts)
    assert counts.measured == 12
    folder = run(plan(make_dataset(), spec("Together"), rounds=2), tmp_path / "run")
    assert folder.cells[0].rounds == 2 and folder.cells[0].batching is not None
    assert len(folder.batches(folder.cells[0])) == 12


def test_batches_that_were_interrupted_begin_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(plan(make_dataset(), spec("Together"), batches=(2,)), tmp_path / "run", Interrupts(9))
    folder = RunFolder.open(tmp_path / "run")
    assert folder.cells[0].done and folder.cells[0].batching is None
    _, cell = measured(tmp_path, "Together", (2,))
    assert cell.batching is not None


def test_a_damaged_table_of_batches_is_told(tmp_path: Path) -> None:
    folder, cell = measured(tmp_path, "Together", (2,))
    path = folder.cell_path(cell) / "batches.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    (cell,) = RunFolder.open(folder.path).cells
    assert cell.status == "damaged" and "batches.parquet" in cell.reason

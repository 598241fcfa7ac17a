"""Made-up tracks: who keeps which number, and what smoothing does to a flicker and to a change."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from facebench.emotions.pipeline.tracks import TrackerOptions, Tracks, follow
from facebench.errors import UsageError
from hypothesis import given
from hypothesis import strategies as st

RATE = 25.0
HAPPY, NEUTRAL = 3, 4
Place = Callable[[int], tuple[float, float] | None]


def one(emotion: int, share: float = 0.9) -> np.ndarray:
    row = np.full(7, (1 - share) / 6)
    row[emotion] = share
    return row


def run(
    places: Sequence[Place], frames: int, options: TrackerOptions | None = None, jitter: float = 0
) -> list[list[int]]:
    """Ids of each face by frame (0 where it is not there); a face is 40 pixels wide, its centre told by the frame."""
    rng = np.random.default_rng(0)
    tracks, told = Tracks.none(), []
    for frame in range(frames):
        centres = [place(frame) for place in places]
        there = [index for index, centre in enumerate(centres) if centre is not None]
        middles = np.array([centre for centre in centres if centre is not None], float).reshape(-1, 2)
        boxes = np.hstack([middles - 20, middles + 20])
        boxes += rng.normal(0, jitter, boxes.shape) if jitter else 0
        order = rng.permutation(len(there))  # the detector sorts by score, not by person
        probabilities = np.tile(one(HAPPY), (len(there), 1))
        tracks, ids, _ = follow(tracks, boxes[order], probabilities, frame / RATE, options or TrackerOptions())
        row = [0] * len(places)
        for place, number in zip(order.tolist(), ids.tolist(), strict=True):
            row[there[place]] = number
        told.append(row)
    return told


def ids_of(told: list[list[int]], face: int) -> list[int]:
    """The different numbers of a face, in order."""
    return list(dict.fromkeys(row[face] for row in told if row[face]))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([lambda _: (50, 50)], [1], id="one who stands"),
        pytest.param([lambda f: (50 + 12 * f, 50)], [1], id="one who walks, 12 of 40 pixels a frame"),
        pytest.param([lambda f: (50 + 2 * f, 50), lambda f: (250 - 2 * f, 56)], [1, 1], id="two who cross"),
        pytest.param(
            [lambda f: (50 + 2 * f, 50), lambda f: None if 45 <= f <= 55 else (250 - 2 * f, 56)],
            [1, 1],
            id="two who cross, one hidden for 11 frames",
        ),
        pytest.param([lambda f: (50, 50), lambda f: (200, 50) if f >= 30 else None], [1, 1], id="one who appears"),
        pytest.param([lambda f: (50, 50) if f < 30 else None], [1], id="one who vanishes"),
        pytest.param([lambda f: (50 + 3 * f, 50) if f != 20 else None], [1], id="missed in one frame"),
        pytest.param([lambda f: (50, 50) if f % 2 else None], [1], id="missed in every second frame"),
        pytest.param([lambda f: (50, 50) if not 20 <= f < 30 else None], [1], id="missing as long as allowed"),
        pytest.param([lambda f: (50, 50) if not 20 <= f < 31 else None], [2], id="missing for longer: a new number"),
        pytest.param([lambda f: (50 if f < 50 else 150, 50)], [2], id="a jump, or another face"),
    ],
)
@pytest.mark.parametrize("jitter", [0, 1.0])
def test_numbers(places: list[Place], expected: list[int], jitter: float) -> None:
    """How many numbers each face had; no number belongs to two faces."""
    told = run(places, 100, TrackerOptions(max_age=11 if len(places) == 2 else 10), jitter)
    of_face = [ids_of(told, face) for face in range(len(places))]
    assert [len(ids) for ids in of_face] == expected
    every = [number for ids in of_face for number in ids]
    assert sorted(every) == list(range(1, len(every) + 1))


def test_the_best_face_of_the_first_frame_is_number_one() -> None:
    boxes = np.array([[100, 0, 140, 40], [0, 0, 40, 40.0]])
    tracks, ids, smooth = follow(Tracks.none(), boxes, np.stack([one(HAPPY), one(NEUTRAL)]), 0.0, TrackerOptions())
    assert (ids.tolist(), tracks.count) == ([1, 2], 2)
    np.testing.assert_allclose(smooth, np.stack([one(HAPPY), one(NEUTRAL)]), atol=1e-6)


def test_each_track_takes_one_box_and_each_box_one_track() -> None:
    """Two boxes on one face: the nearer keeps the number."""
    tracks, _, _ = follow(Tracks.none(), np.array([[0, 0, 40, 40.0]]), one(HAPPY)[None], 0.0, TrackerOptions())
    pair = np.array([[6, 0, 46, 40], [1, 0, 41, 40.0]])
    _, ids, _ = follow(tracks, pair, np.tile(one(HAPPY), (2, 1)), 0.04, TrackerOptions())
    assert ids.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("shift", "number"),
    [
        pytest.param(20, 1, id="IoU 20 / 60, above 0.3"),
        pytest.param(22, 2, id="IoU 18 / 62, below"),
        pytest.param(39, 2, id="they still touch"),
    ],
)
def test_a_box_too_far_off_is_another_face(shift: float, number: int) -> None:
    tracks, _, _ = follow(Tracks.none(), np.array([[0, 0, 40, 40.0]]), one(HAPPY)[None], 0.0, TrackerOptions())
    box = np.array([[shift, 0, 40 + shift, 40.0]])
    assert follow(tracks, box, one(HAPPY)[None], 0.04, TrackerOptions())[1].tolist() == [number]


def test_boxes_without_area_never_match() -> None:
    tracks, numbers = Tracks.none(), []
    for frame in range(3):
        tracks, ids, _ = follow(tracks, np.full((1, 4), 9.0), one(HAPPY)[None], frame / RATE, TrackerOptions())
        numbers += ids.tolist()
    assert numbers == [1, 2, 3]


def test_nothing_is_changed_in_place() -> None:
    options = TrackerOptions()
    before, _, _ = follow(Tracks.none(), np.array([[0, 0, 40, 40.0]]), one(HAPPY)[None], 0.0, options)
    boxes, probabilities = np.array([[2, 0, 42, 40.0]]), one(NEUTRAL)[None]
    first = follow(before, boxes, probabilities, 0.5, options)[2]
    assert (follow(before, boxes, probabilities, 0.5, options)[2] == first).all()
    assert boxes.tolist() == [[2, 0, 42, 40]] and probabilities.tolist() == [one(NEUTRAL).tolist()]


def smoothed(emotions: Sequence[int], options: TrackerOptions, rate: float = RATE) -> np.ndarray:
    tracks, rows = Tracks.none(), []
    for frame, emotion in enumerate(emotions):
        tracks, _, smooth = follow(tracks, np.array([[0, 0, 40, 40.0]]), one(emotion)[None], frame / rate, options)
        rows.append(smooth[0])
    return np.array(rows)


def changes(labels: np.ndarray) -> int:
    return int((labels[1:] != labels[:-1]).sum())


def test_a_flicker_is_smoothed_away() -> None:
    """Every fourth frame says neutral: raw labels change 49 times in 4 seconds, smooth ones never."""
    emotions = [NEUTRAL if frame % 4 == 3 else HAPPY for frame in range(100)]
    assert changes(smoothed(emotions, TrackerOptions(time_constant_s=0)).argmax(1)) == 49
    assert changes(smoothed(emotions, TrackerOptions()).argmax(1)) == 0


@pytest.mark.parametrize("rate", [5.0, 25.0, 100.0])
@pytest.mark.parametrize("constant", [0.2, 0.4, 2.0])
def test_a_change_comes_through_within_the_time_constant(rate: float, constant: float) -> None:
    """A step: 63 % of it after the time constant, the label before that, whatever the frame rate."""
    frames = round(constant * rate)
    options = TrackerOptions(time_constant_s=constant)
    rows = smoothed([HAPPY] * 10 + [NEUTRAL] * frames, options, rate)
    step = (rows[-1] - one(HAPPY)) / (one(NEUTRAL) - one(HAPPY) + (one(NEUTRAL) == one(HAPPY)))
    assert step[NEUTRAL] == pytest.approx(1 - math.exp(-1), abs=1e-5)
    assert rows[-1].argmax() == NEUTRAL
    assert rows[9].argmax() == HAPPY
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-6)


def test_no_smoothing_gives_what_came() -> None:
    rows = smoothed([HAPPY, NEUTRAL, HAPPY], TrackerOptions(time_constant_s=0))
    np.testing.assert_allclose(rows, [one(HAPPY), one(NEUTRAL), one(HAPPY)], atol=1e-7)


def test_a_gap_counts_by_its_time() -> None:
    """A face missed for a while weighs the new more: as much as if it had been seen all the time."""
    options = TrackerOptions()
    tracks, _, _ = follow(Tracks.none(), np.array([[0, 0, 40, 40.0]]), one(HAPPY)[None], 0.0, options)
    for frame in range(1, 5):
        tracks, _, _ = follow(tracks, np.zeros((0, 4)), np.zeros((0, 7)), frame * 0.1, options)
    _, ids, smooth = follow(tracks, np.array([[0, 0, 40, 40.0]]), one(NEUTRAL)[None], 0.5, options)
    assert ids.tolist() == [1]
    assert smooth[0, HAPPY] == pytest.approx(0.9 * math.exp(-1) + 0.1 / 6 * (1 - math.exp(-1)), abs=1e-6)


@given(st.lists(st.lists(st.tuples(*[st.integers(0, 60)] * 4), max_size=5), max_size=12))
def test_whatever_comes_numbers_are_unique_and_probabilities_stay_such(frames: list[list[tuple[int, ...]]]) -> None:
    rng = np.random.default_rng(0)
    tracks, total = Tracks.none(), 0
    for index, rows in enumerate(frames):
        boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in rows], float).reshape(-1, 4)
        tracks, ids, smooth = follow(
            tracks, boxes, rng.dirichlet(np.ones(7), len(boxes)), index / RATE, TrackerOptions(max_age=2)
        )
        total += len(boxes)
        assert len(set(ids.tolist())) == len(ids) == len(boxes)
        assert len(set(tracks.ids.tolist())) == len(tracks.ids)
        assert tracks.count <= total and (ids >= 1).all() and (ids <= tracks.count).all()
        assert (tracks.missing <= 2).all()
        np.testing.assert_allclose(smooth.sum(1), 1, atol=1e-5)
        assert (smooth >= 0).all()


@pytest.mark.parametrize(
    ("boxes", "probabilities", "time_s", "says"),
    [
        pytest.param(np.zeros((1, 4)), np.zeros((1, 7)), 0.0, "after one at 0", id="the same time again"),
        pytest.param(np.zeros((1, 4)), np.zeros((1, 7)), math.nan, "nan", id="no time"),
        pytest.param(np.zeros((2, 4)), np.zeros((1, 7)), 1.0, "expected", id="two boxes, one row"),
        pytest.param(np.zeros((1, 4)), np.zeros((1, 6)), 1.0, "expected", id="six classes"),
    ],
)
def test_what_cannot_be_followed_is_said(
    boxes: np.ndarray, probabilities: np.ndarray, time_s: float, says: str
) -> None:
    tracks, _, _ = follow(Tracks.none(), np.zeros((0, 4)), np.zeros((0, 7)), 0.0, TrackerOptions())
    with pytest.raises(UsageError, match=says):
        follow(tracks, boxes, probabilities, time_s, TrackerOptions())


@pytest.mark.parametrize(
    "options",
    [{"min_iou": 0}, {"min_iou": 1.1}, {"max_age": -1}, {"time_constant_s": -1}, {"time_constant_s": math.inf}],
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        TrackerOptions(**options)  # type: ignore[arg-type]

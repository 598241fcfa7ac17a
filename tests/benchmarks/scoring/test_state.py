"""Parts merged equal the whole, whichever way the pictures are divided and the parts arrive."""

from __future__ import annotations

import io

import numpy as np
import pytest
from facebench.benchmarks.scoring import PictureBoxes, score
from facebench.benchmarks.scoring.coco import coco_overlaps, coco_score
from facebench.benchmarks.scoring.state import ScoringState, merge
from facebench.errors import ResultsError, SchemaVersionError, UsageError
from facebench.tests.benchmarks.scoring.test_oracle import DEGENERATE, A, B, pictures_with_ties
from facebench.tests.benchmarks.scoring.test_properties import scene, seeds
from facebench.tests.support import oracle
from facebench.tests.support.oracle import Picture
from hypothesis import given, settings
from hypothesis import strategies as st

many = settings(max_examples=60, deadline=None)


def name_of(number: int) -> str:
    return f"event/{number:03d}.jpg"


def state_of(pictures: list[Picture], numbers: list[int]) -> ScoringState:
    """The state of these pictures, in the order of `numbers`; every second face of a picture is in the list "odd"."""
    chosen = [pictures[i] for i in numbers]
    faces, detections, scores, counted = oracle.to_arrays(chosen)
    odd = np.array([k % 2 == 1 for picture in chosen for k in range(len(picture.faces))], dtype=np.bool_)
    return ScoringState.of_part(
        [name_of(i) for i in numbers],
        faces,
        detections,
        scores,
        ignore=~counted,
        lists={"counted": counted, "odd": odd},
    )


def assert_same(a: ScoringState, b: ScoringState) -> None:
    one, other = a.to_arrays(), b.to_arrays()
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tolist() == other[name].tolist(), name


def assert_scores_like(state: ScoringState, pictures: list[Picture]) -> None:
    faces, detections, scores, counted = oracle.to_arrays(pictures)
    odd = np.array([k % 2 == 1 for picture in pictures for k in range(len(picture.faces))], dtype=np.bool_)
    lists = {"counted": counted, "odd": odd}
    assert repr(state.score(0.5)) == repr(
        score(faces, detections, scores, score_threshold=0.5, ignore=~counted, lists=lists)
    )
    overlaps = coco_overlaps(faces, detections, scores)
    expected = {"overall": counted, **lists}
    assert repr(state.coco_scores()) == repr({name: coco_score(overlaps, mask) for name, mask in expected.items()})


def divide(pictures: list[Picture], part_of: list[int], seed: int) -> list[ScoringState]:
    """Up to three parts, each with its pictures in any order."""
    rng = np.random.default_rng(seed)
    return [
        state_of(pictures, [i for i in rng.permutation(len(pictures)).tolist() if part_of[i] == part])
        for part in rng.permutation(3).tolist()
    ]


parts = st.lists(st.integers(0, 2), min_size=6, max_size=6)


@many
@given(seeds, parts)
def test_merged_parts_are_the_whole(seed: int, part_of: list[int]) -> None:
    pictures = scene(seed)
    merged = merge(divide(pictures, part_of, seed))
    assert_same(merged, state_of(pictures, list(range(len(pictures)))))
    assert_scores_like(merged, pictures)


@many
@given(pictures_with_ties(), parts, seeds)
def test_merged_parts_are_the_whole_with_ties(pictures: list[Picture], part_of: list[int], seed: int) -> None:
    merged = merge(divide(pictures, part_of, seed))
    assert_same(merged, state_of(pictures, list(range(len(pictures)))))
    assert_scores_like(merged, pictures)


@many
@given(seeds, parts)
def test_merging_in_steps_is_merging_at_once(seed: int, part_of: list[int]) -> None:
    a, b, c = divide(scene(seed), part_of, seed)
    assert_same(merge([merge([a, b]), c]), merge([c, merge([b, a])]))


@pytest.mark.parametrize("pictures", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_through_a_file(pictures: list[Picture]) -> None:
    file = io.BytesIO()
    np.savez(file, **state_of(pictures, list(range(len(pictures)))).to_arrays())
    file.seek(0)
    state = ScoringState.from_arrays(np.load(file, allow_pickle=False))
    assert_same(state, state_of(pictures, list(range(len(pictures)))))
    assert_scores_like(state, pictures)


def test_float32_scores_stay_float32_so_that_a_threshold_means_the_same() -> None:
    faces = PictureBoxes.from_pictures([[A]])
    parts = [ScoringState.of_part([name], faces, faces, np.array([0.7], np.float32)) for name in ("b", "a")]
    assert merge(parts).score(0.7).overall.at_threshold.hits == 2
    whole_numbers = ScoringState.of_part(["c"], faces, faces, np.array([7]))
    assert whole_numbers.scores.dtype == np.float64
    with pytest.raises(UsageError, match="float32 and float64"):
        merge([parts[0], whole_numbers])


def test_parts_that_are_not_merged() -> None:
    faces = PictureBoxes.from_pictures([[A, B]])
    one = ScoringState.of_part(["a"], faces, faces, np.array([0.7, 0.6]))
    hard = ScoringState.of_part(["b"], faces, faces, np.array([0.7, 0.6]), lists={"hard": np.array([True, False])})
    with pytest.raises(UsageError, match="at least one"):
        merge([])
    with pytest.raises(UsageError, match="picture a is in more than one part"):
        merge([one, one])
    with pytest.raises(UsageError, match=r"lists \[\] and \['hard'\]"):
        merge([one, hard])


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_names_that_are_refused(names: list[str]) -> None:
    faces = PictureBoxes.from_pictures([[A], [B]])
    with pytest.raises(UsageError, match="2 different names"):
        ScoringState.of_part(names, faces, faces, np.array([0.7, 0.6]))


def test_arrays_that_are_refused() -> None:
    arrays = state_of(scene(3), [0, 1]).to_arrays()
    with pytest.raises(SchemaVersionError, match="version 9"):
        ScoringState.from_arrays({**arrays, "schema_version": np.array(9)})
    with pytest.raises(SchemaVersionError, match="version None"):
        ScoringState.from_arrays({})
    with pytest.raises(ResultsError, match="without scores"):
        ScoringState.from_arrays({name: array for name, array in arrays.items() if name != "scores"})
    with pytest.raises(ResultsError, match="whose iou do not fit"):
        ScoringState.from_arrays({**arrays, "iou": arrays["iou"][1:]})
    with pytest.raises(ResultsError, match="scores of int64"):
        ScoringState.from_arrays({**arrays, "scores": arrays["scores"].astype(np.int64)})
    with pytest.raises(ResultsError, match="best_face"):
        ScoringState.from_arrays({**arrays, "best_face": arrays["best_face"] + 1000})

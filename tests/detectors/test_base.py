from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from facebench.detectors import Detections, Detector, DetectorInfo, RGBImage
from facebench.errors import ContractError, DeviceError, UsageError

BOXES = np.array([[0, 0, 4, 6], [1, 2, 3, 4]], dtype=np.float32)
SCORES = np.array([0.9, 0.4], dtype=np.float32)
LANDMARKS = np.arange(20, dtype=np.float32).reshape(2, 5, 2)


def changed(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    copy = array.copy()
    copy[index] = value
    return copy


# one array is wrong in one way, the others are right
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "boxes are a list": (
        {"boxes": BOXES.tolist()},
        r"boxes must be a float32 array of shape \(2, 4\), got list",
    ),
    "boxes of float64": (
        {"boxes": BOXES.astype(np.float64)},
        r"boxes must be a float32 array of shape \(2, 4\), got float64 \(2, 4\)",
    ),
    "boxes of five numbers": (
        {"boxes": np.zeros((2, 5), np.float32)},
        r"boxes must be a float32 array of shape \(2, 4\), got float32 \(2, 5\)",
    ),
    "fewer boxes than scores": (
        {"boxes": BOXES[:1]},
        r"boxes must be a float32 array of shape \(2, 4\), got float32 \(1, 4\)",
    ),
    "one flat box": ({"boxes": BOXES.reshape(-1)}, r"boxes must be .* got float32 \(8,\)"),
    "NaN in boxes": ({"boxes": changed(BOXES, (1, 2), np.nan)}, "boxes must be finite, got 1 NaN or infinite values"),
    "infinity in boxes": ({"boxes": changed(BOXES, (0, 2), np.inf)}, "boxes must be finite, got 1 NaN"),
    "x2 < x1": (
        {"boxes": changed(BOXES, (1, 2), 0.5)},
        r"boxes must have x2 >= x1 and y2 >= y1, got \[1\.0, 2\.0, 0\.5, 4\.0\]",
    ),
    "y2 < y1": ({"boxes": changed(BOXES, (0, 3), -1)}, r"y2 >= y1, got \[0\.0, 0\.0, 4\.0, -1\.0\]"),
    "scores are a list": ({"scores": SCORES.tolist()}, "scores must be a float32 array .* got list"),
    "scores are None": ({"scores": None}, "scores must be a float32 array .* got NoneType"),
    "scores are one number": ({"scores": np.float32(0.5)}, "scores must be a float32 array .* got float32"),
    "scores without a dimension": ({"scores": np.array(0.5, np.float32)}, r"scores must be .* got float32 \(\)"),
    "scores of float64": ({"scores": SCORES.astype(np.float64)}, r"scores must be .* \(2,\), got float64 \(2,\)"),
    "scores in a column": ({"scores": SCORES[:, None]}, r"scores must be .* \(2,\), got float32 \(2, 1\)"),
    "NaN in scores": ({"scores": changed(SCORES, (0,), np.nan)}, "scores must be finite, got 1 NaN"),
    "infinity in scores": ({"scores": changed(SCORES, (0,), np.inf)}, "scores must be finite, got 1 NaN"),
    "scores rise": ({"scores": SCORES[::-1].copy()}, "scores must come highest first; use Detections.from_arrays"),
    "landmarks are a list": ({"landmarks": LANDMARKS.tolist()}, "landmarks must be a float32 array .* got list"),
    "landmarks of float64": ({"landmarks": LANDMARKS.astype(np.float64)}, r"landmarks must be .* got float64"),
    "ten numbers a face": (
        {"landmarks": LANDMARKS.reshape(2, 10)},
        r"landmarks must be a float32 array of shape \(2, 5, 2\), got float32 \(2, 10\)",
    ),
    "landmarks of another count": ({"landmarks": LANDMARKS[:1]}, r"landmarks must be .* got float32 \(1, 5, 2\)"),
    "NaN in landmarks": ({"landmarks": changed(LANDMARKS, (0, 0, 0), np.nan)}, "landmarks must be finite, got 1 NaN"),
}


@pytest.mark.parametrize(("wrong", "message"), BROKEN.values(), ids=BROKEN)
def test_contract(wrong: dict[str, Any], message: str) -> None:
    right = {"boxes": BOXES.copy(), "scores": SCORES.copy(), "landmarks": LANDMARKS.copy()}
    with pytest.raises(ContractError, match=message):
        Detections(**right | wrong)


@pytest.mark.parametrize(
    ("boxes", "scores", "landmarks"),
    [
        pytest.param(np.empty((0, 4)), np.empty(0), None, id="nothing"),
        pytest.param(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2)), id="nothing, with landmarks"),
        pytest.param([[3, 3, 3, 3]], [0.5], None, id="a box without area"),
        pytest.param([[-9, -9, 5, 5]], [0.5], None, id="a box that reaches outside"),
        pytest.param([[0, 0, 1, 1], [2, 2, 3, 3]], [0.5, 0.5], None, id="equal scores"),
        pytest.param([[0, 0, 1, 1]], [-3.5], None, id="a negative margin"),
    ],
)
def test_accepted(boxes: Any, scores: Any, landmarks: Any) -> None:
    points = None if landmarks is None else np.asarray(landmarks, np.float32)
    found = Detections(np.asarray(boxes, np.float32), np.asarray(scores, np.float32), points)
    assert found.boxes.tolist() == np.asarray(boxes).tolist()
    assert len(found) == len(scores)


def test_arrays_are_read_only() -> None:
    found = Detections(BOXES.copy(), SCORES.copy(), LANDMARKS.copy())
    assert found.landmarks is not None
    for array in (found.boxes, found.scores, found.landmarks):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        found.scores = SCORES


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_from_arrays_casts(dtype: type) -> None:
    given = np.array([[1, 2, 3, 4]], dtype=dtype)
    found = Detections.from_arrays(given, np.array([1], dtype=dtype), np.arange(10, dtype=dtype).reshape(1, 5, 2))
    assert found.landmarks is not None
    assert {found.boxes.dtype, found.scores.dtype, found.landmarks.dtype} == {np.dtype(np.float32)}
    assert found.boxes.tolist() == [[1, 2, 3, 4]]
    given[0] = 0  # the caller's array stays the caller's: writable, and not looked at again
    assert found.boxes.tolist() == [[1, 2, 3, 4]]


def test_from_arrays_sorts_stably_and_takes_landmarks_along() -> None:
    scores = [0.5, 0.9, 0.5, 0.1, 0.9]
    boxes = [[i, i, i + 1, i + 1] for i in range(5)]
    landmarks = [[[i, i]] * 5 for i in range(5)]
    found = Detections.from_arrays(boxes, scores, landmarks)
    assert found.boxes[:, 0].tolist() == [1, 4, 0, 2, 3]
    assert found.scores.tolist() == np.array([0.9, 0.9, 0.5, 0.5, 0.1], np.float32).tolist()
    assert found.landmarks is not None
    assert found.landmarks[:, 3, 1].tolist() == [1, 4, 0, 2, 3]


@pytest.mark.parametrize(
    ("boxes", "scores", "landmarks", "message"),
    [
        pytest.param([[0, 0, 1, 1]], [], None, "got 1 boxes and 0 scores", id="no scores"),
        pytest.param([], [0.5], None, "got 0 boxes and 1 scores", id="no boxes"),
        pytest.param(
            [[0, 0, 1, 1]], [0.5], np.zeros((2, 5, 2)), "got 2 landmarks and 1 scores", id="more landmarks than boxes"
        ),
        pytest.param([[0, 0, 1, 1]], [0.5], [], "got 0 landmarks and 1 scores", id="fewer landmarks than boxes"),
        pytest.param(
            [[0, 0, 1]],
            [0.5],
            None,
            r"boxes must be rows of shape \(4,\), got .* \(1, 3\)",
            id="a box of three numbers",
        ),
        pytest.param([[0, 0, 1, 1]], [0.5], [[0, 0]], r"landmarks must be rows of shape \(5, 2\)", id="one landmark"),
        pytest.param([[0, 0, 1, 1]], [np.nan], None, "scores must be finite", id="NaN"),
        pytest.param([[2, 0, 1, 1]], [0.5], None, "x2 >= x1", id="negative width"),
    ],
)
def test_from_arrays_refuses(boxes: Any, scores: Any, landmarks: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        Detections.from_arrays(boxes, scores, landmarks)


@pytest.mark.parametrize(
    ("threshold", "kept"), [(0.0, 3), (0.25, 3), (0.26, 2), (0.5, 2), (0.75, 1), (0.76, 0), (-np.inf, 3)]
)
def test_above_keeps_the_threshold_itself(threshold: float, kept: int) -> None:
    found = Detections.from_arrays(np.zeros((3, 4)), [0.25, 0.5, 0.75], np.zeros((3, 5, 2))).above(threshold)
    assert len(found) == len(found.boxes) == kept
    assert found.landmarks is not None
    assert len(found.landmarks) == kept
    assert found.scores.tolist() == [0.75, 0.5, 0.25][:kept]


def test_above_without_landmarks() -> None:
    assert Detections.from_arrays([[0, 0, 1, 1]], [0.5]).above(0.1).landmarks is None


@pytest.mark.parametrize(("landmarks", "shape"), [(False, None), (True, (0, 5, 2))])
def test_empty(landmarks: bool, shape: tuple[int, ...] | None) -> None:
    found = Detections.empty(landmarks=landmarks)
    assert len(found) == 0
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))
    assert (None if found.landmarks is None else found.landmarks.shape) == shape


class Nothing(Detector):
    """A detector that never finds a face."""

    info = DetectorInfo("nothing", "none", "facebench", "MIT", "margin", ("cpu",), False, (), "", 0.5, 0.1)

    def detect(self, image: RGBImage) -> Detections:
        return Detections.empty()


@pytest.mark.parametrize(("given", "floor"), [(None, 0.5), (0.2, 0.2), (0.0, 0.0)])
def test_score_floor_is_the_operating_threshold_unless_given(given: float | None, floor: float) -> None:
    detector = Nothing(score_floor=given)
    assert (detector.score_floor, detector.operating_threshold) == (floor, 0.5)


def test_defaults_of_the_interface() -> None:
    detector = Nothing()
    assert (detector.device, detector.device_used(), detector.threads) == ("cpu", "cpu", 1)
    assert detector.threads_used() is None
    images = [np.zeros((2, 2, 3), np.uint8)] * 3
    assert [len(found) for found in detector.detect_batch(images)] == [0, 0, 0]
    assert detector.detect_batch([]) == []
    assert not detector.batches()
    assert Nothing.model_names() == ()
    assert Nothing.remedy_packages() == "pip install facebench"


def test_a_device_that_is_not_on_the_card_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"nothing runs on cpu only \(facebench\), got 'cuda'"):
        Nothing(device="cuda")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_at_least_one(threads: int) -> None:
    with pytest.raises(UsageError, match=f"got threads={threads}, expected a whole number, at least 1"):
        Nothing(threads=threads)


def test_a_detector_without_detect_cannot_be_made() -> None:
    class Unfinished(Detector):
        info = Nothing.info

    with pytest.raises(TypeError, match="detect"):
        Unfinished()

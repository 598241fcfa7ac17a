"""The pipeline with parts that see brightness, and once with real ones."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
from facebench.detectors import Detections
from facebench.emotions import EMOTIONS, CropPolicy, EmotionClassifier, EmotionPipeline, FaceEmotions, crop
from facebench.emotions.pipeline.crops import CANONICAL_LANDMARKS, DEFAULT_POLICY
from facebench.emotions.pipeline.pipeline import PipelineTimes
from facebench.errors import ContractError, ModelStoreError, UnavailableError, UsageError
from facebench.tests.support.pipeline_fakes import BrightBoxes, GreyLevels, Ticks, scene

CANONICAL = np.array([[point.real, point.imag] for point in CANONICAL_LANDMARKS])
THREE = scene((20, 30, 60, 150), (120, 40, 50, 190), (200, 100, 40, 250))


class NoNumbers(GreyLevels):
    def __init__(self, answer: np.ndarray) -> None:
        self.answer = answer

    def classify(self, faces: object) -> np.ndarray:
        return self.answer


def test_faces_and_what_they_show_best_first() -> None:
    classifier = GreyLevels()
    found = EmotionPipeline(BrightBoxes(), classifier=classifier)(THREE)
    assert found.labels == ("sad", "neutral", "happy")
    assert found.detections.boxes.tolist() == [[20, 30, 80, 90], [120, 40, 170, 90], [200, 100, 240, 140]]
    assert (found.probabilities.dtype, found.probabilities.shape) == (np.float32, (3, 7))
    assert [len(batch) for batch in classifier.batches] == [3]  # all faces of an image at once


def test_a_image_without_faces_asks_no_classifier() -> None:
    """Nor loads the one that comes with facebench."""
    pipeline = EmotionPipeline(BrightBoxes())
    found = pipeline.find(scene())
    assert (len(found), found.labels, found.records()) == (0, (), [])
    assert found.probabilities.shape == (0, 7)
    assert pipeline._classifier is None


def test_without_a_classifier_the_shipped_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = GreyLevels()
    monkeypatch.setattr(EmotionClassifier, "shipped", lambda: shipped)
    pipeline = EmotionPipeline(BrightBoxes())
    assert pipeline(THREE).labels == ("sad", "neutral", "happy")
    assert pipeline.classifier is shipped


def test_the_default_is_the_picked_detector_and_the_shipped_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = BrightBoxes()
    monkeypatch.setattr("facebench.emotions.pipeline.pipeline.load_default", lambda: detector)
    pipeline = EmotionPipeline.default()
    assert pipeline.detector is detector
    assert pipeline._classifier is None
    assert pipeline.policy == DEFAULT_POLICY


@pytest.mark.parametrize("policy", ["margin=0.2", "margin=0.1,square,grey=no", CropPolicy(-0.1), "align"])
@pytest.mark.parametrize("landmarks", [None, CANONICAL])
def test_the_classifier_sees_what_crop_gives(policy: CropPolicy | str, landmarks: np.ndarray | None) -> None:
    classifier = GreyLevels()
    pipeline = EmotionPipeline(BrightBoxes(landmarks=landmarks), policy, classifier)
    found = pipeline(THREE).detections
    points = [None] * 3 if found.landmarks is None else found.landmarks
    for seen, box, point in zip(classifier.batches[0], found.boxes, points, strict=True):
        assert (seen == crop(THREE, box, point, pipeline.policy)).all()


@pytest.mark.parametrize(
    ("policy", "landmarks", "aligned"),
    [
        pytest.param("square", CANONICAL, [False] * 3, id="not asked for"),
        pytest.param("align", CANONICAL, [True] * 3, id="by landmarks"),
        pytest.param("align", None, [False] * 3, id="no landmarks: by the box"),
        pytest.param("align", np.zeros((5, 2)), [False] * 3, id="landmarks in one point: by the box"),
    ],
)
def test_it_is_told_which_faces_were_aligned(policy: str, landmarks: np.ndarray | None, aligned: list[bool]) -> None:
    assert EmotionPipeline(BrightBoxes(landmarks=landmarks), policy, GreyLevels())(THREE).aligned.tolist() == aligned


def test_aligning_without_landmarks_is_told_beforehand() -> None:
    assert "fake gives no landmarks" in EmotionPipeline(BrightBoxes(), "align").note
    assert EmotionPipeline(BrightBoxes(), "square").note == ""


def test_times_are_told_apart() -> None:
    """The clock goes on by a millisecond at every look, and is looked at between the stages alone."""
    pipeline = EmotionPipeline(BrightBoxes(), classifier=GreyLevels(), clock=Ticks())
    assert pipeline(THREE).times == PipelineTimes(1.0, 1.0, 1.0)
    assert pipeline(scene()).times == PipelineTimes(1.0, 1.0, 0.0)


def test_records_are_ready_for_json() -> None:
    found = EmotionPipeline(BrightBoxes(landmarks=CANONICAL), classifier=GreyLevels())(THREE)
    record = json.loads(json.dumps(found.records()))[2]
    assert record["box"] == [200, 100, 240, 140]
    assert (record["score"], record["emotion"]) == (0.125, "happy")
    assert record["probabilities"] == dict.fromkeys(EMOTIONS, 0.01) | {"happy": 0.94}
    assert record["landmarks"][0] == [212.64, 115.4]
    without = EmotionPipeline(BrightBoxes(), classifier=GreyLevels())(THREE).records()[0]
    assert set(without) == {"box", "score", "emotion", "probabilities"}


def test_the_image_is_left_alone_and_may_be_a_view() -> None:
    mirrored = THREE[:, ::-1]
    mirrored.setflags(write=False)
    before = mirrored.copy()
    assert EmotionPipeline(BrightBoxes(), classifier=GreyLevels())(mirrored).labels == ("sad", "neutral", "happy")
    assert (mirrored == before).all()


def test_closing_closes_the_detector() -> None:
    detector = BrightBoxes()
    EmotionPipeline(detector).close()
    assert detector.closed


@pytest.mark.parametrize(
    ("image", "says"),
    [
        pytest.param(None, "NoneType", id="nothing, as cv2.imread returns"),
        pytest.param("face.jpg", "str", id="a name"),
        pytest.param(np.zeros((5, 5), np.uint8), r"\(5, 5\)", id="grey"),
        pytest.param(np.zeros((5, 5, 4), np.uint8), r"\(5, 5, 4\)", id="with transparency"),
        pytest.param(np.zeros((5, 5, 3), np.float32), "float32", id="floats"),
    ],
)
def test_what_is_no_image_is_refused_before_the_detector(image: object, says: str) -> None:
    detector = BrightBoxes()
    with pytest.raises(UsageError, match=says):
        EmotionPipeline(detector, classifier=GreyLevels())(image)  # type: ignore[arg-type]
    assert detector.seen == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(
            np.zeros((2, 7), np.float32), r"got float32 \(2, 7\), expected float32 \(3, 7\)", id="a face less"
        ),
        pytest.param(np.zeros((3, 8), np.float32), r"\(3, 8\)", id="eight classes"),
        pytest.param(np.zeros((3, 7)), "float64", id="another type"),
        pytest.param(np.full((3, 7), math.nan, np.float32), "NaN", id="NaN"),
        pytest.param(np.full((3, 7), 2, np.float32), "between 0 and 1", id="logits"),
        pytest.param([[0.1] * 7] * 3, "list", id="a list"),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: np.ndarray, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        EmotionPipeline(BrightBoxes(), classifier=NoNumbers(answer))(THREE)


def test_aligned_must_fit_too() -> None:
    nothing = np.zeros((0, 7), np.float32)
    with pytest.raises(ContractError, match=r"aligned of 0 faces: got bool \(1,\)"):
        FaceEmotions(Detections.empty(), nothing, np.zeros(1, bool), PipelineTimes(0, 0, 0))


def test_a_bad_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="margin"):
        EmotionPipeline(BrightBoxes(), "margins=1")


@pytest.mark.slow
def test_a_real_detector_and_a_real_classifier() -> None:
    """On the demo scenes, the woman with the broad smile is happy wherever her face is large."""
    from facebench.datasets import decode, load
    from facebench.detectors import create

    try:
        pipeline = EmotionPipeline(create("yunet"), classifier=EmotionClassifier.mini_xception())
    except (ModelStoreError, UnavailableError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    right = seen = 0
    for sample in load("expression-scenes:demo?count=12").samples:
        image = decode(sample.source).image
        assert image is not None and sample.faces.emotions is not None
        found = pipeline(image)
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-4)
        middles = (found.detections.boxes[:, :2] + found.detections.boxes[:, 2:]) / 2
        for box, emotion in zip(sample.faces.boxes, sample.faces.emotions.tolist(), strict=True):
            inside = ((middles > box[:2]) & (middles < box[2:])).all(axis=1)
            if EMOTIONS[emotion] == "happy" and box[3] - box[1] >= 80 and inside.any():
                seen += 1
                right += found.labels[int(inside.argmax())] == "happy"
    assert seen >= 3
    assert right / seen >= 0.8

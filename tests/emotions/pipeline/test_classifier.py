"""The classifier with small made-up networks, and the shipped file."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from facebench.emotions import EMOTIONS, EmotionClassifier, create_classifier
from facebench.emotions.pipeline.classifier import SHIPPED_MODEL, SHIPPED_SHA256, prepare
from facebench.errors import DeviceError, HashMismatchError, ModelStoreError, UnavailableError, UsageError
from facebench.tests.support.small_classifier import levels, model
from onnx import TensorProto

GREY = np.arange(48 * 48, dtype=np.int64).reshape(48, 48).astype(np.uint8)


def by_hand(faces: np.ndarray) -> np.ndarray:
    logits = faces.mean((1, 2), keepdims=True)[:, 0] * 0.1 * np.arange(1, 8)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 130])
def test_any_number_of_faces(count: int) -> None:
    """Also more than a batch holds, and none."""
    got = EmotionClassifier(model(), name="m").classify(levels(count))
    assert got.shape == (count, 7)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, by_hand(levels(count)), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_size_of_batches_changes_nothing(batch_size: int) -> None:
    got = EmotionClassifier(model(), name="m", batch_size=batch_size).classify(levels(10))
    np.testing.assert_allclose(got, by_hand(levels(10)), atol=1e-5)


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        pytest.param(GREY, GREY, id="grey of the right size is left alone"),
        pytest.param(np.dstack([GREY] * 3), GREY, id="grey as RGB"),
        pytest.param(np.dstack([np.full((48, 48), v, np.uint8) for v in (255, 0, 0)]), 76, id="red: 0.299 * 255"),
        pytest.param(np.dstack([np.full((48, 48), v, np.uint8) for v in (0, 0, 255)]), 29, id="blue: 0.114 * 255"),
        pytest.param(np.full((200, 100), 9, np.uint8), 9, id="larger, not square"),
        pytest.param(np.full((1, 1, 3), 9, np.uint8), 9, id="one pixel"),
        pytest.param(np.repeat(np.repeat(GREY, 4, 0), 4, 1), GREY, id="shrinking averages areas"),
        pytest.param(np.repeat(np.repeat(GREY, 4, 0), 4, 1)[:, ::1], GREY, id="a view"),
        pytest.param(np.dstack([GREY] * 3)[:, ::-1], GREY[:, ::-1], id="mirrored, with a negative stride"),
    ],
)
def test_faces_are_made_ready(face: np.ndarray, expected: np.ndarray | int) -> None:
    ready = prepare([face])
    assert ready.shape == (1, 48, 48)
    assert ready.dtype == np.uint8
    assert (ready[0] == expected).all()


def test_a_stack_is_a_list() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 60, 50, 3)).astype(np.uint8)
    assert (prepare(colour) == prepare(list(colour))).all()


@pytest.mark.parametrize(
    ("face", "says"),
    [
        pytest.param(np.zeros((0, 5), np.uint8), r"\(0, 5\)", id="empty"),
        pytest.param(np.zeros((5, 5), np.float32), "float32", id="floats"),
        pytest.param(np.zeros((5, 5, 4), np.uint8), r"\(5, 5, 4\)", id="with transparency"),
        pytest.param(np.zeros(5, np.uint8), r"\(5,\)", id="a row"),
        pytest.param("face.jpg", "str", id="a name"),
        pytest.param(None, "NoneType", id="nothing, as cv2.imread returns"),
    ],
)
def test_what_is_no_face_is_refused_with_its_number(face: object, says: str) -> None:
    with pytest.raises(UsageError, match=f"face 1 is .*{says}"):
        EmotionClassifier(model(), name="m").classify([GREY, face])  # type: ignore[list-item]


def test_classify_grey_wants_what_prepare_gives() -> None:
    with pytest.raises(UsageError, match=r"\(1, 50, 48\)"):
        EmotionClassifier(model(), name="m").classify_grey(np.zeros((1, 50, 48), np.uint8))


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        pytest.param(b"", ModelStoreError, "not an ONNX network", id="empty"),
        pytest.param(b"not a model", ModelStoreError, "not an ONNX network", id="text"),
        pytest.param(model()[:-40], ModelStoreError, "not an ONNX network", id="cut"),
        pytest.param(model(side=64), ModelStoreError, "64", id="another size"),
        pytest.param(model(classes=8), ModelStoreError, "8", id="another number of classes"),
        pytest.param(model(kind=TensorProto.DOUBLE), ModelStoreError, "double", id="another type"),
    ],
)
def test_what_is_no_network_of_this_kind_is_refused(content: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        EmotionClassifier(content, name="m")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match=r"none\.onnx"):
        EmotionClassifier(tmp_path / "none.onnx", name="m")


def test_other_bytes_than_expected_are_refused_with_both_hashes(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model())
    right = hashlib.sha256(model()).hexdigest()
    assert EmotionClassifier(path, name="m", sha256=right).sha256 == right
    with pytest.raises(HashMismatchError, match=f"{right}, expected {'0' * 64}"):
        EmotionClassifier(path, name="m", sha256="0" * 64)


@pytest.mark.parametrize("option", ["threads", "batch_size"])
def test_none_is_too_few(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option}=0"):
        EmotionClassifier(model(), name="m", **{option: 0})  # type: ignore[arg-type]


def test_threads_and_device_are_read_back() -> None:
    classifier = EmotionClassifier(model(), name="m", threads=2)
    assert (classifier.threads, classifier.device) == (2, "cpu")
    assert EmotionClassifier(model(), name="m").threads == 1


def test_a_device_that_is_not_there_is_no_silent_fall_back() -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime has CUDA here")
    with pytest.raises(DeviceError, match="CUDAExecutionProvider"):
        EmotionClassifier(model(), name="m", device="cuda")


def test_an_unknown_classifier_is_told_with_the_near_one() -> None:
    with pytest.raises(UsageError, match="mini-xception"):
        create_classifier("mini_xception")


def test_importing_loads_neither_torch_nor_a_runtime() -> None:
    heavy = "{'torch', 'onnxruntime', 'cv2', 'h5py'}"
    code = f"import sys, facebench.emotions as e; dir(e); print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_classifying_does_not_need_torch() -> None:
    code = "import sys, facebench.emotions.pipeline.classifier; print('torch' in sys.modules, 'h5py' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False False"


def test_a_missing_file_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("facebench.emotions.pipeline.classifier.SHIPPED_MODEL", tmp_path / "none.onnx")
    with pytest.raises(ModelStoreError, match="install facebench again"):
        EmotionClassifier.shipped()


def test_the_shipped_file_is_the_one_its_code_names() -> None:
    content = SHIPPED_MODEL.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHIPPED_SHA256
    assert len(content) <= 8_000_000
    scores = json.loads(SHIPPED_MODEL.with_name("scores.json").read_text())
    assert scores["classifiers"][0]["sha256"] == SHIPPED_SHA256, "scores and card are those of this file"
    assert SHIPPED_SHA256 in SHIPPED_MODEL.with_name("README.md").read_text()
    properties = {prop.key: prop.value for prop in onnx.load_from_string(content).metadata_props}
    assert properties["classes"].split(",") == list(EMOTIONS)


def test_the_shipped_network_takes_extreme_images() -> None:
    faces = np.stack([np.zeros((48, 48)), np.full((48, 48), 255), np.eye(48) * 255]).astype(np.uint8)
    probabilities = create_classifier("facebench").classify(faces)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=1e-6)  # blank is blank


def test_without_onnx_runtime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "onnxruntime.capi", raising=False)
    with pytest.raises(UnavailableError, match="naming emotions needs ONNX Runtime") as caught:
        create_classifier("facebench")
    assert caught.value.remedy == "pip install 'facebench[cpu]'"

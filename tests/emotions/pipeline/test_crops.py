"""Crops against pixel values that can be foretold, and the policies' texts."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from facebench.emotions import CropPolicy, crop
from facebench.emotions.pipeline.crops import (
    CANONICAL_LANDMARKS,
    DEFAULT_POLICY,
    SWEEP,
    as_policy,
    can_align,
    window,
)
from facebench.errors import UsageError
from hypothesis import given
from hypothesis import strategies as st

COLOUR = CropPolicy(grey=False)
GRADIENT = np.dstack(
    [
        np.broadcast_to(np.arange(200), (100, 200)),
        np.broadcast_to(np.arange(100)[:, None], (100, 200)),
        np.full((100, 200), 7),
    ]
).astype(np.uint8)  # red tells the column, green the row
CANONICAL = np.array([[point.real, point.imag] for point in CANONICAL_LANDMARKS])


def rows_and_columns(pixels: np.ndarray) -> tuple[list[int], list[int]]:
    """Which rows and columns of GRADIENT a crop shows; every pixel is looked at."""
    assert (pixels[..., 0] == pixels[:1, :, 0]).all()
    assert (pixels[..., 1] == pixels[:, :1, 1]).all()
    return pixels[:, 0, 1].tolist(), pixels[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("box", "policy", "expected"),
    [
        pytest.param((10, 20, 30, 60), CropPolicy(), (10, 20, 20, 40), id="as it is"),
        pytest.param(
            (10, 20, 30, 60), CropPolicy(margin=0.1), (8, 16, 24, 48), id="a tenth of each side, on each side"
        ),
        pytest.param((10, 20, 30, 60), CropPolicy(margin=-0.25), (15, 30, 10, 20), id="half is left"),
        pytest.param((10, 20, 30, 60), CropPolicy(square=True), (0, 20, 40, 40), id="the longer side"),
        pytest.param((10, 20, 30, 60), CropPolicy(margin=0.1, square=True), (-4, 16, 48, 48), id="margin after square"),
        pytest.param((10, 20, 30, 60), CropPolicy(dx=0.5, dy=-0.25), (20, 10, 20, 40), id="shares of width and height"),
        pytest.param((10, 20, 30, 60), CropPolicy(scale=1.5), (5, 10, 30, 60), id="about the centre"),
        pytest.param((10, 20, 30, 60), CropPolicy(dx=0.5, scale=2), (10, 0, 40, 80), id="dx of the box as found"),
        pytest.param((10.5, 20.5, 20.5, 40.5), CropPolicy(), (11, 21, 10, 20), id="halves go up"),
        pytest.param((10.2, 20.2, 20.9, 40.4), CropPolicy(), (10, 20, 11, 20), id="size first"),
        pytest.param((10.0, 20.0, 10.0, 20.0), CropPolicy(), (10, 20, 1, 1), id="no area: one pixel"),
        pytest.param((10.0, 20.0, 10.0, 40.0), CropPolicy(margin=0.3), (10, 14, 1, 32), id="no width"),
    ],
)
def test_windows(box: tuple[float, ...], policy: CropPolicy, expected: tuple[int, ...]) -> None:
    assert window(box, policy) == expected


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        pytest.param((10, 20, 13, 24), [20, 21, 22, 23], [10, 11, 12], id="inside"),
        pytest.param((0, 0, 200, 100), range(100), range(200), id="the whole image"),
        pytest.param((-2, -1, 2, 2), [0, 0, 1], [0, 0, 0, 1], id="over the top left corner"),
        pytest.param((198, 97, 203, 102), [97, 98, 99, 99, 99], [198, 199, 199, 199, 199], id="over the bottom right"),
        pytest.param((-9, 5, -7, 8), [5, 6, 7], [0, 0], id="wholly left: the edge drawn out"),
        pytest.param((500, 400, 503, 402), [99, 99], [199] * 3, id="beyond the corner"),
        pytest.param((50.2, 60.2, 50.2, 60.2), [60], [50], id="a point: its pixel"),
        pytest.param((200, 100, 200, 100), [99], [199], id="a point on the far corner"),
        pytest.param((1e30, 1e30, 1e30, 1e30), [99], [199], id="a point far away"),
    ],
)
def test_pixels_of_a_gradient(box: tuple[float, ...], rows: list[int], columns: list[int]) -> None:
    assert rows_and_columns(crop(GRADIENT, box, None, COLOUR)) == (list(rows), list(columns))


def test_an_absurd_box_takes_no_absurd_memory() -> None:
    assert crop(GRADIENT, (-1e7, -1e7, 1e7, 1e7), None, COLOUR).shape == (400, 400, 3)


def test_grey_is_that_of_opencv() -> None:
    got = crop(GRADIENT, (10, 20, 30, 40), None, CropPolicy())
    assert got.shape == (20, 20)
    assert (got == cv2.cvtColor(GRADIENT[20:40, 10:30], cv2.COLOR_RGB2GRAY)).all()


@pytest.mark.parametrize("policy", [COLOUR, CropPolicy(), CropPolicy(align=True), CropPolicy(align=True, grey=False)])
def test_views_are_taken_and_nothing_is_shared_or_changed(policy: CropPolicy) -> None:
    mirrored = GRADIENT[:, ::-1]
    mirrored.setflags(write=False)
    landmarks = CANONICAL * 40 + 30
    got = crop(mirrored, (10, 20, 30, 40), landmarks, policy)
    assert (got == crop(np.ascontiguousarray(mirrored), (10, 20, 30, 40), landmarks, policy)).all()
    assert got.flags.c_contiguous and got.flags.writeable and not np.shares_memory(got, GRADIENT)


@given(
    x=st.integers(-80, 240), y=st.integers(-80, 160), width=st.integers(0, 200), height=st.integers(0, 200),
    shift=st.tuples(st.integers(-50, 50), st.integers(-50, 50)), policy=st.sampled_from(SWEEP),
)  # fmt: skip
def test_a_image_moved_with_its_face_gives_the_same_crop(
    x: int, y: int, width: int, height: int, shift: tuple[int, int], policy: CropPolicy
) -> None:
    """Coordinates in quarters of a pixel, so that halves are met; the face may reach out of the image by far."""
    box = np.array([x, y, x + width, y + height]) / 4
    small = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    # The margin is the edge drawn out: outside the small image both show the same.
    big = cv2.copyMakeBorder(small, 250, 250, 250, 250, cv2.BORDER_REPLICATE)
    where = np.array([250 + shift[0], 250 + shift[1]])
    moved = np.roll(big, shift[::-1], (0, 1))
    landmarks = CANONICAL * 20 + [x / 4, y / 4]
    one = crop(small, box, landmarks, policy)
    two = crop(moved, box + np.tile(where, 2), landmarks + where, policy)
    if one.shape == two.shape:  # else cut by the image's size, which differs
        difference = np.abs(one.astype(int) - two)
        assert difference.max() <= (2 if policy.align else 0)  # OpenCV interpolates in 32nds of a pixel
    else:
        assert max(one.shape) == 2 * max(small.shape)


def face(
    angle_degrees: float, side: float, centre: complex, size: tuple[int, int] = (300, 400)
) -> tuple[np.ndarray, np.ndarray]:
    """A black image with a bright dot on each landmark of a face turned by an angle, and the landmarks."""
    turn = side * np.exp(1j * math.radians(angle_degrees))
    points = np.array([turn * (point - (0.5 + 0.5j)) + centre for point in CANONICAL_LANDMARKS])
    image = np.zeros((*size, 3), np.uint8)
    for point in points:
        cv2.circle(
            image,
            (round((point.real - 0.5) * 16), round((point.imag - 0.5) * 16)),
            4 * 16,
            (255,) * 3,
            -1,
            cv2.LINE_AA,
            4,
        )
    return image, np.stack([points.real, points.imag], axis=1)


@pytest.mark.parametrize("angle", [0, 20, -35, 90, 180])
@pytest.mark.parametrize("margin", [0.0, 0.25, -0.1])
def test_an_aligned_crop_puts_eyes_and_mouth_where_they_belong(angle: float, margin: float) -> None:
    image, landmarks = face(angle, 120, 200 + 150j)
    got = crop(image, (0, 0, 1, 1), landmarks, CropPolicy(margin, align=True))
    side = round(120 * (1 + 2 * margin))
    assert got.shape == (side, side)
    count, _, _, centres = cv2.connectedComponentsWithStats((got > 127).astype(np.uint8))
    assert count - 1 == 5
    expected = (CANONICAL + margin) * 120 - 0.5
    found = centres[1:]
    nearest = np.linalg.norm(found[:, None] - expected, axis=2)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2, 3, 4]
    assert nearest.min(axis=1).max() < 0.5


def test_an_upright_face_in_canonical_place_is_only_cut_out() -> None:
    landmarks = CANONICAL * 40 + [30, 20]
    got = crop(GRADIENT, (0, 0, 1, 1), landmarks, CropPolicy(align=True, grey=False))
    assert rows_and_columns(got) == (list(range(20, 60)), list(range(30, 70)))


def test_an_aligned_crop_reaching_out_repeats_the_edge() -> None:
    got = crop(GRADIENT, (0, 0, 1, 1), CANONICAL * 40 + [-10, 70], CropPolicy(align=True, grey=False))
    assert rows_and_columns(got) == ([*range(70, 100), *[99] * 10], [*[0] * 10, *range(30)])


def test_a_image_wider_than_opencv_can_warp() -> None:
    wide = np.broadcast_to((np.arange(40_000) % 251)[None, :, None], (60, 40_000, 3)).astype(np.uint8)
    got = crop(wide, (0, 0, 1, 1), CANONICAL * 40 + [39_000, 5], CropPolicy(align=True))
    assert got[0].tolist() == (np.arange(39_000, 39_040) % 251).tolist()


@pytest.mark.parametrize(
    ("landmarks", "can"),
    [
        pytest.param(None, False, id="none"),
        pytest.param(np.full((5, 2), 30.0), False, id="all in one point"),
        pytest.param(CANONICAL * 0.9, False, id="a face of less than a pixel"),
        pytest.param(CANONICAL * 40, True, id="a face"),
        pytest.param(CANONICAL * 1e9, True, id="absurdly large"),
        pytest.param(CANONICAL * 40 + 1e9, True, id="far outside"),
    ],
)
def test_aligning_falls_back_to_the_box(landmarks: np.ndarray | None, can: bool) -> None:
    assert can_align(landmarks) is can
    box = (10, 20, 30, 60)
    got = crop(GRADIENT, box, landmarks, CropPolicy(margin=0.1, square=True, align=True))
    by_box = crop(GRADIENT, box, None, CropPolicy(margin=0.1, square=True))
    assert (got.shape == by_box.shape and bool((got == by_box).all())) is not can


@pytest.mark.parametrize(
    ("image", "box", "landmarks", "says"),
    [
        pytest.param(None, (0, 0, 1, 1), None, "NoneType as an image", id="no image"),
        pytest.param(GRADIENT[..., 0], (0, 0, 1, 1), None, r"\(100, 200\) as an image", id="grey image"),
        pytest.param(GRADIENT.astype(float), (0, 0, 1, 1), None, "float64", id="floats"),
        pytest.param(GRADIENT[:0], (0, 0, 1, 1), None, "at least one pixel", id="empty image"),
        pytest.param(GRADIENT, (0, 0, math.nan, 1), None, "finite", id="NaN in the box"),
        pytest.param(GRADIENT, (0, 0, math.inf, 1), None, "finite", id="an endless box"),
        pytest.param(GRADIENT, (5, 0, 1, 1), None, "x2 >= x1", id="x2 < x1"),
        pytest.param(GRADIENT, (0, 0, 1), None, "x1, y1, x2, y2", id="three numbers"),
        pytest.param(GRADIENT, (0, 0, 1, 1), CANONICAL[:4], r"\(4, 2\)", id="four landmarks"),
        pytest.param(GRADIENT, (0, 0, 1, 1), CANONICAL * math.nan, "finite", id="NaN in the landmarks"),
    ],
)
def test_what_cannot_be_cut_is_said(image: np.ndarray, box: tuple[float, ...], landmarks: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        crop(image, box, landmarks, CropPolicy(align=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "policy", "canonical"),
    [
        pytest.param("", CropPolicy(), "margin=0", id="nothing: the defaults"),
        pytest.param("margin=0.1,square,align", CropPolicy(0.1, square=True, align=True), None, id="switches alone"),
        pytest.param(" square = yes , margin = 1e-1 ", CropPolicy(0.1, square=True), "margin=0.1,square", id="spaces"),
        pytest.param("grey=no", CropPolicy(grey=False), "margin=0,grey=no", id="colour"),
        pytest.param("margin=0,dx=-0.02,dy=0.1,scale=1.25", CropPolicy(dx=-0.02, dy=0.1, scale=1.25), None, id="box"),
        pytest.param("margin=-0.2", CropPolicy(-0.2), None, id="inwards"),
    ],
)
def test_policies_as_text(text: str, policy: CropPolicy, canonical: str | None) -> None:
    assert CropPolicy.parse(text) == as_policy(text) == as_policy(policy) == policy
    assert str(policy) == (text if canonical is None else canonical)


THOUSANDTHS = st.integers(-999, 999).map(lambda n: n / 1000)


@given(
    st.builds(
        CropPolicy,
        margin=st.integers(-49, 200).map(lambda n: n / 100),
        square=st.booleans(),
        align=st.booleans(),
        grey=st.booleans(),
        dx=THOUSANDTHS,
        dy=THOUSANDTHS,
        scale=st.integers(1, 9999).map(lambda n: n / 1000),
    )
)
def test_text_and_policy_tell_the_same(policy: CropPolicy) -> None:
    assert CropPolicy.parse(str(policy)) == policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("margins=0.1", "Did you mean margin", id="unknown"),
        pytest.param("margin=0.1,margin=0.2", "margin is given twice", id="twice"),
        pytest.param("margin", "expected a number, such as margin=0.1", id="no number"),
        pytest.param("margin=much", "expected a number", id="no number either"),
        pytest.param("square=maybe", "square=yes or square=no", id="neither yes nor no"),
        pytest.param("square=", "square=yes or square=no", id="a switch set to nothing"),
        pytest.param("margin=nan", "finite", id="nan"),
        pytest.param("dx=inf", "finite", id="inf"),
        pytest.param("margin=-0.5", "more than -0.5", id="nothing left"),
        pytest.param("scale=0", "more than 0", id="no size"),
    ],
)
def test_texts_that_are_no_policy(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        CropPolicy.parse(text)


def test_the_sweep_has_no_policy_twice_and_holds_the_default() -> None:
    assert len({str(policy) for policy in SWEEP}) == len(SWEEP)
    assert DEFAULT_POLICY in SWEEP

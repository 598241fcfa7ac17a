"""Degradations do what they say, by references that are not ours; boxes follow the geometry; nothing hangs on order."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from facebench.datasets import decode
from facebench.datasets.degraded.degradations import (
    GEOMETRIC,
    KINDS,
    SEVERITIES,
    Degradation,
    covered_pixels,
    degrade_faces,
    degrade_image,
    ellipse_bounds,
    encode,
)
from facebench.errors import UsageError
from facebench.tests.support.some_faces import faces_at
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from scipy.stats import norm
from skimage import color, data, transform

PHOTO = data.astronaut()[:360, :480]


NONE = faces_at()


def degraded(kind: str, severity: int, image=PHOTO, faces=NONE, image_id="a", seed=0):
    return degrade_image(image, faces, Degradation(kind, severity), image_id=image_id, seed=seed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blur", "such as degrade=blur:3"),
        ("blur:", "such as degrade=blur:3"),
        ("blur:x", "such as degrade=blur:3"),
        ("blur:-1", "such as degrade=blur:3"),
        ("blur:²", "such as degrade=blur:3"),
        ("blur:0", "expected a whole number from 1 to 5"),
        ("blur:6", "expected a whole number from 1 to 5"),
        ("blurr:3", "Did you mean blur"),
    ],
)
def test_a_degradation_that_does_not_exist(text, words):
    with pytest.raises(UsageError, match=words):
        Degradation.parse(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 40)])
def test_the_smallest_images_survive_everything(kind, size):
    image = np.full((*size, 3), 77, np.uint8)
    faces = faces_at((0, 0, 1, 1), (-5, -5, 90, 90))
    for severity in SEVERITIES:
        done = degraded(kind, severity, image, faces)
        again = decode(encode(done, Degradation(kind, severity)))
        assert done.dtype == np.uint8 and done.ndim == 3 and min(done.shape) > 0
        assert again.image is not None and again.image.shape == done.shape


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_given_is_left_alone_and_labels_are_carried_through(kind):
    faces = faces_at((10, 20, 30, 50), (60, 60, 60, 60), (5, 5, 100, 90), ignore=(1,))
    faces = replace(faces, crowd=faces.ignore)
    image, before = PHOTO.copy(), faces.boxes.copy()
    degraded(kind, 3, image, faces)
    moved = degrade_faces(faces, (480, 360), Degradation(kind, 3), image_id="a")
    assert np.array_equal(image, PHOTO) and np.array_equal(faces.boxes, before)
    assert np.array_equal(moved.ignore, faces.ignore) and moved.attributes == faces.attributes
    assert moved.crowd is not None and np.array_equal(moved.crowd, faces.ignore)
    assert np.array_equal(moved.boxes, before) == (kind not in GEOMETRIC)
    assert len(degrade_faces(NONE, (480, 360), Degradation(kind, 3), image_id="a")) == 0


def test_bmp_loses_nothing():
    image = np.random.default_rng(0).integers(0, 256, (37, 23, 3), dtype=np.uint8)
    stored = decode(encode(image, Degradation("noise", 1))).image
    assert np.array_equal(stored, image)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_has_the_quantisation_of_its_quality(severity):
    """Against Pillow's tables for that quality; pixels come from JPEG's own loss alone."""
    degradation = Degradation("jpeg", severity)
    buffer = io.BytesIO()
    Image.fromarray(PHOTO).save(buffer, "JPEG", quality=int(degradation.level))
    with Image.open(io.BytesIO(encode(degraded("jpeg", severity), degradation))) as ours, Image.open(buffer) as pillow:
        assert ours.quantization == pillow.quantization
        assert ours.size == pillow.size


@pytest.mark.parametrize(
    ("severity", "radius", "soft"), [(1, 3, 0.1), (2, 4, 0.5), (3, 6, 0.5), (4, 8, 0.5), (5, 10, 0.5)]
)
def test_blur_is_the_disc_of_imagenet_c(severity, radius, soft):
    """The definition written again: a disc, softened by a small sampled normal, convolved by SciPy in float64."""
    reach = radius + 4
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = (x * x + y * y <= radius * radius).astype(np.float64)
    half = 1 if radius <= 8 else 2
    bell = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * soft**2))
    bell /= bell.sum()
    for axis in (0, 1):
        disc = ndimage.correlate1d(disc, bell, axis, mode="constant")
    disc /= disc.sum()
    expected = np.stack([ndimage.convolve(PHOTO[..., c].astype(float), disc, mode="mirror") for c in range(3)], -1)
    assert np.abs(degraded("blur", severity) - expected).max() <= 1.0


@pytest.mark.parametrize("severity", SEVERITIES)
def test_darkness_halves_linear_light_once_a_stop(severity):
    """Against skimage's linear light; a rounded 8-bit value is off by half a step of the dark end at most."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    dark = degraded("darkness", severity, ramp)
    light, less = (color.rgb2xyz(one / 255)[..., 1] for one in (ramp, dark))
    up, down = (color.rgb2xyz(np.clip(dark + off, 0, 255) / 255)[..., 1] for off in (0.5, -0.5))
    wanted = light / 2**severity
    assert ((wanted <= up + 1e-9) & (wanted >= down - 1e-9)).all()
    assert less.max() < light.max()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_has_the_deviation_that_it_says(severity):
    grey = np.full((400, 500, 3), 128, np.uint8)
    noise = degraded("noise", severity, grey).astype(float) - 128
    deviation = 255 * Degradation("noise", severity).level
    # only the middle is free of clipping: the share within half a deviation is that of the normal law
    within = np.floor(deviation / 2) + 0.5
    assert abs((np.abs(noise) <= within).mean() - (2 * norm.cdf(within / deviation) - 1)) < 0.004
    assert abs(noise.mean()) < 0.5


@pytest.mark.parametrize(("severity", "factor"), [(2, 2), (4, 4)])
def test_scale_is_the_mean_of_the_pixels(severity, factor):
    expected = transform.downscale_local_mean(PHOTO.astype(float), (factor, factor, 1))
    assert np.abs(degraded("scale", severity) - expected).max() <= 0.51
    faces = degrade_faces(faces_at((12, 20, 36, 60)), (480, 360), Degradation("scale", severity), image_id="a")
    assert faces.boxes.tolist() == [[12 / factor, 20 / factor, 36 / factor, 60 / factor]]


@pytest.mark.parametrize("size", [(481, 359), (17, 600), (1, 1)])
def test_scaled_boxes_reach_as_far_as_the_scaled_image(size):
    """Sides are rounded to pixels, so the factor of the boxes is not quite that of the severity."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for severity in SEVERITIES:
        height, width = degraded("scale", severity, image).shape[:2]
        whole = degrade_faces(faces_at((0, 0, *size)), size, Degradation("scale", severity), image_id="a")
        assert whole.boxes.tolist() == [[0, 0, width, height]]


def test_ninety_degrees_turn_every_pixel_to_its_place():
    turned = degraded("rotation", 5)
    assert np.array_equal(turned, np.rot90(PHOTO)) or np.array_equal(turned, np.rot90(PHOTO, -1))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("image_id", ["a", "b", "c", "d"])
def test_what_is_seen_turns_to_where_its_box_says(severity, image_id):
    """A bright spot in the middle of each box is found in the middle of the box after the rotation."""
    boxes = [(40, 60, 72, 100), (300, 20, 330, 50), (200.5, 150.25, 240.5, 250.25), (430, 300, 460, 350)]
    faces = faces_at(*boxes)
    y, x = np.mgrid[0:360, 0:480] + 0.5
    moved = degrade_faces(faces, (480, 360), Degradation("rotation", severity), image_id=image_id).boxes
    for box, after in zip(faces.boxes, moved, strict=True):
        (cx, cy), expected = (box[:2] + box[2:]) / 2, (after[:2] + after[2:]) / 2
        spot = 250 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 3.0**2))
        image = np.repeat(np.rint(spot).astype(np.uint8)[..., None], 3, axis=2)
        seen = degraded("rotation", severity, image, faces, image_id)[..., 0].astype(float)
        ys, xs = np.mgrid[0 : seen.shape[0], 0 : seen.shape[1]] + 0.5
        assert abs((seen * xs).sum() / seen.sum() - expected[0]) < 0.03
        assert abs((seen * ys).sum() / seen.sum() - expected[1]) < 0.03
        assert (after[:2] >= -1e-3).all() and (after[2:] <= np.array(seen.shape[1::-1]) + 1e-3).all()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_turned_box_bounds_the_turned_ellipse(severity):
    """Against a million points on the ellipse, turned by complex numbers about the centre of the image."""
    box = np.array([100.0, 80.0, 140.0, 200.0])
    angles = np.linspace(0, 2 * np.pi, 1_000_001)
    # y downwards, so that a turn of the image counter-clockwise is a negative one of these numbers
    points = (120 + 20 * np.cos(angles)) + 1j * (140 + 60 * np.sin(angles))
    moved = degrade_faces(faces_at(tuple(box)), (480, 360), Degradation("rotation", severity), image_id="a").boxes[0]
    candidates = []
    for sign in (1, -1):
        turn = np.exp(-1j * sign * np.radians(Degradation("rotation", severity).level))
        corners = (np.array([240 + 180j, 240 - 180j])) * turn
        canvas = np.ceil(2 * np.abs(corners.real).max() - 1e-9) + 1j * np.ceil(2 * np.abs(corners.imag).max() - 1e-9)
        turned = (points - (240 + 180j)) * turn + canvas / 2
        candidates.append([turned.real.min(), turned.imag.min(), turned.real.max(), turned.imag.max()])
    assert min(np.abs(moved - one).max() for one in candidates) < 1e-3


@given(
    st.lists(st.tuples(*[st.floats(-50, 500)] * 2, *[st.floats(0, 300)] * 2), max_size=5),
    st.floats(-180, 180),
)
def test_turned_boxes_lie_between_the_inner_and_the_outer_bounds(rows, degrees):
    """Inside the bounds of the turned rectangle, centred on them, and no shorter than the ellipse's small axis."""
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float64).reshape(-1, 4)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = ellipse_bounds(boxes, np.array([[cos, sin, 7.0], [-sin, cos, -3.0]]))
    sides, before = turned[:, 2:] - turned[:, :2], boxes[:, 2:] - boxes[:, :2]
    assert (sides <= before @ np.abs([[cos, sin], [sin, cos]]) + 1e-6).all()
    assert (sides >= before.min(axis=1, initial=np.inf)[:, None] - 1e-6).all()
    assert np.allclose((sides**2).sum(axis=1), (before**2).sum(axis=1))
    back = ellipse_bounds(boxes, np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    assert np.allclose(back, boxes, atol=1e-9)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_occlusion_covers_its_share_and_nothing_else(severity):
    faces = faces_at((40, 40, 80, 100), (200, 100, 300, 300), (350, 20, 390, 60), (-20, 200, 20, 240), ignore=(2,))
    noise = np.random.default_rng(5).integers(0, 256, PHOTO.shape, dtype=np.uint8)
    done = degraded("occlusion", severity, noise, faces)
    changed = (done != noise).any(axis=2)
    share = Degradation("occlusion", severity).level
    for (x1, y1, x2, y2), ignored in zip(faces.boxes.astype(int).tolist(), faces.ignore.tolist(), strict=True):
        inside = changed[y1:y2, max(x1, 0) : x2]
        if ignored:
            assert not inside.any()
        elif x1 >= 0:
            assert inside.mean() == pytest.approx(share, abs=0.02)
        changed[y1:y2, max(x1, 0) : x2] = False
    assert not changed.any()


@pytest.mark.parametrize(
    ("side", "share", "expected"),
    [
        ("left", 0.25, (10, 15, 20, 40)),
        ("right", 0.25, (25, 30, 20, 40)),
        ("above", 0.5, (10, 30, 20, 30)),
        ("below", 0.5, (10, 30, 30, 40)),
        ("left", 0.01, (10, 10, 20, 40)),
        ("left", 1.0, (10, 30, 20, 40)),
    ],
)
def test_covered_pixels(side, share, expected):
    columns, rows = covered_pixels((10, 20, 30, 40), side, share)
    assert (columns.start, columns.stop, rows.start, rows.stop) == expected


def test_all_sides_are_covered_and_turned_to():
    faces = faces_at(*[(20.0 * n, 10, 20.0 * n + 16, 26) for n in range(20)])
    blank = np.random.default_rng(1).integers(0, 256, PHOTO.shape, dtype=np.uint8)
    changed = (degraded("occlusion", 2, blank, faces) != blank).any(axis=2)
    seen = set()
    for x1, y1, x2, y2 in faces.boxes.astype(int).tolist():
        part = changed[y1:y2, x1:x2]
        seen |= {name for name, on in (("left", part[8, 0]), ("right", part[8, -1])) if on and not part[8].all()}
        seen |= {name for name, on in (("above", part[0, 8]), ("below", part[-1, 8])) if on and not part[:, 8].all()}
    assert seen == {"left", "right", "above", "below"}
    turns = {bool(np.array_equal(degraded("rotation", 5, image_id=str(n)), np.rot90(PHOTO))) for n in range(12)}
    assert turns == {True, False}


@pytest.mark.parametrize("kind", ["noise", "rotation", "occlusion"])
def test_chance_hangs_on_seed_and_image_alone(kind):
    faces = faces_at(*[(20.0 * n, 10, 20.0 * n + 16, 26) for n in range(20)])
    first = degraded(kind, 4, faces=faces)
    degraded(kind, 4, faces=faces, image_id="another in between")
    assert np.array_equal(first, degraded(kind, 4, faces=faces))
    by_image = [degraded(kind, 4, faces=faces, image_id=str(n)).tobytes() for n in range(12)]
    by_seed = [degraded(kind, 4, faces=faces, seed=n).tobytes() for n in range(12)]
    assert len(set(by_image)) > 1 and len(set(by_seed)) > 1


def test_severities_of_a_image_differ_in_strength_alone():
    grey = np.full((50, 60, 3), 128, np.uint8)
    weak, strong = (degraded("noise", severity, grey).astype(float) - 128 for severity in (1, 3))
    inside = np.abs(strong) < 120
    assert np.corrcoef(weak[inside], strong[inside])[0, 1] > 0.999
    noise = np.random.default_rng(2).integers(0, 256, PHOTO.shape, dtype=np.uint8)
    faces = faces_at((40, 40, 80, 100), (200, 100, 300, 300))
    covered = [(degraded("occlusion", severity, noise, faces) != noise).any(axis=2) for severity in SEVERITIES]
    assert all((less & ~more).sum() <= 2 for less, more in pairwise(covered))


def _sharpness(kind, severity):
    return -ndimage.laplace(degraded(kind, severity)[..., 1].astype(float)).var()


def _darkness(kind, severity):
    return -degraded(kind, severity).mean()


def _distance(kind, severity):
    return np.abs(degraded(kind, severity, faces=faces_at((150, 20, 300, 220))).astype(float) - PHOTO).mean()


def _bytes_saved(kind, severity):
    return -len(encode(degraded(kind, severity), Degradation(kind, severity)))


def _turn(kind, severity):
    box = degrade_faces(faces_at((0, 180, 480, 180)), (480, 360), Degradation(kind, severity), image_id="a").boxes[0]
    return float(box[3] - box[1])


def _pixels_lost(kind, severity):
    return -degraded(kind, severity).size


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("blur", _sharpness),
        ("darkness", _darkness),
        ("noise", _distance),
        ("jpeg", _bytes_saved),
        ("rotation", _turn),
        ("scale", _pixels_lost),
        ("occlusion", _distance),
    ],
)
def test_each_severity_is_worse_than_the_one_before(kind, measure):
    strengths = [measure(kind, severity) for severity in SEVERITIES]
    assert all(less < more for less, more in pairwise(strengths)), strengths

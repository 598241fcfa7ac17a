from __future__ import annotations

import numpy as np
import pytest
from facebench.datasets.scenes.placeholders import LUMA, placeholder

CLOTHES = np.array([30, 60, 200], np.float32)


@pytest.mark.parametrize("sigma", [0, 1.5])
@pytest.mark.parametrize("size", [32, 47.3, 48, 100.9, 300])
def test_the_box_is_where_the_crop_is(size: float, sigma: float) -> None:
    """A bright disc in the middle of the crop comes out in the middle of the box, at its size."""
    rows, columns = np.mgrid[:48, :48] + 0.5
    crop = np.where(np.hypot(rows - 24, columns - 24) < 12, 200, 20).astype(np.uint8)
    layer, box = placeholder(crop, size, CLOTHES, sigma=sigma)
    np.testing.assert_allclose(box[2:] - box[:2], size)
    assert (box[:2] >= 0).all() and box[2] <= layer.shape[1] and box[3] <= layer.shape[0]
    x1, y1, x2, y2 = np.rint(box).astype(int)
    luma = layer[..., :3] @ LUMA
    inside = np.zeros(luma.shape, bool)
    inside[y1:y2, x1:x2] = True
    disc = np.where(inside, np.clip(luma - 40, 0, None), 0)
    y, x = np.mgrid[: luma.shape[0], : luma.shape[1]] + 0.5
    centre = [(disc * axis).sum() / disc.sum() for axis in (x, y)]
    np.testing.assert_allclose(centre, (box[:2] + box[2:]) / 2, atol=0.02 * size)
    width = np.sqrt((disc > disc.max() / 2).sum() * 4 / np.pi)
    assert width == pytest.approx(size / 2, rel=0.08)


def test_luma_inside_the_oval_is_that_of_the_crop() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    layer, box = placeholder(crop, 48, CLOTHES, sigma=0)
    x, y = (int(n) for n in box[:2])
    assert (box == np.rint(box)).all()
    luma = layer[y : y + 48, x : x + 48, :3] @ LUMA
    rows, columns = np.mgrid[:48, :48] + 0.5
    oval = np.hypot((columns - 24) / 24.5, (rows - 24) / 26.5) < 0.85
    assert oval.mean() > 0.6
    assert np.abs(luma - crop)[oval].max() <= 0.8
    assert (layer[y : y + 48, x : x + 48, 3][oval] == 255).all()
    outside = np.hypot((columns - 24) / 24.5, (rows - 24) / 26.5) > 1.0
    assert np.abs(luma - crop)[outside].mean() > 20


@pytest.mark.parametrize("shade", [0, 1, 128, 254, 255])
def test_no_colour_clips(shade: int) -> None:
    layer, box = placeholder(np.full((48, 48), shade, np.uint8), 96, CLOTHES, sigma=0)
    x, y = np.rint((box[:2] + box[2:]) / 2).astype(int)
    assert layer[y, x, :3] @ LUMA == pytest.approx(shade, abs=0.8)


def test_the_layer_is_premultiplied_and_ends_softly() -> None:
    layer, _ = placeholder(np.full((48, 48), 150, np.uint8), 120, CLOTHES, sigma=2)
    alpha = layer[..., 3].astype(int)
    assert (layer[..., :3] <= alpha[..., None] + 1).all(), "RGB is stored times alpha"
    assert max(alpha[0].max(), alpha[:, 0].max(), alpha[:, -1].max(), alpha[-1].max()) <= 8
    assert alpha.max() == 255


def test_blur_moves_nothing_but_the_margin() -> None:
    crop = np.random.default_rng(1).integers(0, 256, (48, 48), np.uint8)
    (sharp, box), (soft, soft_box) = (placeholder(crop, 60, CLOTHES, sigma=sigma) for sigma in (0, 3))
    np.testing.assert_allclose(soft_box - box, 9)
    assert soft.shape[0] - sharp.shape[0] == soft.shape[1] - sharp.shape[1] == 18
    assert soft[..., 1].astype(float).std() < sharp[..., 1].astype(float).std()

from __future__ import annotations

import numpy as np
from facebench.datasets.scenes.backgrounds import draw_background, draw_clutter, load_backgrounds


def test_sizes_and_kinds() -> None:
    files = load_backgrounds()
    for width, height in ((1, 1), (3, 200), (640, 480), (800, 640)):
        for seed in range(12):
            image = draw_background(np.random.default_rng(seed), files, width, height)
            assert (image.shape, image.dtype) == ((height, width, 3), np.uint8)
    means = [draw_background(np.random.default_rng(seed), files, 64, 48).mean(axis=(0, 1)) for seed in range(30)]
    assert len(np.unique(np.round(means), axis=0)) > 20


def test_same_seed_same_image_and_the_files_stay_as_they_are() -> None:
    files = load_backgrounds()
    before = {name: image.copy() for name, image in files.items()}
    for draw in (draw_background, draw_clutter):
        for seed in range(8):
            one, two = (draw(np.random.default_rng(seed), files, 640, 480) for _ in range(2))
            np.testing.assert_array_equal(one, two)
    for name, image in files.items():
        np.testing.assert_array_equal(image, before[name])


def test_clutter_is_busy() -> None:
    files = load_backgrounds()
    spreads = [draw_clutter(np.random.default_rng(seed), files, 640, 480).std() for seed in range(5)]
    assert min(spreads) > 25

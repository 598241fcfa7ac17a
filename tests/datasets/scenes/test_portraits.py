from __future__ import annotations

import numpy as np
import pytest
from facebench.datasets.scenes import portraits
from facebench.datasets.scenes.portraits import Ellipse, load_portraits, package_file
from facebench.errors import DataError, UnavailableError


@pytest.mark.parametrize(
    ("affine", "expected"),
    [
        ([[1, 0, 0], [0, 1, 0]], [6, 16, 14, 24]),
        ([[2, 0, 5], [0, 3, -1]], [17, 47, 33, 71]),
        ([[-1, 0, 30], [0, 1, 0]], [16, 16, 24, 24]),
        ([[0, 1, 0], [-1, 0, 0]], [16, -14, 24, -6]),
        # a circle stays a circle when rotated; its bounding square would grow by the root of two
        (np.array([[1, 1, 0], [-1, 1, 0]]) / np.sqrt(2), np.array([30, 10, 30, 10]) / np.sqrt(2) + [-4, -4, 4, 4]),
    ],
)
def test_boxes_of_a_circle(affine: object, expected: object) -> None:
    box = Ellipse(10, 20, 4, 4).box_after(np.array(affine, float))
    np.testing.assert_allclose(box, expected, atol=1e-12)


def test_boxes_equal_those_of_many_points() -> None:
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 20_001)
    for _ in range(50):
        x, y, a, b = rng.uniform(1, 100, 4)
        affine = rng.normal(size=(2, 3))
        points = affine @ np.array([x + a * np.cos(angles), y + b * np.sin(angles), np.ones_like(angles)])
        expected = [*points.min(axis=1), *points.max(axis=1)]
        np.testing.assert_allclose(Ellipse(x, y, a, b).box_after(affine), expected, atol=1e-4)


def test_portraits_are_cut_out() -> None:
    for portrait in load_portraits():
        face, alpha = portrait.face, portrait.layer[..., 3]
        assert portrait.layer.dtype == np.uint8
        assert (portrait.layer[..., :3] <= alpha[..., None]).all(), "RGB is stored times alpha"
        # solid in the face, soft at the sides, gone at the chest
        rows, columns = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
        inside = ((columns + 0.5 - face.x) / face.a) ** 2 + ((rows + 0.5 - face.y) / face.b) ** 2 < 0.6
        assert inside.sum() > 2000
        assert alpha[inside].min() == 255
        assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) < 128
        assert np.unique(alpha).size > 50


def test_files_that_are_not_there() -> None:
    for package, path in (("skimage", "data/absent.png"), ("no_such_package_here", "x.png")):
        with pytest.raises(UnavailableError, match=path) as error:
            package_file(package, path)
        assert error.value.remedy.startswith("pip install --force-reinstall --no-deps ")
    with pytest.raises(UnavailableError) as error:
        package_file("skimage", "data/absent.png")
    assert error.value.remedy.endswith("scikit-image")


def test_another_image_under_the_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portraits, "package_image", lambda package, path: np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(DataError, match=r"has 5x5 pixels, the boxes of `scenes` were marked in 512x600"):
        load_portraits()

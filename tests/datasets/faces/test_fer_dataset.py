from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import decode, load
from facebench.errors import DataError, UsageError

from ...support.small_fer import some_images, write_folder, write_zip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "data" / "fer2013", some_images(each=2)).parent


@pytest.mark.parametrize(
    ("split", "count", "begin"),
    [
        ("train", 14, "train/"),
        ("validate", 14, "validate/"),
        ("test", 14, "test/"),
        ("public", 7, "test/angry/PublicTest_"),
        ("private", 7, "test/angry/PrivateTest_"),
    ],
)
def test_splits(split: str, count: int, begin: str, root: Path) -> None:
    dataset = load(f"fer2013:{split}", root=root)
    assert (dataset.name, len(dataset), dataset.total, dataset.demo) == (f"fer2013:{split}", count, count, False)
    assert dataset.samples[0].image_id.startswith(begin)
    counts = np.bincount([int(sample.faces.emotions[0]) for sample in dataset.samples], minlength=7)
    assert counts.tolist() == [count // 7] * 7


def test_images_boxes_and_labels(root: Path) -> None:
    images = some_images(each=2)
    for sample in load("fer2013:test", root=root).samples:
        image = decode(sample.source).image
        np.testing.assert_array_equal(image, np.repeat(images[sample.image_id][..., None], 3, axis=2))
        assert sample.faces.boxes.tolist() == [[0, 0, 48, 48]]
        assert not sample.faces.ignore.any()
        assert sample.faces.emotions.dtype == np.int8


def test_a_zip_has_the_same_fingerprint(root: Path, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "fer2013.zip", some_images(each=2))
    prints = [
        load(f"fer2013:{split}", root=where).fingerprint for split in ("test", "public") for where in (root, path)
    ]
    assert prints[0] == prints[1] != prints[2] == prints[3]


def test_a_sample_is_drawn_by_its_seed(root: Path) -> None:
    def names(query: str) -> list[str]:
        return [sample.image_id for sample in load(f"fer2013:train?{query}", root=root).samples]

    assert names("sample=5&seed=1") == names("sample=5&seed=1") != names("sample=5&seed=2")
    assert len(names("sample=5")) == 5 and names("sample=5") == sorted(names("sample=5"))
    assert len(names("sample=99")) == 14
    assert load("fer2013:train?sample=5", root=root).coverage == "5 of 14 images"


@pytest.mark.parametrize("query", ["sample=0", "sample=x", "events=Picnic", "seed=-1"])
def test_wrong_options(query: str, root: Path) -> None:
    with pytest.raises(UsageError):
        load(f"fer2013:test?{query}", root=root)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no FER2013"):
        load("fer2013:test", root=tmp_path)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import load
from facebench.datasets.faces.ckplus import load_ckplus
from facebench.datasets.faces.fer import EMOTIONS
from facebench.errors import DataError, UsageError

from ...support.small_fer import Images, write_folder, write_zip

CLASSES = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
EXPECTED = ("angry", None, "disgust", "fear", "happy", "sad", "surprise")


def some(prefix: str = "") -> Images:
    rng = np.random.default_rng(0)
    return {
        f"{prefix}{name}/S{i:03d}_001_00000011.png": rng.integers(0, 256, (48, 48), np.uint8)
        for i, name in enumerate(CLASSES)
    }


@pytest.mark.parametrize("form", ["folder", "CKplus_dataset", "ckplus/CKplus_dataset", "zip"])
def test_forms_and_labels(form: str, tmp_path: Path) -> None:
    if form == "zip":
        write_zip(tmp_path / "ckplus.zip", some("CKplus_dataset/"))
    else:
        write_folder(tmp_path if form == "folder" else tmp_path / form, some())
    images = load_ckplus(tmp_path)
    assert images.names == tuple(sorted(some()))
    assert [EMOTIONS[label] if label >= 0 else None for label in images.labels] == list(EXPECTED)
    for name, image in zip(images.names, images.images, strict=True):
        np.testing.assert_array_equal(image, some()[name])
    shared = images.shared()
    assert len(shared) == 6 and (shared.labels >= 0).all()
    assert not any(name.startswith("contempt") for name in shared.names)


def test_as_a_data_set(tmp_path: Path) -> None:
    write_folder(tmp_path, some())
    whole, part = load("ckplus", root=tmp_path), load("ckplus?classes=shared", root=tmp_path)
    assert (whole.coverage, part.coverage) == ("7 images", "6 of 7 images")
    assert "1 of 7 images show contempt" in whole.notes[0]
    assert [int(sample.faces.emotions[0]) for sample in whole.samples] == [0, -1, 1, 2, 3, 5, 6]
    assert whole.samples[0].faces.boxes.tolist() == [[0, 0, 48, 48]]
    assert whole.fingerprint != part.fingerprint


@pytest.mark.parametrize("query", ["classes=six", "split=test"])
def test_wrong_options(query: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load(f"ckplus?{query}", root=tmp_path)


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="in which there is no CK"):
        load_ckplus(tmp_path)
    write_folder(tmp_path, {name: p for name, p in some().items() if not name.startswith("fear")})
    with pytest.raises(DataError, match=r"without fear\. Expected these class folders"):
        load_ckplus(tmp_path)
    write_folder(tmp_path, some())
    (tmp_path / "fear" / "x.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 8 images .*fear/x\.png \(not an image"):
        load_ckplus(tmp_path)


def test_the_real_images(shared: Path) -> None:
    """The published class counts of CK+."""
    images = load_ckplus(shared / "data")
    counts = {name: sum(n.startswith(f"{name}/") for n in images.names) for name in CLASSES}
    assert counts == dict(zip(CLASSES, (45, 18, 59, 25, 69, 28, 83), strict=True))
    assert (len(images), len(images.shared())) == (327, 309)

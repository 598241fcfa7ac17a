from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import Faces, Sample
from facebench.datasets.fingerprints import fingerprint
from facebench.errors import DataError


def sample(image_id: str = "a", source: Path | bytes = b"pixels", **changes: object) -> Sample:
    fields = {
        "boxes": np.array([[1, 2, 3, 4]], np.float32),
        "ignore": np.array([False]),
        "attributes": {"blur": np.array([1], np.int8), "pose": np.array([0], np.int8)},
    }
    return Sample(image_id, source, Faces(**(fields | changes)))  # type: ignore[arg-type]


def test_every_part_counts() -> None:
    prints = [
        fingerprint([], ()),
        fingerprint([sample()], ()),
        fingerprint([sample()], ("hard",)),
        fingerprint([sample(), sample("b")], ()),
        fingerprint([sample("b"), sample()], ()),
        fingerprint([sample("b")], ()),
        fingerprint([sample(source=b"other")], ()),
        fingerprint([sample(boxes=np.array([[1, 2, 3, 5]], np.float32))], ()),
        fingerprint([sample(ignore=np.array([True]))], ()),
        fingerprint([sample(ignore=np.array([True]), crowd=np.array([True]))], ()),
        fingerprint([sample(attributes={"blur": np.array([1], np.int8)})], ()),
        fingerprint([sample(attributes={"blur": np.array([1], np.int8), "pore": np.array([0], np.int8)})], ()),
        fingerprint([sample(emotions=np.array([0], np.int8))], ()),
    ]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 32 for text in prints)


def test_the_order_of_attributes_and_the_place_of_the_bytes_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"pixels")
    turned = {"pose": np.array([0], np.int8), "blur": np.array([1], np.int8)}
    expected = fingerprint([sample()], ())
    assert fingerprint([sample(source=tmp_path / "picture", attributes=turned)], ()) == expected
    assert fingerprint([sample(crowd=np.array([False]))], ()) == expected, "as before there were regions"


def test_a_image_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected an image file to read"):
        fingerprint([sample(source=tmp_path / "absent")], ())

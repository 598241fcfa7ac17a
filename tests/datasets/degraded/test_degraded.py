"""A degraded data set is a data set: named, fingerprinted, made where it is decoded, the same in any order."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from facebench.datasets import Dataset, Sample, decode, load
from facebench.datasets.degraded.degradations import Degradation
from facebench.datasets.degraded.degraded import DegradedImage, degrade
from facebench.datasets.scenes.layers import encode_png
from facebench.errors import UsageError
from facebench.tests.support.some_faces import faces_at
from PIL import Image

FACES = faces_at((10, 10, 30, 40), (40, 12, 52, 30), ignore=(1,))


def dataset(*sources: bytes, name: str = "small") -> Dataset:
    samples = tuple(Sample(f"{number}.png", source, FACES) for number, source in enumerate(sources))
    return Dataset(name, samples, len(samples), ("hard",), False, "Images.", "none", "f" * 32, ("a note",))


def grey_png(value: int = 0, width: int = 64, height: int = 48) -> bytes:
    return encode_png(np.random.default_rng(value).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scenes?count=1&degrade=blur", "such as degrade=blur:3"),
        ("scenes?count=1&degrade=fog:1", "There is no degradation 'fog'"),
        ("scenes?count=1&degrade=blur:9", "from 1 to 5"),
        ("scenes?count=1&degrade_seed=2", "degrade_seed=2 without degrade"),
        ("scenes?count=1&degrade=blur:1&degrade_seed=x", "degrade_seed=x, expected a whole number"),
        ("scenes?count=1&degrad=blur:1", "no option 'degrad'"),
        ("nowhere?degrade=blur:1", "There is no data set 'nowhere'"),
    ],
)
def test_options_that_are_wrong(name, words):
    with pytest.raises(UsageError, match=words):
        load(name)


def test_predictions_of_others_are_not_for_degraded_images():
    with pytest.raises(UsageError, match="Score them on the data set as it is"):
        load("scenes?degrade=blur:3", annotation_only=True)


def test_a_data_set_by_name():
    clean, done = load("scenes?count=2"), load("scenes?count=2&degrade=scale:4")
    assert done.name == "scenes?count=2&degrade=scale:4"
    assert (done.total, done.lists, done.demo, done.licence) == (clean.total, clean.lists, clean.demo, clean.licence)
    assert "shrunk to 0.25 of its sides" in done.description
    for before, after in zip(clean.samples, done.samples, strict=True):
        one, other = decode(before.source).image, decode(after.source).image
        assert other.shape[0] == round(one.shape[0] / 4) and before.image_id == after.image_id
        factors = np.tile(np.divide(other.shape[1::-1], one.shape[1::-1]), 2)
        assert np.allclose(after.faces.boxes, before.faces.boxes * factors)
        for name, values in before.faces.attributes.items():
            assert np.array_equal(after.faces.attributes[name], values)


def test_the_name_leads_to_the_same_data_set_again():
    for options in ("degrade=noise:2", "degrade=noise:2&degrade_seed=3"):
        one = load(f"scenes?count=1&{options}")
        again = load(one.name)
        assert (one.name, one.fingerprint) == (again.name, again.fingerprint)
        assert one.samples[0].source.read() == again.samples[0].source.read()
    assert load("scenes?degrade=blur:1&count=1").name == "scenes?count=1&degrade=blur:1"


def test_fingerprints_tell_apart_whatever_changes_a_image(monkeypatch):
    base, other = dataset(grey_png()), dataset(grey_png(), name="other")
    found = {
        base.fingerprint,
        degrade(base, Degradation("blur", 1)).fingerprint,
        degrade(base, Degradation("blur", 2)).fingerprint,
        degrade(base, Degradation("noise", 1)).fingerprint,
        degrade(base, Degradation("noise", 1), seed=1).fingerprint,
    }
    before = degrade(base, Degradation("noise", 1)).fingerprint
    assert degrade(other, Degradation("noise", 1)).fingerprint == before
    monkeypatch.setattr("facebench.datasets.degraded.degraded.VERSION", 0)
    found.add(degrade(base, Degradation("noise", 1)).fingerprint)
    assert len(found) == 6


@pytest.mark.parametrize("kind", ["noise", "rotation", "jpeg"])
def test_images_are_made_where_they_are_read(kind):
    """A source goes to another process by pickle, and gives the same bytes there and in any order."""
    one = degrade(dataset(grey_png(0), grey_png(1)), Degradation(kind, 3))
    first, second = one.samples
    later = pickle.loads(pickle.dumps(first.source))
    assert second.source.read() != first.source.read() == later.read()
    image = decode(first.source).image
    assert image is not None and (kind == "rotation") != (image.shape == (48, 64, 3))


@pytest.mark.parametrize(
    ("source", "verdict", "stays"),
    [
        pytest.param(b"", "not an image", True, id="nothing"),
        pytest.param(b"\xff\xd8\xff damaged", "truncated", True, id="no size to be read"),
        pytest.param(grey_png()[:60], "truncated", False, id="its size can be read"),
    ],
)
@pytest.mark.parametrize("kind", ["rotation", "blur"])
def test_what_cannot_be_decoded_keeps_its_verdict(source, verdict, stays, kind):
    done = degrade(dataset(source), Degradation(kind, 3)).samples[0]
    assert decode(done.source).verdict == verdict
    assert np.array_equal(done.faces.boxes, FACES.boxes) == (stays or kind == "blur")


def test_a_missing_file_is_named(tmp_path):
    source = DegradedImage(tmp_path / "gone.jpg", FACES, Degradation("blur", 1), "gone.jpg", 0)
    found = decode(source)
    assert found.verdict == "unreadable" and "gone.jpg (blur:1)" in found.detail


def test_a_image_too_large_to_turn_is_unreadable_and_says_why():
    source = grey_png(width=40_000, height=2)
    done = degrade(dataset(source), Degradation("rotation", 1)).samples[0]
    found = decode(done.source)
    assert found.verdict == "unreadable" and "rotation:1 of 40000×2 pixels is not possible" in found.detail
    assert decode(degrade(dataset(source), Degradation("scale", 1)).samples[0].source).verdict == "ok"


def test_an_image_above_the_limit_is_not_let_through_as_it_is():
    stream = io.BytesIO()
    Image.new("1", (10_001, 10_000)).save(stream, "PNG")
    done = degrade(dataset(stream.getvalue()), Degradation("blur", 1)).samples[0]
    found = decode(done.source, max_pixels=200_000_000)
    assert found.verdict == "unreadable" and "done to at most 100,000,000 pixels" in found.detail

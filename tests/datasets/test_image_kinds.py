"""Formats are known by their content; HEIC and AVIF are turned once; what lacks a decoder says what to install."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from facebench.datasets.images import FORMATS, HEAD_BYTES, decode, format_of, upright_size
from facebench.tests.support.image_kinds import colours_of, encoded, quarters
from PIL import Image, ImageOps, features

KINDS = sorted(FORMATS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_format_is_known_by_its_first_bytes_and_never_ok_when_cut(kind: str) -> None:
    data = encoded(kind)
    assert format_of(data[:HEAD_BYTES]) == kind
    assert colours_of(decode(data).image) == (0, 1, 2, 3) and upright_size(data) == (96, 64)
    assert [decode(data[: len(data) * tenth // 10]).verdict for tenth in range(1, 10)] == 9 * ["truncated"]


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "HEIF", "PNG", "WEBP"])
def test_every_orientation_is_applied_once(kind: str) -> None:
    for orientation in range(1, 9):
        data = encoded(kind, orientation=orientation)
        image = Image.fromarray(quarters())
        image.getexif()[0x0112] = orientation
        expected = np.asarray(ImageOps.exif_transpose(image))
        got = decode(data).image
        assert got is not None and got.shape == expected.shape == (*upright_size(data)[::-1], 3), orientation
        assert colours_of(got) == colours_of(expected), orientation


def test_what_phones_append_to_an_image_is_no_fault() -> None:
    for kind in ("HEIF", "AVIF"):
        assert decode(encoded(kind) + b"\0\0\xa1\x0a\x08\0\0\0SEFT" + bytes(50)).verdict == "ok", kind
        # a motion photo: the video in a box of its own
        assert decode(encoded(kind) + b"\0\0\0\x10mpvd\0\0\0\x08free").verdict == "ok", kind


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"\0\0\0\x1cftypisom\0\0\0\0isommif1",
        b"P5-notes of a meeting",
        b"BM",
        b"\0\5\x16\7\0\2\0\0Mac OS X        ",
    ],
)
def test_other_files_are_not_images(data: bytes) -> None:
    assert format_of(data) is None and decode(data).verdict == "not an image" and upright_size(data) is None


def test_brands_that_heic_and_avif_share() -> None:
    def begin(*brands: bytes) -> bytes:
        body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
        return (len(body) + 4).to_bytes(4, "big") + body

    assert format_of(begin(b"mif1", b"mif1", b"avif", b"miaf")) == "AVIF"
    assert format_of(begin(b"mif1", b"mif1", b"heic", b"avif")) == "HEIF"
    assert format_of(begin(b"mif1", b"mif1", b"miaf")) == "HEIF"
    assert format_of(begin(b"heix", b"mif1", b"heic")) == "HEIF"


def test_a_missing_decoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {kind: encoded(kind) for kind in ("HEIF", "AVIF", "PNG")}
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    for kind, remedy in (("HEIF", "pip install 'facebench[heif]'"), ("AVIF", "pip install --upgrade pillow")):
        decoded = decode(files[kind])
        assert (decoded.verdict, decoded.image, upright_size(files[kind])) == ("no decoder", None, None)
        assert decoded.detail.endswith(f"expected a decoder: {remedy}")
    assert decode(files["PNG"]).verdict == "ok"


def test_reading_heic_leaves_the_list_of_pillow_alone() -> None:
    before = dict(Image.OPEN)
    assert decode(encoded("HEIF")).verdict == "ok"
    assert {name for name in Image.OPEN if name not in before} <= {"AVIF", "WEBP", "JPEG2000", "TIFF"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "HEIF", "AVIF"])
def test_the_message_of_a_large_image_names_the_value_that_reads_it(kind: str) -> None:
    data = encoded(kind, quarters(1_500, 1_001))  # 1,501,500 pixels, at a limit of twice as few and of one below
    for limit in (600_000, 1_501_499):
        refused = decode(data, max_pixels=limit)
        assert refused.verdict == "too large", limit
        assert "1,501,500 pixels" in refused.detail or "1,500 x 1,001 pixels" in refused.detail
        megapixels = re.search(r"--max-megapixels (\d+) of detect, run and data verify", refused.detail)
        assert megapixels is not None and int(megapixels[1]) == 2
    assert decode(data, max_pixels=2_000_000).verdict == "ok"

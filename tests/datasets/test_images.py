from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from facebench.datasets.images import decode, upright_size
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

RNG = np.random.default_rng(0)
PHOTO = cv2.resize(RNG.integers(0, 256, (9, 12, 3), np.uint8), (120, 90), interpolation=cv2.INTER_CUBIC)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photo(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(PHOTO).convert(mode)


def png_of_16_bit(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


JPEG = encode(photo(), "JPEG", quality=90)
PNG = encode(photo(), "PNG")
WHOLE = {
    "jpeg": JPEG,
    "progressive jpeg": encode(photo(), "JPEG", progressive=True),
    "grey jpeg": encode(photo("L"), "JPEG"),
    "png": PNG,
    "interlaced or palette png": encode(photo("P"), "PNG"),
    "webp": encode(photo(), "WEBP"),
    "lossless webp": encode(photo(), "WEBP", lossless=True),
    "gif": encode(photo("P"), "GIF"),
    "bmp": encode(photo(), "BMP"),
    "tiff": encode(photo(), "TIFF"),
    "tiff lzw": encode(photo(), "TIFF", compression="tiff_lzw"),
}


def test_bad_bytes_get_a_verdict() -> None:
    cases = {
        "no byte": (b"", "not an image"),
        "text": (b"This is not a JPEG.\n" * 50, "not an image"),
        "text that begins like a bitmap": (b"BMW is a maker of cars. " * 9, "not an image"),
        "zeros": (bytes(4096), "not an image"),
        "another RIFF file": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(100), "not an image"),
        "only a JPEG's first bytes": (b"\xff\xd8\xff", "truncated"),
        "a JPEG of zeros": (b"\xff\xd8\xff\xe0" + bytes(4096) + b"\xff\xd9", "truncated"),
        "only a PNG's signature": (b"\x89PNG\r\n\x1a\n", "truncated"),
        "a PNG with a wrong check sum": (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], "unreadable"),
    }
    for name, (data, verdict) in cases.items():
        decoded = decode(data)
        assert (decoded.verdict, decoded.image) == (verdict, None), name
        assert decoded.detail.startswith("got ") and "; expected " in decoded.detail, name
        assert "object at 0x" not in decoded.detail, name


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("forgiving", [False, True])
def test_a_cut_file_is_never_ok(kind: str, forgiving: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # face_recognition sets this on import
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", forgiving)
    data = WHOLE[kind]
    assert decode(data).verdict == "ok"
    verdicts = [decode(data[: len(data) * tenth // 10]).verdict for tenth in range(10)]
    assert verdicts == ["not an image"] + 9 * ["truncated"]
    assert ImageFile.LOAD_TRUNCATED_IMAGES is forgiving


def test_a_jpeg_without_its_last_bytes_is_truncated() -> None:
    for data in (JPEG, WHOLE["progressive jpeg"]):
        assert {decode(data[:-cut]).verdict for cut in range(1, 40)} == {"truncated"}


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image() -> None:
    thumbnail = encode(photo().resize((16, 12)), "JPEG")
    block = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = JPEG[:2] + block + JPEG[2:]
    assert decode(data).verdict == "ok"
    assert decode(data[: len(block) + 30]).verdict == "truncated"
    assert decode(data[:-2]).verdict == "truncated"


def test_bytes_after_the_end_are_no_fault() -> None:
    tail = bytes(RNG.integers(0, 256, 5000, np.uint8)) + b"\xff\xda"
    for kind in ("jpeg", "png", "webp", "gif"):
        decoded = decode(WHOLE[kind] + tail)
        assert decoded.verdict == "ok", kind
        np.testing.assert_array_equal(decoded.image, decode(WHOLE[kind]).image)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jpg", tmp_path):
        decoded = decode(path)
        assert decoded.verdict == "unreadable"
        assert str(path) in decoded.detail
        assert upright_size(path) is None


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG[:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + PNG[33:]


def claim(kind: str, side: int) -> bytes:
    """A file whose header claims side x side pixels."""
    if kind == "png":
        return png_header(side, side)
    if kind == "jpeg":
        at = JPEG.index(b"\xff\xc0") + 5
        return JPEG[:at] + struct.pack(">HH", side, side) + JPEG[at + 4 :]
    if kind == "gif":
        gif = bytearray(WHOLE["gif"])
        gif[6:10] = struct.pack("<HH", side, side)
        return bytes(gif)
    if kind == "bmp":
        bmp = bytearray(WHOLE["bmp"])
        bmp[18:26] = struct.pack("<ii", side, side)
        return bytes(bmp)
    if kind == "webp":
        size = struct.pack("<I", side - 1)[:3]
        return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + size
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: side, 279: 1}.items():
        tags[tag] = value
    return b"II*\0" + struct.pack("<I", 8) + tags.tobytes(8)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "webp", "tiff"])
def test_a_large_claim_is_refused_before_memory_is_taken(kind: str) -> None:
    data = claim(kind, 60_000)
    before = psutil.Process().memory_info()
    decoded = decode(data)
    after = psutil.Process().memory_info()
    assert (decoded.verdict, decoded.image) == ("too large", None)
    assert "got 3,600,000,000 pixels" in decoded.detail and "--max-megapixels 3600 " in decoded.detail
    assert after.rss - before.rss < 30e6
    assert after.vms - before.vms < 300e6


def test_max_pixels_is_the_last_size_allowed() -> None:
    for limit, verdict in ((120 * 90, "ok"), (120 * 90 - 1, "too large"), (1, "too large")):
        assert decode(JPEG, max_pixels=limit).verdict == verdict
        assert decode(PNG, max_pixels=limit).verdict == verdict


def test_pillow_is_left_as_it_was_and_kept_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow itself would refuse everything
    filters = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode(JPEG).verdict == "ok"
        assert decode(JPEG[:200]).verdict == "truncated"
        assert decode(encode(photo("P"), "PNG", transparency=bytes(range(256)))).verdict == "ok"
        assert decode(encode(photo(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")).verdict == "ok"
    assert caught == []
    assert Image.MAX_IMAGE_PIXELS == 10
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert list(warnings.filters) == filters


def test_threads_do_not_disturb_each_other() -> None:
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda i: decode(JPEG if i % 2 else JPEG[:500]).verdict, range(200)))
    assert verdicts == ["truncated", "ok"] * 100
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert list(warnings.filters) == filters


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo(), kind, exif=exif)
    decoded = decode(data)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert decoded.image is not None
    np.testing.assert_array_equal(decoded.image, expected)
    assert decoded.image.shape[:2] == ((90, 120) if orientation < 5 else (120, 90))
    assert decoded.image.flags.c_contiguous
    if kind == "JPEG":
        np.testing.assert_array_equal(decoded.image, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
    (tmp_path / "picture").write_bytes(data)
    assert upright_size(tmp_path / "picture") == decoded.image.shape[1::-1]


def exif_block(kind: int, count: int, value: bytes) -> bytes:
    """An EXIF block with one tag, the orientation, of any type (2 text, 3 short, 5 rational, 12 double)."""
    entry = struct.pack("<HHI", 0x0112, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


@pytest.mark.parametrize(
    "block",
    [
        *(exif_block(3, 1, struct.pack("<H", value)) for value in (0, 9, 65535)),
        exif_block(2, 2, b"6"),
        exif_block(5, 1, struct.pack("<I", 4000)),
        exif_block(11, 1, struct.pack("<f", 6.0)),
        exif_block(99, 1, b"\6"),
        exif_block(3, 1, b"\6")[:20],
        b"Exif\0\0",
        b"Exif\0\0" + bytes(20),
    ],
)
def test_an_invalid_orientation_is_ignored(block: bytes) -> None:
    decoded = decode(encode(photo(), "JPEG", exif=block))
    np.testing.assert_array_equal(decoded.image, decode(encode(photo(), "JPEG")).image)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 120 * 90).astype(np.uint16).reshape(90, 120)
    colour = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2)
    grey8, colour8 = (ramp >> 8).astype(np.uint8), (colour >> 8).astype(np.uint8)
    tiff = {
        name: cv2.imencode(".tiff", array)[1].tobytes() for name, array in {"L": ramp, "C": colour[..., ::-1]}.items()
    }
    cases = {
        "grey png": (png_of_16_bit(ramp), np.dstack([grey8] * 3)),
        "rgb png": (png_of_16_bit(colour[..., ::-1]), colour8),
        "rgba png": (png_of_16_bit(np.dstack([colour[..., ::-1], ramp])), colour8),
        "grey tiff": (encode(Image.fromarray(ramp), "TIFF"), np.dstack([grey8] * 3)),
        "grey tiff, lzw": (tiff["L"], np.dstack([grey8] * 3)),
        "rgb tiff, lzw": (tiff["C"], colour8),
        "big-endian grey tiff": (
            encode(Image.frombytes("I;16B", (120, 90), ramp.astype(">u2").tobytes()), "TIFF"),
            None,
        ),
    }
    for name, (data, expected) in cases.items():
        decoded = decode(data)
        assert decoded.verdict == "ok", (name, decoded.detail)
        np.testing.assert_array_equal(decoded.image, np.dstack([grey8] * 3) if expected is None else expected, name)


def test_pixels_without_a_range_are_unreadable() -> None:
    for array in (np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), np.arange(12, dtype=np.int32).reshape(3, 4)):
        decoded = decode(encode(Image.fromarray(array), "TIFF"))
        assert decoded.verdict == "unreadable"
        assert "no fixed range" in decoded.detail


def test_cmyk_is_converted_in_jpeg_and_tiff() -> None:
    quarters = {(0, 0): (255, 0, 0), (0, 1): (0, 128, 0), (1, 0): (20, 20, 200), (1, 1): (250, 250, 250)}
    rgb = np.zeros((64, 64, 3), np.uint8)
    for (row, column), colour in quarters.items():
        rgb[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = colour
    cmyk = Image.fromarray(rgb).convert("CMYK")
    adobe = encode(cmyk, "JPEG", quality=95, subsampling=0)
    marker = adobe.index(b"\xff\xee")
    plain = adobe[:marker] + adobe[marker + 16 :]
    for data in (adobe, plain, encode(cmyk, "TIFF")):
        decoded = decode(data)
        assert decoded.image is not None, decoded.detail
        assert np.abs(decoded.image.astype(int) - rgb)[8:24, 8:24].max() <= 4
        assert np.abs(decoded.image.astype(int) - rgb)[40:56, 40:56].max() <= 4


def test_alpha_and_palettes_are_flattened_to_their_colours() -> None:
    clear = photo("RGBA")
    clear.putalpha(0)
    grey = photo("L")
    with_alpha = Image.merge("LA", (grey, grey))
    indexed = photo("P")
    cases = {
        "rgba": (encode(clear, "PNG"), PHOTO, "alpha dropped"),
        "rgba webp": (encode(clear, "WEBP", lossless=True, exact=True), PHOTO, "alpha dropped"),
        "grey and alpha": (encode(with_alpha, "PNG"), np.dstack([np.asarray(grey)] * 3), "alpha dropped"),
        "palette": (encode(indexed, "PNG"), np.asarray(indexed.convert("RGB")), ""),
        "palette, one clear": (
            encode(indexed, "PNG", transparency=3),
            np.asarray(indexed.convert("RGB")),
            "alpha dropped",
        ),
        "palette, alphas": (
            encode(indexed, "PNG", transparency=bytes(range(256))),
            np.asarray(indexed.convert("RGB")),
            "alpha dropped",
        ),
        "one bit": (encode(photo("1"), "PNG"), np.dstack([np.asarray(photo("1")) * np.uint8(255)] * 3), ""),
        "grey": (encode(grey, "PNG"), np.dstack([np.asarray(grey)] * 3), ""),
    }
    for name, (data, expected, detail) in cases.items():
        decoded = decode(data)
        assert (decoded.verdict, decoded.detail) == ("ok", detail), name
        np.testing.assert_array_equal(decoded.image, expected, name)


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})])
def test_the_first_frame_of_an_animation_is_taken(kind: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    decoded = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options))
    np.testing.assert_array_equal(decoded.image, np.full((10, 20, 3), (255, 0, 0), np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_tiny_images(kind: str, size: tuple[int, int]) -> None:
    decoded = decode(encode(Image.new("RGB", size, (255, 255, 255)), kind))
    assert decoded.image is not None
    assert (decoded.image.shape, decoded.image.dtype) == ((size[1], size[0], 3), np.uint8)
    assert decoded.image.min() >= 254


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    end=st.floats(0, 1),
)
def test_damage_never_raises(kind: str, changes: list[tuple[float, int]], end: float) -> None:
    data = bytearray(WHOLE[kind])
    for place, value in changes:
        data[int(place * len(data))] = value
    decoded = decode(bytes(data[: 1 + int(end * len(data))]), max_pixels=1_000_000)
    assert (decoded.image is not None) == (decoded.verdict == "ok")
    assert decoded.verdict == "ok" or decoded.detail


def test_real_jpegs_equal_opencv(shared: Path) -> None:
    paths = sorted((shared / "data" / "wider_face" / "WIDER_val" / "images").glob("*/*.jpg"))
    assert len(paths) == 130
    for path in paths[::5]:
        decoded = decode(path)
        assert decoded.verdict == "ok"
        np.testing.assert_array_equal(decoded.image, cv2.imread(str(path))[..., ::-1], path.name)


def _png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    body = b""
    for kind, data in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + body


_BOMBS = {
    "PNG": _png(60_000, 60_000, (b"IDAT", b"x")),
    "BMP": b"BM" + struct.pack("<3I3I2H6I", 100, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "GIF": b"GIF89a"
    + struct.pack("<2H4B4H", 60_000, 60_000, 0, 0, 0, 0x2C, 0, 0, 60_000, 60_000)
    + b"\0\x02\x02L\x01\0;",
    "PPM": b"P6 60000 60000 255\n",
}


@pytest.mark.parametrize("kind", _BOMBS)
def test_the_size_that_a_header_claims_costs_nothing(monkeypatch, tmp_path, kind):
    for name in ("load", "load_prepare"):
        monkeypatch.setattr(ImageFile.ImageFile, name, lambda image: pytest.fail("pixels were decoded"))
    (tmp_path / "bomb").write_bytes(_BOMBS[kind])
    assert upright_size(_BOMBS[kind]) == upright_size(tmp_path / "bomb") == (60_000, 60_000)
    assert decode(_BOMBS[kind]).verdict == "too large"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_size_is_upright_without_decoding(monkeypatch, kind, orientation):
    from facebench.tests.support.image_kinds import encoded

    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    data = encoded(kind, orientation=orientation)
    image = decode(data).image
    assert image is not None
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("pixels were decoded"))
    assert upright_size(data) == (image.shape[1], image.shape[0])


def test_exif_behind_the_pixels_of_a_png_turns_neither_size_nor_pixels():
    rows = zlib.compress(b"".join(b"\0" + bytes(30) for _ in range(4)))
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    for chunks, size in (
        (((b"eXIf", block), (b"IDAT", rows)), (4, 10)),
        (((b"IDAT", rows), (b"eXIf", block)), (10, 4)),
    ):
        data = _png(10, 4, *chunks)
        image = decode(data).image
        assert image is not None and upright_size(data) == size == (image.shape[1], image.shape[0])

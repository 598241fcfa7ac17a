"""The one decoder: encoded bytes to RGB pixels, with a verdict that says why an image cannot be used.

All detectors are given the same pixels, so an image that fails here fails for all of them and is counted once.
"""

from __future__ import annotations

import functools
import io
import math
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .base import Source, read_source
from .regular_files import open_regular

if TYPE_CHECKING:
    from PIL import Image, ImageFile

Verdict = Literal["ok", "truncated", "unreadable", "too large", "not an image", "no decoder"]

FORMATS: Mapping[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".heics", ".heifs", ".hif"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""What can be decoded, by Pillow's names -> the suffixes that files of it have, the usual one first."""
HEAD_BYTES = 128
"""So many first bytes of a file tell its format."""
DEFAULT_MAX_PIXELS = 100_000_000
_EXPECTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG 2000 or PNM"
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}
_PNM = re.compile(rb"P[1-6]\s")
_BOXES = frozenset((b"ftyp", b"meta", b"mdat", b"free", b"skip", b"moov", b"uuid", b"mpvd"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1")
)
_BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
_ORIENTATION_TAG = 0x0112
_PILLOW = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What became of one image.

    Attributes:
        verdict: "ok"; "truncated": the file ends early; "unreadable": damaged, of a kind that has no 8-bit meaning, or
            not to be opened; "too large": more pixels than allowed; "not an image": no known image format; "no
            decoder": a package that reads this format is not installed.
        image: uint8 (h, w, 3) RGB, C-contiguous, upright after EXIF; None unless the verdict is "ok".
        detail: what was got and what was expected; where the verdict is "ok", what was dropped ("alpha dropped") or "".
    """

    verdict: Verdict
    image: NDArray[np.uint8] | None
    detail: str = ""


def decode(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Decoded:
    """Decode one image to RGB; bad bytes give a verdict, never an exception.

    The format is known by the content, whatever the file is called. The EXIF orientation is applied; HEIC and AVIF are
    turned as their own box of rotation says (ISO/IEC 23008-12, 6.5.10). Of an animation the first frame is taken. Alpha
    is dropped, not blended: the colour stored under a transparent pixel shows. 16-bit samples keep their high byte, as
    in OpenCV, so that they are scaled and not clipped. CMYK is converted without a colour profile; in JPEG it is taken
    as inverted (Adobe's habit).

    A file without its end mark (JPEG, PNG, WebP) counts as truncated even where all pixels arrived.

    Args:
        source: the image file, its encoded bytes, or where else they can be read from.
        max_pixels: the largest width x height that is decoded. Known from the header, before memory is taken.

    Returns:
        The verdict, with the pixels where it is "ok".
    """
    try:
        data = read_source(source)
    except OSError as error:
        return Decoded("unreadable", None, f"got {error.strerror or error}: {source!s}; expected a file to read")
    format_name = format_of(data)
    if format_name is None:
        begin = f"{len(data):,} bytes that begin with {data[:8]!r}" if data else "0 bytes"
        return Decoded("not an image", None, f"got {begin}; expected {_EXPECTED}")
    if remedy := _missing_decoder(format_name):
        shown = "HEIC" if format_name == "HEIF" else format_name
        return Decoded("no decoder", None, f"got {shown}, which nothing here reads; expected a decoder: {remedy}")

    from PIL import Image

    stream = _Watched(data)
    try:
        with _strict_pillow(max_pixels), _open(stream, format_name) as image:
            width, height = image.size
            if width * height > max_pixels:
                return _too_large(f"{width:,} x {height:,} pixels", width * height, max_pixels)
            orientation = _orientation(image)
            image.load()
            pixels = _rgb(image)
            detail = "alpha dropped" if image.has_transparency_data else ""
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))  # Pillow refuses before it says the size
        count = int(found[0]) if found else max_pixels + 1
        return _too_large(f"{count:,} pixels", count, max_pixels)
    except Exception as error:  # noqa: BLE001  Pillow's readers raise nearly anything on damaged bytes
        verdict: Verdict = "truncated" if stream.ran_out or _lacks_end(data, format_name) else "unreadable"
        reason = str(error).replace(repr(stream), "it") or type(error).__name__
        return Decoded(verdict, None, f"got {len(data):,} bytes of {format_name}: {reason}; expected a whole image")
    if _lacks_end(data, format_name):
        detail = f"got {len(data):,} bytes of {format_name} without its end; expected a whole image"
        return Decoded("truncated", None, detail)
    return Decoded("ok", np.ascontiguousarray(_upright(pixels, orientation)), detail)


def upright_size(source: Source) -> tuple[int, int] | None:
    """Width and height of an image after EXIF orientation; None where it cannot be read.

    They are read from the header alone, whatever size it claims: no pixel is decoded, no memory taken for any.
    """
    try:
        if isinstance(source, Path):
            now = source.stat()
            format_name, size = _size_of_file(source, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns))
            return None if _missing_decoder(format_name) else size
        return _size_in(io.BytesIO(read_source(source)))[1]
    except Exception:  # noqa: BLE001  see `decode`
        return None


@functools.lru_cache(maxsize=2**16)
def _size_of_file(path: Path, version: tuple[int, ...]) -> tuple[str, tuple[int, int]]:
    """A file is opened once for its size, until it changes; one that cannot be read is tried again."""
    with open_regular(path) as stream:
        return _size_in(stream)


def _size_in(stream: BinaryIO) -> tuple[str, tuple[int, int]]:
    format_name = format_of(stream.read(HEAD_BYTES))
    if format_name is None or _missing_decoder(format_name):
        raise ValueError("no image that can be read here")
    stream.seek(0)
    with _strict_pillow(2**62), _open(stream, format_name) as image:
        width, height = image.size
        turned = _orientation(image) >= 5
    return format_name, (height, width) if turned else (width, height)


def _too_large(got: str, pixels: int, max_pixels: int) -> Decoded:
    remedy = f"--max-megapixels {math.ceil(pixels / 1e6)} of detect, run and data verify reads it"
    return Decoded("too large", None, f"got {got}; expected at most {max_pixels:,} pixels ({remedy})")


def _open(stream: BinaryIO, format_name: str) -> ImageFile.ImageFile:
    """Open an image of a format whose decoder is there, without a change of Pillow's own list of formats."""
    from PIL import Image

    if format_name == "HEIF":
        from pillow_heif import HeifImageFile

        # it turns images itself, and then says so in the EXIF orientation
        opener: Any = HeifImageFile
        return cast("ImageFile.ImageFile", opener(stream))
    return Image.open(stream, formats=(format_name,))


def _missing_decoder(format_name: str) -> str:
    """Return the command that installs the decoder of a format, or "" where it is there."""
    if format_name == "HEIF":
        try:
            import pillow_heif  # noqa: F401
        except ImportError:
            return "pip install 'facebench[heif]'"
    if format_name == "AVIF":
        from PIL import features

        return "" if features.check("avif") else "pip install --upgrade pillow"
    return ""


def format_of(data: bytes) -> str | None:
    """Return the key of `FORMATS` that the first bytes of a file say, or None.

    Args:
        data: of the file, or its first `HEAD_BYTES`.
    """
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if _PNM.match(data):
        return "PPM"
    return _brand(data) if data[4:8] == b"ftyp" else None


def _brand(data: bytes) -> str | None:
    """The format of an ISO base media file, by its brands; videos are such files too."""
    end = min(int.from_bytes(data[:4], "big"), len(data), HEAD_BYTES)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if data[8:12] not in _AVIF_BRANDS | _HEIF_BRANDS:
        return None
    coded = brands - {b"mif1", b"mif2", b"msf1"}
    return "AVIF" if data[8:12] in _AVIF_BRANDS or (coded & _AVIF_BRANDS and not coded & _HEIF_BRANDS) else "HEIF"


class _Watched(io.BytesIO):
    """A stream that remembers whether a reader wanted more than there was."""

    ran_out = False

    def read(self, size: int | None = -1, /) -> bytes:
        got = super().read(size)
        # Data are read in large blocks, of which the last may be short; a short header field is always a cut.
        if size is not None and len(got) < size and (not got or size < 4096):
            self.ran_out = True
        return got


@contextmanager
def _strict_pillow(max_pixels: int) -> Iterator[None]:
    """Make Pillow refuse cut files and large ones and keep quiet, then put its settings back.

    They are module globals that other packages change (face_recognition sets LOAD_TRUNCATED_IMAGES on import), hence
    one thread at a time.
    """
    from PIL import Image, ImageFile

    with _PILLOW, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
        # Pillow warns above the limit and raises above twice the limit.
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = (max_pixels + 1) // 2, False
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels of a loaded image as uint8 (h, w, 3)."""
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        kind = "32-bit integer" if image.mode == "I" else "floating-point"
        raise ValueError(f"{kind} pixels, which have no fixed range")
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8 as the header has it; 1 where none is valid, and for TIFF, which Pillow turns itself."""
    from PIL import Image

    if image.format == "TIFF":
        return 1
    try:
        # that of PNG decodes the pixels first, for EXIF behind them (which PNG 3, 5.6 does not allow)
        value = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001  a damaged EXIF block does not make the pixels bad
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: 5 to 8 are stored transposed, the rest is mirroring."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _lacks_end(data: bytes, format_name: str) -> bool:
    """Whether the end that the format prescribes is missing."""
    if format_name == "JPEG":
        scan = _jpeg_scan_start(data)
        return scan is None or data.find(b"\xff\xd9", scan) < 0
    if format_name == "PNG":
        return b"IEND\xaeB`\x82" not in data
    if format_name == "WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if format_name == "JPEG2000":  # coded bytes hold no such marker (ISO/IEC 15444-1, B.10.1)
        return data.find(b"\xff\xd9", data.find(b"\xff\x93")) < 0
    if format_name in ("AVIF", "HEIF"):
        return _ends_in_a_box(data)
    return False


def _ends_in_a_box(data: bytes) -> bool:
    """Whether a box of an ISO base media file is cut (ISO/IEC 14496-12, 4.2); what phones append is none of these."""
    at, pixels = 0, False
    while (kind := data[at + 4 : at + 8]) in _BOXES:
        pixels = pixels or kind == b"mdat"
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: to the end of the file
            return False
        at += size
    return at > len(data) or (at < len(data) and not pixels)


def _jpeg_scan_start(data: bytes) -> int | None:
    """Offset of the first scan of the main image; a thumbnail in the EXIF block has scans and an end of its own."""
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xFF):
            at += 1
        elif marker == 0xDA:
            return at
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None

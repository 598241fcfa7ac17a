"""Sixty corrupt or odd images for every detector: the same ones left out for all, the others scored by all."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...benchmarks.store.run_folder import RunFolder
from .command import run
from .images import encode, write_folder
from .table import Row

IMAGES = 60
_Pixels = NDArray[np.uint8]
_Maker = Callable[[Generator, _Pixels], tuple[str, bytes]]


def _cut(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    kind = ("JPEG", "PNG", "WEBP", "GIF")[random.integers(4)]
    data = encode(pixels, kind)
    return kind, data[: int(random.integers(1, len(data)))]


def _flipped(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    kind = ("JPEG", "PNG", "WEBP", "BMP")[random.integers(4)]
    data = bytearray(encode(pixels, kind))
    for place in random.integers(0, len(data), 8):
        data[place] ^= 1 << int(random.integers(8))
    return kind, bytes(data)


def _other_header(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    signatures = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"RIFF\0\0\0\0WEBP")
    return "JPEG", signatures[random.integers(5)] + encode(pixels, "JPEG")[12:]


def _huge(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    """A PNG whose header, checksum and all, announces up to 2**31 pixels a side."""
    sides = struct.pack(">2I", *(int(side) for side in random.integers(30_000, 2**31, 2)))
    data = encode(pixels)
    header = b"IHDR" + sides + data[24:29]
    return "PNG", data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def _nothing(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    return "JPEG", bytes(int(random.integers(0, 3)) * 512)


def _cmyk(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("CMYK").save(buffer, "JPEG", quality=int(random.integers(60, 95)))
    return "JPEG", buffer.getvalue()


def _sixteen_bit(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    grey = pixels.mean(axis=2).astype(np.uint16) * 257
    return "PNG", encode(grey)


def _animated(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    from PIL import Image

    frames = [Image.fromarray(np.roll(pixels, shift, axis=1)) for shift in (0, 5, 9)]
    buffer = io.BytesIO()
    kind = ("GIF", "WEBP", "PNG")[random.integers(3)]
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return kind, buffer.getvalue()


def _nested(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    """A zip with an image in it under an image's signature, or a page of text under an image's name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(zipfile.ZipInfo("inner.jpg"), encode(pixels, "JPEG"))
    shells = (buffer.getvalue(), b"\xff\xd8\xff\xe0" + buffer.getvalue(), b"<html><img src='x.jpg'></html>")
    return "JPEG", shells[random.integers(3)]


def _noise(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    return "JPEG", random.bytes(int(random.integers(1, 4000)))


def _strange_mode(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    from PIL import Image

    buffer = io.BytesIO()
    mode = ("1", "L", "LA", "P", "RGBA")[random.integers(5)]
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return "PNG", buffer.getvalue()


def _strange_shape(random: Generator, pixels: _Pixels) -> tuple[str, bytes]:
    """An image of one pixel, one row or one column."""
    height, width = ((1, 1), (1, 64), (64, 1), (2, 3), (8, 8))[random.integers(5)]
    return "PNG", encode(np.ascontiguousarray(pixels[:height, :width]))


MAKERS: Mapping[str, _Maker] = {
    "cut": _cut,
    "bits flipped": _flipped,
    "header of another format": _other_header,
    "huge dimensions": _huge,
    "zero bytes": _nothing,
    "CMYK": _cmyk,
    "16 bit": _sixteen_bit,
    "animated": _animated,
    "nested garbage": _nested,
    "noise": _noise,
    "strange mode": _strange_mode,
    "strange shape": _strange_shape,
}


def make(seed: int, count: int = IMAGES) -> dict[str, bytes]:
    """Return file name -> bytes, of every kind in turn; the same for the same seed."""
    pixels = _portrait()
    images = {}
    for number in range(count):
        kind = list(MAKERS)[number % len(MAKERS)]
        suffix, data = MAKERS[kind](np.random.default_rng((seed, number)), pixels)
        images[f"{number:02d} {kind}.{suffix.lower()}"] = data
    return images


def corrupt(scratch: Path, *, times: int = IMAGES, seed: int = 1, detectors: str = "") -> list[Row]:
    """Run every installed detector over corrupt images, and over one whole one that none may lose.

    Args:
        scratch: an empty folder.
        times: how many images.
        seed: of the images.
        detectors: as for `facebench run`; "" for all that are installed.
    """
    images = {**make(seed, times), "whole.png": encode(_portrait())}
    data = write_folder(scratch / "pictures", images, dict.fromkeys(images, (55.0, 20.0, 105.0, 85.0)))
    specs = detectors.split(",") if detectors else _all_specs()
    rows, left_out = [], list[tuple[tuple[str, str, str], ...]]()
    for number, spec in enumerate(specs):
        out = scratch / f"run-{number}"
        ended = run(["run", "--dataset", f"folder:{data}", "--detectors", spec, "--out", str(out)])
        faults = [f"processes left: {ended.left}"] if ended.left else []
        if "Traceback" in ended.err:
            faults.append(f"a traceback: {ended.err.strip()[-300:]}")
        seen = f"exit {ended.code}"
        if (out / "run.json").exists():
            folder = RunFolder.open(out)
            (cell,) = folder.cells
            excluded = folder.document.excluded or ()
            left_out.append(excluded)
            if cell.status == "unavailable":
                rows.append(Row(f"{len(images)} images, `{spec}`", 0, "not installed here", (), ended.seconds))
                continue
            answered = len(folder.timings(cell)) if cell.done else 0
            verdicts = Counter(verdict for _, verdict, _ in excluded)
            kinds = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
            seen += f", {answered} answered, {len(cell.failed_images)} failed, left out: {kinds}"
            if not cell.done:
                faults.append(f"{cell.status}: {cell.reason}")
            if answered + len(cell.failed_images) + len(excluded) != len(images):
                faults.append(f"{len(images)} images, of which {answered} answered and {len(excluded)} left out")
            if excluded != left_out[0]:
                faults.append("leaves out other images than the first detector")
        else:
            faults.append(f"no run: {ended.err.strip()[-300:]}")
        rows.append(Row(f"{len(images)} images, `{spec}`", len(images), seen, tuple(faults), ended.seconds))
    return rows


def _all_specs() -> list[str]:
    from ...detectors import default_specs

    return [str(spec) for spec in default_specs()]


def _portrait() -> _Pixels:
    """Return a face of 160x120 pixels."""
    from PIL import Image
    from skimage import data

    face = Image.fromarray(data.astronaut()[:240, 60:380])  # type: ignore[no-untyped-call]
    face = face.resize((160, 120))
    return np.asarray(face)

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets.faces.class_folders import list_folder, list_zip, read_grey
from facebench.errors import DataError
from PIL import Image

from ...support.small_fer import encoded

GREY = np.arange(48 * 48, dtype=np.uint16).reshape(48, 48).astype(np.uint8)


def test_what_is_passed_over(tmp_path: Path) -> None:
    names = ["a/x.png", "b/y.JPG", "a/.x.png", "a/Thumbs.db", "a/readme.txt", "x.png", "__MACOSX/a.png"]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in names:
            (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "f" / name).write_bytes(b"")
            archive.writestr(name, b"")
    for entries in (list_folder(tmp_path / "f", 2), list_zip(tmp_path / "z.zip", 2)):
        assert [entry.name for entry in entries] == ["a/x.png", "b/y.JPG"]
        assert [entry.parents for entry in entries] == [("a",), ("b",)]


def test_a_zip_writes_nothing_to_disk(tmp_path: Path) -> None:
    """Names that would climb out of the folder are names alone."""
    path = tmp_path / "in" / "z.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../../a/x.png", "/etc/a/y.png"):
            archive.writestr(name, encoded(GREY))
    before = sorted(tmp_path.rglob("*"))
    entries = list_zip(path, 2)
    assert [entry.name for entry in entries] == ["a/x.png", "a/y.png"]
    assert (read_grey(path, entries, 48) == GREY).all()
    assert sorted(tmp_path.rglob("*")) == before


def test_too_large_a_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/bomb.png", b"\0" * (1 << 20) + b"\0")
    with pytest.raises(DataError, match=r"Got 1,048,577 bytes as a/bomb\.png"):
        list_zip(tmp_path / "z.zip", 2)


def test_a_small_file_of_many_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("1", (9000, 9000)).save(tmp_path / "a" / "x.png")
    with pytest.raises(DataError, match=r"1 of 1 images .*a/x\.png \(too large"):
        read_grey(tmp_path, list_folder(tmp_path, 2), 48)


def test_a_image_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("one/a/x.png", encoded(GREY))
        archive.writestr("two/a/x.png", encoded(GREY))
    with pytest.raises(DataError, match=r"Got a/x\.png twice"):
        list_zip(tmp_path / "z.zip", 2)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a/x.png", encoded(GREY))
    data = bytearray((tmp_path / "z.zip").read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "z.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"encrypted file a/x\.png"):
        list_zip(tmp_path / "z.zip", 2)


def test_damage_inside_a_zip_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a/good.png", encoded(GREY))
        archive.writestr("a/damaged.png", encoded(GREY))
    data = bytearray((tmp_path / "z.zip").read_bytes())
    at = data.rindex(b"IDAT") + 20
    data[at] ^= 0xFF
    (tmp_path / "z.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"1 of 2 images .*a/damaged\.png \(unreadable: Bad CRC-32"):
        read_grey(tmp_path / "z.zip", list_zip(tmp_path / "z.zip", 2), 48)


def test_colour_becomes_luma_as_in_pillow(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    (tmp_path / "a").mkdir()
    Image.fromarray(colour).save(tmp_path / "a" / "x.png")
    read = read_grey(tmp_path, list_folder(tmp_path, 2), 48)[0]
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    assert np.abs(read.astype(int) - expected).max() <= 1
    assert np.mean(read == expected) > 0.99

"""What an archive may hold, and that nothing is left of one that holds anything else."""

from __future__ import annotations

import hashlib
import struct
import tarfile
from pathlib import Path

import pytest
from facebench.datasets.fetch import unpacking
from facebench.datasets.fetch.unpacking import is_archive, unpack
from facebench.errors import ArchiveError
from facebench.tests.support.packed import tar, zipped

MOST = 1 << 20


def forged_size(path: Path, size: int) -> Path:
    """A zip whose directory announces another size of its only file, whose header does too."""
    content = bytearray(zipped(path, ("a.txt", b"x" * 1000)).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(bytes(content))
    return path


GOOD = ("a/1.txt", b"one"), ("a/b/2.txt", b"two"), ("__MACOSX/a/1.txt", b"junk"), ("a/.DS_Store", b"junk")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: zipped(path, *GOOD),
        lambda path: tar(path, ("./", b""), *GOOD),
        lambda path: tar(path, *GOOD, mode="w:gz"),
        lambda path: zipped(path, *((f"set/{name}", content) for name, content in GOOD)),
        lambda path: tar(path, *((f"./set/{name}", content) for name, content in GOOD)),
        lambda path: zipped(path, *((f"set/{name}", content) for name, content in GOOD), ("readme.txt", b"")),
    ],
    ids=["zip", "tar", "gzip", "zip in its folder", "tar in its folder", "a file beside its folder"],
)
def test_files_come_out_with_their_hashes(tmp_path, make):
    hashes = unpack(make(tmp_path / "archive"), tmp_path / "set", MOST)
    files = {
        path.relative_to(tmp_path / "set").as_posix(): path.read_bytes() for path in (tmp_path / "set").rglob("*.*")
    }
    assert files == {"a/1.txt": b"one", "a/b/2.txt": b"two"}
    assert hashes == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "set"]


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
SYMLINK = 0o120777 << 16
FAR = "x" * 256

HOSTILE = [
    pytest.param(lambda p: tar(p, ("../out.txt", b"x")), "inside the folder", id="tar: .."),
    pytest.param(lambda p: tar(p, ("a/../../out.txt", b"x")), "inside the folder", id="tar: .. inside"),
    pytest.param(lambda p: tar(p, ("a/../b.txt", b"x")), "inside the folder", id="tar: .. that stays"),
    pytest.param(lambda p: tar(p, ("/tmp/out.txt", b"x")), "inside the folder", id="tar: absolute"),
    pytest.param(lambda p: tar(p, ("a\\..\\..\\out.txt", b"x")), "inside the folder", id="tar: backslashes"),
    pytest.param(lambda p: tar(p, ("C:/out.txt", b"x")), "inside the folder", id="tar: drive"),
    pytest.param(lambda p: tar(p, ("a", b""), **LINK), "link or device", id="tar: link out"),
    pytest.param(
        lambda p: tar(p, ("a", b""), type=tarfile.SYMTYPE, linkname="b"), "link or device", id="tar: link that stays"
    ),
    pytest.param(
        lambda p: tar(p, ("a", b""), type=tarfile.LNKTYPE, linkname="../out"), "link or device", id="tar: hard link out"
    ),
    pytest.param(lambda p: tar(p, ("a", b""), type=tarfile.CHRTYPE), "link or device", id="tar: device"),
    pytest.param(lambda p: tar(p, ("a", b""), type=tarfile.FIFOTYPE), "link or device", id="tar: pipe"),
    pytest.param(lambda p: tar(p, ("a", b"1"), ("a", b"2")), "'a' twice", id="tar: twice"),
    pytest.param(lambda p: tar(p, ("a", b"1"), ("./a", b"2")), "'a' twice", id="tar: twice, spelt otherwise"),
    pytest.param(lambda p: tar(p, ("a", b"1"), ("a/b", b"2")), "twice", id="tar: a file as a folder"),
    pytest.param(lambda p: tar(p, ("a/b", b"1"), ("a", b"2")), "twice", id="tar: a folder as a file"),
    pytest.param(lambda p: tar(p, (FAR, b"x")), "that a disk can hold", id="tar: long name"),
    pytest.param(lambda p: tar(p, ("y/" * 600 + "z", b"x")), "that a disk can hold", id="tar: long path"),
    pytest.param(lambda p: tar(p, ("a", b"0" * (MOST + 1))), "expected at most 1,048,576", id="tar: too much"),
    pytest.param(lambda p: tar(p, ("a", b"0" * (MOST + 1)), mode="w:gz"), "expected at most", id="gzip: too much"),
    pytest.param(
        lambda p: tar(p, ("a", b""), pax_headers={"comment": "0" * (3 << 20)}, mode="w:gz"),
        "headers of more",
        id="gzip: head",
    ),
    pytest.param(lambda p: zipped(p, ("../out.txt", b"x")), "inside the folder", id="zip: .."),
    pytest.param(lambda p: zipped(p, ("/tmp/out.txt", b"x")), "inside the folder", id="zip: absolute"),
    pytest.param(lambda p: zipped(p, ("a", b"/etc/passwd"), attributes=SYMLINK), "link or device", id="zip: link"),
    pytest.param(lambda p: zipped(p, (FAR, b"x")), "that a disk can hold", id="zip: long name"),
    pytest.param(lambda p: zipped(p, ("a", b"0" * (MOST + 1))), "expected at most", id="zip: too much"),
    pytest.param(
        lambda p: zipped(p, *((f"{i}", b"0" * 400_000) for i in range(3))), "1,200,000 bytes and more", id="zip: sum"
    ),
    pytest.param(lambda p: forged_size(p, 10), "another size|CRC", id="zip: more than announced"),
    pytest.param(lambda p: forged_size(p, 5000), "another size|CRC|expected a whole", id="zip: less than announced"),
    pytest.param(zipped, "expected a whole archive", id="zip: empty"),
    pytest.param(lambda p: zipped(p, ("__MACOSX/a", b"")), "without any file", id="zip: junk alone"),
    pytest.param(lambda p: p.write_bytes(b"<html>") and p, "expected a whole archive", id="HTML"),
]


@pytest.mark.parametrize(("make", "message"), HOSTILE)
def test_what_is_refused_leaves_nothing(tmp_path, make, message):
    inside = tmp_path / "deep" / "er"
    inside.mkdir(parents=True)
    archive = make(inside / "archive")
    with pytest.raises(ArchiveError, match=message):
        unpack(archive, inside / "set", MOST)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == ["archive"]
    assert sorted(path.name for path in inside.iterdir()) == ["archive"]


@pytest.mark.parametrize("most", [10 * MOST, 1 << 40])
def test_a_bomb_is_told_by_its_ratio(tmp_path, monkeypatch, most):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 16)
    with pytest.raises(ArchiveError, match="packed"):
        unpack(zipped(tmp_path / "bomb", ("a", b"0" * MOST)), tmp_path / "set", most)


def test_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 3)
    with pytest.raises(ArchiveError, match="more than 3 files"):
        unpack(tar(tmp_path / "many", *((f"{i}", b"") for i in range(4))), tmp_path / "set", MOST)


@pytest.mark.parametrize(
    "make", [lambda p: zipped(p, *GOOD), lambda p: tar(p, *GOOD, mode="w:gz")], ids=["zip", "gzip"]
)
def test_a_cut_archive_leaves_nothing(tmp_path, make):
    whole = make(tmp_path / "archive").read_bytes()
    for size in (len(whole) // 3, len(whole) // 2, len(whole) - 30):
        (tmp_path / "archive").write_bytes(whole[:size])
        with pytest.raises(ArchiveError):
            unpack(tmp_path / "archive", tmp_path / "set", MOST)
        assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_damaged_file_of_a_zip_leaves_nothing(tmp_path):
    content = bytearray(zipped(tmp_path / "archive", ("a", bytes(range(256)))).read_bytes())
    content[60] ^= 0xFF
    (tmp_path / "archive").write_bytes(bytes(content))
    with pytest.raises(ArchiveError):
        unpack(tmp_path / "archive", tmp_path / "set", MOST)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(unpacking, "sha256_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpack(zipped(tmp_path / "archive", *GOOD), tmp_path / "set", MOST)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", False), (b"<html>", False), (b"PK\x03\x04", True), (b"\x1f\x8b", True), (b"\0" * 257 + b"ustar", True)],
)
def test_an_archive_is_told_by_its_begin(tmp_path, content, told):
    (tmp_path / "file").write_bytes(content)
    assert is_archive(tmp_path / "file") is told

"""Images and annotations where they lie: folders, zip and tar, addresses."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import fsspec
import pytest
from facebench.datasets import decode, load
from facebench.datasets.base import read_source
from facebench.datasets.storage.archives import list_archive
from facebench.datasets.storage.places import open_tree
from facebench.datasets.storage.remote import Address
from facebench.errors import DataError, UsageError
from facebench.tests.support.annotation_files import write
from facebench.tests.support.model_store_fakes import refuse, send, whole

CSV = "image,x1,y1,x2,y2\na.png,1,2,30,40\nb.png,,,,\n"
IMAGES = ("images/a.png", "images/b.png")


def pack_zip(target: Path, root: Path, method: int = zipfile.ZIP_DEFLATED, **named: str) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            archive.write(path, named.get(path.stem) or path.relative_to(root))
    return target


def pack_tar(target: Path, root: Path, mode: str = "w") -> Path:
    with tarfile.open(target, mode) as archive:
        archive.add(root, ".")
    return target


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write(tmp_path / "set", {"f.csv": CSV, ".hidden/x.csv": CSV, "__MACOSX/x.csv": CSV}, IMAGES)


def memory(root: Path) -> str:
    filesystem = fsspec.filesystem("memory")
    for path in root.rglob("*"):
        if path.is_file():
            filesystem.pipe(f"/facebench-test/{path.relative_to(root).as_posix()}", path.read_bytes())
    return "memory://facebench-test"


def ranges(content: bytes):
    """Reply with the part that was asked for."""

    def reply(handler):
        asked = handler.headers.get("Range")
        if asked is None:
            send(handler, 200, content)
            return
        start, end = (int(n) for n in asked.removeprefix("bytes=").split("-"))
        part = content[start : end + 1]
        send(handler, 206, part, Content_Range=f"bytes {start}-{start + len(part) - 1}/{len(content)}")

    return reply


def places(root: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "folder": str(root),
        "zip": str(pack_zip(tmp_path / "set.zip", root)),
        "stored zip": str(pack_zip(tmp_path / "stored.zip", root, zipfile.ZIP_STORED)),
        "tar": str(pack_tar(tmp_path / "set.tar", root)),
        "file://": f"file://{root}",
        "memory://": memory(root),
    }


@pytest.mark.parametrize("kind", ["folder", "zip", "stored zip", "tar", "file://", "memory://"])
def test_the_same_data_wherever_they_lie(made, tmp_path, kind):
    expected = load(f"folder:{made}")
    found = load(f"folder:{places(made, tmp_path)[kind]}")
    assert found.fingerprint == expected.fingerprint
    assert [sample.image_id for sample in found.samples] == ["a.png", "b.png"]
    for one, other in zip(expected.samples, found.samples, strict=True):
        assert (decode(one.source).image == decode(other.source).image).all()
        assert read_source(pickle.loads(pickle.dumps(other.source))) == one.source.read_bytes()


@pytest.mark.parametrize("pack", [pack_zip, pack_tar])
def test_images_in_shards_beside_the_annotation(made, tmp_path, pack):
    shards = write(tmp_path / "sharded", {"f.csv": CSV})
    for name in "ab":
        part = write(tmp_path / name, {}, (f"{name}.png",))
        (part / f"{name}.png").write_bytes((made / "images" / f"{name}.png").read_bytes())
        pack(shards / f"{name}.{'zip' if pack is pack_zip else 'tar'}", part)
    assert load(f"folder:{shards}").fingerprint == load(f"folder:{made}").fingerprint


def test_a_image_in_two_shards_is_refused(made, tmp_path):
    shards = write(tmp_path / "sharded", {"f.csv": CSV})
    pack_zip(shards / "one.zip", made / "images")
    pack_zip(shards / "two.zip", made / "images")
    with pytest.raises(DataError, match=r"Got a\.png in .*two\.zip and in .*one\.zip:a\.png"):
        load(f"folder:{shards}")


def test_images_behind_http_are_read_one_by_one(server, made):
    for path in ("f.csv", *IMAGES):
        server.source(f"/set/{path}", whole((made / path).read_bytes()))
    base = f"http://127.0.0.1:{server.server_port}/set"
    found = load(f"folder:{base}/f.csv?pictures=images")
    assert found.fingerprint == load(f"folder:{made}").fingerprint
    assert str(found.samples[0].source) == f"{base}/images/a.png"


@pytest.mark.parametrize("pack", [pack_zip, pack_tar])
def test_an_archive_behind_http_is_read_in_parts(server, made, tmp_path, pack):
    content = pack(tmp_path / "packed", made).read_bytes()
    name = "set.zip" if pack is pack_zip else "set.tar"
    server.source(f"/{name}", ranges(content))
    found = load(f"folder:http://127.0.0.1:{server.server_port}/{name}")
    assert found.fingerprint == load(f"folder:{made}").fingerprint
    assert None not in server.ranges[f"/{name}"]


@pytest.mark.parametrize(
    ("path", "reply", "kind", "message"),
    [
        pytest.param("/set", None, UsageError, "cannot be listed", id="a folder"),
        pytest.param("/f.csv", refuse(404), DataError, "HTTP 404", id="not there"),
        pytest.param("/set.zip", whole(b"PK"), DataError, "gives no parts", id="no ranges"),
        pytest.param("/set.zip", ranges(b"<html>sign in</html>"), DataError, "not a zip", id="HTML"),
        pytest.param(
            "/f.csv",
            lambda h: send(h, 200, b"image,x1", Content_Length="99"),
            DataError,
            "gave up after 4 attempts",
            id="dropped",
        ),
    ],
)
def test_addresses_that_do_not_serve(server, path, reply, kind, message, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    if reply:
        server.source(path, reply)
    with pytest.raises(kind, match=message):
        load(f"folder:http://127.0.0.1:{server.server_port}{path}")


def test_an_address_of_an_unknown_kind():
    with pytest.raises(UsageError, match="cannot be opened here"):
        load("folder:carrier-pigeon://loft/set")


def test_an_address_that_fails_later_is_a_verdict_not_an_exception():
    assert decode(Address("memory://nothing/here.png")).verdict == "unreadable"


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_bytes_of_a_zip_are_noticed(made, tmp_path, method):
    path = pack_zip(tmp_path / "set.zip", made, method)
    source = list_archive(str(path))["images/a.png"]
    start = source.start + 30 + len("images/a.png")
    for at in (source.start, start + 3, start + source.stored - 1):
        path.write_bytes(damaged(pack_zip(path, made, method).read_bytes(), at))
        assert decode(source).verdict == "unreadable"


def test_a_zip_that_lies_about_a_size_is_noticed(made, tmp_path):
    path = pack_zip(tmp_path / "set.zip", made)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("images/a.png").file_size.to_bytes(4, "little")
    central = content.index(b"PK\x01\x02")
    at = content.index(size, central)
    content[at : at + 4] = (7).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    assert "7 were announced" in decode(list_archive(str(path))["images/a.png"]).detail


def gzipped(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))
    return path


def twice(path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO(b""))
    return path


def bzipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.png", b"")
    return path


def encrypted(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        pytest.param(gzipped, "a.tar", "uncompressed tar", id="gzip"),
        pytest.param(twice, "a.tar", "a.png twice", id="twice"),
        pytest.param(bzipped, "a.zip", "method 12", id="bzip2"),
        pytest.param(encrypted, "a.zip", "encrypted", id="encrypted"),
        pytest.param(lambda path: path.write_bytes(b"") and path, "a.zip", "not a zip", id="empty"),
    ],
)
def test_archives_that_cannot_be_read_in_place(tmp_path, make, name, message):
    make(tmp_path / name)
    with pytest.raises(DataError, match=message):
        list_archive(str(tmp_path / name))


def test_links_in_a_tar_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    assert list_archive(str(tmp_path / "a.tar")) == {}


def test_a_linked_folder_is_followed_and_a_loop_is_not(made):
    (made / "loop").symlink_to(made)
    (made / "more").symlink_to(write(made.parent / "elsewhere", {}, ("c.png",)))
    tree, named = open_tree(made)
    assert (sorted(tree.files), named) == (["f.csv", "images/a.png", "images/b.png", "more/c.png"], "")

"""Data sets fetched from a server on this machine, or from a file available: each fault with its reason."""

from __future__ import annotations

import datetime
import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from facebench.datasets import known
from facebench.datasets.fetch import catalog as downloads
from facebench.datasets.fetch.catalog import (
    DataFile,
    DataSetEntry,
    catalog,
    changed_files,
    entry,
    fault_of,
    fetch,
    is_here,
)
from facebench.errors import ArchiveError, DataError, DataFetchError, TamperedDataError, TermsError, UsageError
from facebench.tests.support.model_store_fakes import HTML, refuse, send, whole
from facebench.tests.support.packed import tar, zipped

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.delenv("FACEBENCH_OFFLINE", raising=False)


@pytest.fixture
def packed(tmp_path) -> bytes:
    """An archive of 200 kB."""
    path = zipped(
        tmp_path / "packed", ("pictures/a.jpg", random.Random(0).randbytes(200_000)), ("pictures/b.jpg", b"b")
    )
    content = path.read_bytes()
    path.unlink()
    return content


def data_set(*sources: object, content: bytes | None = None, **changes: object) -> DataSetEntry:
    hashes = {"sha256": hashlib.sha256(content).hexdigest()} if content else {}
    size = len(content) if content else None
    file = DataFile("set.zip", "pictures", tuple(map(str, sources)), MappingProxyType(hashes), size, "us", 1 << 22)
    return DataSetEntry("mine", "My set", "http://home", "Be kind.", "mine", (replace(file, **changes),))


def fetch_file(one: DataSetEntry, root: Path, **options) -> Path:
    return fetch(one, root, **{"agrees": lambda one: True, "now": lambda: NOW, "sleep": lambda seconds: None} | options)


def ranged(content: bytes):
    def reply(handler):
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if start:
            send(handler, 206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            send(handler, 200, content)

    return reply


def dropped(content: bytes, count: int):
    return lambda handler: send(handler, 200, content[:count], Content_Length=str(len(content)))


def left(root: Path) -> list[str]:
    """What is in the folder of the set, apart from locks."""
    files = (path.relative_to(root / "mine").as_posix() for path in (root / "mine").rglob("*") if path.is_file())
    return sorted(path for path in files if not path.endswith(".lock"))


WHOLE = [".facebench/pictures.sha256", ".facebench/record.json", "pictures/a.jpg", "pictures/b.jpg"]


@pytest.mark.parametrize(
    ("replies", "asked"),
    [
        pytest.param(lambda c: [whole(c)], [None], id="plain"),
        pytest.param(lambda c: [dropped(c, 70_000), ranged(c)], [None, "bytes=70000-"], id="dropped, then resumed"),
        pytest.param(lambda c: [dropped(c, 70_000), whole(c)], [None, "bytes=70000-"], id="ranges ignored"),
        pytest.param(lambda c: [refuse(503), whole(c)], [None, None], id="busy"),
        pytest.param(lambda c: [refuse(302, Location="/moved")], [None], id="redirected"),
    ],
)
@pytest.mark.parametrize("published", [True, False])
def test_a_set_is_fetched_unpacked_and_recorded(server, tmp_path, packed, replies, asked, published):
    server.source("/moved", whole(packed))
    one = data_set(server.source("/set.zip", *replies(packed)), content=packed if published else None)
    seen: list[tuple[int, int]] = []
    home = fetch_file(one, tmp_path, progress=lambda name: lambda done, total: seen.append((done, total)))
    assert server.ranges["/set.zip"] == asked
    assert (home, left(tmp_path)) == (tmp_path / "mine", WHOLE)
    assert seen[-1] == (len(packed), len(packed))
    record = json.loads((home / ".facebench" / "record.json").read_text())
    assert record["files"]["set.zip"] == {
        "bytes": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "from": one.files[0].sources[0],
        "brought": "2026-01-02T03:04:05+00:00",
        "published_hashes": ["sha256"] if published else [],
    }
    (terms,) = record["terms"].values()
    assert terms == {"of": "mine", "accepted": "2026-01-02T03:04:05+00:00", "terms": "Be kind."}
    assert is_here(one, tmp_path) and changed_files(one, tmp_path) == ([], [])
    fetch_file(one, tmp_path, agrees=lambda one: pytest.fail("asked twice"))
    assert server.ranges["/set.zip"] == asked


def tampered(content: bytes) -> bytes:
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


BAD = [
    pytest.param(lambda c: HTML, "a page of HTML", id="HTML with status 200"),
    pytest.param(tampered, r"bytes with sha256 \w{64}, expected", id="tampered"),
    pytest.param(lambda c: c + b"\0", "expected 200", id="longer"),
    pytest.param(lambda c: b"", "not an archive", id="empty"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_other_bytes_are_refused_and_the_mirror_is_asked(server, tmp_path, packed, change, message):
    bad, good = server.source("/bad", whole(change(packed))), server.source("/good", whole(packed))
    with pytest.raises(TamperedDataError, match=message) as caught:
        fetch_file(data_set(bad, content=packed), tmp_path)
    assert "--from" in str(caught.value) and str(bad) in str(caught.value)
    assert left(tmp_path) == [".facebench/record.json"]
    fetch_file(data_set(bad, good, content=packed), tmp_path)
    assert left(tmp_path) == WHOLE


def test_every_source_is_named_with_its_reason(server, tmp_path, packed):
    gone, busy = server.source("/gone", refuse(404)), server.source("/busy", refuse(503))
    with pytest.raises(DataFetchError, match=r"(?s)/gone: HTTP 404.*/busy: gave up after 4 attempts") as caught:
        fetch_file(data_set(gone, busy, content=packed), tmp_path)
    assert not isinstance(caught.value, TamperedDataError)


def test_what_was_first_fetched_must_come_again_where_nothing_is_published(server, tmp_path, packed):
    other = zipped(tmp_path / "other", ("pictures/a.jpg", b"another")).read_bytes()
    one = data_set(server.source("/set.zip", whole(packed), whole(other)))
    home = fetch_file(one, tmp_path)
    (home / "pictures").rename(home / "away")
    with pytest.raises(TamperedDataError, match="as they were when first fetched"):
        fetch_file(one, tmp_path)
    assert not (home / "pictures").exists()


def test_nothing_that_is_no_archive_is_trusted_on_first_use(server, tmp_path):
    with pytest.raises(TamperedDataError, match="a page of HTML"):
        fetch_file(data_set(server.source("/set.zip", whole(HTML))), tmp_path)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_each_published_hash_counts(tmp_path, packed, algorithm):
    path = tmp_path / "set.zip"
    path.write_bytes(packed)
    right = hashlib.new(algorithm, packed).hexdigest()
    file = data_set().files[0]
    assert fault_of(path, replace(file, hashes={algorithm: right})) == ""
    assert f"{algorithm} {right}, expected 00" in fault_of(path, replace(file, hashes={algorithm: "00"}))


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_file_at_hand_needs_no_network(tmp_path, packed, monkeypatch, as_folder):
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    (tmp_path / "mine-already" / "deep").mkdir(parents=True)
    file = tmp_path / "mine-already" / "deep" / "set.zip"
    file.write_bytes(packed)
    fetch_file(
        data_set("http://nowhere.invalid/", content=packed), tmp_path, at_hand=file.parents[1] if as_folder else file
    )
    assert left(tmp_path) == WHOLE and file.read_bytes() == packed


def test_a_tampered_file_at_hand_is_refused_and_left_alone(tmp_path, packed):
    file = tmp_path / "set.zip"
    file.write_bytes(tampered(packed))
    with pytest.raises(TamperedDataError, match=r"set\.zip holds bytes with sha256"):
        fetch_file(data_set("http://nowhere.invalid/", content=packed), tmp_path, at_hand=file)
    assert file.exists() and not (tmp_path / "mine" / "pictures").exists()


def test_offline_without_a_file_is_an_error_that_says_how(tmp_path, packed, monkeypatch):
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    with pytest.raises(DataFetchError, match=r"FACEBENCH_OFFLINE is set. Fetch it from http://x/ or http://y/.*--from"):
        fetch_file(data_set("http://x/", "http://y/", content=packed), tmp_path)


def test_a_file_that_is_not_there_is_wrong_use(tmp_path, packed):
    with pytest.raises(UsageError, match="where nothing lies"):
        fetch_file(data_set("http://x/", content=packed), tmp_path, at_hand=tmp_path / "absent.zip")


def test_terms_come_first_and_are_asked_again_when_they_change(server, tmp_path, packed):
    one = data_set(server.source("/set.zip", whole(packed)), content=packed)
    with pytest.raises(TermsError, match=r"Be kind\..*--accept-terms"):
        fetch_file(one, tmp_path, agrees=lambda one: False)
    assert server.ranges["/set.zip"] == []
    fetch_file(one, tmp_path)
    with pytest.raises(TermsError, match="Be very kind"):
        fetch_file(replace(one, terms="Be very kind."), tmp_path, agrees=lambda one: False)


def test_an_archive_that_must_not_be_unpacked_leaves_nothing(server, tmp_path):
    content = tar(tmp_path / "hostile", ("a.jpg", b"a"), ("../out", b"x")).read_bytes()
    with pytest.raises(ArchiveError, match="inside the folder"):
        fetch_file(data_set(server.source("/set.zip", whole(content)), content=content), tmp_path)
    assert not (tmp_path / "out").exists() and not (tmp_path / "mine" / "pictures").exists()
    assert not list((tmp_path / "mine").glob(".*unpacking"))


def test_what_a_killed_process_left_is_cleared_and_its_bytes_go_on(server, tmp_path, packed):
    kept = tmp_path / "mine" / ".facebench"
    (tmp_path / "mine" / ".pictures.0.unpacking" / "half").mkdir(parents=True)
    kept.mkdir()
    (kept / "set.zip.part").write_bytes(packed[:50])
    fetch_file(data_set(server.source("/set.zip", ranged(packed)), content=packed), tmp_path)
    assert server.ranges["/set.zip"] == ["bytes=50-"]
    assert left(tmp_path) == WHOLE and not list((tmp_path / "mine").glob(".*unpacking"))


def test_keep_keeps_the_archive_and_it_is_used_again(server, tmp_path, packed):
    one = data_set(server.source("/set.zip", whole(packed)), content=packed)
    home = fetch_file(one, tmp_path, keep=True)
    (home / "pictures").rename(home / "away")
    fetch_file(one, tmp_path)
    assert server.ranges["/set.zip"] == [None]


def test_a_lock_that_another_holds_is_named(tmp_path, packed):
    from filelock import FileLock

    (tmp_path / "mine" / ".facebench").mkdir(parents=True)
    with (
        FileLock(tmp_path / "mine" / ".facebench" / "data.lock"),
        pytest.raises(DataFetchError, match=r"another process has held .*data\.lock for 0 s"),
    ):
        fetch_file(data_set(content=packed), tmp_path, lock_timeout_s=0)


def test_data_that_lie_in_the_root_itself_are_left_there(tmp_path, packed):
    (tmp_path / "pictures").mkdir()
    assert fetch_file(data_set(content=packed), tmp_path) == tmp_path
    assert changed_files(data_set(content=packed), tmp_path) == ([], [str(tmp_path / "pictures")])


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 2, "terms": {}, "files": {}}', '{"schema": 1, "terms": 3}'])
def test_a_record_that_cannot_be_read_is_not_overwritten(tmp_path, content):
    path = tmp_path / "mine" / ".facebench" / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(DataError, match=r"record\.json.*move it away"):
        fetch_file(data_set(), tmp_path)
    assert path.read_text() == content


def test_changed_and_missing_files_are_found(server, tmp_path, packed):
    one = data_set(server.source("/set.zip", whole(packed)), content=packed)
    home = fetch_file(one, tmp_path)
    (home / "pictures" / "a.jpg").write_bytes(b"other")
    (home / "pictures" / "b.jpg").unlink()
    faults, unrecorded = changed_files(one, tmp_path)
    assert [(Path(file).name, what.split(":")[0][:10]) for file, what in faults] == [
        ("a.jpg", "got sha256"),
        ("b.jpg", "cannot be "),
    ]
    assert unrecorded == []


def test_the_catalogue_is_of_data_sets_that_exist_and_says_what_it_knows():
    assert set(catalog()) <= {name for name, _ in known()} and len(catalog()) == 3
    for one in catalog().values():
        assert one.terms and one.homepage.startswith("http") and one.bytes > 0
        for file in one.files:
            assert file.sources and all(source.startswith(("http://", "https://")) for source in file.sources)
            assert file.hashes and file.evidence, file.name
            digits = {"sha256": 64, "sha1": 40, "md5": 32}
            assert all(len(value) == digits[name] and int(value, 16) >= 0 for name, value in file.hashes.items())
            assert file.most_bytes > (file.bytes or 0)


def test_a_set_that_cannot_be_fetched():
    with pytest.raises(UsageError, match="Did you mean wider-face:val"):
        entry("wider-face:vla")


def test_the_catalogue_is_read_from_the_package():
    assert downloads.CATALOG.is_file()

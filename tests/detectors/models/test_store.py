"""The model store: where files are looked for, who may write at a time, and what models.toml lists."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from facebench.detectors.models.sources import UrlSource, WheelSource
from facebench.detectors.models.store import catalog, fetch, locate, model_file, status
from facebench.errors import ModelStoreError, OfflineError, UsageError
from facebench.tests.support.model_store_fakes import CONTENT, HTML, OTHER, Server, kept, ranged, sha256, tiny, whole
from filelock import FileLock

pytestmark = pytest.mark.usefixtures("cache")


# --- local places


def test_user_folder_is_searched_by_content_and_used_in_place(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "a decoy of the same size").write_bytes(OTHER)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    (folder / "deep" / "renamed.bin").write_bytes(CONTENT)
    assert locate(tiny()) is None

    monkeypatch.setenv("FACEBENCH_MODELS", str(folder))
    assert locate(tiny()) == fetch(tiny()) == folder / "deep" / "renamed.bin"
    assert not cache.exists()


def test_user_folder_that_is_none_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_MODELS", str(tmp_path / "typo"))
    with pytest.raises(UsageError, match="FACEBENCH_MODELS must name a folder"):
        fetch(tiny())


@pytest.mark.parametrize("tampered", [OTHER, b"", CONTENT[:-1]], ids=["same size", "empty", "cut"])
def test_tampered_cache_is_noticed_and_replaced(server: Server, cache: Path, tampered: bytes) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.onnx").write_bytes(tampered)
    file = tiny(server.source("/a", ranged))
    assert locate(file) is None
    assert fetch(file).read_bytes() == CONTENT


def test_cache_under_a_file_is_a_clear_error(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelStoreError, match=r"cannot be written .* Not a directory.*FACEBENCH_CACHE"):
        fetch(tiny(server.source("/a", whole(CONTENT))))
    assert server.ranges["/a"] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_a_clear_error(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.onnx.part").symlink_to("/dev/full")
    with pytest.raises(ModelStoreError, match=r"cannot be written .* No space left on device.*FACEBENCH_CACHE"):
        fetch(tiny(server.source("/a", whole(CONTENT)), server.source("/mirror", whole(CONTENT))))
    assert server.ranges["/mirror"] == []
    assert kept(cache) == set()


def test_offline_opens_no_socket_and_starts_no_pip(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.source("/a", whole(CONTENT))
    file = tiny(WheelSource("tinypack==1.0", "a.onnx"), url)
    cache.mkdir(parents=True)
    (cache / "tiny.onnx").write_bytes(OTHER)
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", lambda *args: pytest.fail("a socket was opened"))
        patch.setattr(subprocess, "Popen", lambda *args, **options: pytest.fail("a process was started"))
        with pytest.raises(OfflineError) as caught:
            fetch(file)
    for part in ("tiny.onnx", "has other bytes", "tinypack==1.0", url.url, "FACEBENCH_MODELS: not set"):
        assert part in str(caught.value)
    assert (cache / "tiny.onnx").read_bytes() == OTHER

    monkeypatch.setenv("FACEBENCH_OFFLINE", "0")
    online = tiny(url)
    assert fetch(online).read_bytes() == CONTENT
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    assert fetch(online) == cache / "tiny.onnx"  # what is there needs no network


# --- other processes


def test_lock_held_for_too_long_is_a_clear_error(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    file = tiny(server.source("/a", whole(CONTENT)))
    with FileLock(cache / "tiny.onnx.lock"), pytest.raises(ModelStoreError, match="another process has held"):
        fetch(file, lock_timeout_s=0)
    assert server.ranges["/a"] == []
    assert fetch(file, lock_timeout_s=0).read_bytes() == CONTENT


def test_second_process_waits_and_takes_what_the_first_fetched(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    source = server.source("/a", whole(CONTENT))
    code = f"""
from facebench.detectors.models.store import ModelFile, UrlSource, fetch
file = ModelFile("tiny", "tiny.onnx", {sha256(CONTENT)!r}, {len(CONTENT)}, "", (), "", (UrlSource({source.url!r}),))
print("ready", flush=True)
print(fetch(file))
"""
    lock = FileLock(cache / "tiny.onnx.lock")
    with (
        lock,
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as second,
    ):
        assert second.stdout is not None
        assert second.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=0.2)
        (cache / "tiny.onnx").write_bytes(CONTENT)
        lock.release()
        assert second.stdout.readline() == f"{cache / 'tiny.onnx'}\n"
    assert second.returncode == 0
    assert server.ranges["/a"] == []


# --- models.toml


@pytest.mark.parametrize("name", sorted(catalog()))
def test_catalog_entry_is_whole(name: str) -> None:
    file = model_file(name)
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.bytes > 0
    assert re.fullmatch(r"[\w.-]+", file.file_name)
    assert file.licence
    assert file.description
    assert file.trained_on
    assert file.sources or file.note
    for source in file.sources:
        if isinstance(source, UrlSource):
            assert source.url.startswith("https://")
        else:
            assert re.fullmatch(r"[\w-]+==[\w.]+", source.wheel)
            assert bool(source.python) == bool(source.platform)


def test_catalog_files_do_not_get_in_each_others_way() -> None:
    files = catalog().values()
    assert len({file.file_name for file in files}) == len({file.sha256 for file in files}) == len(files)


def test_unknown_name_is_wrong_use() -> None:
    for call in (model_file, locate, fetch):
        with pytest.raises(UsageError, match=r"'yunett'\. Did you mean yunet"):
            call("yunett")


def test_status(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, cached = tiny(), tiny(content=OTHER)
    missing = tiny(content=HTML)
    files = {"mine": mine, "cached": cached, "missing": missing}
    monkeypatch.setattr("facebench.detectors.models.store.catalog", lambda: files)
    monkeypatch.setenv("FACEBENCH_MODELS", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_bytes(CONTENT)
    cache.mkdir(parents=True)
    (cache / "tiny.onnx").write_bytes(OTHER)

    assert [(entry.file, entry.state, entry.path, entry.origin) for entry in status()] == [
        (mine, "available", tmp_path / "mine" / "x", "FACEBENCH_MODELS"),
        (cached, "available", cache / "tiny.onnx", "cache"),
        (missing, "missing", None, None),
    ]


def test_cache_folder_without_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FACEBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "facebench" / "models").mkdir(parents=True)
    (tmp_path / "facebench" / "models" / "tiny.onnx").write_bytes(CONTENT)
    assert locate(tiny()) == tmp_path / "facebench" / "models" / "tiny.onnx"

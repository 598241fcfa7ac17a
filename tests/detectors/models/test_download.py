"""Downloads from a real server on this machine: resumed, verified, refused, each fault with its reason."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from facebench.detectors.models.sources import UrlSource
from facebench.detectors.models.store import fetch, locate
from facebench.errors import HashMismatchError, ModelStoreError
from facebench.tests.support.model_store_fakes import (
    CONTENT,
    HTML,
    OTHER,
    Reply,
    Server,
    drop_after,
    kept,
    ranged,
    refuse,
    sha256,
    tiny,
    whole,
    wrong_range,
)

pytestmark = pytest.mark.usefixtures("cache")


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

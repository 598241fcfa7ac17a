"""`facebench detect` on folders: its own copies are not images of the user's."""

from __future__ import annotations

import json
import sys

import pytest
from facebench.tests.support.image_kinds import encoded, quarters
from PIL import Image

COPIES = ("a.faces.jpg", "b.2.faces.jpg")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder `in` with two images, one below the other, and two copies that an earlier call wrote; `link` is `in`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name in ("a.png", "below/b.jpg", *COPIES):
        Image.new("RGB", (40, 30)).save(tmp_path / "in" / name)
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "in" / "no-image.png").mkdir()
    return tmp_path


PLACES = {
    "the folder itself": ("in", "in"),
    "with its absolute path": ("in", "{root}/in"),
    "by way of another folder": ("in", "in/below/.."),
    "a link to it": ("in", "link"),
    "read through the link": ("link", "in"),
}


@pytest.mark.parametrize(("source", "output"), PLACES.values(), ids=PLACES)
def test_copies_in_the_output_folder_are_left_out_and_counted(facebench, folder, source, output):
    output = output.format(root=folder)
    for _ in range(2):
        code, out, err = facebench("detect", source, "-o", output, "--detector", "haar")
        assert code == 0, err
        images = [json.loads(line)["picture"] for line in out.splitlines()]
        assert images == [f"{source}/a.png", f"{source}/below/b.jpg"]
        assert "facebench: left out " in err and "of its own copies (*.faces.jpg)" in err


def test_copies_below_the_folder_are_left_out_too(facebench, folder):
    for place in COPIES:
        (folder / "in" / place).unlink()
    for expected in ("", "left out 2 of its own copies (*.faces.jpg)"):
        code, out, err = facebench("detect", "in", "-o", "in/found", "--detector", "haar")
        assert code == 0 and len(out.splitlines()) == 2 and expected in err


def test_files_of_that_name_elsewhere_or_named_are_images(facebench, folder):
    code, out, err = facebench("detect", "in", "-o", "other", "--detector", "haar")
    assert (code, err) == (0, "") and len(out.splitlines()) == 4
    code, out, err = facebench("detect", "in/a.faces.jpg", "-o", "in", "--detector", "haar")
    assert (code, err) == (0, "") and json.loads(out)["picture"] == "in/a.faces.jpg"


def test_a_folder_of_copies_alone(facebench, folder):
    (folder / "in" / "a.png").unlink()
    (folder / "in" / "below" / "b.jpg").unlink()
    code, out, err = facebench("detect", "in", "-o", "in", "--detector", "haar")
    assert (code, out) == (2, "")
    assert "got the folder in without an image or video but 2 of facebench's own copies (*.faces.jpg), expected" in err


def test_copies_below_the_folder_are_known_whatever_the_next_call_says(facebench, folder):
    for place in COPIES:
        (folder / "in" / place).unlink()
    assert facebench("detect", "in", "-o", "in/found", "--detector", "haar")[0] == 0
    for options in ((), ("-o", "in/again"), ("-o", "elsewhere")):
        code, out, err = facebench("detect", "in", "--detector", "haar", *options)
        images = [json.loads(line)["picture"] for line in out.splitlines()]
        assert (code, images) == (0, ["in/a.png", "in/below/b.jpg"]) and "of its own copies" in err


KINDS = {
    "IMG_1.HEIC": "HEIF",
    "IMG_2.avif": "AVIF",
    "b.jfif": "JPEG",
    "d.jpe": "JPEG",
    "wrong.jpg": "PNG",
    "none": "PNG",
}


@pytest.fixture
def kinds(folder):
    """The folder with images of many kinds and names alone, and what is left beside images."""
    for path in [path for path in folder.rglob("*.*") if path.is_file()]:
        path.unlink()
    for name, kind in KINDS.items():
        (folder / "in" / name).write_bytes(encoded(kind, quarters(64, 48)))
    for name in ("._d.jpg", "Thumbs.db", ".git/x.png", "__MACOSX/x.png", "notes.txt"):
        (folder / "in" / name).parent.mkdir(exist_ok=True)
        (folder / "in" / name).write_bytes(b"\0\5\x16\7")
    return folder


def test_images_are_known_by_their_content(facebench, kinds):
    for sources in (["in"], sorted(str(path.relative_to(kinds)) for path in (kinds / "in").glob("[!n]*.*"))):
        code, out, err = facebench("detect", *sources, "--detector", "haar")
        got = {json.loads(line)["picture"] for line in out.splitlines() if "error" not in json.loads(line)}
        assert (code, err) == (0, "")
        assert got == {f"in/{name}" for name in KINDS if sources == ["in"] or name != "none"}


def test_what_lacks_a_decoder_is_counted_and_named(facebench, kinds, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    code, out, err = facebench("detect", "in", "--detector", "haar")
    lines = {one["picture"]: one for one in map(json.loads, out.splitlines())}
    assert code == 1 and len(lines) == 6
    assert [name for name, line in lines.items() if "error" in line] == ["in/IMG_1.HEIC"]
    assert lines["in/IMG_1.HEIC"]["error"].startswith("no decoder: got HEIC")
    assert "1 of 6 images were not read: got HEIC" in err and "pip install 'facebench[heif]'" in err


def test_the_largest_image_that_is_read(facebench, folder):
    Image.new("L", (1_500, 1_000)).save(folder / "large.png")
    code, out, _ = facebench("detect", "large.png", "--max-megapixels", "1.49", "--detector", "haar")
    assert code == 1 and "(--max-megapixels 2 of detect, run and data verify reads it)" in json.loads(out)["error"]
    code, out, _ = facebench("detect", "large.png", "--max-megapixels", "1.5", "--detector", "haar")
    assert code == 0 and json.loads(out)["faces"] == []

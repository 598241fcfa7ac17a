"""`facebench detect` on folders: its own copies are not images of the user's."""

from __future__ import annotations

import json

import pytest
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
        assert "facebench: left out " in err and f"of its own copies (*.faces.jpg in {output})" in err


def test_copies_below_the_folder_are_left_out_too(facebench, folder):
    for place in COPIES:
        (folder / "in" / place).unlink()
    for expected in ("", "left out 2 of its own copies (*.faces.jpg in in/found)"):
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
    assert "got the folder in without an image but 2 of facebench's own copies (*.faces.jpg), expected" in err

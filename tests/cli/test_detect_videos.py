"""`facebench detect` on videos: known by content, alone, in folders and beside images; boxes of each frame."""

from __future__ import annotations

import json
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from facebench.emotions.pipeline.video_io import VideoReader
from facebench.tests.support.clips import clip, sound_alone
from PIL import Image
from skimage.data import astronaut

HAAR = ("--detector", "haar")


def panned(frames: int = 6, squeezed: int = 1) -> list[np.ndarray]:
    """A woman's face from which the camera pans, in frames that many times narrower than they are shown."""
    image = astronaut()
    return [np.ascontiguousarray(image[:240, 80 + 4 * n : 400 + 4 * n : squeezed]) for n in range(frames)]


@pytest.fixture(scope="module")
def face() -> bytes:
    return clip("3gp", images=panned(), sound="aac")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines_of(text: str) -> tuple[list[dict], list[dict]]:
    """Lines of frames and images, and reports."""
    lines = [json.loads(line) for line in text.splitlines()]
    return [one for one in lines if "source" not in one], [one for one in lines if "source" in one]


def frame_count(path: Path) -> int:
    with closing(VideoReader(path)) as reader:
        return len(list(reader.frames()))


def test_boxes_of_each_frame(facebench, place, face):
    (place / "plain").write_bytes(face)
    code, out, err = facebench("detect", "plain", *HAAR, "-o", "o.mp4")
    assert (code, err) == (0, "")
    frames, (report,) = lines_of(out)
    assert [(one["video"], one["frame"], one["time_s"]) for one in frames] == [("plain", n, n / 10) for n in range(6)]
    found = [max(one["faces"], key=lambda face: face["score"]) for one in frames]
    assert {face["track"] for face in found} == {found[0]["track"]}
    lefts = [face["box"][0] for face in found]
    assert lefts[0] - lefts[5] == pytest.approx(20, abs=8)
    assert (report["source"], report["frames_read"], report["notes"], report["output"]) == ("plain", 6, [], "o.mp4")
    assert report["classifier_ms"] == 0 < report["detector_ms"]
    with closing(VideoReader(place / "o.mp4")) as reader:
        copy = next(iter(reader.frames())).image
    x1, y1, x2, y2 = (round(value) for value in found[0]["box"])
    edge = copy[(y1 + y2) // 2, x1 - 4 : x1 + 5].astype(int)
    assert np.abs(edge - (86, 180, 233)).max(axis=1).min() < 60
    assert (np.abs(copy.astype(int) - panned()[0]).max(axis=2) > 60).mean() < 0.1
    assert x2 > x1


def test_lines_in_a_file_leave_the_report_on_standard_output(facebench, place, face):
    (place / "clip.mp4").write_bytes(face)
    code, out, _ = facebench("detect", "clip.mp4", *HAAR, "--lines", "new/l.jsonl", "--every", "2")
    assert code == 0
    report = json.loads(out)
    assert (report["frames_read"], report["frames_processed"]) == (6, 3)
    frames, _ = lines_of((place / "new" / "l.jsonl").read_text())
    assert [one["frame"] for one in frames] == [0, 2, 4]


def test_pixels_that_are_not_square(facebench, place):
    (place / "sar.mp4").write_bytes(clip(images=panned(6, squeezed=2), aspect=Fraction(2)))
    frames, (report,) = lines_of(facebench("detect", "sar.mp4", *HAAR)[1])
    assert (report["width"], report["height"]) == (320, 240)
    assert all(one["faces"] for one in frames)


@pytest.fixture
def mixed(place, face):
    """Images, videos and other files, in folders."""
    (place / "in" / "below").mkdir(parents=True)
    for name in ("a.mp4", "below/a.ts", "2026-11-30T12:30:00", ".hidden.mp4", "._a.mp4"):
        (place / "in" / name).write_bytes(face)
    first, *others = (Image.fromarray(image[::2, ::2]) for image in panned())
    first.save(place / "in" / "b.gif", save_all=True, append_images=others, duration=100)
    first.save(place / "in" / "c.webp", save_all=True, append_images=others, duration=100)
    first.save(place / "in" / "a.jpg")
    first.save(place / "in" / "one.gif")
    (place / "in" / "code.ts").write_text("let x = 1\n")
    (place / "in" / "tone.mp3").write_bytes(sound_alone())
    return place


VIDEOS = ["2026-11-30T12:30:00", "a.mp4", "b.gif", "below/a.ts", "c.webp"]
COPIES = ["2026-11-30T12:30:00.faces.mp4", "a.faces.mp4", "b.faces.mp4", "a.2.faces.mp4", "c.faces.mp4"]


@pytest.mark.parametrize("output", ["out", "in/found"])
def test_a_folder_of_images_and_videos_twice(facebench, mixed, output):
    for turn in range(2):
        code, out, err = facebench("detect", "in", *HAAR, "-o", output)
        assert code == 0, err
        lines, reports = lines_of(out)
        assert [one["picture"] for one in lines if "picture" in one] == ["in/a.jpg", "in/one.gif"]
        assert [one["source"] for one in reports] == [f"in/{name}" for name in VIDEOS]
        assert {one["frames_read"] for one in reports} == {6}
        assert [one["output"] for one in reports] == [f"{output}/{name}" for name in COPIES]
        assert ("left out 5 of its own copies of videos" in err) == (turn == 1 and output == "in/found")
    assert {frame_count(mixed / output / name) for name in COPIES} == {6}


def test_one_that_cannot_be_read_does_not_stop_the_others(facebench, mixed):
    (mixed / "in" / "cut.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(500))
    (mixed / "in" / "tone.mp4").write_bytes(sound_alone())
    code, out, _ = facebench("detect", "in", *HAAR)
    assert code == 1
    lines, reports = lines_of(out)
    errors = {one["video"]: one["error"] for one in lines if "error" in one}
    assert list(errors) == ["in/cut.mov", "in/tone.mp4"]
    assert "are not a video that FFmpeg knows" in errors["in/cut.mov"]
    assert "it has no video track, only audio" in errors["in/tone.mp4"]
    assert len(reports) == 5


def test_a_folder_of_videos_alone(facebench, place, face):
    (place / "in").mkdir()
    (place / "in" / "a.mp4").write_bytes(face)
    (place / "in" / "b.mp4").write_bytes(face)
    code, out, _ = facebench("detect", "in", *HAAR)
    assert code == 0
    assert [one["source"] for one in lines_of(out)[1]] == ["in/a.mp4", "in/b.mp4"]


def test_damage_is_said_in_words_and_in_the_report(facebench, place):
    whole = bytearray(clip("avi", "mjpeg", panned()))
    # the first is in the header
    starts = [at for at in range(len(whole)) if whole[at : at + 4] == b"00dc"][1:]
    whole[starts[2] + 8 : starts[3]] = bytes(starts[3] - starts[2] - 8)
    (place / "a.avi").write_bytes(whole)
    code, out, err = facebench("detect", "a.avi", *HAAR)
    frames, (report,) = lines_of(out)
    assert (code, len(frames), report["frames_damaged"]) == (0, 5, 1)
    assert err == "facebench: a.avi: damaged frames: 1; what could be decoded of them was looked at\n"
    assert report["notes"] == [err.removeprefix("facebench: a.avi: ").strip()]


@pytest.mark.parametrize("name", ["a.mp4", "out/a.faces.mp4"])
def test_lines_never_overwrite_a_video(facebench, place, face, name):
    (place / "a.mp4").write_bytes(face)
    code, _, err = facebench("detect", "a.mp4", *HAAR, "-o", "out", "--lines", name)
    assert code == 2 and f"got {name} for JSON lines, which is an image or video too" in err
    assert (place / "a.mp4").read_bytes() == face


def test_a_copy_never_overwrites_its_source(facebench, place, face):
    (place / "a.mp4").write_bytes(face)
    code, _, err = facebench("detect", "a.mp4", *HAAR, "-o", "a.mp4")
    assert code == 2 and "which is the source too" in err
    assert (place / "a.mp4").read_bytes() == face

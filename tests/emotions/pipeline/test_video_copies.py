"""Copies of videos: H.264 that browsers play, each frame at its time, with the sound of the source."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from facebench.emotions import VideoProgress, VideoReport, process_video
from facebench.emotions.pipeline.video_copy import VideoWriter
from facebench.emotions.pipeline.video_io import VideoReader
from facebench.tests.support.clips import clip, grey, number, tones
from facebench.tests.support.pipeline_fakes import BrightBoxes
from PIL import Image


def copied(content: bytes, folder: Path, every: int = 1, observer=None) -> tuple[bytes, VideoReport]:
    (folder / "x").write_bytes(content)
    report = process_video(folder / "x", BrightBoxes(), output=folder / "o.mp4", every=every, observer=observer)
    assert sorted(path.name for path in folder.iterdir()) == ["o.mp4", "x"]
    return (folder / "o.mp4").read_bytes(), report


def times_of(path: Path) -> list[float]:
    with closing(VideoReader(path)) as reader:
        return [frame.time_s for frame in reader.frames()]


def test_what_browsers_play(tmp_path: Path) -> None:
    """H.264, 4:2:0 with even sides, colours named, and the index before the images."""
    content, _ = copied(clip("matroska", "libvpx", [grey(n, (63, 47)) for n in range(5)]), tmp_path)
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(io.BytesIO(content)) as container:
        (stream,) = container.streams
        codec = stream.codec_context
        got = codec.name, codec.pix_fmt, codec.width, codec.height, codec.colorspace, codec.color_range
        assert got == ("h264", "yuv420p", 64, 48, 1, 1)
        assert [number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)] == list(range(5))


def test_colours_stay(tmp_path: Path) -> None:
    colours = np.array(
        [(213, 94, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66), (255, 0, 0), (0, 0, 255)], np.uint8
    )
    writer = VideoWriter(tmp_path / "o.mp4", 10)
    writer.write(np.repeat(np.repeat(colours[None], 64, 0), 64, 1), 0)
    writer.close()
    with closing(VideoReader(tmp_path / "o.mp4")) as reader:
        image = next(iter(reader.frames())).image
    assert np.abs(image[32, 32::64].astype(int) - colours).max() <= 6


RATES = {
    "of a slow-motion phone": (clip(rate=Fraction(119_963, 1000)), 1),
    "that varies": (clip(times=[*range(18), 40, 90], time_base=Fraction(1, 10)), 1),
    "that varies, every third frame": (clip(times=[*range(18), 40, 90], time_base=Fraction(1, 10)), 3),
    "of television": (clip("mpegts", "mpeg2video", rate=Fraction(30_000, 1001)), 1),
    "in AVI, whose clock is a frame": (clip("avi", "mpeg4", rate=7), 1),
    "below one a second": (clip(rate=Fraction(1, 3)), 1),
}


@pytest.mark.parametrize(("content", "every"), RATES.values(), ids=RATES)
def test_frames_keep_their_times(tmp_path: Path, content: bytes, every: int) -> None:
    _, report = copied(content, tmp_path, every)
    before, after = times_of(tmp_path / "x")[::every], times_of(tmp_path / "o.mp4")
    assert after == pytest.approx(before, abs=1e-5)
    assert report.video_s == pytest.approx(before[-1])
    with av.open(str(tmp_path / "o.mp4")) as container:
        last = before[-1] + (before[-1] - before[-2])
        assert container.duration / 1e6 == pytest.approx(last, abs=0.002)


def test_an_animation_is_copied(tmp_path: Path) -> None:
    first, *others = (Image.fromarray(grey(4 * n)) for n in range(5))
    out = io.BytesIO()
    first.save(out, "WEBP", save_all=True, append_images=others, duration=[100, 200, 300, 50, 70])
    copied(out.getvalue(), tmp_path)
    assert times_of(tmp_path / "o.mp4") == pytest.approx([0, 0.1, 0.3, 0.6, 0.65])


SOUNDS = {
    "aac": (("mp4", "libx264", "aac"), "aac"),
    "aac with headers of its own": (("mpegts", "libx264", "aac"), "aac"),
    "mp3": (("flv", "flv", "libmp3lame"), "mp3"),
    "opus": (("webm", "libvpx", "libopus"), "opus"),
    "flac": (("matroska", "libx264", "flac"), "flac"),
    "of a phone of 2005": (("3gp", "libx264", "libopencore_amrnb"), "aac"),
    "of a compact camera": (("avi", "mjpeg", "pcm_s16le"), "aac"),
    "of a camcorder": (("mpegts", "mpeg2video", "ac3"), "aac"),
    "of a studio": (("mov", "mjpeg", "pcm_s24le"), "aac"),
}


@pytest.mark.parametrize(("made_of", "becomes"), SOUNDS.values(), ids=SOUNDS)
def test_sound_is_kept(tmp_path: Path, made_of: tuple[str, str, str], becomes: str) -> None:
    kind, codec, sound = made_of
    rate = {"libopencore_amrnb": 8000, "libopus": 48_000, "pcm_s24le": 192_000}.get(sound, 44_100)
    layout = "mono" if rate == 8000 else "stereo"
    source = clip(kind, codec, rate=25, sound=sound, sound_rate=rate, sound_s=2, layout=layout)
    content, report = copied(source, tmp_path)
    assert report.notes == ()
    with av.open(io.BytesIO(content)) as container:
        (track,) = container.streams.audio
        assert track.codec_context.codec.canonical_name == becomes
        assert track.layout.name == layout
    (offset, length, _), (offset_after, length_after, samples) = tones(source), tones(content)
    assert offset_after == pytest.approx(offset, abs=0.03)
    assert length_after == pytest.approx(length, abs=0.08)
    middle = samples[len(samples) // 4 : len(samples) // 2]
    spectrum = np.abs(np.fft.rfft(middle))
    heard = spectrum[1:].argmax() + 1
    rate_after = 48_000 if rate == 192_000 or becomes == "opus" else rate
    assert heard * rate_after / len(middle) == pytest.approx(440, abs=5)


def test_sound_that_begins_before_the_images_stays_there(tmp_path: Path) -> None:
    times = range(10, 30)
    for kind in ("mp4", "matroska", "mpegts"):
        content, _ = copied(clip(kind, times=times, time_base=Fraction(1, 10), sound="aac"), tmp_path)
        assert tones(content)[0] == pytest.approx(-1, abs=0.05)
        assert times_of(tmp_path / "o.mp4") == pytest.approx(np.arange(20) / 10, abs=1e-4)


def test_sound_ends_where_the_user_stops(tmp_path: Path) -> None:
    def stop(progress: VideoProgress) -> None:
        if progress.frames_read == 5:
            raise KeyboardInterrupt

    content, report = copied(clip(sound="aac"), tmp_path, observer=stop)
    assert report.stopped
    assert tones(content)[1] == pytest.approx(0.5, abs=0.15)


def test_sound_that_cannot_be_taken_over_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise ValueError("no encoder here")

    monkeypatch.setattr("facebench.emotions.pipeline.video_sound.Sound._taken_over", none)
    content, report = copied(clip(sound="ac3"), tmp_path)
    assert report.notes == ("the sound was left out: no encoder here",)
    with av.open(io.BytesIO(content)) as container:
        assert [one.type for one in container.streams] == ["video"]


def test_damaged_sound_does_not_spoil_the_copy(tmp_path: Path) -> None:
    source = bytearray(clip("avi", "mjpeg", sound="libmp3lame", images=[grey(n) for n in range(14)]))
    starts = [at for at in range(len(source)) if source[at : at + 4] == b"01wb"]
    for at in starts[20:40]:
        source[at + 8 : at + 200] = bytes(192)
    _, report = copied(bytes(source), tmp_path)
    assert report.frames_read == 14
    assert len(times_of(tmp_path / "o.mp4")) == 14


def test_without_an_encoder_of_h264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    content, report = copied(clip(rate=Fraction(119_963, 1000), sound="aac"), tmp_path)
    (note,) = report.notes
    assert note == "PyAV has no H.264 encoder here: MPEG-4 part 2 was written, which browsers do not play"
    with av.open(io.BytesIO(content)) as container:
        assert [one.codec_context.name for one in container.streams] == ["mpeg4", "aac"]
    assert times_of(tmp_path / "o.mp4") == pytest.approx(times_of(tmp_path / "x"), abs=1e-4)
    with closing(VideoReader(tmp_path / "o.mp4")) as reader:
        # the later ones are bright: a face, and drawn into
        assert [number(frame.image) for frame in reader.frames()][:14] == list(range(14))


@pytest.mark.parametrize("name", ["2026-11-30T12:30:00.mp4", "-x.mp4", "%d.mp4", "caf\udce9.mp4"])
def test_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = VideoWriter(Path(name), 10)
    for n in range(5):
        writer.write(grey(n), n / 10)
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(times_of(Path(name))) == 5


PLAYED = """<video muted src="o.mp4"></video><p></p><script>
const video = document.querySelector("video"), say = (text) => { document.querySelector("p").textContent = text; };
video.onerror = () => say("error");
video.onended = () => say(`${video.videoWidth} ${video.videoHeight} ${video.duration.toFixed(2)}`);
video.play();
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize(("encoder", "said"), [("libx264", "64 48 2.00"), ("mpeg4", "0 0 2.00")])
def test_a_browser_plays_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str, said: str) -> None:
    """Of MPEG-4 part 2 it plays the sound alone."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    from facebench.tests.support.browser import Browser

    if encoder == "mpeg4":
        monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    copied(clip("matroska", "libvpx", sound="ac3", sound_rate=48_000, sound_s=1.5), tmp_path)
    (tmp_path / "page.html").write_text(PLAYED)
    browser = Browser(*programs, tmp_path / "profile")
    try:
        browser.open(tmp_path / "page.html")
        assert browser.said("p") == said
    finally:
        browser.close()

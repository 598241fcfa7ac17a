"""Videos as people have them: any container and name, rates that vary, pixels that are not square, damage."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from facebench.emotions.pipeline.video_file import is_video
from facebench.emotions.pipeline.video_io import Frame, VideoReader
from facebench.errors import VideoError
from facebench.tests.support.clips import clip, grey, number, sound_alone, turned
from PIL import Image


def frames_of(path: Path) -> list[Frame]:
    with closing(VideoReader(path)) as reader:
        return list(reader.frames())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A name that tells nothing."""
    return tmp_path / "x"


CONTAINERS = {
    "mp4": "libx264", "3gp": "libx264", "mpegts": "libx264", "flv": "flv", "ogv": "libvpx", "vob": "mpeg2video",
    "mov": "mjpeg", "matroska": "libx264", "webm": "libvpx", "mpeg": "mpeg2video", "avi": "mpeg4", "h264": "libx264",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "codec"), CONTAINERS.items(), ids=CONTAINERS)
def test_a_video_is_known_by_its_content(place: Path, kind: str, codec: str) -> None:
    place.write_bytes(clip(kind, codec, rate=25))
    assert is_video(place)
    frames = frames_of(place)
    assert [number(frame.image) for frame in frames] == list(range(20))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(20) / 25, abs=0.0015)


STILLS = {"JPEG": {}, "PNG": {}, "GIF": {}, "WEBP": {}, "AVIF": {}, "TIFF": {"save_all": True}}


@pytest.mark.parametrize("kind", STILLS)
def test_an_image_is_no_video(place: Path, kind: str) -> None:
    Image.fromarray(grey(3)).save(place, kind)
    assert not is_video(place)


def test_a_photo_of_a_phone_is_no_video(place: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(grey(3))).save(place)
    assert not is_video(place)
    with pytest.raises(VideoError, match="no video track, only a still image"):
        VideoReader(place)


def test_sound_alone(place: Path) -> None:
    place.write_bytes(sound_alone())
    assert not is_video(place)
    with pytest.raises(VideoError, match="x: it has no video track, only audio"):
        VideoReader(place)


PLAYLISTS = {
    "list of ffmpeg": "ffconcat version 1.0\nfile other.mp4\n",
    "list of a stream": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.mp4\n#EXT-X-ENDLIST\n",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n",
    "text": "not a video\n" * 50,
    "nothing": "",
}


@pytest.mark.parametrize("text", PLAYLISTS.values(), ids=PLAYLISTS)
def test_no_file_leads_to_another(place: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.parent)
    (place.parent / "other.mp4").write_bytes(clip())
    place.write_text(text)
    assert not is_video(place)
    with pytest.raises(VideoError, match=r"cannot read the video .*x: "):
        VideoReader(place)


NAMES = [
    b"2026-11-30T12:30:00.mp4", b"http:x.mp4", b"concat:a|b", b"-i", b"clip_%02d.jpg", b"caf\xe9.mp4", b"a'b\"\n.mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name(tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(os.fsdecode(name))
    path.write_bytes(clip())
    assert is_video(path)
    assert len(frames_of(path)) == 20


def test_a_rate_that_varies_keeps_its_times(place: Path) -> None:
    times = [*range(0, 500, 50), 700, 1900, 1950, 4000]
    place.write_bytes(clip(images=[grey(n) for n in range(14)], times=times, time_base=Fraction(1, 1000)))
    frames = frames_of(place)
    assert [frame.time_s for frame in frames] == pytest.approx(np.array(times) / 1000)
    assert [number(frame.image) for frame in frames] == list(range(14))


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(2), (128, 48)), (Fraction(8, 9), (64, 54)), (Fraction(4, 3), (85, 48)), (Fraction(60, 1), (64, 48))],
)
def test_pixels_are_made_square_but_not_absurdly(place: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    place.write_bytes(clip(aspect=aspect))
    image = frames_of(place)[0].image
    assert (image.shape[1], image.shape[0]) == size


CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:, 32:] = 40, 90, 140, 190
MATRICES = {
    "as it is": ((1, 0, 0, 1), CORNERS),
    "a quarter to the right": ((0, 1, -1, 0), np.rot90(CORNERS, -1)),
    "half": ((-1, 0, 0, -1), np.rot90(CORNERS, 2)),
    "a quarter to the left": ((0, -1, 1, 0), np.rot90(CORNERS)),
    "mirrored": ((-1, 0, 0, 1), CORNERS[:, ::-1]),
    "upside down": ((1, 0, 0, -1), CORNERS[::-1]),
    "transposed": ((0, 1, 1, 0), CORNERS.transpose(1, 0, 2)),
}


@pytest.mark.parametrize(("matrix", "expected"), MATRICES.values(), ids=MATRICES)
def test_frames_are_upright(place: Path, matrix: tuple[int, int, int, int], expected: np.ndarray) -> None:
    place.write_bytes(turned(clip(images=[CORNERS] * 4), *matrix))
    image = frames_of(place)[0].image
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.median(np.abs(image.astype(int) - expected)) <= 3


def test_pixels_are_made_square_before_the_frame_is_turned(place: Path) -> None:
    place.write_bytes(turned(clip(aspect=Fraction(2)), 0, 1, -1, 0))
    assert frames_of(place)[0].image.shape == (128, 48, 3)


SHOWN_MS = [100, 200, 300, 50, 70]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_all_frames_of_an_animation(place: Path, kind: str) -> None:
    first, *others = (Image.fromarray(grey(4 * n)) for n in range(5))
    first.save(place, kind, save_all=True, append_images=others, duration=SHOWN_MS)
    assert is_video(place)
    frames = frames_of(place)
    assert [number(frame.image) for frame in frames] == [0, 4, 8, 12, 16]
    assert [frame.time_s for frame in frames] == pytest.approx(np.cumsum([0, *SHOWN_MS[:-1]]) / 1000)


def test_a_cut_animation_gives_what_there_is(place: Path) -> None:
    out = io.BytesIO()
    rng = np.random.default_rng(0)
    first, *others = (Image.fromarray(rng.integers(0, 256, (48, 64), np.uint8)) for _ in range(5))
    first.save(out, "GIF", save_all=True, append_images=others, duration=100)
    place.write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
    with closing(VideoReader(place)) as reader:
        got = len(list(reader.frames()))
        assert 1 <= got < 5 and reader.damaged == 1
        assert reader.notes == ["damaged frames: 1; what could be decoded of them was looked at"]


def test_a_stream_without_a_length(place: Path) -> None:
    """As a browser records it: the length is not known when the header is written."""

    class Pipe(io.RawIOBase):
        content = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:
            self.content += data
            return len(data)

    import av

    pipe = Pipe()
    with av.open(io.BytesIO(clip("webm", "libvpx"))) as source, av.open(pipe, "w", format="webm") as live:
        stream = live.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                live.mux(packet)
    place.write_bytes(pipe.content)
    with closing(VideoReader(place)) as reader:
        assert reader.announced is None
        assert len(list(reader.frames())) == 20
        assert reader.notes == []


def test_a_video_that_changes_its_size_keeps_the_first_and_time_goes_on(place: Path) -> None:
    small = [grey(n, (32, 24)) for n in range(10)]
    place.write_bytes(clip("mpegts", "mpeg2video") + clip("mpegts", "mpeg2video", small))
    frames = frames_of(place)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert len(frames) >= 28
    assert (np.diff([frame.time_s for frame in frames]) > 0.05).all()


def test_damaged_frames_are_counted_and_the_rest_is_read(place: Path) -> None:
    whole = bytearray(clip("avi", "mjpeg"))
    # the first is in the header
    starts = [at for at in range(len(whole)) if whole[at : at + 4] == b"00dc"][1:]
    for frame in (4, 9):
        whole[starts[frame] + 8 : starts[frame + 1]] = bytes(starts[frame + 1] - starts[frame] - 8)
    place.write_bytes(whole)
    with closing(VideoReader(place)) as reader:
        got = [number(frame.image) for frame in reader.frames()]
        assert got == [n for n in range(20) if n not in (4, 9)]
        assert reader.damaged == 2
        assert reader.notes[0].startswith("damaged frames: 2;")


def test_a_clip_that_was_trimmed_is_not_cut_off(place: Path) -> None:
    """A phone hides frames by an edit list and keeps them in the index."""
    place.write_bytes(clip(times=range(-8, 12)))
    frames = frames_of(place)
    assert 11 <= len(frames) <= 13
    assert frames[0].time_s == 0


@pytest.mark.parametrize(("kind", "codec"), [("matroska", "libx264"), ("flv", "flv")])
def test_an_end_that_comes_early_without_an_index_is_said(place: Path, kind: str, codec: str) -> None:
    rng = np.random.default_rng(0)
    content = clip(kind, codec, [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(40)])
    place.write_bytes(content)
    with closing(VideoReader(place)) as reader:
        assert len(list(reader.frames())) == 40
        assert reader.notes == []
    place.write_bytes(content[: len(content) // 2])
    with closing(VideoReader(place)) as reader:
        assert 10 < len(list(reader.frames())) < 30
        assert "before its header says; it may be cut off" in reader.notes[-1]


def test_sound_that_lasts_longer_is_no_early_end(place: Path) -> None:
    for kind, codec, sound in (("matroska", "libx264", "flac"), ("mp4", "libx264", "aac"), ("avi", "mpeg4", "mp2")):
        place.write_bytes(clip(kind, codec, sound=sound, sound_s=6))
        with closing(VideoReader(place)) as reader:
            assert len(list(reader.frames())) == 20
            assert reader.notes == []

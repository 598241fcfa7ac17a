"""What a video file holds, told by its content: films by FFmpeg (PyAV), animated images by Pillow.

FFmpeg never sees a file's name, which it would read as an address or a pattern, and opens no file but the one given,
so that a playlist leads nowhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from ...datasets.regular_files import ANY_SIZE, open_regular
from ...datasets.storage.names import COPY_MARK
from ...detectors import RGBImage
from ...errors import VideoError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

FALLBACK_RATE = 25.0
"""Frames a second of a source that does not tell."""

TimedImage = tuple[float | None, Callable[[], RGBImage]]
"""When a frame is shown, seconds from the start, None where the source does not tell; and what makes its pixels."""

_ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")
"""What Pillow reads all frames of; FFmpeg knows no animated WebP, and one frame of AVIF."""
_WIDEST_PIXEL = 10


class Source(ABC):
    """What gives frames.

    Attributes:
        frame_rate: frames a second, `FALLBACK_RATE` where it does not tell.
        time_base: seconds; the times are whole multiples of it.
        announced: frames by the header, which may be a guess; None where it does not tell.
        indexed: frames that an index names, so that its length is no guess; 0 without one.
        damaged: frames so far that could not be decoded, or only in part, as far as the decoder tells.
        length_s: seconds by the header; 0 where it does not tell.
        missing_s: how much earlier the file ended; known when the last frame was taken.
    """

    frame_rate: float = FALLBACK_RATE
    time_base: Fraction = Fraction(1, 1000)
    announced: int | None = None
    indexed: int = 0
    damaged: int = 0
    length_s: float = 0.0
    missing_s: float = 0.0

    @abstractmethod
    def frames(self) -> Iterator[TimedImage]:
        """Give the frames in the order in which they are shown; each is made before the next is asked for."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


def is_video(path: Path) -> bool:
    """Whether a file is a video or an animation of several frames, by its content.

    Not so an image, a phone's photo in the container of a video (HEIC, AVIF), or sound alone.
    """
    try:
        if is_animated(path):
            return True
        with open_regular(path, ANY_SIZE) as file, open_container(file) as container:
            return bool(_tracks(container))
    except (OSError, VideoError):
        return False


def is_copy(path: Path) -> bool:
    """Whether a video is a copy that `facebench detect` wrote, by the comment in it."""
    try:
        with open_regular(path, ANY_SIZE) as file, open_container(file) as container:
            return container.metadata.get("comment") == COPY_MARK.decode()
    except (OSError, VideoError):
        return False


def open_video(path: Path) -> Source:
    """Open a video file or an animation.

    Raises:
        VideoError: it is missing, or no video that can be read, or has sound alone.
    """
    try:
        return _Animation(path) if is_animated(path) else _Film(path)
    except OSError as error:
        raise VideoError(f"cannot read the video {path}: {error.strerror or error}") from error


def open_container(file: IO[bytes]) -> InputContainer:
    """Open what FFmpeg demultiplexes.

    Raises:
        VideoError: FFmpeg does not know the content.
    """
    import av

    nameless = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell, seekable=file.seekable)
    try:
        return cast("InputContainer", av.open(nameless, container_options={"protocol_whitelist": "none"}))
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(str(error)) from error


def _tracks(container: InputContainer) -> list[VideoStream]:
    """Return the moving images of a container: no covers of music, no still images."""
    from av.stream import Disposition

    if container.format.name.endswith("_pipe"):
        return []
    tracks = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    # HEIC and AVIF are stored as a video of one frame that lasts no time.
    return [one for one in tracks if one.frames != 1 or container.duration is not None]


def is_animated(path: Path) -> bool:
    """Whether a file is an animated image: GIF, WebP, PNG or AVIF.

    Raises:
        OSError: it cannot be opened.
    """
    from PIL import Image

    with open_regular(path, ANY_SIZE) as file:
        try:
            with Image.open(file, formats=_ANIMATIONS) as image:
                return bool(getattr(image, "is_animated", False))
        except Exception:  # noqa: BLE001  Pillow's readers raise nearly anything on damaged bytes
            return False


class _Film(Source):
    """A file that FFmpeg reads."""

    def __init__(self, path: Path) -> None:
        self._size = (0, 0)
        self._file = open_regular(path, ANY_SIZE)
        try:
            self._container, self._track = self._open(path)
        except VideoError:
            self._file.close()
            raise
        track = self._track
        track.thread_type = "AUTO"
        rate = float(track.average_rate or track.guessed_rate or 0)
        self.frame_rate = rate if 0 < rate <= 1000 else FALLBACK_RATE
        self.time_base = track.time_base or Fraction(1, 90_000)
        self.indexed = track.frames
        self.length_s = self.indexed / self.frame_rate or (self._container.duration or 0) / 1e6
        if self.indexed and track.duration and "mov" in self._container.format.name:
            # A clip that was trimmed on a phone: an edit list hides frames that the index still names.
            self.length_s = float(track.duration * self.time_base)
        self.announced = round(self.length_s * self.frame_rate) or None

    def _open(self, path: Path) -> tuple[InputContainer, VideoStream]:
        begin = self._file.read(8)
        self._file.seek(0)
        if not begin:
            raise VideoError(f"cannot read the video {path}: the file is empty")
        try:
            container = open_container(self._file)
        except VideoError as error:
            raise VideoError(
                f"cannot read the video {path}: {path.stat().st_size:,} bytes that begin with {begin!r} are not a "
                "video that FFmpeg knows, or are cut off before the index; expected a whole video file: MP4, MKV, "
                "WebM or AVI"
            ) from error
        tracks = _tracks(container)
        if not tracks:
            kinds = sorted({"a still image" if one.type == "video" else one.type for one in container.streams})
            raise VideoError(f"cannot read the video {path}: it has no video track, only {', '.join(kinds)}")
        return container, tracks[0]

    def frames(self) -> Iterator[TimedImage]:
        import av

        start = self._track.start_time or 0
        start_s = float(start * self.time_base) if self.indexed else (self._container.start_time or 0) / 1e6
        end_s = None
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets)
                ours = packet.stream is self._track
                # a length without an index is that of the longest track
                if packet.pts is not None and (ours or not self.indexed):
                    end_s = max(end_s or 0.0, float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s)
                decoded = self._track.decode(packet) if ours else []
            except StopIteration:
                break
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in decoded:
                self.damaged += frame.is_corrupt
                place = None if frame.pts is None else float((frame.pts - start) * self.time_base)
                yield place, partial(self._image, frame)
        if end_s is not None:
            self.missing_s = max(0.0, self.length_s - end_s)

    def close(self) -> None:
        self._container.close()
        self._file.close()

    def _image(self, frame: av.VideoFrame) -> RGBImage:
        """Return the pixels as they are shown; a stream that changes its size keeps that of its first frame."""
        if not any(self._size):
            width, height, aspect = frame.width, frame.height, self._track.sample_aspect_ratio or 1
            if 1 < aspect <= _WIDEST_PIXEL:
                width = round(width * aspect)
            elif 1 > aspect >= Fraction(1, _WIDEST_PIXEL):
                height = round(height / aspect)
            self._size = width, height
        image = frame.reformat(*self._size, "rgb24").to_ndarray()
        return np.ascontiguousarray(_upright(np.asarray(image, np.uint8), frame))


def _upright(image: RGBImage, frame: av.VideoFrame) -> RGBImage:
    """Apply the display matrix, by which a phone says how it was held: quarter turns and mirror images.

    It maps x' = a x + c y, y' = b x + d y and is stored as a, b, u, c, d, … (ISO/IEC 14496-12, 8.3.2).
    """
    matrix = cast("Any", frame.side_data.get("DISPLAYMATRIX"))
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image = image.transpose(1, 0, 2)
    if a + c < 0:
        image = image[:, ::-1]
    return image[::-1] if b + d < 0 else image


class _Animation(Source):
    """An animated image that Pillow reads; a frame's time is the sum of how long those before it are shown."""

    def __init__(self, path: Path) -> None:
        from PIL import Image

        self._image = Image.open(path, formats=_ANIMATIONS)
        self.announced = self.indexed = int(getattr(self._image, "n_frames", 1))
        self.frame_rate = 1000 / self._shown_ms()

    def _shown_ms(self) -> float:
        # browsers show a frame that names no time for a tenth of a second
        return float(self._image.info.get("duration") or 100)

    def frames(self) -> Iterator[TimedImage]:
        time_ms = 0.0
        for number in range(self.indexed):
            try:
                self._image.seek(number)
                image = np.array(self._image.convert("RGB"))
            except Exception:  # noqa: BLE001  see `is_animated`
                # those after it are painted over it
                self.damaged = self.indexed - number
                return
            yield time_ms / 1000, image.view
            time_ms += self._shown_ms()

    def close(self) -> None:
        self._image.close()


__all__ = [
    "FALLBACK_RATE",
    "Source",
    "TimedImage",
    "is_animated",
    "is_copy",
    "is_video",
    "open_container",
    "open_video",
]

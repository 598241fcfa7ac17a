"""Videos written: H.264 in MP4, which browsers play, each frame at its time, with the sound of the source."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ...datasets.storage.names import COPY_MARK
from ...detectors import RGBImage
from ...errors import UsageError, VideoError
from .video_sound import Sound

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

# Frames that refer to later ones ("bf") would leave the time of the last unknown where the rate varies.
_H264 = {"preset": "superfast", "crf": "20", "bf": "0"}
_BT709 = _LIMITED = 1


class VideoWriter:
    """An MP4 file, made with the first frame under a temporary name, and moved to its own once it is whole.

    4:2:0 wants even sides: an odd side gets one more row or column, a copy of the last.

    Attributes:
        path: the file.
    """

    def __init__(
        self,
        path: Path,
        frame_rate: float,
        *,
        time_base: Fraction = Fraction(1, 90_000),
        sound_of: Path | None = None,
    ) -> None:
        """Check the name; the file is not touched yet.

        Args:
            path: ends in .mp4; its folder is made.
            frame_rate: frames a second; where it varies, the mean. The last frame is shown as long as the one before.
            time_base: seconds; times that are whole multiples of it are kept exactly.
            sound_of: a video file whose sound is taken over, its first track.

        Raises:
            UsageError: the name does not end in .mp4.
        """
        if path.suffix.lower() != ".mp4":
            raise UsageError(f"got {path.name} for the video to write, expected a name that ends in .mp4")
        self.path = path
        self._notes: list[str] = []
        self._rate = Fraction(frame_rate).limit_denominator(100_000)
        # finer where it is coarse, such as a frame in AVI: sound may begin between two frames
        self._time_base = time_base / math.ceil(time_base * 10_000)
        self._sound_of = sound_of
        self._size = (0, 0)
        self._last = -1
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._begun = False

    @property
    def notes(self) -> list[str]:
        """What a reader may miss in the file, a sentence each; known when it is closed."""
        return self._notes if not self._begun else []

    def write(self, image: RGBImage, time_s: float) -> None:
        """Add a frame, uint8 (h, w, 3) RGB, at a time in seconds since the start of the video.

        Raises:
            VideoError: the file cannot be written, or the frame is not as large as those before.
        """
        import av

        height, width = image.shape[:2]
        if not self._begun:
            with self._or_none():
                self._size = width, height
                self._start(width + width % 2, height + height % 2)
        if self._size != (width, height):
            raise VideoError(
                f"cannot write {self.path}: got a frame of {width}x{height} pixels after frames of "
                f"{self._size[0]}x{self._size[1]}; a video has one size"
            )
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
        frame = self._converter.reformat(frame, format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
        frame.time_base = self._time_base
        before = self._last
        frame.pts = self._last = max(round((time_s + self._sound.lead_s) / self._time_base), self._last + 1)
        # only that of the last counts
        frame.duration = self._last - before if before >= 0 else round(1 / (self._rate * self._time_base))
        with self._told():
            # in C, so that Ctrl-C cannot come between: packets that are encoded and not written would be missed
            deque(map(self._output.mux, map(self._video.encode, (frame,))), maxlen=0)
            self._sound.write_until(self._last * self._time_base)

    def close(self, *, whole: bool = True) -> None:
        """End the file so that it plays, and move it to its place; without a frame there is none.

        Args:
            whole: take over all sound; else what there is up to the last frame.

        Raises:
            VideoError: it cannot be written.
        """
        if not self._begun:
            return
        with self._or_none():
            self._output.mux(self._video.encode(None))
            self._sound.write_until(math.inf if whole else self._last * self._time_base)
            self._sound.close()
            self._notes += self._sound.notes
            self._output.close()
            with self._temporary.open("rb") as file:
                os.fsync(file.fileno())
            self._temporary.replace(self.path)
            self._begun = False

    def _start(self, width: int, height: int) -> None:
        import av
        from av.codec.context import Flags
        from av.video.reformatter import VideoReformatter

        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        self._begun = True
        # FFmpeg writes by itself: PyAV ignores what is raised in a file of Python's, and with it Ctrl-C
        self._output: OutputContainer = av.open(
            f"file:{self._temporary}", "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._output.metadata["comment"] = COPY_MARK.decode()
        encoder, options, time_base = "libx264", _H264, self._time_base
        if encoder not in av.codecs_available:
            encoder, options = "mpeg4", {"qmax": "4"}
            # its clock has 16 bits
            time_base = max(time_base, Fraction(1, 60_000))
            self._notes.append("PyAV has no H.264 encoder here: MPEG-4 part 2 was written, which browsers do not play")
        self._time_base = time_base
        self._converter = VideoReformatter()
        video = self._video = cast("VideoStream", self._output.add_stream(encoder, self._rate, options))
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        codec = video.codec_context
        codec.time_base = time_base
        codec.flags |= Flags.frame_duration
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
        codec.color_range = _LIMITED
        self._sound = Sound(self._sound_of, self._output)
        # else at the first packet, where Ctrl-C would come between
        self._output.start_encoding()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Take the file away after an error and tell it as one of ours; Ctrl-C leaves it as it is."""
        import av

        try:
            yield
        except (OSError, ValueError, av.FFmpegError) as error:
            self._discard()
            raise VideoError(
                f"cannot write {self.path}: {getattr(error, 'strerror', None) or error}. Free some space or choose "
                "another folder"
            ) from error

    @contextmanager
    def _or_none(self) -> Iterator[None]:
        """The same where Ctrl-C would leave half a file: while it is begun or ended."""
        try:
            with self._told():
                yield
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        if not self._begun:
            return
        # what was not made yet has nothing to close
        with suppress(Exception):
            self._sound.close()
        with suppress(Exception):
            self._output.close()
        self._begun = False
        self._temporary.unlink(missing_ok=True)


__all__ = ["VideoWriter"]

"""Video files and cameras in, video files out, by OpenCV; what it lets pass in silence is an error here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...detectors import RGBImage
from ...errors import UsageError, VideoError

if TYPE_CHECKING:
    import cv2

FALLBACK_RATE = 25.0
"""Frames a second of a source that does not tell."""

_CUT_SHARE, _CUT_FRAMES = 0.05, 3


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a video.

    Attributes:
        index: its number among all frames of the source, from 0.
        time_s: its place in the video, seconds; of a camera, since the first frame. It always rises.
        image: uint8 (h, w, 3) RGB, upright.
    """

    index: int
    time_s: float
    image: RGBImage


class VideoReader:
    """Frames of a video file or a camera.

    Attributes:
        title: what messages call it.
        live: whether it is a camera.
        frame_rate: frames a second of the source, `FALLBACK_RATE` where it does not tell.
        announced: frames by the file's header, which may be a guess; None where it does not tell.
        frames_read: frames taken from the source so far, those left out among them.
    """

    def __init__(self, source: Path | str | int, *, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """Open a source.

        Args:
            source: a video file, or the number of a camera.
            clock: nanoseconds; it times the frames of a camera.

        Raises:
            VideoError: the file is missing or no video that can be read; there is no such camera.
        """
        import cv2

        self.live = isinstance(source, int)
        self.title = f"camera {source}" if isinstance(source, int) else str(source)
        self._clock = clock
        self._capture = _open_camera(source) if isinstance(source, int) else _open_file(Path(source))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frame_rate = rate if 0 < rate <= 1000 else FALLBACK_RATE
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.announced = int(count) if not self.live and 0 < count < 1e9 else None
        self.frames_read = 0

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Give frame 0, `every`, 2 `every` and so on; the others are passed over without their colours being converted.

        Raises:
            UsageError: `every` is below 1.
            VideoError: there is no frame at all; the video ends long before the number of frames that its header
                names, by 5 % and three frames at least; the camera gives no more.
        """
        import cv2

        if every < 1:
            raise UsageError(f"got every={every}, expected 1 for all frames, 2 for every second one, and so on")
        start, time_s = 0, -math.inf
        while self._capture.grab():
            index = self.frames_read
            self.frames_read += 1
            if self.live:
                now = self._clock()
                start = start if index else now
                place = (now - start) / 1e9
            else:
                place = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # A raw stream has no time stamps, and a damaged one may have them twice.
            time_s = place if place > time_s else time_s + 1 / self.frame_rate
            if index % every:
                continue
            there, image = self._capture.retrieve()
            if not there or image is None:
                raise VideoError(f"{self.title}: frame {index} cannot be decoded; the video is damaged there")
            yield Frame(index, time_s, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8))
        self._check_end()

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()

    def _check_end(self) -> None:
        if self.live:
            raise VideoError(f"{self.title} gave no more images after {self.frames_read}; is it still connected?")
        if not self.frames_read:
            raise VideoError(f"{self.title} is a video without a frame that can be decoded, expected at least one")
        missing = (self.announced or 0) - self.frames_read
        if missing >= max(_CUT_FRAMES, _CUT_SHARE * (self.announced or 0)):
            raise VideoError(
                f"{self.title} is cut off or damaged: got {self.frames_read} frames, expected {self.announced} by its "
                "header. What was written up to there is kept; copy the video again to have it whole"
            )


class VideoWriter:
    """An MP4 file (MPEG-4 part 2, which OpenCV's packages can write everywhere), opened with the first frame.

    MPEG-4 wants even sides: an odd side gets one more row or column, a copy of the last. Frames follow each other at
    one rate; a frame that comes late, as a camera's may, is held back by repeating the one before.

    Attributes:
        path: the file.
        frames_written: repeated ones among them.
    """

    def __init__(self, path: Path, frame_rate: float, *, by_time: bool = False) -> None:
        """Check the name; the file is not touched yet.

        Args:
            path: ends in .mp4; its folder is made.
            frame_rate: frames a second.
            by_time: repeat frames so that each stands where its time says; else one after the other.

        Raises:
            UsageError: the name does not end in .mp4.
        """
        if path.suffix.lower() != ".mp4":
            raise UsageError(f"got {path.name} for the video to write, expected a name that ends in .mp4")
        self.path = path
        self.frames_written = 0
        self._rate = frame_rate
        self._by_time = by_time
        self._size = (0, 0)
        self._writer: cv2.VideoWriter | None = None
        self._last: NDArray[np.uint8] | None = None

    def write(self, image: RGBImage, time_s: float) -> None:
        """Add a frame, uint8 (h, w, 3) RGB, at a time in seconds since the first.

        Raises:
            VideoError: the file cannot be written, or the frame is not as large as those before.
        """
        import cv2

        height, width = image.shape[:2]
        if self._writer is None:
            self._writer, self._size = self._open(width + width % 2, height + height % 2), (width, height)
        if self._size != (width, height):
            raise VideoError(
                f"cannot write {self.path}: got a frame of {width}x{height} pixels after frames of "
                f"{self._size[0]}x{self._size[1]}; a video has one size"
            )
        if self._by_time and self._last is not None:
            while self.frames_written < math.floor(time_s * self._rate + 0.5):
                self._put(self._last)
        frame = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if width % 2 or height % 2:
            frame = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        self._last = np.asarray(frame, np.uint8)
        if not self._by_time:
            self._put(self._last)

    def close(self) -> None:
        """End the file so that it plays, and read back how many frames it has: OpenCV says nothing of a full disk.

        Raises:
            VideoError: not all frames arrived in the file.
        """
        import cv2

        if self._writer is None:
            return
        if self._by_time and self._last is not None:
            self._put(self._last)
        self._writer.release()
        self._writer = None
        with _quiet():
            check = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
            there = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
            check.release()
        # An interrupt may come after a frame was written and before it was counted: one more is not a fault.
        if there < self.frames_written:
            raise VideoError(
                f"cannot write {self.path}: {there} of {self.frames_written} frames arrived. Free some space or choose "
                "another folder"
            )

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        import cv2

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VideoError(f"cannot write {self.path}: {error.strerror or error}. Choose another folder") from error
        with _quiet():
            writer = cv2.VideoWriter(
                str(self.path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), self._rate, (width, height)
            )
        if not writer.isOpened():
            raise VideoError(
                f"cannot write {self.path}, {width}x{height} pixels at {self._rate:g} frames a second. "
                "Choose a folder that can be written to"
            )
        return writer

    def _put(self, image: NDArray[np.uint8]) -> None:
        assert self._writer is not None
        self._writer.write(image)
        self.frames_written += 1


def _open_file(path: Path) -> cv2.VideoCapture:
    import cv2

    try:
        if path.is_dir():
            raise VideoError(f"cannot read the video {path}: it is a folder, expected a video file")
        with path.open("rb") as file:
            begin = file.read(8)
    except OSError as error:
        raise VideoError(f"cannot read the video {path}: {error.strerror or error}") from error
    if not begin:
        raise VideoError(f"cannot read the video {path}: the file is empty")
    with _quiet():
        # FFmpeg alone: the other readers take "clip_01.mp4" for the first of a row of images.
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise VideoError(
            f"cannot read the video {path}: {path.stat().st_size:,} bytes that begin with {begin!r} are not a video "
            "that FFmpeg knows, or are cut off before the index; expected a whole video file: MP4, MKV, WebM or AVI"
        )
    return capture


def _open_camera(number: int) -> cv2.VideoCapture:
    import cv2

    if isinstance(number, bool) or number < 0:
        raise UsageError(f"got camera {number}, expected 0 for the first camera, 1 for the second, and so on")
    with _quiet():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise VideoError(f"camera {number} cannot be opened: there is none, it is in use, or access is not allowed")
    # The newest image, not one that waited while the last was looked at; not every driver can.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV's own log quiet where an error of ours says more."""
    import cv2

    log = cv2.utils.logging
    before = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)


__all__ = ["FALLBACK_RATE", "Frame", "VideoReader", "VideoWriter"]

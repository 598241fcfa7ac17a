"""Videos and cameras, a frame at a time: upright, with square pixels and the time at which each is shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...detectors import RGBImage
from ...errors import UsageError, VideoError
from .video_file import FALLBACK_RATE, Source, TimedImage, open_video

_CUT_SHARE, _CUT_FRAMES = 0.05, 3


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a video.

    Attributes:
        index: its number among all frames of the source, from 0.
        time_s: when it is shown, seconds from the video's start; of a camera, from the first frame. It always rises.
        image: uint8 (h, w, 3) RGB, upright, with square pixels.
    """

    index: int
    time_s: float
    image: RGBImage


class VideoReader:
    """Frames of a video file, an animation or a camera.

    Attributes:
        title: what messages call it.
        live: whether it is a camera.
        frame_rate: frames a second of the source, `FALLBACK_RATE` where it does not tell.
        time_base: seconds; the times of its frames are whole multiples of it.
        announced: frames by the file's header, which may be a guess; None where it does not tell.
        frames_read: frames taken from the source so far, those left out among them.
    """

    def __init__(self, source: Path | str | int, *, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """Open a source.

        Args:
            source: a video file of any name, known by its content; or the number of a camera.
            clock: nanoseconds; it times the frames of a camera.

        Raises:
            VideoError: the file is missing, no video that can be read, or has sound alone; there is no such camera.
        """
        self.live = isinstance(source, int)
        self.title = f"camera {source}" if isinstance(source, int) else str(source)
        self._source: Source = _Camera(source, clock) if isinstance(source, int) else open_video(Path(source))
        self.frame_rate = self._source.frame_rate
        self.time_base = self._source.time_base
        self.announced = self._source.announced
        self.frames_read = 0

    @property
    def damaged(self) -> int:
        """Frames so far that could not be decoded, or only in part, as far as the decoder tells."""
        return self._source.damaged

    @property
    def notes(self) -> list[str]:
        """What was wrong with the video, a sentence each; known when its last frame was taken."""
        notes = []
        if self.damaged:
            notes.append(f"damaged frames: {self.damaged}; what could be decoded of them was looked at")
        if self._ends_early and not self._source.indexed:
            notes.append(f"it ends {self._source.missing_s:.1f} s before its header says; it may be cut off")
        return notes

    @property
    def _ends_early(self) -> bool:
        most = max(_CUT_FRAMES / self.frame_rate, _CUT_SHARE * self._source.length_s)
        return self._source.missing_s > most * (1 - 1e-6)

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Give frame 0, `every`, 2 `every` and so on; the others are passed over without their colours being converted.

        Raises:
            UsageError: `every` is below 1.
            VideoError: there is no frame at all; the video ends earlier than its index says, by 5 % and three frames at
                least; the camera gives no more.
        """
        if every < 1:
            raise UsageError(f"got every={every}, expected 1 for all frames, 2 for every second one, and so on")
        time_s = -math.inf
        for place, image in self._source.frames():
            index = self.frames_read
            self.frames_read += 1
            # A raw stream has no time stamps, and those of a damaged or joined one may go back.
            after = time_s + 1 / self.frame_rate if index else 0.0
            time_s = place if place is not None and place > time_s else after
            if index % every == 0:
                yield Frame(index, time_s, image())
        self._check_end()

    def close(self) -> None:
        """Let go of the file or camera."""
        self._source.close()

    def _check_end(self) -> None:
        if self.live:
            raise VideoError(f"{self.title} gave no more images after {self.frames_read}; is it still connected?")
        if not self.frames_read:
            raise VideoError(f"{self.title} is a video without a frame that can be decoded, expected at least one")
        if self._source.indexed and self._ends_early:
            raise VideoError(
                f"{self.title} is cut off or damaged: got {self.frames_read} frames, expected {self.announced} by its "
                "header. What was written up to there is kept; copy the video again to have it whole"
            )


class _Camera(Source):
    """A camera, by OpenCV: it gives the newest image, FFmpeg the one that has waited longest."""

    def __init__(self, number: int, clock: Callable[[], int]) -> None:
        import cv2

        if isinstance(number, bool) or number < 0:
            raise UsageError(f"got camera {number}, expected 0 for the first camera, 1 for the second, and so on")
        with _quiet():
            self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise VideoError(f"camera {number} cannot be opened: there is none, it is in use, or access is not allowed")
        # not one that waited while the last was looked at; not every driver can
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frame_rate = rate if 0 < rate <= 1000 else FALLBACK_RATE
        self._clock = clock

    def frames(self) -> Iterator[TimedImage]:
        start = None
        while self._capture.grab():
            now = self._clock()
            start = now if start is None else start
            yield (now - start) / 1e9, self._image

    def _image(self) -> RGBImage:
        import cv2

        there, image = self._capture.retrieve()
        if not there or image is None:
            raise VideoError("the camera gave an image that cannot be decoded")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        self._capture.release()


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


__all__ = ["Frame", "VideoReader"]

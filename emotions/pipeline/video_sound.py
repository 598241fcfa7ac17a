"""The sound of a video, taken over into another: copied where MP4 holds it and browsers play it, else made AAC."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets.regular_files import ANY_SIZE, open_regular
from ...errors import VideoError
from .video_file import open_container

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

_COPIED = frozenset(("aac", "flac", "libopus", "mp3", "mp3float", "opus"))
"""Names of decoders."""
_AAC_RATE = 48_000
"""Samples a second where AAC knows not those of the source."""

_Packets = Iterator[tuple[float, list[Any]]]
"""When they are heard, seconds from the start, and what is written for it."""


class Sound:
    """The first sound track of a video file, written a stretch at a time.

    Attributes:
        notes: what is lost, a sentence each.
        lead_s: seconds of it before the first frame.
    """

    def __init__(self, path: Path | None, output: OutputContainer) -> None:
        """Add a sound track to a container that is not begun yet.

        Args:
            path: the video file; None for no sound.
            output: where the sound goes.
        """
        self.notes: list[str] = []
        self.lead_s = 0.0
        self._output = output
        self._packets: _Packets = iter(())
        self._opened = ExitStack()
        if path is None:
            return
        try:
            source = self._opened.enter_context(
                open_container(self._opened.enter_context(open_regular(path, ANY_SIZE)))
            )
        except (OSError, VideoError):
            # an animation that FFmpeg does not know
            return
        if not source.streams.audio:
            return
        track = source.streams.audio[0]
        start_s = (source.start_time or 0) / 1e6
        try:
            self._packets = self._taken_over(source, track, start_s)
        except (AttributeError, ValueError) as error:
            self.notes.append(f"the sound was left out: {error}")
            return
        video = source.streams.video[0]
        self.lead_s = max(0.0, float((video.start_time or 0) * (video.time_base or 0)) - start_s)

    def write_until(self, time_s: float | Fraction) -> None:
        """Write what is heard before a time, seconds from the start of the copy, and at most a packet more.

        Raises:
            OSError: the file cannot be written.
        """
        import av

        try:
            for place, packets in self._packets:
                self._output.mux(packets)
                if place >= time_s:
                    return
        except (ValueError, av.FFmpegError) as error:
            if isinstance(error, OSError):
                raise
            self._packets = iter(())
            self.notes.append(f"the sound ends early: {error}")

    def close(self) -> None:
        """Let go of the source."""
        self._opened.close()

    def _taken_over(self, source: InputContainer, track: AudioStream, start_s: float) -> _Packets:
        import av

        codec = track.codec_context
        if codec.codec.name in _COPIED:
            return _copied(source, track, self._output.add_stream_from_template(track), start_s)
        rates = av.Codec("aac", "w").audio_rates or []
        rate = codec.rate if codec.rate in rates else _AAC_RATE
        target = self._output.add_stream("aac", rate)
        target.codec_context.layout = "mono" if codec.channels == 1 else "stereo"
        return _as_aac(source, track, target, start_s)


def _copied(source: InputContainer, track: AudioStream, target: AudioStream, start_s: float) -> _Packets:
    last = -math.inf
    for packet in source.demux(track):
        # the mark of the end has no time; one that goes back is damaged
        if packet.dts is None or packet.pts is None or packet.dts <= last:
            continue
        last = packet.dts
        shift = round(start_s / packet.time_base)
        packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
        packet.stream = target
        yield float(packet.pts * packet.time_base), [packet]


def _as_aac(source: InputContainer, track: AudioStream, target: AudioStream, start_s: float) -> _Packets:
    import av

    for packet in source.demux(track):
        try:
            frames = track.decode(packet)
        except av.FFmpegError:
            # a damaged packet is a gap
            continue
        for frame in frames:
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(start_s / frame.time_base)
            yield frame.time or 0.0, target.encode(frame)
    yield math.inf, target.encode(None)


__all__ = ["Sound"]

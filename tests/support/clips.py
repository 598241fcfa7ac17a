"""Videos as people have them, made by PyAV; each frame is one grey level, by which it is known again."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

STEP = 8
"""Grey levels between two frames."""


def grey(frame: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Frame number `frame`, up to 28, of this width and height."""
    return np.full((size[1], size[0], 3), 16 + STEP * frame, np.uint8)


def number(image: np.ndarray) -> int:
    """Which frame this is, after any codec."""
    return round((float(image.mean()) - 16) / STEP)


def clip(
    kind: str = "mp4",
    codec: str = "libx264",
    images: Sequence[np.ndarray] | None = None,
    *,
    rate: Fraction | int = 10,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    aspect: Fraction | None = None,
    sound: str | None = None,
    sound_rate: int = 44_100,
    sound_s: float | None = None,
    layout: str = "stereo",
) -> bytes:
    """A video file.

    Args:
        kind: FFmpeg's name of the container.
        codec: of the images.
        images: uint8 (h, w, 3) RGB; by default 20 of `grey`.
        rate: frames a second.
        times: of each frame, in `time_base`; else they follow each other at the rate.
        time_base: seconds.
        aspect: width of a pixel by its height.
        sound: the codec of a tone; None for none.
        sound_rate: samples a second.
        sound_s: seconds of it; as long as the images by default.
        layout: mono or stereo.
    """
    images = [grey(frame) for frame in range(20)] if images is None else images
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as container:
        stream = container.add_stream(codec, Fraction(rate))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        base = time_base or 1 / Fraction(rate)
        if time_base is not None:
            stream.codec_context.time_base = base
        heard = None if sound is None else container.add_stream(sound, sound_rate, layout=layout)
        for place, image in zip(times or range(len(images)), images, strict=True):
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = place, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None:
            count = round(sound_rate * (len(images) / rate if sound_s is None else sound_s))
            tone = (8000 * np.sin(np.arange(count) * 2 * np.pi * 440 / sound_rate)).astype(np.int16)
            samples = np.repeat(tone, 1 if layout == "mono" else 2)[None]
            frame = av.AudioFrame.from_ndarray(samples, "s16", layout)
            frame.sample_rate, frame.pts, frame.time_base = sound_rate, 0, Fraction(1, sound_rate)
            container.mux(heard.encode(frame))
            container.mux(heard.encode(None))
    return out.getvalue()


def turned(mp4: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """An MP4 with another display matrix: x' = a x + c y, y' = b x + d y."""
    at = mp4.index(b"tkhd") + 44
    return mp4[:at] + struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30) + mp4[at + 36 :]


def sound_alone() -> bytes:
    """An MP4 with a tone and no images."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("aac", 44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.int16), "s16", "mono")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def tones(content: bytes) -> tuple[float, float, np.ndarray]:
    """When the sound begins after the images, how long it is, seconds, and its samples."""
    with av.open(io.BytesIO(content)) as container:
        images = container.streams.video[0]
        start = float((images.start_time or 0) * images.time_base)
        mono = av.AudioResampler("fltp", "mono")
        frames = [one for heard in container.decode(audio=0) for one in mono.resample(heard)]
    end = frames[-1].time + frames[-1].samples / frames[-1].sample_rate
    return frames[0].time - start, end - frames[0].time, np.concatenate([one.to_ndarray()[0] for one in frames])

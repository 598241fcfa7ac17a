"""Faces in a video file or before a camera: a copy with overlays, a line of JSON a frame, and how fast it went."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from ...datasets.faces.fer import EMOTIONS
from ...detectors import Detections, Detector, RGBImage
from ...errors import UsageError, VideoError
from .overlay import draw, draw_boxes
from .pipeline import EmotionPipeline, FaceEmotions, PipelineTimes
from .tracks import TrackerOptions, Tracks, follow
from .video_copy import VideoWriter
from .video_io import Frame, VideoReader


@dataclass(frozen=True, slots=True)
class VideoProgress:
    """What an observer hears after every frame that was looked at.

    Attributes:
        frames_read: frames taken from the source so far.
        announced: frames by the file's header; None of a camera or where the header does not tell.
        time_s: the frame's place in the video.
        faces: found in this frame.
    """

    frames_read: int
    announced: int | None
    time_s: float
    faces: int


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What became of a video.

    Attributes:
        source: the file or camera.
        width: of a frame, pixels.
        height: of a frame, pixels.
        frame_rate: frames a second of the source.
        frames_announced: by the file's header; None of a camera or where the header does not tell.
        frames_read: taken from the source.
        frames_processed: looked at; fewer where only every n-th was.
        frames_damaged: could not be decoded, or only in part, as far as the decoder tells; those shown in part were
            looked at.
        video_s: place of the last frame that was looked at.
        faces: found, over all frames.
        tracks: different faces, as far as they could be followed.
        detector_ms: mean a frame looked at.
        crop_ms: the same; 0 of a detector alone.
        classifier_ms: the same; 0 of a detector alone.
        pipeline_fps: frames looked at, by the seconds that detector, crops and classifier took.
        total_fps: frames looked at, by all seconds: decoding, tracking, drawing and writing too.
        stopped: whether the user ended it.
        output: the video written.
        jsonl: the file of JSON lines written.
        notes: what a reader may miss in it all, a sentence each: damaged frames, an early end, sound that was left out.
    """

    source: str
    width: int
    height: int
    frame_rate: float
    frames_announced: int | None
    frames_read: int
    frames_processed: int
    frames_damaged: int
    video_s: float
    faces: int
    tracks: int
    detector_ms: float
    crop_ms: float
    classifier_ms: float
    pipeline_fps: float
    total_fps: float
    stopped: bool
    output: Path | None
    jsonl: Path | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary ready for JSON."""
        values = dataclasses.asdict(self).items()
        return {name: str(value) if isinstance(value, Path) else value for name, value in values}


def process_video(
    source: Path | str | int,
    pipeline: EmotionPipeline | Detector,
    *,
    output: Path | None = None,
    jsonl: Path | TextIO | None = None,
    every: int = 1,
    observer: Callable[[VideoProgress], None] | None = None,
    tracking: TrackerOptions | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> VideoReport:
    """Find faces, and emotions where a pipeline finds them, in every `every`-th frame of a video file or camera.

    A KeyboardInterrupt ends it as the end of the video does: both files are whole up to there, and the report says
    that it was stopped. After an error they are whole up to the frame before it too. A camera has no other end.

    A JSON line a frame looked at: `video`, `frame`, `time_s` (of its presentation time stamp), and `faces`, each with
    `track`, `box` (x1, y1, x2, y2, pixels of the frame as it is shown: upright, its pixels square), `score`, where the
    detector has them `landmarks`, and of a pipeline `emotion` and `probabilities`, both smoothed along the track.

    Args:
        source: a video file of any name, known by its content; or the number of a camera.
        pipeline: what finds and classifies, or a detector, which finds alone; it is not closed.
        output: an MP4 file to write, with overlays, each frame at its time, and the sound of the source; frames not
            looked at are left out, and the one before is shown the longer.
        jsonl: a file of JSON lines to write, or one that is open for writing text and is not closed.
        every: 1 for all frames, 2 for every second one, and so on.
        observer: called after every frame looked at.
        tracking: how faces are followed and emotions smoothed; None for the defaults of `TrackerOptions`.
        clock: nanoseconds.

    Raises:
        UsageError: a bad option; an output that is the source or the other output.
        VideoError: the source is missing, no video, empty, cut off, or no camera; an output cannot be written.
    """
    jsonl_path = jsonl if isinstance(jsonl, Path) else None
    _check_places(source, output, jsonl_path)
    options = tracking or TrackerOptions()
    tally = _Tally()
    stopped = False
    with ExitStack() as stack:
        reader = VideoReader(source, clock=clock)
        stack.callback(reader.close)
        find, tracks = (
            _finder(pipeline, clock),
            Tracks.none(len(EMOTIONS) if isinstance(pipeline, EmotionPipeline) else 0),
        )
        video = None
        if output is not None:
            sound_of = None if isinstance(source, int) else Path(source)
            video = VideoWriter(output, reader.frame_rate / every, time_base=reader.time_base, sound_of=sound_of)
        lines = None if jsonl_path else cast("TextIO | None", jsonl)
        start = clock()
        whole = False
        try:
            for frame in reader.frames(every):
                found = find(frame.image)
                tracks, ids, smooth = follow(tracks, found.detections.boxes, found.probabilities, frame.time_s, options)
                shown = dataclasses.replace(found, probabilities=smooth)
                if video is not None:
                    video.write(_drawn(frame.image, shown, ids), frame.time_s)
                if jsonl_path is not None:
                    lines = lines or _open_lines(jsonl_path, stack)
                if lines is not None:
                    _write_line(lines, jsonl_path, reader.title, frame, shown.records(), ids.tolist())
                tally.add(frame, found)
                if observer is not None:
                    observer(VideoProgress(reader.frames_read, reader.announced, frame.time_s, len(found)))
            whole = True
        except KeyboardInterrupt:
            stopped = True
        finally:
            if video is not None:
                video.close(whole=whole)
        elapsed_ns = clock() - start
    seconds, count = tally.pipeline_ms / 1000, max(tally.frames, 1)
    return VideoReport(
        source=reader.title,
        width=tally.size[0],
        height=tally.size[1],
        frame_rate=reader.frame_rate,
        frames_announced=reader.announced,
        frames_read=reader.frames_read,
        frames_processed=tally.frames,
        frames_damaged=reader.damaged,
        video_s=tally.time_s,
        faces=tally.faces,
        tracks=tracks.count,
        detector_ms=tally.detector_ms / count,
        crop_ms=tally.crop_ms / count,
        classifier_ms=tally.classifier_ms / count,
        pipeline_fps=tally.frames / seconds if seconds else 0.0,
        total_fps=tally.frames / (elapsed_ns / 1e9) if elapsed_ns else 0.0,
        stopped=stopped,
        output=output if tally.frames else None,
        jsonl=jsonl_path if tally.frames else None,
        notes=(*reader.notes, *(video.notes if video is not None else ())),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Boxes:
    """Of a detector alone, what `FaceEmotions` is of a pipeline."""

    detections: Detections
    probabilities: NDArray[np.float32]
    times: PipelineTimes

    def __len__(self) -> int:
        return len(self.detections)

    def records(self) -> list[dict[str, Any]]:
        return self.detections.records()


def _finder(
    pipeline: EmotionPipeline | Detector, clock: Callable[[], int]
) -> Callable[[RGBImage], FaceEmotions | _Boxes]:
    if isinstance(pipeline, EmotionPipeline):
        # Loaded before the first frame, so that its loading is in no frame rate and a missing file is told at once.
        _ = pipeline.classifier
        return pipeline.find

    def find(image: RGBImage) -> _Boxes:
        start = clock()
        found = pipeline.detect(image)
        times = PipelineTimes((clock() - start) / 1e6, 0.0, 0.0)
        return _Boxes(found, np.zeros((len(found), 0), np.float32), times)

    return find


def _drawn(image: RGBImage, found: FaceEmotions | _Boxes, ids: NDArray[np.int64]) -> RGBImage:
    return draw(image, found, ids) if isinstance(found, FaceEmotions) else draw_boxes(image, found.detections.boxes)


@dataclass(slots=True)
class _Tally:
    frames: int = 0
    faces: int = 0
    time_s: float = 0.0
    size: tuple[int, int] = (0, 0)
    detector_ms: float = 0.0
    crop_ms: float = 0.0
    classifier_ms: float = 0.0

    def add(self, frame: Frame, found: FaceEmotions | _Boxes) -> None:
        self.frames += 1
        self.faces += len(found)
        self.time_s = frame.time_s
        self.size = frame.image.shape[1], frame.image.shape[0]
        self.detector_ms += found.times.detector_ms
        self.crop_ms += found.times.crop_ms
        self.classifier_ms += found.times.classifier_ms

    @property
    def pipeline_ms(self) -> float:
        return self.detector_ms + self.crop_ms + self.classifier_ms


def _check_places(source: Path | str | int, output: Path | None, jsonl: Path | None) -> None:
    """Refuse to write over the source, which is lost when the writer opens it, or twice into one file."""
    seen = {} if isinstance(source, int) else {Path(source).resolve(): "the source"}
    for name, path in (("output", output), ("jsonl", jsonl)):
        if path is None:
            continue
        place = path.resolve()
        if place in seen:
            raise UsageError(f"got {path} as {name}, which is {seen[place]} too; expected another file")
        seen[place] = name


def _open_lines(path: Path, stack: ExitStack) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # line by line, so that another program can read along
        file = path.open("w", encoding="utf-8", newline="\n", buffering=1)
    except OSError as error:
        raise VideoError(f"cannot write {path}: {error.strerror or error}. Choose another folder") from error
    stack.callback(_close, file)
    return file


def _close(file: TextIO) -> None:
    # Every line is out by now, or has failed and was told; closing would only fail on it again.
    with suppress(OSError):
        file.close()


def _write_line(
    file: TextIO, path: Path | None, title: str, frame: Frame, records: list[dict[str, Any]], ids: list[int]
) -> None:
    faces = [{"track": track} | record for track, record in zip(ids, records, strict=True)]
    line = {"video": title, "frame": frame.index, "time_s": round(frame.time_s, 6), "faces": faces}
    try:
        file.write(json.dumps(line) + "\n")
    except OSError as error:
        if path is None:
            raise
        raise VideoError(f"cannot write {path}: {error.strerror or error}. Free some space") from error


__all__ = ["VideoProgress", "VideoReport", "process_video"]

"""Videos of the verb detect: which sources are some, where copies go, and the way through each."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from ..errors import UsageError, VideoError
from .console import json_text, say, stderr

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ..detectors import Detector
    from ..emotions import EmotionPipeline, VideoProgress

VIDEO_COPY_SUFFIX = ".faces.mp4"
"""The end of the names of copies of videos."""
_MAY_MOVE = ("AVIF", "GIF", "PNG", "WEBP")
"""Kinds of images that may be animations."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def find_videos(sources: list[str]) -> list[Path | int]:
    """Return the videos among the sources, those in folders sorted by path, or the number of a camera.

    Raises:
        UsageError: an address, or a camera that is not alone.
    """
    videos: list[Path | int] = []
    for text in sources:
        path = Path(text)
        if path.is_dir():
            videos += _videos_below(path)
        elif path.exists() or not (text.isdecimal() or _ADDRESS.match(text)):
            videos += [path] if _is_video(path) else []
        elif text.isdecimal() and len(sources) == 1:
            videos.append(int(text))
        elif text.isdecimal():
            raise UsageError(f"got {len(sources)} sources with the camera {text} among them, expected it alone")
        else:
            raise UsageError(
                f"got the address {text}, expected a file: download it first; of a stream, record a part, such as a "
                "minute with: ffmpeg -i ADDRESS -t 60 clip.mp4"
            )
    return videos


def check_output(output: Path, images: int, videos: list[Path | int]) -> None:
    """Refuse a name for copies that fits not what there is to copy.

    Raises:
        UsageError: a file for several sources or for images, another kind of video, a folder for a camera.
    """
    from ..datasets.storage.names import VIDEO_SUFFIXES

    suffix = output.suffix.lower()
    only = videos[0] if len(videos) == 1 and not images else None
    if suffix == ".mp4" and only is None:
        whom = f"{images + len(videos)} files" if videos else "images"
        raise UsageError(f"got -o {output} for {whom}, expected a folder")
    if isinstance(only, int) and suffix != ".mp4":
        raise UsageError(f"got -o {output} for a camera, expected a file that ends in .mp4")
    if only is not None and suffix in VIDEO_SUFFIXES - {".mp4"}:
        raise UsageError(f"got -o {output} for a video, expected a file that ends in .mp4, or a folder")


def film(
    videos: list[tuple[Path | int, Path | None]],
    finder: EmotionPipeline | Detector,
    lines: TextIO,
    every: int,
    *,
    alone: bool,
) -> bool:
    """Go through videos with a bar: a JSON line a frame, the report of each as one of its own, its notes in words.

    Args:
        videos: files or the number of a camera, each with where its copy goes.
        finder: of faces.
        lines: where the lines of frames go; reports go to standard output.
        every: look at every n-th frame.
        alone: raise where the only source cannot be read; else that is a line of its own.

    Returns:
        Whether all could be read.

    Raises:
        VideoError: see `alone`.
        typer.Exit: the user stopped it.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ..emotions import process_video

    console = stderr()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = console.is_terminal and not lines.isatty()
    well = True
    for video, copy in videos:
        with Progress(*columns, console=console, transient=True, disable=not shown, redirect_stdout=False) as progress:
            task = progress.add_task("frames", total=None)

            def hear(now: VideoProgress, progress: Progress = progress, task: TaskID = task) -> None:
                progress.update(task, completed=now.frames_read, total=now.announced)

            try:
                report = process_video(video, finder, output=copy, jsonl=lines, every=every, observer=hear)
            except VideoError as error:
                if alone:
                    raise
                well = False
                lines.write(json.dumps({"video": str(video), "error": str(error)}) + "\n")
                continue
        typer.echo(json_text(report.to_json()))
        for note in report.notes:
            say(f"facebench: {report.source}: {note}", err=True)
        if report.stopped:
            raise typer.Exit(130)
    return well


def _videos_below(folder: Path) -> list[Path]:
    """Return the videos in a folder and those below it, without copies that facebench wrote."""
    from ..datasets.storage.names import OTHER_SUFFIXES, VIDEO_SUFFIXES
    from ..datasets.storage.places import files_below
    from ..emotions.pipeline.video_file import is_copy

    others = OTHER_SUFFIXES - VIDEO_SUFFIXES
    videos = [path for path in files_below(folder) if path.suffix.lower() not in others and _is_video(path)]
    left = [path for path in videos if not is_copy(path)]
    if len(left) < len(videos):
        say(f"facebench: left out {len(videos) - len(left)} of its own copies of videos", err=True)
    return left


def _is_video(path: Path) -> bool:
    """Whether a file is a video by its content, or by its name where the content is damaged or missing."""
    from ..datasets.storage.names import VIDEO_SUFFIXES, is_litter
    from ..datasets.storage.places import begins_as
    from ..emotions.pipeline.video_file import is_animated, is_video

    kind = begins_as(path)
    if kind is not None or is_litter(path.name):
        return kind in _MAY_MOVE and is_animated(path)
    # TypeScript has the suffix of transport streams
    return is_video(path) or path.suffix.lower() in VIDEO_SUFFIXES - {".ts"}

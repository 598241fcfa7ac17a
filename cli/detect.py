"""The verb that uses a detector: detect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import MissingDataError, ResultsError, UsageError
from .console import Device, MaxMegapixels, build_fetched, load_classifier, read_setting, stderr

if TYPE_CHECKING:
    from ..detectors import Detector, RGBImage
    from ..emotions import EmotionPipeline, VideoProgress

_VIDEOS = frozenset((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"))
"""What was meant by a name whose file is missing or damaged."""


def detect_command(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Images, folders of images, a video, or the number of a camera.")
    ] = None,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample", help="Without an image of yours: write sample.png to the folder of -o and look at it."
        ),
    ] = False,
    detector: Annotated[str, typer.Option(help="A detector, or default: the picked one.")] = "default",
    device: Annotated[
        Device | None, typer.Option(help="cpu or cuda; else that of the picked detector, and cpu for a named one.")
    ] = None,
    emotions: Annotated[bool, typer.Option("--emotions", help="Name the emotion of every face too.")] = False,
    classifier: Annotated[
        str, typer.Option(help="For emotions: facebench, mini-xception or an ONNX file.")
    ] = "facebench",
    crop: Annotated[
        str | None, typer.Option(help="For emotions: how faces are cut out, such as margin=0.1,square.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Copies with what was found drawn in: a folder; an .mp4 for a video."),
    ] = None,
    lines: Annotated[
        Path | None, typer.Option(help="File for JSON lines; else standard output, and none for a video.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Of a video: look at every n-th frame.")] = 1,
    max_megapixels: MaxMegapixels = 100,
) -> None:
    """Find the faces in images or a video, and their emotions: JSON lines, and copies with both drawn in."""
    if sample == bool(sources) or (sample and output is None):
        got = "no image" if not sample else "--sample and images" if sources else "--sample without -o"
        raise UsageError(
            f"got {got}, expected images, a folder, a video or a camera; or, where you have none: "
            "facebench detect --sample -o out"
        )
    sources = sources or []
    if "" in sources:
        raise UsageError("got an empty name, expected an image, a folder, a video or a camera; is a variable not set?")
    video = _video(sources)
    if video is not None and not emotions:
        raise UsageError(f"got the video {video} without --emotions, which is what videos are read for; add it")
    if output is not None and (output.suffix.lower() == ".mp4") != (video is not None):
        raise UsageError(
            f"got -o {output} for {'a video' if video is not None else 'images'}, expected "
            f"{'a file that ends in .mp4' if video is not None else 'a folder'}"
        )
    if device is not None:
        # before anything is written, fetched or opened
        read_setting(detector, device).resolve().adapter.check_device(device)
    if sample and output is not None:
        images = [_sample(output)]
    else:
        images = [] if video is not None else _images(sources, output)
    found_by = build_fetched(detector, device)
    with ExitStack() as stack:
        stack.callback(found_by.close)
        pipeline = None
        if emotions:
            from ..emotions import EmotionPipeline
            from ..emotions.pipeline.crops import DEFAULT_POLICY

            pipeline = EmotionPipeline(found_by, crop or DEFAULT_POLICY, load_classifier(classifier))
            if pipeline.note:
                typer.echo(f"facebench: {pipeline.note}", err=True)
        if video is not None and pipeline is not None:
            _film(video, pipeline, output, lines, every)
        elif not _look(_ImageReader(found_by, pipeline, round(max_megapixels * 1e6)), images, output, lines):
            raise typer.Exit(1)


def _sample(folder: Path) -> Path:
    """Write a scene of the embedded data set, to be looked at like an image of the user's."""
    from ..benchmarks.store.run_folder import write_atomically
    from ..datasets import load

    source = load("scenes?count=1").samples[0].source
    assert isinstance(source, bytes), "scenes are composed in memory"
    path = folder / "sample.png"
    write_atomically(path, source)
    return path


def _video(sources: list[str]) -> Path | int | None:
    """Return the video or the camera's number; None where the sources are images."""
    videos = [_camera(text) if _camera(text) is not None else Path(text) for text in sources if _is_video(text)]
    if videos and len(sources) > 1:
        raise UsageError(f"got {len(sources)} sources with a video or camera among them, expected it alone")
    return videos[0] if videos else None


def _is_video(text: str) -> bool:
    from ..emotions.pipeline.video_file import is_video

    path = Path(text)
    by_name = path.suffix.lower() in _VIDEOS
    return _camera(text) is not None or (not path.is_dir() and (by_name or is_video(path)))


def _camera(text: str) -> int | None:
    return int(text) if text.isdecimal() and not Path(text).exists() else None


def _images(sources: list[str], output: Path | None) -> list[Path]:
    """Return the image files, those of a folder sorted by path and without the copies that an earlier call wrote."""
    from ..datasets.storage.names import COPY_SUFFIX, is_litter
    from ..datasets.storage.places import images_below

    images: list[Path] = []
    copies = 0
    # a pattern of the shell names such files too
    named = [path for path in map(Path, sources) if not is_litter(path.name)] or [Path(source) for source in sources]
    for path in named:
        if not path.is_dir():
            images.append(path)
            continue
        files, left_out = images_below(path)
        inside = [one for one in files if not _is_copy(one, output)]
        left_out += len(files) - len(inside)
        copies += left_out
        if not inside:
            but = f" but {left_out} of facebench's own copies (*{COPY_SUFFIX})" if left_out else ""
            raise MissingDataError(f"got the folder {path} without an image{but}, expected files such as .jpg or .png")
        images += inside
    if copies:
        typer.echo(f"facebench: left out {copies} of its own copies (*{COPY_SUFFIX})", err=True)
    return images


def _is_copy(path: Path, output: Path | None) -> bool:
    """Whether a file must be a copy by where it lies: those of early versions have no mark."""
    from ..datasets.storage.names import COPY_SUFFIX

    return output is not None and path.name.endswith(COPY_SUFFIX) and path.resolve().parent == output.resolve()


@dataclass(frozen=True, slots=True)
class _ImageReader:
    """Looks at one image after another."""

    detector: Detector
    pipeline: EmotionPipeline | None
    max_pixels: int

    def look(self, image: RGBImage, copy: Path | None) -> dict[str, Any]:
        """Return what was found, ready for JSON; write a copy with it drawn in."""
        from ..reports.figures.overlay import write_jpeg, write_overlay

        if self.pipeline is None:
            result = self.detector.detect(image)
            written = None if copy is None else write_overlay(image, result.boxes, copy)
            faces = result.records()
        else:
            from ..emotions.pipeline.overlay import draw

            found = self.pipeline.find(image)
            written = None if copy is None else write_jpeg(draw(image, found), copy)
            faces = found.records()
        return {"faces": faces} | ({} if written is None else {"overlay": str(written)})


def _look(reader: _ImageReader, images: list[Path], output: Path | None, lines: Path | None) -> bool:
    """Look at images, a JSON line each; return whether all could be read."""
    from ..datasets import decode

    well = True
    undecoded: dict[str, int] = {}
    copies = dict(zip(images, _copies(images, output), strict=True)) if output is not None else {}
    with ExitStack() as stack:
        out = None
        if lines is not None:
            try:
                lines.parent.mkdir(parents=True, exist_ok=True)
                out = stack.enter_context(lines.open("w", encoding="utf-8"))
            except OSError as error:
                raise ResultsError(f"cannot write {lines}: {error.strerror or error}. Choose another folder") from error
        for path in images:
            decoded = decode(path, max_pixels=reader.max_pixels)
            line: dict[str, Any] = {"picture": str(path), "detector": reader.detector.info.name}
            if decoded.image is None:
                well = False
                line["error"] = f"{decoded.verdict}: {decoded.detail}"
                if decoded.verdict == "no decoder":
                    undecoded[decoded.detail] = undecoded.get(decoded.detail, 0) + 1
            else:
                line |= reader.look(decoded.image, copies.get(path))
            typer.echo(json.dumps(line), file=out)
    for detail, number in undecoded.items():
        typer.echo(f"facebench: {number:,} of {len(images):,} images were not read: {detail}", err=True)
    return well


def _copies(images: list[Path], folder: Path) -> Iterator[Path]:
    """Name the copies; those of images that have one name in two folders are numbered."""
    from ..datasets.storage.names import COPY_SUFFIX

    taken: set[str] = set()
    for path in images:
        numbered = (path.stem if number == 1 else f"{path.stem}.{number}" for number in count(1))
        name = next(name for name in numbered if name not in taken)
        taken.add(name)
        yield folder / f"{name}{COPY_SUFFIX}"


def _film(video: Path | int, pipeline: EmotionPipeline, output: Path | None, lines: Path | None, every: int) -> None:
    """Go through a video with a bar, and print the report as JSON."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ..emotions import process_video

    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("frames", total=None)

        def hear(now: VideoProgress) -> None:
            progress.update(task, completed=now.frames_read, total=now.announced)

        report = process_video(video, pipeline, output=output, jsonl=lines, every=every, observer=hear)
    typer.echo(json.dumps(report.to_json(), indent=1))
    if report.stopped:
        raise typer.Exit(130)

"""The verb that uses a detector: detect."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ..errors import MissingDataError, ResultsError, UsageError
from .console import Device, MaxMegapixels, build_fetched, json_text, load_classifier, read_setting, say
from .videos import VIDEO_COPY_SUFFIX, check_output, film, find_videos

if TYPE_CHECKING:
    from ..detectors import Detector, RGBImage
    from ..emotions import EmotionPipeline


def detect_command(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Images, videos, folders of them, or the number of a camera.")
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
        typer.Option("-o", "--output", help="Copies with what was found drawn in: a folder; or an .mp4 for one video."),
    ] = None,
    lines: Annotated[
        Path | None, typer.Option(help="File for JSON lines, one per image or frame; else standard output.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Of videos: look at every n-th frame.")] = 1,
    max_megapixels: MaxMegapixels = 100,
) -> None:
    """Find the faces in images and videos, and their emotions: JSON lines, and copies with both drawn in."""
    if sample == bool(sources) or (sample and output is None):
        got = "no image" if not sample else "--sample and images" if sources else "--sample without -o"
        raise UsageError(
            f"got {got}, expected images, a folder, a video or a camera; or, where you have none: "
            "facebench detect --sample -o out"
        )
    sources = sources or []
    if "" in sources:
        raise UsageError("got an empty name, expected an image, a folder, a video or a camera; is a variable not set?")
    videos = find_videos(sources)
    if device is not None:
        # before anything is written, fetched or opened
        read_setting(detector, device).resolve().check_device(device)
    camera = any(isinstance(video, int) for video in videos)
    images = [] if camera else _images(sources, output, set(videos))
    if output is not None:
        check_output(output, len(images), videos)
        if sample:
            images = [_sample(output)]
    found_by = build_fetched(detector, device)
    with ExitStack() as stack:
        stack.callback(found_by.close)
        pipeline = None
        if emotions:
            from ..emotions import EmotionPipeline
            from ..emotions.pipeline.crops import DEFAULT_POLICY

            pipeline = EmotionPipeline(found_by, crop or DEFAULT_POLICY, load_classifier(classifier))
            if pipeline.note:
                say(f"facebench: {pipeline.note}", err=True)
        copies = _copies(images, videos, output)
        out = _open_lines(lines, [*images, *videos, *copies.values()], stack)
        reader = _ImageReader(found_by, pipeline, round(max_megapixels * 1e6))
        well = _look(reader, images, copies, out)
        alone = len(videos) == 1 and not images
        pairs = [(video, copies.get(video)) for video in videos]
        if not film(pairs, pipeline or found_by, out, every, alone=alone) or not well:
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


def _images(sources: list[str], output: Path | None, videos: set[Path | int]) -> list[Path]:
    """Return the image files, those of a folder sorted by path and without the copies that an earlier call wrote."""
    from ..datasets.storage.names import COPY_SUFFIX, is_litter
    from ..datasets.storage.places import images_below

    images: list[Path] = []
    copies = 0
    # a pattern of the shell names such files too
    named = [path for path in map(Path, sources) if not is_litter(path.name)] or [Path(source) for source in sources]
    for path in named:
        if not path.is_dir():
            images += [path] if path not in videos else []
            continue
        files, left_out = images_below(path)
        inside = [one for one in files if one not in videos and not _is_copy(one, output)]
        left_out += sum(_is_copy(one, output) for one in files)
        copies += left_out
        if not inside and not any(isinstance(one, Path) and one.is_relative_to(path) for one in videos):
            but = f" but {left_out} of facebench's own copies (*{COPY_SUFFIX})" if left_out else ""
            raise MissingDataError(
                f"got the folder {path} without an image or video{but}, expected files such as .jpg or .mp4"
            )
        images += inside
    if copies:
        say(f"facebench: left out {copies} of its own copies (*{COPY_SUFFIX})", err=True)
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


def _look(reader: _ImageReader, images: list[Path], copies: Mapping[Path | int, Path], lines: TextIO) -> bool:
    """Look at images, a JSON line each; return whether all could be read."""
    from ..datasets import decode

    well = True
    undecoded: dict[str, int] = {}
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
        typer.echo(json_text(line), file=lines)
    for detail, number in undecoded.items():
        say(f"facebench: {number:,} of {len(images):,} images were not read: {detail}", err=True)
    return well


def _open_lines(path: Path | None, others: Iterable[Path | int], stack: ExitStack) -> TextIO:
    """Open the file of JSON lines, where it is no image, video or copy; else give standard output."""
    if path is None:
        return sys.stdout
    if path.resolve() in (one.resolve() for one in others if isinstance(one, Path)):
        raise UsageError(f"got {path} for JSON lines, which is an image or video too; expected another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # line by line, so that another program can read along
        return stack.enter_context(path.open("w", encoding="utf-8", newline="\n", buffering=1))
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror or error}. Choose another folder") from error


def _copies(images: list[Path], videos: list[Path | int], output: Path | None) -> dict[Path | int, Path]:
    """Name the copies; those of sources that have one name in two folders are numbered."""
    from ..datasets.storage.names import COPY_SUFFIX

    if output is None:
        return {}
    if output.suffix.lower() == ".mp4":
        return {videos[0]: output}
    named = {path: output / f"{name}{COPY_SUFFIX}" for path, name in _numbered(images)}
    return named | {path: output / f"{name}{VIDEO_COPY_SUFFIX}" for path, name in _numbered(videos)}


def _numbered(paths: Sequence[Path | int]) -> Iterator[tuple[Path | int, str]]:
    taken: set[str] = set()
    for path in paths:
        stem = path.stem if isinstance(path, Path) else f"camera-{path}"
        name = next(name for number in count(1) if (name := stem if number == 1 else f"{stem}.{number}") not in taken)
        taken.add(name)
        yield path, name

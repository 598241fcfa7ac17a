"""Writing annotated images in another format, as a folder that `datasets.folder` reads again."""

from __future__ import annotations

import posixpath
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import DataError, UsageError, did_you_mean
from ..base import Dataset, Source, read_source
from ..formats import coco, rows, voc, wider, yolo
from ..formats.annotated import AnnotatedImage, clean_name
from ..formats.choice import AnnotatedFolder, read_folder
from ..formats.wider_annotation import LABELS
from ..images import FORMATS, decode, upright_size
from ..query import check_options, split_name
from ..registry import folder_name, load
from ..sets.folder import CHOICES, choice_of
from ..storage.names import is_image
from ..storage.places import begins_as

Images = Literal["link", "copy"]

#: What moves a corner, by format; the others print numbers that come back as they were.
_ROUNDING = {
    "voc": "corners are whole pixels: each moves by up to half a pixel",
    "wider": "corners are whole pixels: each moves by up to half a pixel",
    "yolo": "ten decimals of the image's side",
}
WRITTEN = ("coco", "voc", "yolo", "csv", "json", "wider")
"""The formats that can be written; the others are only read."""
_NEED_SIZES = frozenset({"coco", "voc", "yolo"})


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written.

    Attributes:
        folder: where.
        images: how many.
        faces: how many.
        lost: what the format cannot hold, or the source did not have, one sentence each.
    """

    folder: Path
    images: int
    faces: int
    lost: tuple[str, ...]


def read_any(name: str, root: Path | None = None) -> AnnotatedFolder:
    """Read a data set by name, or a folder by its path or address, with options after a question mark.

    Args:
        name: such as "wider-face:val?sample=100", "my/folder" or "my/folder?format=coco&category=face".
        root: the folder that holds the data of a known name.

    Raises:
        UsageError: on an unknown option.
        DataError: where the data are missing or contradict themselves.
    """
    base, options = split_name(folder_name(name))
    if not base.startswith("folder:"):
        return folder_of(load(name, root=root))
    check_options(options, CHOICES, "folder")
    return read_folder(base.removeprefix("folder:"), choice_of(options))


def folder_of(dataset: Dataset) -> AnnotatedFolder:
    """Return a loaded data set as the reader of a folder would."""
    images, sources = [], {}
    for sample in dataset.samples:
        name, faces = _file_name(sample.image_id, sample.source), sample.faces
        boxes = faces.boxes.astype(np.float64)
        images.append(AnnotatedImage(name, boxes, faces.ignore, dict(faces.attributes), crowd=faces.crowd))
        sources[name] = sample.source
    return AnnotatedFolder("", dataset.name, tuple(images), sources, dataset.notes)


def convert(folder: AnnotatedFolder, destination: Path, format_name: str, *, images: Images = "link") -> Conversion:
    """Write annotated images as a folder of one format; it appears whole or not at all.

    Args:
        folder: what to write; images that have no file are left out.
        destination: the folder to make; nothing may be there but an empty folder.
        format_name: one of `WRITTEN`.
        images: link to image files, or copy them. What is not a file of its own is copied always.

    Raises:
        UsageError: there is no such format, or something is at `destination`.
        DataError: an image cannot be read, or the format cannot tell two images apart.
    """
    if format_name not in WRITTEN:
        raise UsageError(f"There is no format {format_name!r} to write. {did_you_mean(format_name, WRITTEN)}")
    destination = destination.expanduser()
    if destination.is_symlink() or destination.is_file() or (destination.is_dir() and any(destination.iterdir())):
        raise UsageError(f"Got {destination}, where something lies already; name a folder that is not there yet.")
    there = [one for one in folder.images if one.name in folder.sources]
    sources = [folder.sources[one.name] for one in there]
    there = [replace(one, name=_file_name(one.name, source)) for one, source in zip(there, sources, strict=True)]
    if len({one.name for one in there}) < len(there):
        raise DataError(f"Got two images of {folder.where} that differ by their suffix alone; rename one of them.")
    need = format_name in _NEED_SIZES
    sizes = [_size(source, one.name) if need else (0, 0) for one, source in zip(there, sources, strict=True)]
    texts = _texts(format_name, there, sizes)
    below = {"voc": voc.IMAGES, "yolo": yolo.IMAGES}.get(format_name, wider.IMAGES)
    destination.parent.mkdir(parents=True, exist_ok=True)
    scratch = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}")
    scratch.mkdir()
    try:
        for path, text in texts.items():
            _under(scratch, path).write_text(text, encoding="utf-8")
        for one, source in zip(there, sources, strict=True):
            _place(source, _under(scratch, f"{below}/{one.name}"), images)
        scratch.replace(destination)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    faces = sum(len(one.boxes) for one in there)
    return Conversion(destination, len(there), faces, tuple(_lost(folder, there, format_name)))


def _file_name(name: str, source: Source) -> str:
    """The name of an image, with a suffix even where the annotation has none."""
    if is_image(name):
        return name
    if isinstance(source, Path) and is_image(source.name):
        return name + source.suffix
    return name + FORMATS[begins_as(source) or "JPEG"][0]


def _texts(name: str, images: Sequence[AnnotatedImage], sizes: Sequence[tuple[int, int]]) -> Mapping[str, str]:
    """The text files of a format: path below the folder -> content."""
    if name == "coco":
        return {"annotations.json": coco.write(images, sizes)}
    if name == "csv":
        return {"annotations.csv": rows.write(images)}
    if name == "json":
        return {"annotations.json": rows.write_json(images)}
    if name == "wider":
        return {"annotations.txt": wider.write(images)}
    texts = {}
    for image, size in zip(images, sizes, strict=True):
        stem = posixpath.splitext(image.name)[0]
        if name == "yolo":
            path, text = f"{yolo.LABELS}/{stem}.txt", yolo.write(image, size)
        else:
            path, text = f"{voc.ANNOTATIONS}/{stem.replace('/', '__')}.xml", voc.write(image, size)
        if path in texts:
            raise DataError(f"Got two images whose file would be {path}, such as {image.name}; rename one of them.")
        texts[path] = text
    if name == "yolo":
        texts[yolo.NAMES] = f"train: {yolo.IMAGES}\nval: {yolo.IMAGES}\nnames:\n  0: face\n"
    return texts


def _lost(folder: AnnotatedFolder, there: Sequence[AnnotatedImage], name: str) -> list[str]:
    lost = []
    missing = len(folder.images) - len(there)
    if missing:
        lost.append(f"{missing:,} of {len(folder.images):,} annotated images have no file and are left out.")
    if name in _ROUNDING:
        lost.append(f"Numbers: {_ROUNDING[name]}.")
    ignored = sum(int(one.ignore.sum()) for one in there)
    if ignored and name == "yolo":
        lost.append(f"{ignored:,} faces to be ignored are written like any other: the format has no mark for them.")
    regions = sum(int(one.crowd.sum()) for one in there if one.crowd is not None)
    if regions and name in ("voc", "wider"):
        lost.append(f"{regions:,} crowd regions are written as faces to be ignored: the format has no mark for them.")
    held = {"wider": set(LABELS), "voc": set(), "yolo": set()}.get(name)
    attributes = [label for label in (there[0].attributes if there else ()) if held is not None and label not in held]
    if attributes:
        lost.append(f"Attributes that the format cannot hold: {', '.join(attributes)}.")
    return lost


def _size(source: Source, name: str) -> tuple[int, int]:
    size = upright_size(source)
    if size is None:
        why = decode(source).detail
        raise DataError(f"Got no size of {name}, which the format needs; take the image out or replace it ({why}).")
    return size


def _under(root: Path, path: str) -> Path:
    """A file below a folder, whose parents are made; names that lead out were refused when they were read."""
    if clean_name(path) != path:
        raise DataError(f"Got the image name {path!r}, expected a path below a folder.")
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _place(source: Source, target: Path, images: Images) -> None:
    try:
        if isinstance(source, Path) and images == "link":
            target.symlink_to(source.resolve(strict=True))
        elif isinstance(source, Path):
            shutil.copyfile(source, target)
        else:
            target.write_bytes(read_source(source))
    except OSError as error:
        raise DataError(f"Got {error} for the image {target.name}, expected one to {images}.") from error

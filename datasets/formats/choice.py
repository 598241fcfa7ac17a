"""Which of the formats lies in a place, and reading it: recognised by content, or said by the user."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...errors import DataError, UsageError, did_you_mean
from ...safe_text import visible
from ..base import Source
from ..box_format import BoxFormat
from ..images import upright_size
from ..storage.archives import list_archive
from ..storage.places import ARCHIVE_SUFFIXES, Tree, image_paths, open_tree
from . import coco, cvat, hugging_face, open_images, rows, voc, wider, yolo
from .annotated import AnnotatedImage, Annotation, not_empty, same_attributes
from .data_yaml import SPLITS, lies_in_split
from .image_names import is_unicode, match


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        title: as people call it.
        expected: what lies there where it is this format.
        find: returns the files or folders of a tree that look like it.
        read: reads one of them; `category` chooses whose boxes count.
    """

    title: str
    expected: str
    find: Callable[[Tree], list[str]]
    read: Callable[[Tree, str, str | None], Annotation]


FORMATS: Mapping[str, Format] = {
    "coco": Format(coco.TITLE, coco.EXPECTED, coco.find, coco.read),
    "voc": Format(voc.TITLE, voc.EXPECTED, voc.find, voc.read),
    "yolo": Format(yolo.TITLE, yolo.EXPECTED, yolo.find, yolo.read),
    "csv": Format(rows.TITLE, rows.EXPECTED, rows.find, rows.read),
    "json": Format(rows.JSON_TITLE, rows.JSON_EXPECTED, rows.find_json, rows.read_json),
    "wider": Format(wider.TITLE, wider.EXPECTED, wider.find, wider.read),
    "retinaface": Format(
        wider.RETINAFACE_TITLE, wider.RETINAFACE_EXPECTED, wider.find_retinaface, wider.read_retinaface
    ),
    "cvat": Format(cvat.TITLE, cvat.EXPECTED, cvat.find, cvat.read),
    "open-images": Format(open_images.TITLE, open_images.EXPECTED, open_images.find, open_images.read),
    "imagefolder": Format(hugging_face.TITLE, hugging_face.EXPECTED, hugging_face.find, hugging_face.read),
    "parquet": Format(
        hugging_face.PARQUET_TITLE,
        hugging_face.PARQUET_EXPECTED,
        hugging_face.find_parquet,
        hugging_face.read_parquet,
    ),
}
_READ_SPLIT = {"voc": voc.read, "yolo": yolo.read}
_READ_LAYOUT: Mapping[str, Callable[[Tree, str, str | None, str], Annotation]] = {
    "coco": coco.read,
    "csv": rows.read,
    "json": rows.read_json,
    "wider": wider.read,
    "imagefolder": hugging_face.read,
    "parquet": hugging_face.read_parquet,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user says of a folder; what is None is recognised.

    Attributes:
        format: one of `FORMATS`.
        annotations: path of the annotation below the root: a file, or the folder of a format with a file an image.
        images: path of the folder of images below the root; "." is the root.
        category: whose boxes count.
        split: a list of `ImageSets/Main`, for Pascal VOC; an entry of `data.yaml` or a list of images, for YOLO;
            for all others, the folder among several, such as train/, that holds the annotation.
        box_format: how the four numbers of a box are read, see `box_format`.
    """

    format: str | None = None
    annotations: str | None = None
    images: str | None = None
    category: str | None = None
    split: str | None = None
    box_format: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFolder:
    """Annotated images, and where their bytes are.

    Attributes:
        format: the key of `FORMATS`.
        where: how messages name the annotation.
        images: all annotated images; each has the same attributes.
        sources: name -> where the bytes of those images are that are there.
        notes: one sentence each.
        missing: name -> what is known of it, of all other images.
        box_format: how the four numbers of a box were read; None where the format leaves no choice.
        ids: what the annotation itself calls an image -> name.
    """

    format: str
    where: str
    images: tuple[AnnotatedImage, ...]
    sources: Mapping[str, Source]
    notes: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    box_format: BoxFormat | None = None
    ids: Mapping[str, str] = field(default_factory=dict)


def read_folder(place: str | Path, choice: Choice = Choice(), *, need_images: bool = True) -> AnnotatedFolder:
    """Read the annotation of a folder, an archive, an address, or one annotation file with the images near it.

    Args:
        place: see `places.open_tree`.
        choice: what is said rather than recognised.
        need_images: refuse where no image is there.

    Raises:
        UsageError: a choice does not fit what is there.
        DataError: nothing is there, nothing fits, or several annotations do.
        AnnotationError: the annotation is faulty; names file and line.
    """
    tree, named = open_tree(place)
    if choice.format is not None and choice.format not in FORMATS:
        raise UsageError(f"There is no format {choice.format!r}. {did_you_mean(choice.format, FORMATS)}")
    name, at = _recognise(tree, named, choice)
    if choice.split is not None and name not in _READ_SPLIT and not lies_in_split(at, choice.split):
        expected = " or ".join(FORMATS[one].title for one in _READ_SPLIT)
        raise UsageError(f"Got split={choice.split} for {FORMATS[name].title}, expected it with {expected}.")
    given = None if choice.box_format is None else BoxFormat.parse(choice.box_format)
    if given is not None and name not in _READ_LAYOUT:
        expected = ", ".join(_READ_LAYOUT)
        raise UsageError(f"Got box_format={given} for {FORMATS[name].title}, expected it with one of {expected}.")
    if given is not None:
        annotation = _READ_LAYOUT[name](tree, at, choice.category, given.layout)
    elif name in _READ_SPLIT:
        annotation = _READ_SPLIT[name](tree, at, choice.category, choice.split)
    else:
        annotation = FORMATS[name].read(tree, at, choice.category)
    where = tree.where("" if at == "." else at)
    annotation = _without_odd_names(annotation)
    not_empty(annotation.images, where)
    sources, missing, notes = _find_images(tree, annotation, choice.images)
    if not sources and need_images:
        raise DataError(
            f"Got none of the {len(missing):,} images of {where} below {tree.root}; expected them there. "
            f"{' '.join(notes)} To fix: say by images=FOLDER in which folder below it they are; images that lie "
            "elsewhere need the annotation beside them."
        )
    as_read = given or (BoxFormat(annotation.layout) if annotation.layout else None)
    images = tuple(same_attributes(_in_pixels(annotation.images, sources, as_read)))
    notes = annotation.notes + notes
    return AnnotatedFolder(name, where, images, sources, notes, missing, as_read, annotation.ids)


def _in_pixels(
    images: Sequence[AnnotatedImage], sources: Mapping[str, Source], as_read: BoxFormat | None
) -> Sequence[AnnotatedImage]:
    """The images with boxes in pixels, where they were written over something else."""
    if as_read is None or not as_read.scale:
        return images
    return [_scaled(image, sources.get(image.name), as_read) if len(image.boxes) else image for image in images]


def _scaled(image: AnnotatedImage, source: Source | None, as_read: BoxFormat) -> AnnotatedImage:
    size = (None if source is None else upright_size(source)) or image.size
    if size is None:
        raise DataError(
            f"Got no size of {image.name}, which its boxes need, read as {as_read}: expected the image, or its width "
            "and height in the annotation."
        )
    return replace(image, boxes=as_read.to_pixels(image.boxes, np.array(size, np.float64)))


def _without_odd_names(annotation: Annotation) -> Annotation:
    """Leave out images whose files have names that are not UTF-8: tables and JSON cannot hold such a name."""
    odd = [image.name for image in annotation.images if not is_unicode(image.name)]
    if not odd:
        return annotation
    note = f"{len(odd):,} images have names that are not UTF-8, such as {odd[0]}, and are left out; rename the files."
    images = tuple(image for image in annotation.images if is_unicode(image.name))
    return replace(annotation, images=images, notes=(*annotation.notes, visible(note)))


def _recognise(tree: Tree, named: str, choice: Choice) -> tuple[str, str]:
    """Format and place of the annotation."""
    formats = {choice.format: FORMATS[choice.format]} if choice.format else FORMATS
    expected = "Expected one of: " + "; ".join(f"{name}, {one.expected}" for name, one in formats.items()) + "."
    at = (named or choice.annotations or "").rstrip("/")
    if at:
        _check_is_there(tree, at)
        if choice.format:
            return choice.format, at
        fits = [name for name, one in formats.items() if at in one.find(_part(tree, at, name))]
        if len(fits) == 1:
            return fits[0], at
        if fits:
            raise DataError(f"Got {tree.where(at)}, which could be {' or '.join(fits)}; say it by format=NAME.")
        raise DataError(f"Got {tree.where(at)}, which is not a known annotation. {expected}")
    found = [(name, path) for name, one in formats.items() for path in one.find(tree)]
    if choice.split is not None and len(found) > 1:  # as Roboflow lays them out: train/labels, valid/labels
        found = [(name, path) for name, path in found if lies_in_split(path, choice.split)] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataError(f"Got {tree.root} with {_seen(tree)}, and no annotation among them is recognised. {expected}")
    listed = "; ".join(f"format={name}&annotations={path}" for name, path in found[:8])
    rest = f"; and {len(found) - 8} more" if len(found) > 8 else ""
    splits = [one for one in SPLITS if any(one in path.split("/") for _, path in found)]
    choice_of_split = f" Or say split={' or split='.join(splits)}." if splits else ""
    raise DataError(
        f"Got {len(found)} annotations in {tree.root}, expected one. Say which: {listed}{rest}.{choice_of_split}"
    )


def _check_is_there(tree: Tree, at: str) -> None:
    below = "" if at == "." else f"{at}/"
    if not tree.base and at not in tree.files and not any(path.startswith(below) for path in tree.files):
        raise UsageError(f"Got annotations={at}, which is not in {tree.root}.")


def _part(tree: Tree, at: str, name: str) -> Tree:
    """What a format looks through to recognise one place; labels of YOLO are known by the images beside them."""
    if tree.base:
        source = tree.find(at)
        return Tree(tree.root, {at: source} if source else {})
    if name == "yolo" or at == ".":
        return tree
    return Tree(tree.root, {path: one for path, one in tree.files.items() if path == at or path.startswith(f"{at}/")})


def _seen(tree: Tree) -> str:
    """What lies in a tree, for people: how many files with which endings."""
    kinds: dict[str, int] = {}
    for path in tree.files:
        kind = Path(path).suffix.lower() or "no ending"
        kinds[kind] = kinds.get(kind, 0) + 1
    most = sorted(kinds.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{count:,} files {kind}" for kind, count in most) or "no file"


def _find_images(
    tree: Tree, annotation: Annotation, folder: str | None
) -> tuple[Mapping[str, Source], Mapping[str, str], tuple[str, ...]]:
    """Where the annotated images are, what is known of the others, and notes on both and on what is not annotated."""
    if annotation.sources:  # the annotation holds the images itself
        return annotation.sources, {}, ()
    names = [image.name for image in annotation.images]
    if tree.base:
        at = annotation.near[0] if folder is None else folder
        found = {name: tree.find(f"{at}/{name}" if at not in ("", ".") else name) for name in names}
        return {name: source for name, source in found.items() if source is not None}, {}, ()
    files, near = tree.files, annotation.near
    if folder in ("", "."):
        near = ("",)
    elif folder is not None:
        at = posixpath.normpath(folder.strip("/"))
        files = {path: source for path, source in files.items() if path.startswith(f"{at}/")}
        near = (at,)
    images = image_paths(files)
    matches = match(names, files, near, annotation.folders, images)
    if matches.missing and (packed := _members(tree)):
        packed_images = image_paths(packed)
        inside = match(names, packed, folders=annotation.folders, images=packed_images)
        if len(inside.paths) > len(matches.paths):
            files, matches, images = packed, inside, packed_images
    notes = list(matches.notes)
    common = posixpath.commonpath([posixpath.dirname(f"/{path}") for path in matches.paths.values()] or ["/"])[1:]
    beside = sum(not common or path.startswith(f"{common}/") for path in images)
    beside -= len(matches.paths) + sum(not common or path.startswith(f"{common}/") for path in matches.open)
    if beside > 0:
        notes.append(f"{beside:,} images there are not in the annotation and are left out.")
    sources = {name: files[path] for name, path in matches.paths.items()}
    return sources, matches.missing, tuple(notes)


def _members(tree: Tree) -> dict[str, Source]:
    """The files in all archives of a tree, taken together, as shards of one set are."""
    members: dict[str, Source] = {}
    for path, source in tree.files.items():
        if Path(path).suffix.lower() in ARCHIVE_SUFFIXES and not isinstance(source, bytes):
            own = list_archive(str(source))
            twice = next((name for name in own if name in members), None)
            if twice is not None:
                raise DataError(f"Got {twice} in {source!s} and in {members[twice]!s}, expected each image once.")
            members.update(own)
    return members

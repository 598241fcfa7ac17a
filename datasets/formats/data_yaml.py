"""What stands beside the labels of YOLO: `data.yaml`, lists of classes and lists of images.

https://docs.ultralytics.com/datasets/detect/ describes the first; `obj.names` and `train.txt` are those of darknet.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import AnnotationError, DataError, UsageError
from ..storage.places import Tree
from .annotated import whole_number_of
from .image_names import image_name, match

LISTS = ("classes.txt", "obj.names", "classes.names")

_YAML = ("data.yaml", "data.yml", "dataset.yaml")
SPLITS = ("train", "val", "valid", "test")


@dataclass(frozen=True, slots=True)
class Described:
    """What a data.yaml says, and the folder in which it lies."""

    folder: str
    where: str
    entries: Mapping[str, Any]


def _above(folder: str) -> Iterator[str]:
    """A folder and those around it, up to the root."""
    yield folder
    while folder:
        folder = posixpath.dirname(folder)
        yield folder


def described_above(tree: Tree, folder: str) -> Described | None:
    """Return the first data.yaml in the folder of labels or above it.

    Raises:
        AnnotationError: it is not YAML.
    """
    for at in _above(folder):
        for path in (posixpath.join(at, name) for name in _YAML):
            if path in tree.files:
                where = tree.where(path)
                return Described(at, where, entries_of_yaml(tree.text(path), where))
    return None


def class_names(tree: Tree, folder: str, described: Described | None) -> dict[int, str]:
    """Return number -> name, from data.yaml or from the first file of names in the folder of labels or above it.

    Raises:
        AnnotationError: the names in data.yaml are written in another way.
    """
    if described and described.entries.get("names"):
        return names_of(described.entries["names"], described.where)
    for at in _above(folder):
        for path in (posixpath.join(at, name) for name in LISTS):
            if path in tree.files:
                return names_of_list(tree.text(path))
    return {}


def names_of_list(text: str) -> dict[int, str]:
    r"""Return the names of a file with one in a line.

    >>> names_of_list("face\nhand\n")
    {0: 'face', 1: 'hand'}
    """
    return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))


def entries_of_yaml(text: str, where: str) -> dict[str, Any]:
    r"""Return the entries of a data.yaml, all of them texts, lists and mappings of texts.

    Raises:
        AnnotationError: it is not YAML, or not a mapping.

    >>> entries_of_yaml("names: {0: no}  # YAML would say False\nkpt_shape: [5, 3]\n", "data.yaml")
    {'names': {'0': 'no'}, 'kpt_shape': ['5', '3']}
    """
    import yaml

    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "another text"
        raise AnnotationError(f"{where}:{mark.line + 1 if mark else 1}: got {what}, expected YAML.") from error
    except RecursionError as error:
        raise AnnotationError(f"{where}:1: got YAML nested too deep to be read, expected names of classes.") from error
    if document in (None, ""):
        return {}
    if not isinstance(document, dict):
        raise AnnotationError(f"{where}:1: got no entries, expected YAML with names: [face].")
    return document


def names_of(entry: Any, where: str) -> dict[int, str]:
    """Return number -> name of the entry `names`, which is a list or a mapping.

    Raises:
        AnnotationError: it is neither.

    >>> names_of(["face", "hand"], "data.yaml"), names_of({"0": "face", "3": "hand"}, "data.yaml")
    ({0: 'face', 1: 'hand'}, {0: 'face', 3: 'hand'})
    """
    pairs = entry.items() if isinstance(entry, dict) else enumerate(entry) if isinstance(entry, list) else ()
    names = {whole_number_of(number): name for number, name in pairs}
    if not names or None in names or not all(isinstance(name, str) for name in names.values()):
        raise AnnotationError(f"{where}: got names {entry!r}, expected names: [face], or NUMBER: NAME below it.")
    return {number: name for number, name in names.items() if number is not None}


def lies_in_split(path: str, split: str) -> bool:
    """Tell whether a path has a folder of the split's name; "valid" is "val".

    >>> lies_in_split("valid/labels", "val"), lies_in_split("train/_annotations.coco.json", "val")
    (True, False)
    """
    return not _spellings(split).isdisjoint(path.split("/"))


def _spellings(split: str) -> set[str]:
    return {split, *({"val", "valid"} if split in ("val", "valid") else ())}


def listed(
    tree: Tree, folder: str, described: Described | None, images: list[str], split: str | None
) -> tuple[list[str], list[str]]:
    """Return the images of a split; without one, those of all lists that data.yaml names, or all where it names none.

    A split is what `data.yaml` says: a list of images, a folder of them, or several of these; or else a list
    `<split>.txt` above the labels; or else a folder of this name. Names in a list may be absolute or of another
    machine, see `match`.

    Args:
        tree: where all lies.
        folder: that of the labels.
        described: what `described_above` returned.
        images: to choose from.
        split: such as "val", or None.

    Returns:
        The chosen images in their order, and a note on those that are missing.

    Raises:
        DataError: none of the images is there.
        UsageError: there is no such split.
    """
    entries = described.entries if described else {}
    at = described.folder if described else ""
    root = posixpath.join(at, str(entries.get("path", "")))
    places = {name: _texts(entries.get(name)) for name in SPLITS if _texts(entries.get(name))}
    if split is not None:
        beside = [path for one in _above(folder) if (path := posixpath.join(one, f"{split}.txt")) in tree.files]
        wanted = next((places[name] for name in _spellings(split) if name in places), beside[:1])
        if not wanted:
            inside = [image for image in images if lies_in_split(image, split)]
            if inside:
                return inside, []
            known = ", ".join(places) or "none that data.yaml names"
            raise UsageError(f"Got split={split}, expected one of {known}, or a list {split}.txt of images.")
    else:
        wanted = [place for some in places.values() for place in some]
        if not any(place.endswith(".txt") for place in wanted):
            return images, []
    chosen: dict[str, None] = {}
    missing = 0
    for place in wanted:
        if place.endswith(".txt"):
            path_of_list = next((p for p in _candidates(place, root, at) if p in tree.files), None)
            if path_of_list is None and split is not None:
                raise UsageError(f"Got split={split}, whose list {place} is not in {tree.root}.")
            lines = tree.text(path_of_list).splitlines() if path_of_list else []
            names = dict.fromkeys(name for name in map(image_name, lines) if name)
            found = match(list(names), dict.fromkeys(images))
            chosen |= dict.fromkeys(found.paths.values())
            missing += len(found.missing)
        else:
            chosen |= dict.fromkeys(_inside(place, images))
    if not chosen:
        raise DataError(f"Got none of the images that {', '.join(wanted)} name below {tree.root}, expected them there.")
    ordered = [image for image in images if image in chosen]
    return ordered, [f"{missing:,} images of {', '.join(wanted)} have no file."] if missing else []


def _texts(entry: Any) -> list[str]:
    return [one for one in (entry if isinstance(entry, list) else [entry]) if isinstance(one, str) and one]


def _candidates(place: str, *folders: str) -> list[str]:
    return [posixpath.normpath(posixpath.join(folder, place)) for folder in folders] + [posixpath.basename(place)]


def _inside(folder: str, images: Sequence[str]) -> list[str]:
    """The images in the folder whose path ends as this one, with as many of its last parts as fit any."""
    parts = [part for part in posixpath.normpath(folder.replace("\\", "/")).split("/") if part not in ("", ".", "..")]
    for begin in range(len(parts)):
        ending = f"/{'/'.join(parts[begin:])}/"
        if some := [image for image in images if ending in f"/{image}"]:
            return some
    return []

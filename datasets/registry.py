"""Data sets by name."""

from __future__ import annotations

import os
from pathlib import Path

from .. import importable
from ..errors import UnavailableError, UsageError, did_you_mean
from .base import Dataset
from .degraded import degraded
from .query import join_name, split_name

_KNOWN = {
    "scenes": "composed scenes of two people, nothing to download; a demonstration (options: seed, count)",
    "close-ups": "composed portraits of two people, faces on 5 to 90 % of the image, nothing to download; "
    "a demonstration (options: seed, count)",
    "wider-face:val": "WIDER FACE validation photographs (options: events, sample, seed, difficulty, images; "
    "subset=facebench-130: the images of facebench's own tables)",
    "wider-face:train": "WIDER FACE training photographs (options: events, sample, seed, images)",
    "fddb": "FDDB, news photographs, ellipses as boxes (options: folds, sample, seed)",
    "folder": "annotated images of your own in --data, or a path instead of this name; COCO, VOC, YOLO, "
    "CSV, JSON or WIDER text (options: format, annotations, images, category, split, box_format, sample, seed)",
    "expression-scenes": "composed scenes of FER2013 faces with emotions (options: split, count, seed, classes)",
    "expression-scenes:demo": "two portraits with judged emotions, nothing to download; a demonstration (count, seed)",
    "fer2013:train": "FER2013 without the tenth set aside for validation, 48x48 crops (options: sample, seed)",
    "fer2013:validate": "the tenth of FER2013's training part that the study set aside (options: sample, seed)",
    "fer2013:test": "PublicTest and PrivateTest of FER2013 (options: sample, seed)",
    "fer2013:public": "PublicTest of FER2013, to choose by (options: sample, seed)",
    "fer2013:private": "PrivateTest of FER2013, to report once (options: sample, seed)",
    "ckplus": "CK+, posed expressions, 48x48 crops (options: classes)",
}


def known() -> list[tuple[str, str]]:
    """List the data sets: name and one line of description each."""
    return list(_KNOWN.items())


def is_known(base: str) -> bool:
    """Tell whether a name without its options is one of a data set, rather than a path.

    >>> is_known("scenes"), is_known("folder:my/set"), is_known("my/set")
    (True, True, False)
    """
    return base in _KNOWN or base.startswith("folder:")


def folder_name(name: str) -> str:
    """Return the name of a data set for what a user typed: as it is, or that of a folder where it is a path.

    >>> folder_name("scenes?seed=1"), folder_name("my/set?category=face")
    ('scenes?seed=1', 'folder:my/set?category=face')
    """
    base, _, _ = name.partition("?")
    is_path = "://" in base or os.sep in base or (base != "" and Path(base).exists())
    return f"folder:{name}" if is_path and not is_known(base) else name


def load(name: str, *, root: Path | None = None, annotation_only: bool = False) -> Dataset:
    """Load a data set by name, such as "scenes" or "wider-face:val?events=Picnic,Couple&sample=100&seed=1".

    Args:
        name: a name that `known` lists, or the path or address of a folder, with options after a question mark; with
            `degrade=blur:3` among them every image is degraded, see `degradations`.
        root: the folder that holds the data; else FACEBENCH_DATA, else `data` in the user's cache folder.
        annotation_only: take all annotated images, whether their files are there or not: enough to score what
            others detected.

    Raises:
        UsageError: on an unknown name or option.
        DataError: where the data are missing or contradict themselves.
        UnavailableError: where it needs OpenCV, which lacks a library of the system.
    """
    try:
        return _load(name, root, annotation_only)
    except ImportError as error:
        explained = importable.explain(error)
        if explained is None:
            raise
        raise UnavailableError(f"{name} needs OpenCV, which cannot be loaded: {explained}", explained.remedy) from error


def _load(name: str, root: Path | None, annotation_only: bool) -> Dataset:
    name = folder_name(name)
    base, options = split_name(name)
    if not degraded.OPTIONS.isdisjoint(options):
        wanted = degraded.take_options(options, annotation_only=annotation_only)
        return degraded.degrade(load(join_name(base, options), root=root), *wanted)
    if base == "scenes":
        from .scenes import scenes

        return scenes.load(options, name)
    if base == "close-ups":
        from .scenes import close_ups

        return close_ups.load(options, name)
    if base in ("wider-face:val", "wider-face:train"):
        from .sets import wider_face

        part: wider_face.Part = "val" if base == "wider-face:val" else "train"
        return wider_face.load(data_root(root), options, name, part=part, annotation_only=annotation_only)
    if base == "fddb":
        from .sets import fddb

        return fddb.load(data_root(root), options, name, annotation_only=annotation_only)
    if base.partition(":")[0] == "folder":
        from .sets import folder

        place = base.partition(":")[2] or str(data_root(root))
        if Path(place).name in ("", ".."):  # "." has no name of its own
            place = str(Path(place).resolve())
        return folder.load(place, options, join_name(f"folder:{place}", options), annotation_only=annotation_only)
    if base.startswith("fer2013:") and base in _KNOWN:
        from .faces import fer_dataset

        return fer_dataset.load(data_root(root), base.partition(":")[2], options, name)
    if base == "ckplus":
        from .faces import ckplus

        return ckplus.load(data_root(root), options, name)
    if base in ("expression-scenes", "expression-scenes:demo"):
        from .scenes import expression_scenes

        if base == "expression-scenes:demo":
            return expression_scenes.load_demo(options, name)
        return expression_scenes.load(data_root(root), options, name)
    raise UsageError(f"There is no data set {base!r}. {did_you_mean(base, _KNOWN)} A folder is named by its path.")


def data_root(root: Path | None) -> Path:
    """Return the folder of the data: what was given, else FACEBENCH_DATA, else `data` in the user's cache folder."""
    if root is not None:
        return root.expanduser()
    folder = os.environ.get("FACEBENCH_DATA")
    if folder:
        return Path(folder).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("facebench") / "data"

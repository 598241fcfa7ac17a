"""`wider-face:val` and `wider-face:train`: photographs of WIDER FACE, from the official layout.

Yang, Luo, Loy, Tang: WIDER FACE: A Face Detection Benchmark, CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, MissingDataError, UsageError, did_you_mean
from ..base import Dataset, Faces, Sample
from ..fingerprints import fingerprint
from ..formats.wider_annotation import LABELS, read_faces, read_list
from ..images import upright_size
from ..query import check_options, draw, whole_number
from .demographics import NOBODY_LABELLED, Demographics, read_demographics

LISTS = ("easy", "medium", "hard")
OPTIONS = ("subset", "events", "sample", "seed", "difficulty", "pictures")

TRAIN_OPTIONS = ("events", "sample", "seed", "pictures")

_SUBSETS = Path(__file__).with_name("subsets")
"""Files NAME.txt: the images of a subset, a line each."""
_DEMOGRAPHICS = Path("demographics_val.csv")
_LIST_FOLDERS = (Path("eval_tools", "ground_truth"), Path("ground_truth"))
_PARENTS = ("", "wider_face", "WIDER")
Part = Literal["val", "train"]

_Rows = Mapping[str, NDArray[np.int32]]


def load(
    root: Path, options: Mapping[str, str], name: str, *, part: Part = "val", annotation_only: bool = False
) -> Dataset:
    """Load the images that are there, or a subset of them.

    Args:
        root: the folder that holds WIDER_val and wider_face_split, or the parent of such a folder.
        options: `subset` ("facebench-130": the images that facebench's own tables are measured on, all of which must be
            there), `events` ("Picnic,19--Couple"), `difficulty` (one of `LISTS`: only images that hold a face of that
            list, and only that list is scored), `sample` (so many images, drawn with `seed`, in official order).
            They apply in this order, to the images that are there. `pictures=there` says so even with
            `annotation_only`.
        name: the whole name, kept in the result.
        part: "train" has no official lists and no options `subset` and `difficulty`.
        annotation_only: take every annotated image, whether its file is there or not; no image is opened, and the
            fingerprint is that of the annotation.

    Returns:
        The data set. Faces keep the official order and carry the official labels and, as "easy", "medium" and "hard",
        their membership in the official lists. `ignore` marks faces labelled invalid and boxes of zero size; it is for
        scores over all faces, the official lists do not need it.

    Raises:
        UsageError: on an unknown option, subset, event or list.
        DataError: where images or annotation are missing.
        AnnotationError: where the annotation contradicts itself.
    """
    check_options(options, OPTIONS if part == "val" else TRAIN_OPTIONS, f"wider-face:{part}")
    images, annotation = _images(part), _annotation(part)
    remedy = _remedy(part)
    difficulty = options.get("difficulty")
    if difficulty is not None and difficulty not in LISTS:
        raise UsageError(f"WIDER FACE has no difficulty {difficulty!r}. {did_you_mean(difficulty, LISTS)}")
    if options.get("pictures", "there") != "there":
        raise UsageError(f"Got pictures={options['pictures']}, expected pictures=there: only those that have a file.")
    annotation_only = annotation_only and "pictures" not in options
    subset = _subset(options["subset"]) if "subset" in options else None
    seed = whole_number(options, "seed", 0, least=0)
    wanted = whole_number(options, "sample", 0, least=1)
    root = _find(root, part, (annotation,) if annotation_only else (images, annotation))
    rows = read_faces(root / annotation)
    flags = _read_lists(root, rows) if part == "val" else {}
    labelled = part == "val" and (root / _DEMOGRAPHICS).is_file()
    perceived = read_demographics(root / _DEMOGRAPHICS) if labelled else None
    if difficulty is not None and difficulty not in flags:
        raise DataError(f"Got no wider_{difficulty}_val.mat under {root / _LIST_FOLDERS[0]}. {remedy}")

    named = [name for name in rows if subset is None or name in subset]
    present = [name for name in named if annotation_only or (root / images / name).is_file()]
    if subset is not None and len(present) < len(subset):
        absent = sorted(subset.difference(present))
        raise DataError(
            f"Got {len(present):,} of the {len(subset):,} images of subset={options['subset']} under "
            f"{root / images}, expected all of them; missing: {_some(absent)}. {remedy}"
        )
    if not present:
        raise DataError(f"Got none of the {len(rows):,} annotated images under {root / images}. {remedy}")
    chosen = _of_events(present, rows, options)
    if difficulty is not None:
        chosen = [name for name in chosen if flags[difficulty][name].any()]
    if not chosen:
        raise DataError(f"Got no image for {name!r} among the {len(present):,} that are there; ask for others.")
    notes = _notes(named, present, chosen, wanted, flags if part == "val" else LISTS)
    chosen = draw(chosen, wanted, seed)

    lists = tuple(flags) if difficulty is None else (difficulty,)
    samples = tuple(Sample(name, root / images / name, _faces(rows[name], name, flags, perceived)) for name in chosen)
    return Dataset(
        name=name,
        samples=samples,
        total=len(rows),
        lists=lists,
        demo=False,
        description=(
            f"Photographs of 61 kinds of events, from WIDER FACE {part}: many small, blurred and occluded faces."
        ),
        licence="WIDER FACE: for non-commercial research; the images belong to their owners",
        fingerprint=fingerprint(samples, lists, images=not annotation_only),
        notes=(*notes, *_notes_on_boxes(rows, samples, opened=not annotation_only)),
        others=frozenset(rows).difference(chosen),
    )


def _remedy(part: Part) -> str:
    archives = f"WIDER_{part}.zip, wider_face_split.zip" + (" and eval_tools.zip" if part == "val" else "")
    return (
        f"Run `facebench data fetch wider-face:{part}`, or unpack the official archives {archives} into one folder and "
        "name it by --data or FACEBENCH_DATA."
    )


def _images(part: Part) -> Path:
    return Path(f"WIDER_{part}", "images")


def _annotation(part: Part) -> Path:
    return Path("wider_face_split", f"wider_face_{part}_bbx_gt.txt")


def _find(root: Path, part: Part, needed: Sequence[Path]) -> Path:
    """The folder with what is needed of the official layout: `root` itself or a usual name below it."""
    for parent in _PARENTS:
        if all((root / parent / part).exists() for part in needed):
            return root / parent
    # A half-unpacked folder says more about what is missing than its parent does.
    official = (_images(part), _annotation(part))
    begun = [root / p for p in _PARENTS if any((root / p / x.parts[0]).is_dir() for x in official)]
    at = begun[0] if begun else root
    missing = [str(part) for part in needed if not (at / part).exists()]
    kind = DataError if begun else MissingDataError
    raise kind(f"Got a folder {at} without {' and '.join(missing)}, expected WIDER FACE {part}. {_remedy(part)}")


def _read_lists(root: Path, rows: _Rows) -> dict[str, dict[str, NDArray[np.int8]]]:
    """Read the official lists that are there: list -> image -> membership."""
    flags = {}
    for difficulty in LISTS:
        paths = (root / folder / f"wider_{difficulty}_val.mat" for folder in _LIST_FOLDERS)
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            flags[difficulty] = read_list(path, rows)
    return flags


def _subset(name: str) -> frozenset[str]:
    """The image_ids of a subset that this package names."""
    known = sorted(path.stem for path in _SUBSETS.glob("*.txt"))
    if name not in known:
        raise UsageError(f"WIDER FACE val has no subset {name!r}. {did_you_mean(name, known)}")
    return frozenset((_SUBSETS / f"{name}.txt").read_text(encoding="utf-8").splitlines())


def _some(names: Sequence[str], shown: int = 3) -> str:
    """The first names, and how many others there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _of_events(present: list[str], rows: _Rows, options: Mapping[str, str]) -> list[str]:
    """The images of the events asked for, by folder ("19--Couple") or name ("Couple")."""
    if "events" not in options:
        return present
    folder_of = {}
    for folder in dict.fromkeys(name.partition("/")[0] for name in rows):
        folder_of[folder] = folder
        folder_of[folder.partition("--")[2] or folder] = folder
    wanted = set()
    for event in options["events"].split(","):
        if event not in folder_of:
            names = {folder.partition("--")[2] or folder for folder in folder_of.values()}
            raise UsageError(f"WIDER FACE has no event {event!r}. {did_you_mean(event, names)}")
        wanted.add(folder_of[event])
    return [name for name in present if name.partition("/")[0] in wanted]


def _faces(
    rows: NDArray[np.int32],
    name: str,
    flags: Mapping[str, Mapping[str, NDArray[np.int8]]],
    perceived: Mapping[str, Demographics] | None,
) -> Faces:
    boxes = rows[:, :4].astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    attributes = dict(zip(LABELS, np.ascontiguousarray(rows[:, 4:].T, dtype=np.int8), strict=True))
    ignore = (attributes["invalid"] == 1) | _of_zero_size(rows)
    attributes |= {difficulty: members[name] for difficulty, members in flags.items()}
    if perceived is not None:
        attributes |= perceived.get(name, NOBODY_LABELLED).of_faces(len(rows))
    return Faces(boxes, ignore, attributes)


def _of_zero_size(rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    return np.asarray((rows[:, 2:4] <= 0).any(axis=1))


def _notes(
    rows: Sequence[str], present: Sequence[str], chosen: Sequence[str], wanted: int, flags: Container[str]
) -> list[str]:
    """What is missing."""
    notes = []
    if len(present) < len(rows):
        missing = len(rows) - len(present)
        notes.append(f"{missing:,} of {len(rows):,} annotated images have no file.")
    if wanted > len(chosen):
        notes.append(f"sample={wanted} asked for more than the {len(chosen):,} images to draw from; all were taken.")
    absent = [difficulty for difficulty in LISTS if difficulty not in flags]
    if absent:
        notes.append(f"No official list for {', '.join(absent)}: the .mat files of eval_tools.zip are not there.")
    return notes


def _notes_on_boxes(rows: _Rows, samples: Sequence[Sample], *, opened: bool) -> list[str]:
    """What is odd in the boxes, counted over the whole annotation and over the images used."""
    image = np.repeat(np.arange(len(rows)), [len(some) for some in rows.values()])
    boxes = np.concatenate(list(rows.values()))
    image_ids = {sample.image_id for sample in samples}
    used = np.array([name in image_ids for name in rows])[image]
    zero = _of_zero_size(boxes)
    twice = np.ones(len(boxes), dtype=np.bool_)
    twice[np.unique(np.column_stack([image, boxes[:, :4]]), axis=0, return_index=True)[1]] = False
    notes = [
        f"{what}: {odd.sum()} in the whole annotation, {(odd & used).sum()} in images used."
        for what, odd in (("Boxes of zero width or height", zero), ("Repeated boxes", twice))
        if odd.any()
    ]
    outside = sum(_boxes_outside(sample) for sample in samples) if opened else 0
    if outside:
        notes.append(f"Boxes that reach outside their image, kept as annotated: {outside} in images used.")
    return notes


def _boxes_outside(sample: Sample) -> int:
    size = upright_size(sample.source) if isinstance(sample.source, Path) else None
    if size is None:
        return 0
    boxes = sample.faces.boxes
    return int(((boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > np.array(size)).any(axis=1)).sum())

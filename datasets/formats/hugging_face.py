"""What Hugging Face's `datasets` reads: `metadata.jsonl` beside images, and Parquet with the images inside.

https://huggingface.co/docs/datasets/image_dataset#object-detection: each row has `file_name`, or an `image` of `bytes`
and `path`, and in `objects` (or `faces`, as `wider_face` calls it) a list `bbox` of x, y, width, height in pixels,
continuous, and lists of the same length: `categories`, `ignore` or WIDER FACE's `invalid`, and attributes. A row
without boxes says that the image has no face. Shards such as `val-00000-of-00004.parquet` are one annotation. Both
formats are only read.
"""

from __future__ import annotations

import functools
import io
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import AnnotationError
from ..base import Source, read_source
from ..storage.places import Tree
from .annotated import (
    BAD_NAME,
    AnnotatedImage,
    Annotation,
    Box,
    Faults,
    choose_category,
    flag_of,
    image_of,
    is_empty,
    label_of,
    others_left_out,
    size_of,
)
from .coco import corners_of
from .image_names import image_name

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

TITLE, PARQUET_TITLE = "imagefolder metadata.jsonl", "Parquet of Hugging Face"
EXPECTED = "a file metadata.jsonl whose lines have file_name and objects with a bbox"
PARQUET_EXPECTED = "a .parquet file with image and faces or objects, as the wider_face of Hugging Face"

_OBJECTS = ("objects", "faces", "annotations")
_CATEGORY = ("categories", "category", "label", "labels")
_IGNORE = ("ignore", "invalid", "iscrowd")
_SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})\.parquet")

_BYTES = "image.bytes"

_Row = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ParquetImage:
    """An image in a Parquet file.

    Attributes:
        file: the Parquet file.
        group: number of the row group.
        row: number in there.
    """

    file: Source
    group: int
    row: int

    def __str__(self) -> str:
        """Return how a message names it."""
        where = "Parquet" if isinstance(self.file, bytes) else str(self.file)
        return f"{where}:{self.group}:{self.row}"

    def read(self) -> bytes:
        """Return the encoded bytes; see `base.StoredImage`."""
        found = _images_of_group(self.file, self.group)  # type: ignore[arg-type]  # all that there are can be hashed
        if self.row >= len(found) or not isinstance(found[self.row], bytes):
            raise OSError(f"the file changed since it was listed: {self}")
        return bytes(found[self.row])


def find(tree: Tree) -> list[str]:
    """Return the metadata.jsonl files."""
    named = [path for path in tree.files if posixpath.basename(path) == "metadata.jsonl"]
    return [path for path in named if '"bbox"' in tree.text(path, strict=False)]


def find_parquet(tree: Tree) -> list[str]:
    """Return the Parquet files with images and boxes, of shards the first."""
    found: dict[str, str] = {}
    for path in tree.files:
        if path.lower().endswith(".parquet") and _has_images(tree.files[path]):
            shard = _SHARD.fullmatch(path)
            found.setdefault(f"{shard[1]} {shard[2]}" if shard else path, path)
    return list(found.values())


def read(tree: Tree, path: str, category: str | None = None, layout: str = "xywh") -> Annotation:
    """Read one metadata.jsonl; for the layout of a bbox see `box_format`.

    Raises:
        AnnotationError: with file and line of each fault.
        UsageError: the category is not there, or has to be chosen.
    """
    faults = Faults()
    rows: list[tuple[str, _Row]] = []
    for line, text in enumerate(tree.text(path).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        name = row.get("file_name") if isinstance(row, dict) else None
        if isinstance(name, str):
            rows.append((f"{tree.where(path)}:{line}", (name, row)))
        else:
            faults.add(
                f"{tree.where(path)}:{line}", f"got {text[:60]!r}, expected an object with file_name and objects"
            )
    faults.raise_any()
    images, notes = _read(rows, category, tree.where(path), layout)
    return Annotation(tuple(images), (posixpath.dirname(path),), notes, layout=layout)


def read_parquet(tree: Tree, path: str, category: str | None = None, layout: str = "xywh") -> Annotation:
    """Read one Parquet file with all shards of its set; images are read when they are needed.

    Raises:
        AnnotationError: with file and row of each fault.
        UsageError: the category is not there, or has to be chosen.
    """
    rows: list[tuple[str, _Row]] = []
    sources: dict[str, Source] = {}
    for shard in _shards(tree, path):
        file = tree.find(shard)
        if file is None:
            raise AnnotationError(f"{tree.where(shard)}: is not there, expected all shards.")
        for place, group, row, entry in _entries(file, tree.where(shard)):
            given = str(entry.get("path") or f"{posixpath.splitext(posixpath.basename(shard))[0]}/{place}")
            name = image_name(given) or posixpath.basename(given)
            name = name if name not in sources else f"{group}-{row}/{name}"
            sources[name] = ParquetImage(file, group, row)
            rows.append((f"{tree.where(shard)}: row {place}", (name, entry)))
    images, notes = _read(rows, category, tree.where(path), layout)
    return Annotation(tuple(images), (posixpath.dirname(path),), notes, sources, layout=layout)


def _read(
    rows: Sequence[tuple[str, _Row]], category: str | None, where: str, layout: str
) -> tuple[list[AnnotatedImage], tuple[str, ...]]:
    faults = Faults()
    images: dict[str, tuple[list[tuple[str, Box]], tuple[int, int] | None]] = {}
    for place, (given, row) in rows:
        name = image_name(given)
        if name is None or name in images:
            faults.add(place, f"got the image {given!r}, {BAD_NAME}, each once")
            continue
        boxes = []
        for entry in _objects(row):
            corners = corners_of(entry.get("bbox"), layout)
            flags = {key: flag_of(entry.get(key)) for key in _IGNORE}
            if isinstance(corners, str) or None in flags.values():
                faults.add(place, corners if isinstance(corners, str) else f"got another value of {', '.join(_IGNORE)}")
                continue
            of = next((entry[key] for key in _CATEGORY if key in entry), None)
            labels = {
                key: label_of(value)
                for key, value in entry.items()
                if key not in ("bbox", "id", "area", "ignore", "iscrowd", *_CATEGORY) and not is_empty(value)
            }
            kept = {key: value for key, value in labels.items() if value is not None}
            boxes.append(
                ("" if is_empty(of) else str(of), Box(corners, any(flags.values()), kept, bool(flags["iscrowd"])))
            )
        images[name] = (boxes, size_of(row.get("width"), row.get("height")))
    faults.raise_any()
    known = sorted({of for some, _ in images.values() for of, _ in some if of})
    chosen = choose_category(category, known, where)
    left_out = sum(of not in ("", chosen) for some, _ in images.values() for of, _ in some)
    gathered = [
        image_of(name, [box for of, box in some if of in ("", chosen)], size) for name, (some, size) in images.items()
    ]
    return gathered, others_left_out(chosen, left_out)


def _objects(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The faces of a row: a list of objects, or one object of lists; `bbox` may also stand in the row itself."""
    objects = next((row[key] for key in _OBJECTS if row.get(key) is not None), None)
    if isinstance(objects, list):
        yield from (one if isinstance(one, dict) else {"bbox": one} for one in objects)
        return
    columns = objects if isinstance(objects, dict) else row
    boxes = columns.get("bbox")
    if boxes is None:
        return
    if not isinstance(boxes, list):
        yield {"bbox": boxes}
        return
    lists = {key: one for key, one in columns.items() if isinstance(one, list) and len(one) == len(boxes)}
    for index in range(len(boxes)):
        yield {key: one[index] for key, one in lists.items()}


def _open(file: Source) -> ParquetFile:
    """Open a Parquet file; ArrowInvalid, an OSError or a ValueError says why it is none."""
    from pyarrow import parquet

    return parquet.ParquetFile(str(file) if isinstance(file, Path) else io.BytesIO(read_source(file)))


def _has_images(file: Source) -> bool:
    try:
        leaves = _leaves(_open(file))
    except (OSError, ValueError):
        return False
    return _BYTES in leaves and any(leaf.partition(".")[0] in (*_OBJECTS, "bbox") for leaf in leaves)


def _leaves(opened: ParquetFile) -> list[str]:
    """The paths of all columns, those inside of others too."""
    return [opened.schema.column(index).path for index in range(len(opened.schema))]


def _shards(tree: Tree, path: str) -> list[str]:
    """The Parquet files of one set, in order."""
    shard = _SHARD.fullmatch(path)
    if shard is None:
        return [path]
    return [f"{shard[1]}-{number:05d}-of-{shard[2]}.parquet" for number in range(int(shard[2]))]


def _entries(file: Source, where: str) -> Iterator[tuple[int, int, int, Mapping[str, Any]]]:
    """Number of the row, of its group, in the group, and its values without the image's bytes."""
    number = 0
    for group, entries in enumerate(_groups(file, where)):
        for row, entry in enumerate(entries):
            image = entry.pop("image", None)
            path = image.get("path") if isinstance(image, dict) else None
            yield number, group, row, {**entry, "path": path}
            number += 1


def _groups(file: Source, where: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of each group without the images' bytes."""
    from pyarrow import ArrowException

    try:
        opened = _open(file)
        wanted = [leaf for leaf in _leaves(opened) if leaf != _BYTES]
        for group in range(opened.num_row_groups):
            yield opened.read_row_group(group, columns=wanted, use_threads=False).to_pylist()
    except (ArrowException, OSError, ValueError, LookupError) as error:
        raise AnnotationError(f"{where}: got {error}, expected a whole Parquet file.") from error


@functools.lru_cache(maxsize=2)
def _images_of_group(file: Source, group: int) -> Sequence[Any]:
    """The encoded images of one row group, of which neighbours are read one after the other."""
    try:
        table = _open(file).read_row_group(group, columns=[_BYTES], use_threads=False)
        return [one["bytes"] for one in table.column("image").to_pylist()]
    except (ValueError, LookupError) as error:
        raise OSError(f"damaged Parquet: {error}") from error

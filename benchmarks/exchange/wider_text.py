"""Reading the official WIDER FACE prediction tree, from a folder or a zip.

```
0--Parade/0_Parade_marchingband_1_20.txt      one file an image
    0_Parade_marchingband_1_20                its name, with or without .jpg and folders
    2                                         how many rows follow
    541 358 36 40 0.9990752                   x y width height score
    28.5 405 27 31 0.9961785
```

Folders may stand before the event. Where nothing was found the count is 0, with no row or with one row of zeros, as in
the annotation.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...datasets.formats.image_names import image_stem
from ...datasets.regular_files import open_regular
from ...datasets.storage.names import is_hidden
from ...errors import DataError
from .intake import Fault, Intake

_COLUMNS = 5
_LARGEST_FILE = 64 * 2**20
_REMEDY = "Expected a folder or zip of <event>/<image>.txt, one file an image."
Read = Callable[[], bytes]
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a file of a folder or zip raises."""


def read_tree(path: Path, intake: Intake) -> None:
    """Read every text file of a folder or zip into `intake`.

    Raises:
        DataError: the zip is damaged as a whole, or there is no text file.
    """
    found = False
    for name, read in text_members(path):
        found = True
        image_id = intake.claim(name.removesuffix(".txt"), name)
        if image_id is None:
            continue
        text = text_of(name, read, intake)
        if text is not None:
            _read_image(text, name, image_id, intake)
    if not found:
        raise DataError(f"Got no .txt file in {path}. {_REMEDY}")


def text_members(path: Path) -> Iterator[tuple[str, Read]]:
    """Yield the name of every text file of a folder or zip, with slashes, and what reads it.

    Raises:
        DataError: the zip is damaged as a whole.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            name = file.relative_to(path).as_posix()
            if not any(map(is_hidden, name.split("/"))):
                yield name, partial(_read_file, file)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as a zip: {error}. Write or copy it again. {_REMEDY}") from error
    with archive:
        for member in archive.infolist():
            name = member.filename.replace("\\", "/")
            if name.endswith(".txt") and not any(map(is_hidden, name.split("/"))):
                yield name, partial(_read_member, archive, member)


def text_of(name: str, read: Read, intake: Intake) -> str | None:
    """Return the text of a file; None where it cannot be read, which is noted."""
    try:
        return read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        intake.faults.add(Fault.UNREADABLE, f"{name}: got bytes that are not UTF-8 text (byte {error.start})")
    except UNREADABLE as error:
        intake.faults.add(Fault.UNREADABLE, f"{name}: {error}")
    return None


def _read_file(file: Path) -> bytes:
    with open_regular(file, _LARGEST_FILE) as stream:
        return stream.read(_LARGEST_FILE)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > _LARGEST_FILE:
        raise OSError(f"got {member.file_size:,} bytes, expected less than {_LARGEST_FILE:,} for one image")
    return archive.read(member)


def _read_image(text: str, name: str, image_id: str, intake: Intake) -> None:
    """Read one file; blank lines and spaces at the ends of lines say nothing."""
    lines = text.split("\n")
    rows = list(map(str.split, lines))
    places = list(compress(range(len(rows)), rows))
    faults = intake.faults
    if len(places) < 2:
        got = "an empty file" if not places else f"only the line {lines[places[0]].strip()[:60]!r}"
        faults.add(Fault.COUNT, f"{name}: got {got}, expected a name, a count and rows")
        return
    title, count_text = (lines[place].strip() for place in places[:2])
    stem = image_stem(name.rpartition("/")[2].removesuffix(".txt")).strip()
    if image_stem(title.replace("\\", "/").rpartition("/")[2]) != stem:
        faults.add(Fault.NAME, f"{name}:1: got {title[:80]!r}, expected {stem}")
    count_line, places = places[1] + 1, places[2:]
    if not (count_text.isascii() and count_text.isdigit() and len(count_text) <= 9):
        faults.add(Fault.COUNT, f"{name}:{count_line}: got {count_text[:60]!r}, expected the number of rows")
        return
    count, rows = int(count_text), list(compress(rows, rows))[2:]
    if count == 0 and len(rows) == 1 and all(value in ("0", "0.0") for value in rows[0]):
        # the annotation writes one row of zeros under the count 0, and some programs do the same
        return
    numbers = _numbers(rows)
    if numbers is None:
        for place, row in zip(places, rows, strict=True):
            if len(row) != _COLUMNS or _numbers([row]) is None:
                got = f"{len(row)} values" if len(row) != _COLUMNS else f"{lines[place].strip()[:60]!r}"
                faults.add(Fault.WIDTH, f"{name}:{place + 1}: got {got}, expected 5 numbers: x y width height score")
    if count != len(rows):
        faults.add(Fault.COUNT, f"{name}:{count_line}: got the count {count} and {len(rows)} rows")
    elif numbers is not None:
        intake.keep(image_id, numbers, lambda index: f"{name}:{places[index] + 1}")


def _numbers(rows: list[list[str]]) -> NDArray[np.float64] | None:
    """Return rows of numbers as float64 (n, 5), or None where a row is something else."""
    if set(map(len, rows)) - {_COLUMNS}:
        return None
    words = list(chain.from_iterable(rows))
    # Python reads 1_0 as 10; no other program writes or reads that
    if "_" in "".join(words):
        return None
    try:
        return np.fromiter(map(float, words), np.float64, len(words)).reshape(-1, _COLUMNS)
    except ValueError:
        return None

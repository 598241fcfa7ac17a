"""Reading predictions from JSON: COCO results, and facebench's own lines.

COCO results are one list; boxes are x, y, width, height. `image_id` is the image's name, or a number that a COCO file
of images explains:

```
[{"image_id": "0--Parade/0_Parade_marchingband_1_20.jpg", "bbox": [541, 358, 36, 40], "score": 0.999, "category_id": 1}]
{"images": [{"id": 17, "file_name": "0--Parade/0_Parade_marchingband_1_20.jpg"}]}
```

Where an entry has a `file_name`, as those of Ultralytics have, that is the image; a number without a file of images is
the one image whose name is that number, such as 000017.jpg. An object of images and annotations with scores is read as
both at once.

A list of results cannot say that nothing was found in an image; the file of images can, since it names all that
were looked at.

JSONL is one object a line, one line per image; boxes are x1, y1, x2, y2, and other keys are free:

```
{"image_id": "0--Parade/0_Parade_marchingband_1_20.jpg", "boxes": [[541, 358, 577, 398]], "scores": [0.999]}
{"image_id": "0--Parade/0_Parade_Parade_0_904.jpg", "boxes": [], "scores": []}
```

Everywhere pixels of the original image, continuous, origin top-left.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.regular_files import read_regular
from ...errors import DataError
from .intake import Fault, Intake

Names = Mapping[str | int, str]


def read_coco(path: Path, intake: Intake, images: Path | None) -> None:
    """Read COCO results into `intake`.

    Args:
        path: the list of results.
        intake: where they go.
        images: a COCO file with `images`, of which `id` and `file_name` are read; all of them count as looked at.

    Raises:
        DataError: a file is not JSON, or has another structure.
    """
    document = _parse(_text(path), str(path))
    whole = isinstance(document, dict)
    entries = document.get("annotations") if whole else document
    scored = isinstance(entries, list) and any(isinstance(one, dict) and "score" in one for one in entries)
    if not isinstance(entries, list) or (whole and not scored):
        raise DataError(
            f"Got {_kind(document)} in {path}, expected COCO results: a list of "
            '{"image_id": …, "bbox": [x, y, width, height], "score": …}. '
            "A file with images and annotations without scores is ground truth; give it by --images"
        )
    if whole and images is None:
        images = path
    if not entries and images is None:
        raise DataError(
            f"Got an empty list in {path}, expected COCO results. That nothing was found in some images only a file "
            "that names them can say: give it by --images"
        )
    names = _read_images(images, intake) if images is not None else _known_ids(path, entries, intake)
    rows: dict[str, list[list[float]]] = {}
    places: dict[str, list[int]] = {}
    ids: dict[tuple[str | int, str], str | None] = {}
    files: dict[str | int, str] = {}
    categories: dict[str, int] = {}
    for index, entry in enumerate(entries):
        where = f"{path.name}[{index}]"
        if not isinstance(entry, dict) or not _is_id(entry.get("image_id")):
            got = f"image_id {entry['image_id']!r:.60}" if isinstance(entry, dict) and "image_id" in entry else "none"
            intake.faults.add(Fault.UNREADABLE, f"{where}: got {got}, expected an object with image_id")
            continue
        image_id = entry["image_id"]
        file_name = str(entry.get("file_name") or "")
        if (image_id, file_name) not in ids:
            ids[image_id, file_name] = _claim(image_id, file_name, names, images, where, intake)
        name = ids[image_id, file_name]
        if entry.get("category_id") is not None:
            categories.setdefault(str(entry["category_id"]), index)
        if name is None:
            continue
        if files.setdefault(image_id, name) != name:
            got = f"image_id {image_id!r}, which was {files[image_id]}, with file_name {file_name}"
            intake.faults.add(Fault.UNREADABLE, f"{where}: got {got}, expected one image")
            continue
        box = entry.get("bbox")
        row = _numbers([*box, entry.get("score")]) if isinstance(box, list) else None
        if row is None or len(row) != 5:
            got = f"bbox {box!r:.60}, score {entry.get('score')!r:.20}"
            intake.faults.add(Fault.WIDTH, f"{where}: got {got}, expected bbox [x, y, width, height] and a score")
            continue
        rows.setdefault(name, []).append(row)
        places.setdefault(name, []).append(index)
    if len(categories) > 1:
        got = ", ".join(f"{category:.20} (first at [{index}])" for category, index in list(categories.items())[:5])
        intake.faults.add(Fault.UNREADABLE, f"{path.name}: got category_id {got}, expected faces alone")
    for name, table in rows.items():
        at = places[name]
        intake.keep(name, np.array(table), lambda row, at=at: f"{path.name}[{at[row]}]")  # type: ignore[misc]


def _claim(
    image_id: str | int, file_name: str, names: Names, images: Path | None, where: str, intake: Intake
) -> str | None:
    """Return the image of an image_id: by the entry's file name, the file of images, or its own name."""
    name = names.get(image_id)
    if file_name and intake.find(file_name) is not None:
        # without a file of images, a number is whatever its program counted
        own = name if images is not None else image_id if isinstance(image_id, str) else None
        meant = intake.find(own) if own is not None else None
        if meant is not None and meant != intake.find(file_name):
            got = f"image_id {image_id!r}, which is {own}, with file_name {file_name}"
            intake.faults.add(Fault.UNREADABLE, f"{where}: got {got}, expected one image")
            return None
        name = file_name
    elif file_name and (name is None or intake.find(name) not in intake.candidates(file_name)):
        name = file_name  # no image has it, or several do: told so
    if name is None and isinstance(image_id, int):
        if images is not None:
            intake.extra[f"image_id {image_id}, which {images.name} lacks"] = None
        else:
            expected = "a name, or --images with the COCO file that names the images"
            intake.faults.add(Fault.UNREADABLE, f"{where}: got image_id {image_id}, expected {expected}")
        return None
    if name is None:
        name = str(image_id)
    found = intake.find(name)
    # the same image by several spellings, or listed among the images: not a second time
    return found if found in intake.rows else intake.claim(name, where)


def _known_ids(path: Path, entries: Sequence[object], intake: Intake) -> Names:
    """Return id -> image of numbers: the ids of the data set's own annotation, or names such as 000017.jpg.

    Raises:
        DataError: all of them could be either, and they mean other images then.
    """
    numbers = {
        entry["image_id"]
        for entry in entries
        if isinstance(entry, dict) and type(entry.get("image_id")) is int and not entry.get("file_name")
    }
    by_id = {number: intake.ids[str(number)] for number in numbers if str(number) in intake.ids}
    by_name = {number: name for number in numbers if (name := intake.numbered(number)) is not None}
    if by_id and len(by_id) == len(by_name) == len(numbers) and by_id != by_name:
        number = next(number for number in by_id if by_id[number] != by_name[number])
        raise DataError(
            f"Got numbers as image_id in {path} that can be the ids of the annotation or the names of images: "
            f"{number} is {by_id[number]} or {by_name[number]}. Say which by --images, with a COCO file of images"
        )
    return {**by_name, **by_id} if len(by_id) >= len(by_name) else {**by_id, **by_name}


def _read_images(path: Path, intake: Intake) -> Names:
    """Return id -> file name, and claim every image."""
    document = _parse(_text(path), str(path))
    listed = document.get("images") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise DataError(f'Got {_kind(document)} in {path}, expected a COCO file with "images": [{{"id", "file_name"}}]')
    names: dict[str | int, str] = {}
    for index, image in enumerate(listed):
        where = f"{path.name}, images[{index}]"
        if not isinstance(image, dict) or not _is_id(image.get("id")) or not isinstance(image.get("file_name"), str):
            intake.faults.add(Fault.UNREADABLE, f"{where}: got {image!r:.60}, expected an object with id and file_name")
        elif image["id"] in names:
            intake.faults.add(Fault.TWICE, f"{where}: id {image['id']!r}")
        else:
            names[image["id"]] = image["file_name"]
            intake.claim(image["file_name"], where)
    return names


def read_lines(path: Path, intake: Intake) -> None:
    """Read JSONL into `intake`.

    Raises:
        DataError: the file is not UTF-8 text.
    """
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            entry = _parse(line, where)
        except DataError as error:
            intake.faults.add(Fault.UNREADABLE, str(error))
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("image_id"), str):
            expected = 'an object with "image_id", "boxes" and "scores"'
            intake.faults.add(Fault.UNREADABLE, f"{where}: got {line.strip()[:60]!r}, expected {expected}")
            continue
        image_id = intake.claim(entry["image_id"], where)
        if image_id is not None:
            _read_image(entry, image_id, where, intake)


def _read_image(entry: Mapping[str, Any], image_id: str, where: str, intake: Intake) -> None:
    boxes, scores = entry.get("boxes"), entry.get("scores")
    if not isinstance(boxes, list) or not isinstance(scores, list):
        got = ", ".join(sorted(entry))
        intake.faults.add(Fault.UNREADABLE, f"{where}: got the keys {got:.60}, expected lists of boxes and of scores")
        return
    if len(boxes) != len(scores):
        intake.faults.add(Fault.COUNT, f"{where}: got {len(boxes)} boxes and {len(scores)} scores")
        return
    rows = []
    for index, (box, score) in enumerate(zip(boxes, scores, strict=True)):
        row = _numbers([*box, score]) if isinstance(box, list) else None
        if row is None or len(row) != 5:
            got = f"{box!r:.60} with score {score!r:.20}"
            expected = "a box x1, y1, x2, y2 and a score, all numbers"
            intake.faults.add(Fault.WIDTH, f"{where}, box {index}: got {got}, expected {expected}")
        else:
            rows.append(row)
    if len(rows) == len(boxes):
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        intake.keep(image_id, table, lambda row: f"{where}, box {row}")


def _numbers(values: Sequence[object]) -> list[float] | None:
    """Return JSON numbers as floats, or None where one is something else; true and "1" are not numbers."""
    found = []
    for value in values:
        if type(value) is float:
            found.append(value)
        elif type(value) is int:
            found.append(float(value) if abs(value) < 2**128 else math.inf)
        else:
            return None
    return found


def _is_id(value: object) -> bool:
    return isinstance(value, str) or type(value) is int


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return f"an object with {', '.join(list(value)[:5]) or 'nothing'}"
    return f"a list of {len(value)}" if isinstance(value, list) else f"{value!r:.40}"


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"Got bytes that are not UTF-8 text in {path} (byte {error.start}), expected JSON") from error
    except OSError as error:
        raise DataError(f"Got {error.strerror or error} at {path}, expected a JSON file") from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{where}: got something that is not JSON at {place}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: got JSON that cannot be read: {error}") from error

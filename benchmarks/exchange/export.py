"""Detections of a run in the formats of others; what is written reads back as exactly the same numbers.

- `wider`: the official text tree, a folder or, where the name ends in .zip, a zip (`predictions_text`).
- `coco`: results as one JSON list, and beside it NAME.ground_truth.json with images and annotation, to which the
  numbers in `image_id` refer. Crowd regions are `iscrowd`, and so are faces to be ignored, since COCO evaluators know
  no other mark: they take each for a region, which facebench, by the key `one_face`, does not.
- `jsonl`: an object a line, one line per image (`predictions_json`).

Images that could not be decoded were scored for no detector, and are left out.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...datasets.formats.coco import ignored
from ...datasets.formats.image_names import image_stem
from ...errors import ResultsError, UsageError, did_you_mean
from ..store.records import StoredCell
from ..store.run_folder import RunFolder, write_atomically
from ..store.truth import CROWD, by_image, crowd_of, decoded_ids
from .predictions import Format

Rows = Mapping[str, NDArray[np.float64]]
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_BOX = ("x1", "y1", "x2", "y2")


def export(run: RunFolder, cell: StoredCell, output: Path, format: Format, *, force: bool = False) -> list[Path]:
    """Write the detections of a finished cell, whole or not at all.

    Args:
        run: the run.
        cell: one of its finished cells, see `find_cell`.
        output: the folder, .zip, .json or .jsonl to write.
        format: how.
        force: replace what is there; of a folder only one that holds nothing but text files.

    Returns:
        What was written.

    Raises:
        UsageError: there is something at `output`.
        ResultsError: an image's name leads out of the folder or cannot be a file's name, or writing fails.
    """
    rows = _rows(run, cell)
    for image_id in rows:
        _check_name(image_id, run)
    if format == "wider" and output.suffix.lower() != ".zip":
        _write_folder(output, _tree(rows), force)
        return [output]
    files = {output: b""}
    if format == "wider":
        files[output] = _zip(_tree(rows))
    elif format == "coco":
        numbers = {image_id: number for number, image_id in enumerate(rows, 1)}
        truth = output.with_name(f"{output.stem}.ground_truth.json")
        # the results come last: where they are, what they refer to is there too
        files = {truth: _ground_truth(run, numbers), output: _results(rows, numbers)}
    else:
        files[output] = _lines(rows)
    for path in files:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, expected a file; choose another --output")
        if path.exists() and not force:
            raise UsageError(f"{path} exists already; choose another --output, or add --force to replace it")
    for path, data in files.items():
        write_atomically(path, data)
    return list(files)


def find_cell(run: RunFolder, spec: str | None) -> StoredCell:
    """Return the finished cell of a spec or key; without one, the only one.

    Raises:
        UsageError: there is no such cell, or more than one.
        ResultsError: it is damaged.
    """
    done = [cell for cell in run.cells if cell.done]
    found = [cell for cell in done if spec is None or spec in (cell.spec, cell.key)]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        listed = "; ".join(f"{cell.key} ({cell.spec}, {cell.device}, {cell.threads})" for cell in found)
        raise UsageError(f"{run.path} has {len(found)} such cells, expected one; name one by --cell: {listed}")
    damaged = [cell for cell in run.cells if cell.status == "damaged" and spec in (None, cell.spec, cell.key)]
    if damaged:
        raise ResultsError(damaged[0].reason)
    if not done:
        raise UsageError(f"{run.path} has no finished cell, expected one to export")
    raise UsageError(f"{run.path} has no finished cell {spec!r}. {did_you_mean(str(spec), [one.spec for one in done])}")


def _rows(run: RunFolder, cell: StoredCell) -> Rows:
    """Return x1, y1, x2, y2, score of every image that was scored."""
    image_ids = decoded_ids(run.images())
    boxes, table = by_image(run.detections(cell), image_ids)
    rows = np.column_stack([boxes.boxes, table["score"].to_numpy(dtype=np.float64)])
    return dict(zip(image_ids, np.split(rows, boxes.offsets[1:-1]), strict=True))


def _check_name(image_id: str, run: RunFolder) -> None:
    parts = image_id.split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r"[\\\x00-\x1f\x7f]|^[A-Za-z]:", image_id):
        raise ResultsError(
            f"{run.path} has an image {image_id!r}, expected a name such as event/image.jpg that stays in its "
            "folder. Was the run made by someone else? Nothing was written"
        )


def _tree(rows: Rows) -> dict[str, bytes]:
    """Return the official tree: file name -> content."""
    files: dict[str, bytes] = {}
    for image_id, table in rows.items():
        stem = image_stem(image_id)
        if f"{stem}.txt" in files:
            raise ResultsError(f"two images are named {stem} but for the suffix; export them as jsonl or coco")
        lines = [PurePosixPath(stem).name, str(len(table)), *(" ".join(map(_number, row)) for row in _xywh(table))]
        files[f"{stem}.txt"] = ("\n".join(lines) + "\n").encode()
    return files


def _xywh(table: NDArray[np.float64]) -> list[list[float]]:
    """Return x, y, width, height, score; the sum of x and width is x2 again for all float32 boxes of usual size."""
    out = table.copy()
    out[:, 2:4] -= out[:, :2]
    found: list[list[float]] = out.tolist()
    return found


def _number(value: float) -> str:
    """Write the shortest text that reads back as the same float64.

    >>> _number(358.0), _number(0.1), _number(-0.0)
    ('358', '0.1', '-0')
    """
    return repr(value).removesuffix(".0")


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Pack files; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, _ZIP_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)
    return buffer.getvalue()


def _results(rows: Rows, numbers: Mapping[str, int]) -> bytes:
    entries = [
        {"image_id": numbers[image_id], "category_id": 1, "bbox": row[:4], "score": row[4]}
        for image_id, table in rows.items()
        for row in _xywh(table)
    ]
    return _json_list(entries).encode()


def _ground_truth(run: RunFolder, numbers: Mapping[str, int]) -> bytes:
    """Return the COCO file of images and annotation; attributes and list memberships stand in `attributes`."""
    document = run.document.dataset
    images = [
        {"id": numbers[row["image_id"]], "file_name": row["image_id"]}
        | ({"width": row["width"], "height": row["height"]} if row["width"] else {})
        for row in run.images().to_dict("records")
        if row["image_id"] in numbers
    ]
    annotations = list(_annotations(run.faces(), numbers))
    info = {"description": f"{document.name}, {document.coverage}", "licence": document.licence}
    whole = {"info": info, "categories": [{"id": 1, "name": "face"}], "images": images, "annotations": annotations}
    return json.dumps(whole, default=_plain).encode()


def _annotations(faces: pd.DataFrame, numbers: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    faces = faces[faces["image_id"].isin(list(numbers))]
    crowd = crowd_of(faces)
    regions = np.zeros(len(faces), np.bool_) if crowd is None else crowd
    left_out = {"image_id", "ignore", *_BOX, *(() if crowd is None else (CROWD,))}
    attributes = [name for name in faces.columns if name not in left_out]
    for number, (row, region) in enumerate(zip(faces.to_dict("records"), regions.tolist(), strict=True), 1):
        x1, y1, x2, y2 = (float(row[name]) for name in _BOX)
        width, height = x2 - x1, y2 - y1
        yield {
            "id": number,
            "image_id": numbers[row["image_id"]],
            "category_id": 1,
            "bbox": [x1, y1, width, height],
            "area": width * height,
            **ignored(bool(row["ignore"]), region),
            "ignore": int(row["ignore"]),
            "attributes": {name: int(row[name]) for name in attributes},
        }


def _lines(rows: Rows) -> bytes:
    lines = (
        json.dumps({"image_id": image_id, "boxes": table[:, :4].tolist(), "scores": table[:, 4].tolist()})
        for image_id, table in rows.items()
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _json_list(entries: Sequence[object]) -> str:
    """Return a JSON list with one line per entry, so that it can be looked through."""
    return "[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n"


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as Python's own number."""
    return value.item()


def _write_folder(output: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write a tree beside its place, then move it there."""
    replaced = _refuse_folder(output, force)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent))
        try:
            tree = beside / "new"
            for folder in {(tree / name).parent for name in files} | {tree}:
                folder.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (tree / name).write_bytes(data)
            if replaced:
                output.rename(beside / "old")
            try:
                tree.rename(output)
            except OSError:
                if replaced:
                    (beside / "old").rename(output)
                raise
        finally:
            with suppress(OSError):
                shutil.rmtree(beside)
    except OSError as error:
        raise ResultsError(
            f"cannot write {output}: {error.strerror or error}. Free some space or choose another --output"
        ) from error


def _refuse_folder(output: Path, force: bool) -> bool:
    """Return whether there is a folder to be replaced; raise where it must stay."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise UsageError(f"{output} is not a folder, expected a folder or a name that ends in .zip; choose another")
    if not output.exists():
        return False
    held = [path for path in output.rglob("*") if not path.is_dir() or path.is_symlink()]
    if held and not force:
        holds = f"{output} holds {len(held):,} files already"
        raise UsageError(f"{holds}; choose another --output, or add --force to replace them all")
    other = next((path for path in held if path.suffix != ".txt"), None)
    if other is not None:
        raise UsageError(f"{output} holds {other.name}, which no export wrote, so --force does not replace it")
    return True

"""WIDER FACE in small, in the official layout: the annotation, the .mat lists, the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

Rows = Mapping[str, Sequence[Sequence[int]]]
Lists = Mapping[str, Mapping[str, Sequence[int]]]
MakeWider = Callable[..., Path]


def column(cells: Sequence[object]) -> np.ndarray:
    """An (n, 1) MATLAB cell array."""
    array = np.empty((len(cells), 1), object)
    for i, cell in enumerate(cells):
        array[i, 0] = cell
    return array


def write_annotation(path: Path, rows: Rows) -> None:
    lines = []
    for name, faces in rows.items():
        lines += [name, str(len(faces))]
        lines += [" ".join(map(str, face)) + " " for face in faces or [[0] * 10]]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_list(path: Path, rows: Rows, indices: Mapping[str, Sequence[int]]) -> None:
    """Write the official structure: cells of events, in them cells of images."""
    events = list(dict.fromkeys(name.split("/")[0] for name in rows))
    of_event = [[name for name in rows if name.startswith(event + "/")] for event in events]
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(
        path,
        {
            "event_list": column(events),
            "file_list": column([column([name.split("/")[1][:-4] for name in names]) for names in of_event]),
            "face_bbx_list": column(
                [
                    column([np.array([r[:4] for r in rows[n]], np.int32).reshape(-1, 4) for n in names])
                    for names in of_event
                ]
            ),
            "gt_list": column(
                [column([np.array(indices.get(n, []), np.uint8).reshape(-1, 1) for n in names]) for names in of_event]
            ),
        },
    )


def write_image(path: Path, shade: int = 128, size: tuple[int, int] = (100, 80)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, shade, shade)).save(path)

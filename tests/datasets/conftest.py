from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from facebench.tests.detectors.model_store_fakes import Server
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
    """Write the official structure: cells of events, in them cells of pictures."""
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


def write_picture(path: Path, shade: int = 128, size: tuple[int, int] = (100, 80)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, shade, shade)).save(path)


@pytest.fixture
def make_wider(tmp_path: Path) -> MakeWider:
    """Build a small WIDER FACE in the official layout and return its folder."""

    def make(
        rows: Rows,
        *,
        lists: Lists | None = None,
        missing: Sequence[str] = (),
        list_folder: str = "eval_tools/ground_truth",
        below: str = "",
    ) -> Path:
        root = tmp_path / below
        write_annotation(root / "wider_face_split" / "wider_face_val_bbx_gt.txt", rows)
        for i, name in enumerate(rows):
            if name not in missing:
                write_picture(root / "WIDER_val" / "images" / name, shade=i)
        for difficulty, indices in (lists or {}).items():
            write_list(root / list_folder / f"wider_{difficulty}_val.mat", rows, indices)
        return tmp_path

    return make


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine that replies by script."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()

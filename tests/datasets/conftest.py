from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from facebench.tests.support.model_store_fakes import Server
from facebench.tests.support.wider_files import Lists, MakeWider, Rows, write_annotation, write_image, write_list


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
                write_image(root / "WIDER_val" / "images" / name, shade=i)
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

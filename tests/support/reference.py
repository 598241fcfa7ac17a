"""The full validation annotation of WIDER FACE and the reference predictions, as the arrays that scoring takes."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from facebench.benchmarks.scoring import ImageBoxes
from facebench.tests.support.oracle import Image
from numpy.typing import NDArray
from scipy.io import loadmat

LISTS = ("easy", "medium", "hard")
PREDICTIONS = Path("wider_predictions", "retinaface_mobilenet025_original_size.zip")


def read_annotation(path: Path) -> dict[str, NDArray[np.float64]]:
    lines = path.read_text(encoding="ascii").split("\n")
    faces: dict[str, NDArray[np.float64]] = {}
    at = 0
    while at < len(lines) and lines[at]:
        count = int(lines[at + 1])
        rows = [[float(number) for number in row.split()[:4]] for row in lines[at + 2 : at + 2 + count]]
        faces[lines[at].removesuffix(".jpg")] = to_corners(np.array(rows).reshape(-1, 4))
        at += 2 + max(count, 1)
    return faces


def read_list(path: Path, faces: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.bool_]]:
    mat = loadmat(path)
    counted = {}
    for event, files, lists in zip(mat["event_list"][:, 0], mat["file_list"][:, 0], mat["gt_list"][:, 0], strict=True):
        for file, rows in zip(files[:, 0], lists[:, 0], strict=True):
            name = f"{event[0]}/{file[0]}"
            counted[name] = np.zeros(len(faces[name]), dtype=np.bool_)
            counted[name][rows.ravel().astype(np.int64) - 1] = True
    return counted


def read_predictions(path: Path) -> dict[str, NDArray[np.float64]]:
    predictions = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".txt"):
                _, count, *rows = archive.read(member).decode().split("\n")
                table = np.array([row.split() for row in rows[: int(count)]], dtype=np.float64).reshape(-1, 5)
                predictions[member.removesuffix(".txt")] = np.column_stack([to_corners(table[:, :4]), table[:, 4]])
    return predictions


def to_corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])


@dataclass
class Reference:
    names: list[str]
    faces: ImageBoxes
    detections: ImageBoxes
    scores: NDArray[np.float64]
    lists: dict[str, NDArray[np.bool_]]

    def images(self, mask: NDArray[np.bool_]) -> list[Image]:
        """As the oracle takes them."""
        f, d = self.faces.offsets, self.detections.offsets
        return [
            Image(
                [tuple(box) for box in self.faces.boxes[f[i] : f[i + 1]].tolist()],
                mask[f[i] : f[i + 1]].tolist(),
                [tuple(box) for box in self.detections.boxes[d[i] : d[i + 1]].tolist()],
                self.scores[d[i] : d[i + 1]].tolist(),
            )
            for i in range(len(self.names))
        ]


@lru_cache(maxsize=1)
def load_reference(root: Path) -> Reference:
    """Read the folder of WIDER FACE and the predictions beside it."""
    faces = read_annotation(root / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    predictions = read_predictions(root.parent / PREDICTIONS)
    names = list(faces)
    lists = {}
    for key in LISTS:
        counted = read_list(root / "eval_tools" / "ground_truth" / f"wider_{key}_val.mat", faces)
        lists[key] = np.concatenate([counted[name] for name in names])
    return Reference(
        names,
        ImageBoxes.from_images([faces[name] for name in names]),
        ImageBoxes.from_images([predictions[name][:, :4] for name in names]),
        np.concatenate([predictions[name][:, 4] for name in names]),
        lists,
    )

"""The full validation annotation of WIDER FACE and the reference predictions, as the arrays that scoring takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from facebench.benchmarks.scoring import PictureBoxes
from facebench.tests.benchmarks.scoring.test_reference import LISTS, read_annotation, read_list, read_predictions
from facebench.tests.support.oracle import Picture
from numpy.typing import NDArray

PREDICTIONS = Path("wider_predictions", "retinaface_mobilenet025_original_size.zip")


@dataclass
class Reference:
    names: list[str]
    faces: PictureBoxes
    detections: PictureBoxes
    scores: NDArray[np.float64]
    lists: dict[str, NDArray[np.bool_]]

    def pictures(self, mask: NDArray[np.bool_]) -> list[Picture]:
        """As the oracle takes them."""
        f, d = self.faces.offsets, self.detections.offsets
        return [
            Picture(
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
        PictureBoxes.from_pictures([faces[name] for name in names]),
        PictureBoxes.from_pictures([predictions[name][:, :4] for name in names]),
        np.concatenate([predictions[name][:, 4] for name in names]),
        lists,
    )

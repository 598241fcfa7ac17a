"""Published and independently computed numbers, on the full WIDER FACE validation annotation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from facebench.benchmarks.scoring import ImageBoxes, Scores, score
from facebench.tests.support import oracle
from facebench.tests.support.reference import LISTS, read_annotation, read_list, read_predictions
from numpy.typing import DTypeLike, NDArray


@dataclass
class WiderVal:
    faces: dict[str, NDArray[np.float64]]
    counted: dict[str, dict[str, NDArray[np.bool_]]]
    predictions: dict[str, NDArray[np.float64]]
    with_image: list[str]


@pytest.fixture(scope="module")
def wider(shared: Path) -> WiderVal:
    root = shared / "data" / "wider_face"
    faces = read_annotation(root / "wider_face_split" / "wider_face_val_bbx_gt.txt")
    truth = root / "eval_tools" / "ground_truth"
    images = [
        str(PurePosixPath(path.parent.name, path.stem)) for path in (root / "WIDER_val" / "images").glob("*/*.jpg")
    ]
    return WiderVal(
        faces=faces,
        counted={name: read_list(truth / f"wider_{name}_val.mat", faces) for name in LISTS},
        predictions=read_predictions(
            shared / "data" / "wider_predictions" / "retinaface_mobilenet025_original_size.zip"
        ),
        with_image=sorted(images),
    )


def score_images(wider: WiderVal, names: list[str], *, shuffle: bool = False, dtype: DTypeLike = np.float64) -> Scores:
    rng = np.random.default_rng(0)
    tables = [rng.permutation(wider.predictions[name]) if shuffle else wider.predictions[name] for name in names]
    return score(
        ImageBoxes.from_images([wider.faces[name] for name in names]),
        ImageBoxes.from_images([table[:, :4].astype(dtype) for table in tables]),
        np.concatenate([table[:, 4] for table in tables]).astype(dtype),
        score_threshold=0.5,
        lists={key: np.concatenate([wider.counted[key][name] for name in names]) for key in LISTS},
    )


def rounded(scores: Scores) -> dict[str, list[float]]:
    return {
        "official": [round(scores.lists[name].official_ap, 6) for name in LISTS],
        "exact": [round(scores.lists[name].exact_ap, 6) for name in LISTS],
    }


FULL = {"official": [0.906958, 0.881579, 0.738286], "exact": [0.907363, 0.881862, 0.738664]}
SAMPLE = {"official": [0.965792, 0.951091, 0.892501], "exact": [0.965798, 0.951114, 0.892612]}


def test_data_is_the_official_one(wider: WiderVal) -> None:
    assert len(wider.faces) == 3226
    assert wider.faces.keys() == wider.predictions.keys()
    assert sum(map(len, wider.faces.values())) == 39_708
    assert sum(map(len, wider.predictions.values())) == 297_333
    assert [sum(int(mask.sum()) for mask in wider.counted[name].values()) for name in LISTS] == [7211, 13319, 31958]
    assert len(wider.with_image) == 130


def test_full_validation_set(wider: WiderVal) -> None:
    assert rounded(score_images(wider, list(wider.faces))) == FULL


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_unsorted_predictions_score_the_same(wider: WiderVal, dtype: DTypeLike) -> None:
    """Known fault of other evaluators: unsorted files drop easy AP from .957 to .145 without a word."""
    assert rounded(score_images(wider, list(wider.faces), shuffle=True, dtype=dtype)) == FULL


def test_order_of_images_does_not_matter(wider: WiderVal) -> None:
    assert rounded(score_images(wider, sorted(wider.faces, reverse=True))) == FULL


def test_sample_of_130_images_is_normalised_by_itself(wider: WiderVal) -> None:
    assert rounded(score_images(wider, wider.with_image)) == SAMPLE


def test_sample_equals_the_plain_loops(wider: WiderVal) -> None:
    scores = score_images(wider, wider.with_image)
    for key in LISTS:
        images = [
            oracle.Image(
                faces=[tuple(face) for face in wider.faces[name].tolist()],
                counted=wider.counted[key][name].tolist(),
                boxes=[tuple(row[:4]) for row in wider.predictions[name].tolist()],
                scores=wider.predictions[name][:, 4].tolist(),
            )
            for name in wider.with_image
        ]
        assert scores.lists[key].official_ap == pytest.approx(oracle.official_ap(images), abs=1e-12)
        assert scores.lists[key].at_threshold.hits == oracle.at_threshold(images, 0.5)["hits"]

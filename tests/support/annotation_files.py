"""Small folders in each format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from facebench.datasets.base import Source
from facebench.datasets.formats.annotated import AnnotatedImage
from facebench.datasets.formats.choice import AnnotatedFolder, read_folder
from facebench.tests.support.wider_files import write_image

TURNED = [30 + 5 - 15 * 2**0.5, 35 - 15 * 2**0.5, 35 + 15 * 2**0.5, 35 + 15 * 2**0.5]
"""The hull of 30, 10, 40, 60 turned by 45 degrees about its centre."""
VOC = """<annotation><filename>{name}</filename>
<size><width>100</width><height>80</height><depth>3</depth></size>
{objects}</annotation>
"""
OBJECT = """<object><name>{label}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>
"""


def write(root: Path, files: Mapping[str, str], images: Sequence[str] = ()) -> Path:
    """Write text files and grey images of 100 x 80 pixels below a folder."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for i, path in enumerate(images):
        write_image(root / path, shade=i)
    return root


def voc_object(corners: Sequence[float], label: str = "face", difficult: int = 0) -> str:
    return OBJECT.format(*corners, label=label, difficult=difficult)


def folder(images: Sequence[AnnotatedImage], sources: Mapping[str, Source]) -> AnnotatedFolder:
    return AnnotatedFolder("", "here", tuple(images), sources, ())


def annotated(
    name: str, boxes: Sequence[Sequence[float]], ignore: Sequence[bool] | None = None, **labels: Sequence[int]
) -> AnnotatedImage:
    return AnnotatedImage(
        name,
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(ignore if ignore is not None else [False] * len(boxes), bool),
        {label: np.array(values, np.int8) for label, values in labels.items()},
    )


def only(root, files, images=("a.png",)):
    """Return the one image of a folder, and what is noted."""
    found = read_folder(write(root, files, images))
    (image,) = found.images
    assert set(found.sources) == {image.name}
    return image, " ".join(found.notes)

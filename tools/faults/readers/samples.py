"""One valid small file of each format that facebench reads, and what reads it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....benchmarks.compare.limits import read_limits
from ....benchmarks.exchange.predictions import read_predictions
from ....datasets import Dataset, decode, load
from ....datasets.images import upright_size
from ....datasets.sets.demographics import LABELS, read_demographics
from ....datasets.sets.fddb import read_ellipses
from ..images import encode

IMAGES = ("a/1.png", "a/2.png")
_SIZE = (100, 80)
_WIDER = "\n".join(f"{name}\n1\n10 10 30 40 0 0 0 0 0 0" for name in IMAGES) + "\n"
_RETINAFACE = "# {}\n10 10 30 40 12 12 0.0 30 12 0.0 20 20 0.0 14 30 0.0 28 30 0.0 0.8\n"
_COCO = {
    "images": [{"id": n, "file_name": name, "width": 100, "height": 80} for n, name in enumerate(IMAGES)],
    "annotations": [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 30, 40], "iscrowd": 0, "attributes": {"blur": 1}}
        for n in range(2)
    ],
    "categories": [{"id": 1, "name": "face", "supercategory": "none"}],
}
_VOC = (
    "<annotation><filename>{}</filename><size><width>100</width><height>80</height><depth>3</depth></size><object>"
    "<name>face</name><difficult>0</difficult><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>50</ymax>"
    "</bndbox></object></annotation>\n"
)
_CVAT = "".join(
    f'<image id="{n}" name="{name}" width="100" height="80"><box label="face" xtl="10" ytl="10" xbr="40" ybr="50" '
    'rotation="10" occluded="0" z_order="0"><attribute name="blur">1</attribute></box></image>'
    for n, name in enumerate(IMAGES)
)
_METADATA = [
    {"file_name": name, "objects": {"bbox": [[10, 10, 30, 40]], "categories": [0], "ignore": [0]}} for name in IMAGES
]
_FDDB = b"2002/a/1\n1\n41.9 31.5 1.26 60.2 44.1 1\n2002/a/2\n0\n"
_LIMITS = '[default]\nmax_slowdown = 0.05\nmax_ap_loss = 0.005\n\n[detector."haar"]\nmax_memory_growth = 0.10\n'


@dataclass(frozen=True, slots=True)
class Sample:
    """A reader with what it can read.

    Attributes:
        name: as the table says it.
        files: path below a folder -> bytes; the first is the one that is damaged.
        read: reads the folder.
    """

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], object]


def samples() -> list[Sample]:
    """Return one of each; the folder that `read` is given has the images `IMAGES` too."""
    annotations: dict[str, dict[str, str | bytes]] = {
        "coco": {"all.json": json.dumps(_COCO, indent=1)},
        "voc": {"Annotations/1.xml": _VOC.format("a/1.png"), "Annotations/2.xml": _VOC.format("a/2.png")},
        "yolo": {"a/1.txt": "0 0.25 0.4 0.3 0.5\n" * 2, "a/2.txt": "", "data.yaml": "names: [face]\nnc: 1\n"},
        "csv": {"all.csv": _table("image,x1,y1,x2,y2,ignore,label,blur", "10,10,40,50,0,face,1")},
        "json": {"all.json": json.dumps([{"image": name, "bbox": [10, 10, 30, 40], "blur": 1} for name in IMAGES])},
        "wider": {"wider_face_val_bbx_gt.txt": _WIDER},
        "retinaface": {"label.txt": "".join(map(_RETINAFACE.format, IMAGES))},
        "cvat": {"annotations.xml": f"<annotations><version>1.1</version>{_CVAT}</annotations>"},
        "open-images": {"all.csv": _open_images()},
        "imagefolder": {"metadata.jsonl": "\n".join(map(json.dumps, _METADATA))},
        "parquet": {"train.parquet": _parquet()},
    }
    found = [Sample(name, _encoded(files), _annotated(name)) for name, files in annotations.items()]
    # the same labels, with the list of classes damaged
    yolo = _encoded(annotations["yolo"])
    found.append(Sample("data.yaml", {"data.yaml": yolo.pop("data.yaml"), **yolo}, _annotated("yolo")))
    found += [
        Sample("demographics", {"all.csv": _demographics()}, lambda one: read_demographics(one / "all.csv")),
        Sample("FDDB fold", {"fold.txt": _FDDB}, lambda one: read_ellipses(one / "fold.txt")),
        Sample("limits", {"limits.toml": _LIMITS.encode()}, lambda one: read_limits(one / "limits.toml")),
    ]
    predictions: dict[str, dict[str, str | bytes]] = {
        "COCO predictions": {"p.json": json.dumps(_coco_results())},
        "JSONL predictions": {"p.jsonl": "\n".join(map(json.dumps, _lines()))},
        "WIDER predictions": {f"p/{name[:-4]}.txt": f"{name}\n1\n10 10 30 40 0.9\n" for name in IMAGES},
        "YOLO predictions": {f"p/{name[:-4]}.txt": "0 0.25 0.4 0.3 0.5 0.9\n" for name in IMAGES},
    }
    found += [Sample(name, _encoded(files), _predicted(next(iter(files)))) for name, files in predictions.items()]
    pixels = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    found += [
        Sample(kind, {"image": encode(pixels, kind)}, _image)
        for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
    ]
    return found


def _encoded(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    return {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}


def _annotated(name: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        place = f"folder:{folder}?format={name}"
        return load(place, annotation_only=True), load(place)

    return read


def _predicted(path: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        return read_predictions(folder / path.partition("/")[0], _dataset(folder))

    return read


def _dataset(folder: Path) -> Dataset:
    known = folder.parent / "known"
    if not known.exists():
        known.mkdir()
        write_images(known)
        (known / "all.json").write_text(json.dumps(_COCO), encoding="utf-8")
    return load(f"folder:{known}", annotation_only=True)


def write_images(folder: Path) -> None:
    """Write the images of all samples."""
    for name in IMAGES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(encode(np.full((_SIZE[1], _SIZE[0], 3), 90, np.uint8)))


def _image(folder: Path) -> object:
    upright_size(folder / "image")
    return decode(folder / "image")


def _table(header: str, row: str) -> str:
    return "\n".join([header, *(f"{name},{row}" for name in IMAGES), ""])


def _open_images() -> str:
    return (
        "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n1,/m/0dzct,0.1,0.4,0.1,0.5,0\n2,/m/0dzct,0.1,0.4,0.1,0.5,1\n"
    )


def _demographics() -> bytes:
    text = io.StringIO()
    first = [values[0] for values in LABELS.values()]
    csv.writer(text).writerows([["", "file", *LABELS, "face"], [0, "images/a/1.jpg", *first, 0]])
    return text.getvalue().encode()


def _parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    pixels = encode(np.full((_SIZE[1], _SIZE[0], 3), 90, np.uint8))
    rows = [{"image": {"bytes": pixels, "path": "1.png"}, "faces": {"bbox": [[10.0, 10.0, 30.0, 40.0]]}}]
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def _coco_results() -> list[dict[str, object]]:
    return [{"image_id": name, "bbox": [10, 10, 30, 40], "score": 0.9, "category_id": 1} for name in IMAGES]


def _lines() -> list[dict[str, object]]:
    return [{"image_id": name, "boxes": [[10, 10, 40, 50]], "scores": [0.9]} for name in IMAGES]

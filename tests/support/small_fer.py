"""Small FER2013s in all the forms that people have it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from facebench.datasets.faces.fer import EMOTIONS
from PIL import Image

CSV_ORDER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PARTS = {"train": "Training", "validate": "Training", "test": "PublicTest"}
Pictures = dict[str, np.ndarray]


def some_pictures(parts: Mapping[str, str] = PARTS, *, prefix: str = "", each: int = 1) -> Pictures:
    """Noise of different greys: path -> uint8 (48, 48), a PNG so that pixels stay; in `test` two usages take turns."""
    pictures = {}
    for p, (part, usage) in enumerate(parts.items()):
        for e, emotion in enumerate(EMOTIONS):
            for k in range(each):
                name = ("PublicTest", "PrivateTest")[(e + k) % 2] if usage == "PublicTest" else usage
                rng = np.random.default_rng((p, e, k))
                path = f"{prefix}{part}/{emotion}/{name}_{p}{e}{k}.png"
                pictures[path] = rng.integers(0, 256, (48, 48), np.uint8)
    return pictures


def encoded(picture: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind)
    return stream.getvalue()


def write_folder(root: Path, pictures: Pictures) -> Path:
    for path, picture in pictures.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(encoded(picture))
    return root


def write_zip(path: Path, pictures: Pictures, extra: Mapping[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, picture in pictures.items():
            archive.writestr(name, encoded(picture))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return path


def csv_row(emotion: str, picture: np.ndarray, usage: str) -> str:
    return f"{CSV_ORDER.index(emotion)},{' '.join(map(str, picture.ravel()))},{usage}"


def write_csv(path: Path, rows: list[str], header: str = "emotion,pixels,Usage") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path

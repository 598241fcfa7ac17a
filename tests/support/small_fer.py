"""Small FER2013s in all the forms that people have it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from facebench.datasets.faces.fer import EMOTIONS, FerImages
from facebench.emotions.training.plan import LabelledImages
from PIL import Image

CSV_ORDER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PARTS = {"train": "Training", "validate": "Training", "test": "PublicTest"}
Images = dict[str, np.ndarray]


def some_images(parts: Mapping[str, str] = PARTS, *, prefix: str = "", each: int = 1) -> Images:
    """Noise of different greys: path -> uint8 (48, 48), a PNG so that pixels stay; in `test` two usages take turns."""
    images = {}
    for p, (part, usage) in enumerate(parts.items()):
        for e, emotion in enumerate(EMOTIONS):
            for k in range(each):
                name = ("PublicTest", "PrivateTest")[(e + k) % 2] if usage == "PublicTest" else usage
                rng = np.random.default_rng((p, e, k))
                path = f"{prefix}{part}/{emotion}/{name}_{p}{e}{k}.png"
                images[path] = rng.integers(0, 256, (48, 48), np.uint8)
    return images


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


def write_folder(root: Path, images: Images) -> Path:
    for path, image in images.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(encoded(image))
    return root


def write_zip(path: Path, images: Images, extra: Mapping[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, image in images.items():
            archive.writestr(name, encoded(image))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return path


def csv_row(emotion: str, image: np.ndarray, usage: str) -> str:
    return f"{CSV_ORDER.index(emotion)},{' '.join(map(str, image.ravel()))},{usage}"


def write_csv(path: Path, rows: list[str], header: str = "emotion,pixels,Usage") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def noise(n: int = 60) -> FerImages:
    """Noise in seven classes: half to learn from, the rest held out, some of it repeated in training."""
    random = np.random.default_rng(4)
    images = random.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    part = np.array(["train", "train", "train", "validate", "test", "test"] * (n // 6), "U8")
    usage = np.array(["Training"] * 4 + ["PublicTest", "PrivateTest"], "U11")[np.arange(n) % 6]
    images[0], images[6] = images[4], images[5][:, ::-1]  # a copy of PublicTest, a mirrored one of PrivateTest
    return FerImages(tuple(f"{i}.jpg" for i in range(n)), images, (np.arange(n) % 7).astype(np.int8), usage, part)


def stripes(n: int = 48, seed: int = 0) -> LabelledImages:
    """Three kinds that mirroring does not change: stripes across, stripes down, and checks; with noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    wave = np.sin(np.arange(48) * 0.9)
    kinds = np.stack([np.tile(wave[:, None], (1, 48)), np.tile(wave, (48, 1)), np.outer(wave, wave)])
    images = 128 + 60 * kinds[labels] + random.normal(0, 15, (n, 48, 48))
    return LabelledImages(images.clip(0, 255).astype(np.uint8), labels)

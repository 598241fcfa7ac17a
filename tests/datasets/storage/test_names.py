"""Images in folders and archives are known by their content, and what systems leave beside them is left out."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from facebench.datasets import load
from facebench.datasets.faces.class_folders import list_folder, list_zip
from facebench.datasets.storage.places import images_below, open_tree
from facebench.tests.support.image_kinds import encoded

PNG, JPEG = encoded("PNG"), encoded("JPEG")
IMAGES = {
    "a.jpg": JPEG,
    "b.jfif": JPEG,
    "c.JPE": JPEG,
    "wrong.jpg": PNG,
    "cut.jpg": b"",
    "e": PNG,
    "f.jpg_large": JPEG,
    "sub/IMG_1.HEIC": b"whatever it holds, by its name",
    "sub/g.12": encoded("AVIF"),
}
OTHERS = {
    "notes": b"text",
    "notes.txt": PNG,
    "clip.mp4": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
    "clip": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
    "IMG_1.DNG": encoded("TIFF"),
    "._a.jpg": b"\0\5\x16\7",
    "Thumbs.db": PNG,
    "desktop.ini": PNG,
    ".hidden.jpg": JPEG,
    ".git/a.jpg": JPEG,
    "__MACOSX/a.jpg": JPEG,
    "sub/.ipynb_checkpoints/a.jpg": JPEG,
    "sub/@eaDir/a.jpg": JPEG,
    "empty": b"",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in (IMAGES | OTHERS).items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    return tmp_path / "in"


def test_the_images_of_a_folder(folder: Path) -> None:
    assert [path.relative_to(folder).as_posix() for path in images_below(folder)[0]] == sorted(IMAGES)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, None])
def test_the_images_of_an_archive(folder: Path, tmp_path: Path, method: int | None) -> None:
    place = tmp_path / ("in.tar" if method is None else "in.zip")
    if method is None:
        with tarfile.open(place, "w") as tar:
            tar.add(folder, ".")
    else:
        with zipfile.ZipFile(place, "w", method) as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder))
    assert sorted(open_tree(place)[0].images()) == sorted(IMAGES)


def test_behind_an_address_the_name_decides(folder: Path) -> None:
    filesystem = fsspec.filesystem("memory")
    for name, data in (IMAGES | OTHERS).items():
        filesystem.pipe(f"/facebench-names/{name}", data)
    named = sorted(set(IMAGES) - {"e", "f.jpg_large", "sub/g.12"})
    assert sorted(open_tree("memory://facebench-names")[0].images()) == named


def test_files_of_well_known_suffixes_are_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = os.open

    def spy(path: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(Path(path).relative_to(folder).as_posix())
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", spy)
    images_below(folder)
    assert sorted(opened) == ["clip", "e", "empty", "f.jpg_large", "notes", "sub/g.12"]


def test_class_folders_go_by_the_same_rule(folder: Path, tmp_path: Path) -> None:
    for name, data in {"x": PNG, "y.jfif": JPEG, "._z.png": PNG, "Thumbs.db": PNG, "notes": b"text"}.items():
        (folder / "happy").mkdir(exist_ok=True)
        (folder / "happy" / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        for path in sorted((folder / "happy").iterdir()):
            packed.write(path, f"happy/{path.name}")
    for entries in (list_folder(folder, 2), list_zip(tmp_path / "in.zip", 2)):
        assert [entry.name for entry in entries if entry.parents == ("happy",)] == ["happy/x", "happy/y.jfif"]


def test_labels_of_yolo_beside_images_of_any_name(tmp_path: Path) -> None:
    for name, data in {
        "one.jfif": JPEG,
        "two": PNG,
        "three.HEIC": encoded("HEIF"),
        "._one.jfif": b"\0\5\x16\7",
    }.items():
        (tmp_path / name).write_bytes(data)
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    found = load(f"folder:{tmp_path}")
    assert [sample.image_id for sample in found.samples] == ["one.jfif", "three.HEIC", "two"]
    assert {tuple(sample.faces.boxes[0].tolist()) for sample in found.samples} == {(36.0, 16.0, 60.0, 48.0)}
    assert not any("not in the annotation" in note for note in found.notes)

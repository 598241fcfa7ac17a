"""Files that were made to break a reader: each is one clear message, or costs its image alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from facebench.benchmarks.compare.limits import read_limits
from facebench.datasets import load
from facebench.datasets.formats.data_yaml import entries_of_yaml
from facebench.datasets.formats.image_names import image_name
from facebench.datasets.sets.fddb import read_ellipses
from facebench.errors import AnnotationError, DataError, UsageError
from facebench.tests.support.annotation_files import write
from facebench.tests.support.image_kinds import encoded

DIGITS = "9" * 5000


def coco(box: str = "[1, 1, 9, 9]", name: str = '"a.png"') -> str:
    images, face = f'[{{"id": 0, "file_name": {name}}}]', f'[{{"image_id": 0, "category_id": 1, "bbox": {box}}}]'
    return f'{{"images": {images}, "annotations": {face}, "categories": [{{"id": 1, "name": "face"}}]}}'


LINE = f'{{"file_name": "a.png", "objects": {{"bbox": [[1, 1, 9, {DIGITS}]]}}}}'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.json": coco(f"[1, 1, 9, {DIGITS}]")}, "too many digits"),
        ({"a.json": coco("[" * 3000 + "]" * 3000)}, "nested too deep"),
        ({"a.json": coco(name='"\\ud800.png"')}, "expected the name of an image"),
        ({"a.json": coco(name=json.dumps("a/" * 50_000 + "b.png"))}, "expected the name of an image"),
        ({"a.csv": "image,x1,y1,x2,y2,a\rb\n"}, "expected CSV"),
        ({"metadata.jsonl": LINE}, "expected an object"),
    ],
    ids=["digits", "deep", "half surrogate", "folders", "header", "digits in a line"],
)
def test_it_is_one_clear_message(tmp_path, files, words):
    with pytest.raises((AnnotationError, DataError), match=words) as error:
        load(f"folder:{write(tmp_path, files, ['a.png'])}")
    assert len(str(error.value)) < 2000


def test_names_in_messages_begin_no_line_and_turn_no_text(tmp_path):
    images = [{"id": 0, "file_name": "\x1b[2J\n::error::\u202ex.png"}] * 2
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": []}), encoding="utf-8")
    with pytest.raises(AnnotationError, match="twice") as error:
        load(f"folder:{tmp_path}")
    assert not {"\x1b", "\u202e", "\n"} & set(str(error.value))


def test_a_file_whose_name_is_not_utf8_costs_its_image_alone(tmp_path):
    for name in (b"a", b"\xff"):
        folder = os.fsencode(tmp_path)
        Path(os.fsdecode(folder + b"/" + name + b".png")).write_bytes(encoded("PNG"))
        Path(os.fsdecode(folder + b"/" + name + b".txt")).write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    for annotation_only in (True, False):
        dataset = load(f"folder:{tmp_path}?format=yolo", annotation_only=annotation_only)
        assert [sample.image_id for sample in dataset.samples] == ["a.png"]
        assert any("not UTF-8, such as \\udcff.png" in note for note in dataset.notes)


def test_a_blank_line_of_spaces_costs_no_time():
    def took(count: int) -> float:
        began = time.process_time()
        assert entries_of_yaml(f"names: [face]\n{' ' * count}\nnc: 1\n", "data.yaml") == {"names": ["face"], "nc": "1"}
        return time.process_time() - began

    assert took(100_000) < 5  # 51 s where each is looked at once for each


@pytest.mark.parametrize("text", [f"a = {DIGITS}", "a = " + "[" * 3000, f"[default]\nmax_slowdown = {'9' * 400}"])
def test_limits_that_no_number_holds(tmp_path, text):
    (tmp_path / "limits.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError):
        read_limits(tmp_path / "limits.toml")


def test_a_fold_that_announces_more_faces_than_a_number_holds(tmp_path):
    (tmp_path / "fold.txt").write_text(f"2002/a\n{DIGITS}\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match="expected the number of faces"):
        read_ellipses(tmp_path / "fold.txt")


def test_a_size_that_no_image_has_is_not_known(tmp_path):
    text = coco().replace('"file_name"', f'"width": {"9" * 400}, "height": 80, "file_name"')
    assert len(load(f"folder:{write(tmp_path, {'a.json': text}, ['a.png'])}", annotation_only=True)) == 1


def test_names_that_no_file_can_have():
    assert image_name("a/" * 100 + "b.jpg") is not None
    assert [image_name(name) for name in ("a/" * 101 + "b.jpg", "x" * 4097, "\udcff.jpg", "a\0")] == [None] * 4

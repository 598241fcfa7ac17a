"""The look at all images before a run: what is left out, what is noted, and that it happens once."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.measure.executors import LocalExecutor
from facebench.benchmarks.measure.images import Images, look_at_images, new_document
from facebench.benchmarks.measure.plan import NullObserver
from facebench.benchmarks.measure.runner import run
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.datasets import Dataset
from facebench.errors import UsageError
from facebench.tests.support.image_kinds import encoded
from facebench.tests.support.small_dataset import make_dataset, png
from facebench.tests.support.watched_runs import plan


class Counts(NullObserver):
    """Remembers how far the decoding came."""

    def __init__(self) -> None:
        self.decoded: list[tuple[int, int]] = []

    def decoding(self, done: int, total: int) -> None:
        self.decoded.append((done, total))


def look(dataset: Dataset, path: Path, observer: NullObserver | None = None) -> tuple[RunFolder, list[str]]:
    started = (path / "run.json").exists()
    folder = RunFolder.open(path) if started else RunFolder.create(path, new_document(dataset))
    return folder, look_at_images(dataset, folder, Images(dataset.samples), observer or NullObserver())


@pytest.mark.parametrize(
    ("box", "outside"),
    [
        ([40, 30, 80, 60], False),
        ([-40, -30, 1, 1], False),
        ([159, 119, 200, 200], False),
        ([160, 30, 200, 60], True),
        ([40, 120, 80, 150], True),
        ([-40, 30, 0, 60], True),
        ([40, -30, 80, 0], True),
    ],
    ids=["inside", "over the corner", "over the other", "right of it", "below", "left of it", "above"],
)
def test_a_box_wholly_outside_its_image_is_noted(tmp_path, box, outside):
    small = make_dataset(2)
    faces = replace(small.samples[1].faces, boxes=np.array([box], dtype=np.float32))
    dataset = replace(small, samples=(small.samples[0], replace(small.samples[1], faces=faces)))
    folder, _ = look(dataset, tmp_path / "run")
    noted = ("1 annotated boxes lie wholly outside their image",) if outside else ()
    assert folder.document.dataset.notes == noted


def test_a_box_of_a_image_that_cannot_be_read_is_outside_of_nothing(tmp_path):
    folder, usable = look(make_dataset(2, sources={1: b"x"}), tmp_path / "run")
    assert usable == ["picture-0.png"]
    assert [row[:2] for row in folder.document.excluded] == [("picture-1.png", "not an image")]
    assert folder.document.dataset.notes == ()


def test_what_was_looked_at_is_not_decoded_again(tmp_path):
    dataset = make_dataset(3, sources={1: b"x"})
    first, again = Counts(), Counts()
    _, usable = look(dataset, tmp_path / "run", first)
    assert look(dataset, tmp_path / "run", again)[1] == usable == ["picture-0.png", "picture-2.png"]
    assert (first.decoded, again.decoded) == ([(1, 3), (2, 3), (3, 3)], [])


def test_where_nothing_can_be_decoded_each_call_says_so(tmp_path):
    dataset = make_dataset(2, sources={0: b"", 1: b"x"})
    for _ in range(2):
        with pytest.raises(UsageError, match="none of the 2 images of small can be decoded: "):
            look(dataset, tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.usefixtures("hostile")
def test_the_largest_image_that_is_read_is_said_by_the_plan(tmp_path, workers):
    dataset = make_dataset(3, sources={1: png(200, 150)})
    whole = plan(dataset, "Good")
    small = replace(whole, max_pixels=29_999)
    if workers:
        small = replace(small, executor=LocalExecutor(workers), rounds=0)
    folder = run(small, tmp_path / "run")
    assert [row[:2] for row in folder.document.excluded] == [("picture-1.png", "too large")]
    assert "200 x 150 pixels; expected at most 29,999 pixels (--max-megapixels 1" in folder.document.excluded[0][2]
    (note,) = folder.document.dataset.notes
    assert note == f"Images left out (too large): 1; {folder.document.excluded[0][2]}."
    with pytest.raises(UsageError, match=r"lower --max-megapixels, which left out picture-1\.png; choose another"):
        run(whole, tmp_path / "run")
    if workers:
        whole = replace(whole, executor=LocalExecutor(workers), rounds=0, max_pixels=30_000)
    folder = run(whole, tmp_path / "other")
    assert folder.document.excluded == () and len(folder.detections(folder.cells[0])) == 3


def test_a_missing_decoder_is_noted_once_with_what_to_install(tmp_path, monkeypatch):
    heic = encoded("HEIF")
    dataset = make_dataset(3, sources={0: heic, 2: heic})
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    folder, usable = look(dataset, tmp_path / "run")
    assert usable == ["picture-1.png"]
    (note,) = folder.document.dataset.notes
    assert note.startswith("Images left out (no decoder): 2; got HEIC") and "pip install 'facebench[heif]'" in note

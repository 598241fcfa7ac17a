from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import Dataset, load
from facebench.datasets.sets import wider_face
from facebench.errors import AnnotationError, DataError, UsageError
from facebench.tests.support.wider_files import MakeWider, write_image

ROWS = {
    "0--Parade/p1.jpg": [[10, 10, 20, 30, 2, 1, 1, 0, 2, 1], [50, 5, 8, 9, 0, 0, 0, 1, 0, 0]],
    "0--Parade/p2.jpg": [],
    "19--Couple/c1.jpg": [
        [5, 5, 0, 9, 0, 0, 0, 0, 0, 0],
        [5, 5, 9, 9, 0, 0, 0, 0, 0, 0],
        [5, 5, 9, 9, 1, 0, 0, 0, 0, 0],
    ],
    "19--Couple/c2.jpg": [[90, 70, 30, 30, 0, 0, 0, 0, 0, 0], [-4, 3, 8, 8, 0, 0, 0, 0, 0, 0]],
    "22--Picnic/n1.jpg": [[1, 1, 98, 78, 0, 0, 0, 0, 0, 0]],
}
LISTS = {
    "easy": {"22--Picnic/n1.jpg": [1]},
    "medium": {"22--Picnic/n1.jpg": [1], "0--Parade/p1.jpg": [1]},
    "hard": {"22--Picnic/n1.jpg": [1], "0--Parade/p1.jpg": [1], "19--Couple/c1.jpg": [2, 3]},
}


def names(dataset: Dataset) -> list[str]:
    return [sample.image_id.split("/")[1] for sample in dataset.samples]


def test_boxes_labels_and_lists(make_wider: MakeWider) -> None:
    dataset = load("wider-face:val", root=make_wider(ROWS, lists=LISTS))
    assert names(dataset) == ["p1.jpg", "p2.jpg", "c1.jpg", "c2.jpg", "n1.jpg"]
    assert (dataset.name, dataset.lists, dataset.demo) == ("wider-face:val", ("easy", "medium", "hard"), False)
    assert (dataset.total, dataset.coverage) == (5, "5 images")
    parade, empty, couple = (sample.faces for sample in dataset.samples[:3])
    assert parade.boxes.tolist() == [[10, 10, 30, 40], [50, 5, 58, 14]]
    assert parade.ignore.tolist() == [False, True]
    assert {name: values.tolist() for name, values in parade.attributes.items()} == {
        "blur": [2, 0],
        "expression": [1, 0],
        "illumination": [1, 0],
        "invalid": [0, 1],
        "occlusion": [2, 0],
        "pose": [1, 0],
        "easy": [0, 0],
        "medium": [1, 0],
        "hard": [1, 0],
    }
    assert empty.boxes.shape == (0, 4)
    assert set(empty.attributes) == set(parade.attributes)
    assert couple.ignore.tolist() == [True, False, False]
    assert couple.attributes["hard"].tolist() == [0, 1, 1]


def test_notes_count_what_is_odd(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists={"easy": {}, "medium": {}}, missing=["19--Couple/c1.jpg"])
    assert load("wider-face:val?sample=9", root=root).notes == (
        "1 of 5 annotated images have no file.",
        "sample=9 asked for more than the 4 images to draw from; all were taken.",
        "No official list for hard: the .mat files of eval_tools.zip are not there.",
        "Boxes of zero width or height: 1 in the whole annotation, 0 in images used.",
        "Repeated boxes: 1 in the whole annotation, 0 in images used.",
        "Boxes that reach outside their image, kept as annotated: 2 in images used.",
    )


def test_without_lists(make_wider: MakeWider) -> None:
    root = make_wider(ROWS)
    dataset = load("wider-face:val", root=root)
    assert dataset.lists == ()
    assert dataset.notes[0].startswith("No official list for easy, medium, hard")
    assert "hard" not in dataset.samples[0].faces.attributes
    with pytest.raises(DataError, match=r"no wider_hard_val\.mat .*eval_tools\.zip"):
        load("wider-face:val?difficulty=hard", root=root)


@pytest.mark.parametrize("list_folder", ["eval_tools/ground_truth", "ground_truth"])
def test_lists_in_either_folder(list_folder: str, make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists=LISTS, list_folder=list_folder)
    assert load("wider-face:val", root=root).lists == ("easy", "medium", "hard")


@pytest.mark.parametrize("below", ["", "wider_face", "WIDER"])
def test_the_root_may_be_the_parent(below: str, make_wider: MakeWider) -> None:
    assert len(load("wider-face:val", root=make_wider(ROWS, below=below))) == 5


@pytest.mark.parametrize(
    ("query", "expected", "lists"),
    [
        ("events=Couple", ["c1.jpg", "c2.jpg"], ("easy", "medium", "hard")),
        ("events=19--Couple,Picnic", ["c1.jpg", "c2.jpg", "n1.jpg"], ("easy", "medium", "hard")),
        ("events=Picnic,22--Picnic", ["n1.jpg"], ("easy", "medium", "hard")),
        ("difficulty=easy", ["n1.jpg"], ("easy",)),
        ("difficulty=hard", ["p1.jpg", "c1.jpg", "n1.jpg"], ("hard",)),
        ("difficulty=hard&events=Couple,Parade", ["p1.jpg", "c1.jpg"], ("hard",)),
        ("difficulty=easy&sample=1&seed=5", ["n1.jpg"], ("easy",)),
        ("sample=5", ["p1.jpg", "p2.jpg", "c1.jpg", "c2.jpg", "n1.jpg"], ("easy", "medium", "hard")),
    ],
)
def test_subsets(query: str, expected: list[str], lists: tuple[str, ...], make_wider: MakeWider) -> None:
    dataset = load(f"wider-face:val?{query}", root=make_wider(ROWS, lists=LISTS))
    assert names(dataset) == expected
    assert dataset.lists == lists
    assert dataset.total == 5


def test_a_sample_is_drawn_by_seed_in_official_order(make_wider: MakeWider) -> None:
    root = make_wider(ROWS)
    drawn = [names(load(f"wider-face:val?sample=3&seed={seed}", root=root)) for seed in range(12)]
    order = names(load("wider-face:val", root=root))
    assert all(len(set(some)) == 3 and some == sorted(some, key=order.index) for some in drawn)
    assert len({tuple(some) for some in drawn}) > 4
    assert drawn[0] == names(load("wider-face:val?sample=3", root=root))
    assert load("wider-face:val?sample=3", root=root).coverage == "3 of 5 images"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("events=Picnik", "no event 'Picnik'. Did you mean Picnic?"),
        ("events=", "expected key=value"),
        ("events=Couple,", "no event ''"),
        ("subset=facebench-13", "no subset 'facebench-13'. Did you mean facebench-130?"),
        ("subset=../subsets/facebench-130", "no subset '../subsets/facebench-130'"),
        ("difficulty=heard", "no difficulty 'heard'. Did you mean hard?"),
        ("event=Picnic", "no option 'event'. Did you mean events?"),
        ("sample=0", "sample=0, expected a whole number from 1"),
        ("sample=ten", "sample=ten, expected a whole number"),
        ("sample=2&seed=-1", "seed=-1, expected a whole number from 0"),
        ("sample=2&sample=3", "stands twice"),
    ],
)
def test_wrong_options(query: str, message: str, make_wider: MakeWider) -> None:
    with pytest.raises(UsageError) as error:
        load(f"wider-face:val?{query}", root=make_wider(ROWS, lists=LISTS))
    assert message in str(error.value)


def test_options_apply_to_the_images_that_are_there(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists=LISTS, missing=["22--Picnic/n1.jpg", "0--Parade/p1.jpg"])
    assert names(load("wider-face:val?difficulty=hard", root=root)) == ["c1.jpg"]
    for query in ("events=Picnic", "difficulty=easy"):
        with pytest.raises(DataError, match=r"Got no image for .* among the 3 that are there"):
            load(f"wider-face:val?{query}", root=root)


def test_missing_parts_say_what_to_do(make_wider: MakeWider, tmp_path: Path) -> None:
    for wanted in ("WIDER_val.zip, wider_face_split.zip and eval_tools.zip", "--data or FACEBENCH_DATA", str(tmp_path)):
        with pytest.raises(DataError) as error:
            load("wider-face:val", root=tmp_path)
        assert wanted in str(error.value)
    with pytest.raises(DataError, match="absent without WIDER_val/images and wider_face_split"):
        load("wider-face:val", root=tmp_path / "absent")
    root = make_wider(ROWS, missing=list(ROWS), below="wider_face")
    with pytest.raises(DataError, match=r"folder .*wider_face without WIDER_val/images, expected"):
        load("wider-face:val", root=root)
    write_image(root / "wider_face" / "WIDER_val" / "images" / "0--Parade" / "other.jpg")
    with pytest.raises(DataError, match="none of the 5 annotated images"):
        load("wider-face:val", root=root)


def test_contradictions_are_annotation_errors(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists={"easy": {"0--Parade/p2.jpg": [1]}})
    with pytest.raises(AnnotationError, match=r"wider_easy_val\.mat: got indices \[1\] for 0--Parade/p2\.jpg"):
        load("wider-face:val", root=root)


def test_the_fingerprint_is_that_of_the_data(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists=LISTS)
    whole = load("wider-face:val", root=root).fingerprint
    assert load("wider-face:val?sample=5&seed=3", root=root).fingerprint == whole
    assert load("wider-face:val?sample=4", root=root).fingerprint != whole
    assert load("wider-face:val?difficulty=hard", root=root).fingerprint != whole
    write_image(root / "WIDER_val" / "images" / "0--Parade" / "p1.jpg", shade=99)
    assert load("wider-face:val", root=root).fingerprint != whole


def test_the_real_images(shared: Path) -> None:
    dataset = load("wider-face:val", root=shared / "data")
    assert dataset.coverage == "130 of 3,226 images"
    assert dataset.lists == ("easy", "medium", "hard")
    assert sum(len(sample.faces) for sample in dataset.samples) == 740
    assert len({sample.image_id for sample in dataset.samples}) == 130
    assert "3,096 of 3,226 annotated images have no file." in dataset.notes
    assert "Boxes of zero width or height: 11 in the whole annotation, 0 in images used." in dataset.notes
    assert "Repeated boxes: 1 in the whole annotation, 0 in images used." in dataset.notes
    one = load(
        "wider-face:val?events=Picnic,Couple&sample=10&seed=1&difficulty=hard", root=shared / "data" / "wider_face"
    )
    assert len(one) == 10
    assert {sample.image_id.split("/")[0] for sample in one.samples} == {"19--Couple", "22--Picnic"}
    assert all(np.any(sample.faces.attributes["hard"]) for sample in one.samples)


@pytest.fixture
def subsets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two subsets by name, of the small WIDER FACE."""
    folder = tmp_path / "subsets"
    folder.mkdir()
    (folder / "mine-3.txt").write_text("22--Picnic/n1.jpg\n0--Parade/p1.jpg\n19--Couple/c2.jpg\n", encoding="utf-8")
    (folder / "strange.txt").write_text("0--Parade/p1.jpg\n9--Nowhere/x.jpg\n", encoding="utf-8")
    monkeypatch.setattr(wider_face, "_SUBSETS", folder)


@pytest.mark.usefixtures("subsets")
def test_a_named_subset_is_those_images_in_official_order_whatever_else_is_there(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists=LISTS)
    some = load("wider-face:val?subset=mine-3", root=root)
    assert (names(some), some.coverage) == (["p1.jpg", "c2.jpg", "n1.jpg"], "3 of 5 images")
    assert some.others == {"0--Parade/p2.jpg", "19--Couple/c1.jpg"}
    for query, expected in (
        ("events=Couple", ["c2.jpg"]),
        ("difficulty=hard", ["p1.jpg", "n1.jpg"]),
        ("sample=9", None),
    ):
        assert names(load(f"wider-face:val?subset=mine-3&{query}", root=root)) == (expected or names(some))
    for name in some.others:
        (root / "WIDER_val" / "images" / name).unlink()
    alone = load("wider-face:val", root=root)
    assert (alone.fingerprint, names(alone)) == (some.fingerprint, names(some))
    again = load("wider-face:val?subset=mine-3", root=root)
    assert again.fingerprint == some.fingerprint
    assert not any("have no file" in note for note in again.notes), "nothing of the subset is missing"


@pytest.mark.usefixtures("subsets")
def test_a_subset_is_there_whole_or_not_at_all(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, missing=["22--Picnic/n1.jpg", "19--Couple/c2.jpg", "0--Parade/p2.jpg"])
    for query in ("subset=mine-3", "subset=mine-3&events=Parade", "subset=mine-3&pictures=there"):
        with pytest.raises(DataError) as error:
            load(f"wider-face:val?{query}", root=root)
        assert "Got 1 of the 3 images of subset=mine-3" in str(error.value)
        assert "missing: 19--Couple/c2.jpg, 22--Picnic/n1.jpg. Run `facebench data fetch" in str(error.value)
    assert len(load("wider-face:val?subset=mine-3", root=root, annotation_only=True)) == 3
    with pytest.raises(DataError, match=r"Got 1 of the 2 images of subset=strange .* missing: 9--Nowhere/x\.jpg\."):
        load("wider-face:val?subset=strange", root=root, annotation_only=True)


def test_of_many_missing_images_of_a_subset_three_are_named(make_wider: MakeWider) -> None:
    with pytest.raises(DataError, match=r"Got 0 of the 130 images .* missing: 0--Parade/\S+, \S+, \S+ and 127 more\."):
        load("wider-face:val?subset=facebench-130", root=make_wider(ROWS))


def test_the_real_subset_is_what_the_tables_were_measured_on(shared: Path) -> None:
    whole = load("wider-face:val", root=shared / "data")
    subset = load("wider-face:val?subset=facebench-130", root=shared / "data")
    assert (subset.fingerprint, subset.coverage) == (whole.fingerprint, "130 of 3,226 images")
    assert [sample.image_id for sample in subset.samples] == [sample.image_id for sample in whole.samples]


def test_the_annotation_alone_needs_no_image(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, lists=LISTS, missing=list(ROWS))
    dataset = load("wider-face:val", root=root, annotation_only=True)
    assert (dataset.coverage, dataset.lists, dataset.others) == ("5 images", ("easy", "medium", "hard"), frozenset())
    assert [sample.image_id for sample in dataset.samples] == list(ROWS)
    assert dataset.samples[0].faces.boxes.tolist() == [[10, 10, 30, 40], [50, 5, 58, 14]]
    assert not any("have no file" in note for note in dataset.notes)
    picnic = load("wider-face:val?events=Picnic", root=root, annotation_only=True)
    assert picnic.coverage == "1 of 5 images"
    assert picnic.others == set(ROWS) - {"22--Picnic/n1.jpg"}


def test_the_annotation_of_the_images_that_are_there(make_wider: MakeWider) -> None:
    root = make_wider(ROWS, missing=["22--Picnic/n1.jpg"])
    whole = load("wider-face:val", root=root, annotation_only=True)
    there = load("wider-face:val?pictures=there", root=root, annotation_only=True)
    assert (len(whole), len(there), there.others) == (5, 4, {"22--Picnic/n1.jpg"})
    assert there.fingerprint == load("wider-face:val", root=root).fingerprint != whole.fingerprint
    with pytest.raises(UsageError, match="pictures=all, expected pictures=there"):
        load("wider-face:val?pictures=all", root=root)


def test_the_training_part_has_no_lists_and_its_own_folders(make_wider: MakeWider, tmp_path: Path) -> None:
    root = make_wider(ROWS, lists=LISTS)
    (root / "WIDER_val").rename(root / "WIDER_train")
    split = root / "wider_face_split"
    (split / "wider_face_val_bbx_gt.txt").rename(split / "wider_face_train_bbx_gt.txt")
    dataset = load("wider-face:train?events=Couple", root=root)
    assert (names(dataset), dataset.lists, dataset.notes[0][:10]) == (["c1.jpg", "c2.jpg"], (), "Boxes of z")
    assert set(dataset.samples[0].faces.attributes).isdisjoint(LISTS)
    for option in ("difficulty=hard", "subset=facebench-130"):
        with pytest.raises(UsageError, match=f"wider-face:train has no option '{option.partition('=')[0]}'"):
            load(f"wider-face:train?{option}", root=root)
    with pytest.raises(DataError, match="facebench data fetch wider-face:val"):
        load("wider-face:val", root=root)

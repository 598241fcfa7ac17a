"""What the numbers of predictions mean: other readings are named, never taken; labels of YOLO; whose boxes they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from facebench.benchmarks.analysis.other_reading import Evidence, other_reading
from facebench.benchmarks.analysis.table import summarise_run
from facebench.benchmarks.exchange.as_run import store_predictions
from facebench.benchmarks.exchange.predictions import BOX_FORMATS, read_predictions
from facebench.datasets import Dataset, load
from facebench.datasets.base import Faces, Sample
from facebench.datasets.box_format import BoxFormat
from facebench.errors import DataError, UsageError
from facebench.tests.support.annotation_files import write
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = (200, 160)


def boxes_of(seed: int, count: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    sides = random.uniform(18, 50, (count, 2))
    corners = random.uniform(0, 1, (count, 2)) * (np.array(SIZE) - sides)
    return np.hstack([corners, corners + sides]).round(2)


def made(count: int = 6, *, sized: bool = True, box_format: str = "") -> Dataset:
    """Images of 200 x 160, two faces in each."""
    samples = tuple(
        Sample(
            f"{i:06d}.jpg",
            Path("absent"),
            Faces(boxes_of(i, 2).astype(np.float32), np.zeros(2, bool)),
            SIZE if sized else None,
        )
        for i in range(1, count + 1)
    )
    return Dataset("made-up", samples, count, (), False, "", "none", "f" * 16, box_format=box_format)


def results(path: Path, dataset: Dataset, written: str, noise: float = 1.0) -> Path:
    """COCO results of nearly right boxes, whose four numbers are written in some format."""
    random = np.random.default_rng(0)
    found = []
    for sample in dataset.samples:
        boxes = sample.faces.boxes.astype(np.float64) + random.normal(0, noise, sample.faces.boxes.shape)
        numbers = BoxFormat.parse(written).to_numbers(boxes, np.array(SIZE, float))
        found += [
            {"image_id": sample.image_id, "bbox": row, "score": float(random.uniform())} for row in numbers.tolist()
        ]
    path.write_text(json.dumps(found))
    return path


def scored(found: Path, dataset: Dataset, out: Path, **options: object):
    (row,) = summarise_run(store_predictions(read_predictions(found, dataset, **options), dataset, out)).rows
    return row.exact_ap("overall"), list(row.cell.predictions.remarks)


FORMATS = [
    "xyxy",
    "cxcywh",
    "yxyx",
    "trbl",
    *[f"{layout}:{part}" for layout in ("xywh", "xyxy", "cxcywh", "yxyx") for part in (1, 100, 1000)],
    "xywh:640",
    "xyxy:letterbox=640",
]


@pytest.mark.parametrize("written", FORMATS)
def test_the_reading_that_fits_is_named_and_can_be_chosen(written, tmp_path):
    dataset = made()
    found = results(tmp_path / "r.json", dataset, written)
    value, remarks = scored(found, dataset, tmp_path / "a")
    assert value < 0.2
    (remark,) = remarks
    assert f"--box-format {written})" in remark
    right, remarks = scored(found, dataset, tmp_path / "b", box_format=BoxFormat.parse(written))
    assert right > 0.95 and remarks == []
    assert f"AP would be {right:.3f} instead of {value:.3f}" in remark


def test_boxes_that_are_read_right_are_not_doubted(tmp_path):
    assert scored(results(tmp_path / "r.json", made(), "xywh"), made(), tmp_path / "a") == (1.0, [])


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 1))
def test_weak_detectors_are_hardly_ever_doubted(seed, images, share):
    """A detector that finds a share of the faces and as many other boxes, read right: no other reading is named."""
    random = np.random.default_rng(seed)
    faces = [boxes_of(seed + i, 2) for i in range(images)]
    found = []
    for i, some in enumerate(faces):
        boxes = np.vstack([some[random.uniform(size=2) < share], boxes_of(seed + images + i, 2)])
        found.append(np.column_stack([boxes, random.uniform(size=len(boxes))]))
    evidence = Evidence(faces, found, lambda: np.full((images, 2), SIZE, float))
    other = other_reading(evidence, found=BoxFormat())
    # of one image or two, chance can hit as many faces as another reading would
    assert other is None or images < 5


def test_the_annotation_may_be_what_is_misread(tmp_path):
    right = made()
    wrong = tuple(
        Sample(s.image_id, s.source, Faces(np.hstack([b[:, :2], b[:, :2] + b[:, 2:]]), s.faces.ignore), SIZE)
        for s in right.samples
        for b in [s.faces.boxes]
    )
    dataset = Dataset("made-up", wrong, 6, (), False, "", "none", "f" * 16, box_format="xywh")
    found = results(tmp_path / "r.json", right, "xywh")
    _, (remark,) = scored(found, dataset, tmp_path / "a")
    assert "annotation read as xywh; as xyxy AP would be 1.000" in remark and "(box_format=xyxy)" in remark


def test_parts_of_images_whose_size_is_not_known(tmp_path):
    dataset = made(sized=False)
    found = results(tmp_path / "r.json", dataset, "xywh:1")
    _, (remark,) = scored(found, dataset, tmp_path / "a")
    assert "sides of at most 1 pixel" in remark
    with pytest.raises(DataError, match=r"6 × images whose width and height are not known"):
        read_predictions(found, dataset, box_format=BoxFormat.parse("xywh:1"))


def test_negative_sizes_name_the_layout_without_them(tmp_path):
    lines = [
        json.dumps({"image_id": s.image_id, "boxes": [[150, 100, 40, 30]], "scores": [0.9]}) for s in made().samples
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"read as xywh, none has a negative size.*--box-format xywh"):
        read_predictions(tmp_path / "r.jsonl", made())


def labels(root: Path, dataset: Dataset, more: str = "", *, score: bool = True) -> Path:
    """As `save_txt=True, save_conf=True` writes them: an image in which nothing was found has no file."""
    for index, sample in enumerate(dataset.samples[1:]):
        numbers = BoxFormat("cxcywh", "1").to_numbers(sample.faces.boxes.astype(np.float64), np.array(SIZE, float))
        conf = f" 0.{9 - index}" if score else ""
        rows = [f"0 {' '.join(f'{value:.6g}' for value in row)}{more}{conf}" for row in numbers]
        write(root, {f"labels/{sample.image_id[:-4]}.txt": "\n".join(rows) + "\n"})
    return root / "labels"


@pytest.mark.parametrize("more", ["", " .5" * 10, " .5 .5 1" * 5], ids=["boxes", "landmarks", "landmarks seen"])
def test_labels_of_yolo_are_predictions(more, tmp_path):
    dataset = made()
    found = read_predictions(labels(tmp_path, dataset, more), dataset)
    assert (found.format, found.silent, found.missing) == ("yolo", 1, ())
    assert all(np.allclose(found.rows[s.image_id][:, :4], s.faces.boxes, atol=1e-2) for s in dataset.samples[1:])
    (row,) = summarise_run(store_predictions(found, dataset, tmp_path / "run")).rows
    assert row.exact_ap("overall") == pytest.approx(10 / 12)
    assert row.cell.predictions.remarks == ("1 image without a file, in which nothing was found",)


@pytest.mark.parametrize("more", ["", " .5" * 10, " .5 .5 1" * 5], ids=["boxes", "landmarks", "landmarks seen"])
def test_labels_without_scores_say_how_to_get_them(more, tmp_path):
    with pytest.raises(DataError, match=r"expected the confidence in each row.*save_conf=True"):
        read_predictions(labels(tmp_path, made(), more, score=False), made())


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("0 .5 .5 .2 .2 17", "a confidence from 0 to 1"),  # the id of a track
        ("0 .5 .5 .2 .2 .9 .8 .7", "a confidence from 0 to 1"),
        ("0 .5 .5 .2 x .9", "a confidence from 0 to 1"),
        ("1 .5 .5 .2 .2 .9", "expected faces alone"),
    ],
)
def test_faulty_labels(row, detail, tmp_path):
    place = labels(tmp_path, made())
    (place / "000003.txt").write_text(f"0 .5 .5 .2 .2 .9\n{row}\n")
    with pytest.raises(DataError, match=detail):
        read_predictions(place, made())


def test_labels_need_the_sizes_of_images(tmp_path):
    with pytest.raises(DataError, match="width and height are not known"):
        read_predictions(labels(tmp_path, made()), made(sized=False))


def entry(**changes: object) -> dict[str, object]:
    return {"category_id": 1, "bbox": [10, 10, 30, 30], "score": 0.9} | changes


def annotated(root: Path, names: dict[int, str]) -> Dataset:
    document = {
        "images": [{"id": number, "file_name": name, "width": 100, "height": 80} for number, name in names.items()],
        "annotations": [{"image_id": number, "category_id": 1, "bbox": [10, 10, 30, 30]} for number in names],
        "categories": [{"id": 1, "name": "face"}],
    }
    write(root, {"gt.json": json.dumps(document)})
    return load(f"folder:{root}", annotation_only=True)


def refused(tmp_path: Path, dataset: Dataset, *entries: dict[str, object]) -> str:
    (tmp_path / "r.json").write_text(json.dumps(entries))
    with pytest.raises(DataError) as error:
        read_predictions(tmp_path / "r.json", dataset)
    return str(error.value)


def test_numbers_are_the_ids_of_the_annotation(tmp_path):
    dataset = annotated(tmp_path / "set", {100: "a.jpg", 101: "b.jpg"})
    (tmp_path / "r.json").write_text(json.dumps([entry(image_id=101), entry(image_id=100)]))
    assert list(read_predictions(tmp_path / "r.json", dataset).rows) == ["a.jpg", "b.jpg"]


def test_numbers_that_could_be_ids_or_names(tmp_path):
    dataset = annotated(tmp_path / "set", {1: "000002.jpg", 2: "000001.jpg"})
    text = refused(tmp_path, dataset, entry(image_id=1), entry(image_id=2))
    assert "1 is 000002.jpg or 000001.jpg. Say which by --images" in text
    (tmp_path / "r.json").write_text(
        json.dumps([entry(image_id=1, file_name="000001.jpg"), entry(image_id=2, file_name="000002.jpg")])
    )
    assert len(read_predictions(tmp_path / "r.json", dataset).rows) == 2


def test_a_file_name_that_contradicts_its_id(tmp_path):
    dataset = annotated(tmp_path / "set", {1: "a.jpg", 2: "b.jpg"})
    text = refused(tmp_path, dataset, entry(image_id="a", file_name="b.jpg"), entry(image_id="b", file_name="b.jpg"))
    assert "got image_id 'a', which is a, with file_name b.jpg, expected one image" in text
    text = refused(tmp_path, dataset, entry(image_id=7, file_name="a.jpg"), entry(image_id=7, file_name="b.jpg"))
    assert "got image_id 7, which was a.jpg, with file_name b.jpg, expected one image" in text


def test_base_names_of_several_images_are_told_with_them(tmp_path):
    dataset = annotated(tmp_path / "set", {1: "x/a.jpg", 2: "y/a.jpg"})
    text = refused(tmp_path, dataset, entry(image_id="a", file_name="a.jpg"))
    assert "a.jpg (it could be x/a.jpg or y/a.jpg)" in text


def test_files_of_one_name_and_one_parent_are_kept_apart(tmp_path):
    dataset, out = made(), tmp_path / "run"
    for place in ("a/exp/r.json", "b/exp/r.json", "c/exp/r.json"):
        (tmp_path / place).parent.mkdir(parents=True)
        found = read_predictions(results(tmp_path / place, dataset, "xywh"), dataset)
        run = store_predictions(found, dataset, out)
    assert [cell.spec for cell in run.cells] == ["r.json", "exp/r.json", "c/exp/r.json"]
    assert len(store_predictions(found, dataset, out).cells) == 3  # the same file again
    with pytest.raises(UsageError, match=r"holds r\.json from another file \(exp/r\.json\); say by --name"):
        store_predictions(found, dataset, out, name="r.json")


def test_every_format_has_a_reading():
    assert {str(one) for one in BOX_FORMATS.values()} == {"xywh", "xyxy", "cxcywh:1"}

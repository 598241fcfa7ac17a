from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from facebench.datasets.faces.duplicates import KINDS, NEAR, audit, find_repeats, is_blank, repeats_of_training, summary
from facebench.datasets.faces.fer import FerImages, load_fer
from facebench.errors import DataError


def faces(n: int, seed: int = 0) -> np.ndarray:
    """Blobs at the places of eyes and mouths, different from one another: uint8 (n, 48, 48)."""
    rng = np.random.default_rng(seed)
    noise = np.stack([cv2.GaussianBlur(rng.normal(0, 1, (96, 96)), (0, 0), 4)[24:72, 24:72] for _ in range(n)])
    return np.clip(128 + 380 * noise, 0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


def cut_elsewhere(image: np.ndarray, scale: float, dx: float, dy: float) -> np.ndarray:
    matrix = np.array([[scale, 0, 24 * (1 - scale) + dx], [0, scale, 24 * (1 - scale) + dy]])
    return cv2.warpAffine(image, matrix, (48, 48), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def watermarked(image: np.ndarray) -> np.ndarray:
    return cv2.putText(image.copy(), "stock", (2, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (200,))


def found(images: np.ndarray, among: np.ndarray | None = None) -> list[tuple[int, int, str]]:
    pairs = find_repeats(images, among)
    return [(int(i), int(j), str(k)) for i, j, k in zip(pairs.first, pairs.second, pairs.kind, strict=True)]


def test_none_and_one() -> None:
    none = np.zeros((0, 48, 48), np.uint8)
    assert found(none) == found(none, none) == found(faces(1)) == found(faces(1), none) == found(none, faces(1)) == []


def test_different_images_do_not_repeat() -> None:
    assert found(faces(300)) == []
    assert found(faces(100, 1), faces(100, 2)) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda p: p, "exact"),
        (lambda p: jpeg(p, 90), "near"),
        (lambda p: jpeg(p, 30), "near"),
        (lambda p: np.clip(p * 0.7 + 40, 0, 255).astype(np.uint8), "near"),
        (lambda p: cv2.resize(cv2.resize(p, (36, 36), interpolation=cv2.INTER_AREA), (48, 48)), "near"),
        (watermarked, "near"),
        (lambda p: cut_elsewhere(p, 1.0, 2, -1), "near"),
        (lambda p: cut_elsewhere(p, 1.1, 0, 1), "near"),
        (lambda p: cut_elsewhere(p, 0.9, 1, 0), "near"),
        (lambda p: p[:, ::-1], "mirrored"),
        (lambda p: jpeg(p[:, ::-1], 50), "mirrored"),
        (lambda p: cut_elsewhere(np.ascontiguousarray(p[:, ::-1]), 1.05, 1, 1), "mirrored"),
        (lambda p: p[::-1], None),
        (lambda p: 255 - p, None),
        (lambda p: p.T, None),
    ],
    ids=[
        "same", "stored again", "stored badly", "brighter", "smaller in between", "watermark", "moved", "enlarged",
        "reduced", "mirrored", "mirrored and stored", "mirrored and moved", "upside down", "negative", "transposed",
    ],
)  # fmt: skip
def test_one_changed_copy_among_others(change: object, kind: str | None) -> None:
    originals = faces(40)
    changed = np.ascontiguousarray(change(originals[17]))[None]
    expected = [] if kind is None else [(0, 17, kind)]
    assert found(changed, originals) == expected
    inside = [(17, 40, kind)] if kind else []
    assert found(np.concatenate([originals, changed])) == inside


def test_similarity_is_that_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parity with the definition, evaluated in full for one pair."""
    original = faces(1)
    copy = cut_elsewhere(original[0], 1.06, 1, 0)[None]

    def band(image: np.ndarray) -> np.ndarray:
        p = image.astype(np.float32)
        return cv2.GaussianBlur(p, (0, 0), 1) - cv2.GaussianBlur(p, (0, 0), 4)

    best = -1.0
    for scale in (0.84, 0.92, 1.0, 1.08, 1.16):
        side = round(48 * scale)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        edge = (side - 36) // 2
        inner = band(cv2.resize(copy[0].astype(np.float32), (side, side), interpolation=how))
        inner = inner[edge : edge + 36, edge : edge + 36]
        for y in range(13):
            for x in range(13):
                window = band(original[0])[y : y + 36, x : x + 36]
                best = max(best, np.corrcoef(inner.ravel(), window.ravel())[0, 1])
    pairs = find_repeats(copy, original)
    assert pairs.similarity.tolist() == pytest.approx([best], abs=1e-4)
    assert best > NEAR


def test_blank_images_are_compared_exactly_alone() -> None:
    blank = np.stack([np.zeros((48, 48), np.uint8), np.zeros((48, 48), np.uint8), np.full((48, 48), 9, np.uint8)])
    assert is_blank(blank).all() and not is_blank(faces(5)).any()
    assert found(blank) == [(0, 1, "exact")]
    assert found(faces(3), blank) == []


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = faces(30)
    all_of_them = np.concatenate([originals, [jpeg(p, 60) for p in originals[::3]], originals[::5, :, ::-1]])
    whole = found(all_of_them), found(all_of_them, originals)
    monkeypatch.setattr("facebench.datasets.faces.duplicates._BLOCK", 7)
    assert (found(all_of_them), found(all_of_them, originals)) == whole
    assert {kind for *_, kind in whole[0]} >= {"near", "mirrored"}


@pytest.mark.parametrize("array", [np.zeros((2, 48, 48), np.float32), np.zeros((2, 48, 47), np.uint8)])
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected uint8"):
        find_repeats(array)
    with pytest.raises(DataError, match="expected uint8"):
        find_repeats(faces(1), array)


def make(images: np.ndarray, labels: list[int], part: list[str]) -> FerImages:
    names = tuple(f"p{i}" for i in range(len(images)))
    return FerImages(names, images, np.array(labels, np.int8), np.array([""] * len(images)), np.array(part))


def test_an_audit_by_hand() -> None:
    f = faces(8)
    rows = [
        (f[0], 1, "train"),  # clean
        (f[1], 1, "train"),  # leaks: equal to a test image
        (jpeg(f[2], 70), 1, "train"),  # leaks: near a validate image of another label
        (f[3][:, ::-1], 1, "train"),  # leaks: mirrored
        (f[4], 2, "train"),  # the first of two copies: clean
        (f[4], 2, "train"),  # repeats
        (f[5], 3, "train"),  # conflicts
        (f[5], 4, "train"),  # conflicts and repeats
        (np.full((48, 48), 7, np.uint8), 0, "train"),  # blank
        (f[1], 1, "test"),
        (f[2], 5, "validate"),
        (f[3], 1, "test"),
        (f[6], 0, "test"),
    ]
    images, labels, part = (list(column) for column in zip(*rows, strict=True))
    given = make(np.stack(images), labels, part)
    result = audit(given)
    masks = {
        name: np.flatnonzero(getattr(result, name)).tolist()
        for name in ("leaks", "blank", "repeats", "conflicts", "clean")
    }
    assert masks == {"leaks": [1, 2, 3], "blank": [8], "repeats": [5, 7], "conflicts": [6, 7], "clean": [0, 4]}
    held = result.held_out
    assert list(zip(held.first, held.second, held.kind, strict=True)) == [
        (1, 9, "exact"),
        (2, 10, "near"),
        (3, 11, "mirrored"),
    ]
    assert result.inside.first.tolist() == [4, 6]
    text = "\n".join(summary(given, result))
    assert "1 of 9 training images nearly equal an image held out: 1 pairs, of which 1 have two different" in text
    assert "4 of 9 training images are pixel-equal to another training image: 2 pairs, of which 1 have" in text
    assert "3 training images repeat an image held out in any of these ways." in text
    assert "2 are left to train on: angry 0, disgust 1, fear 1" in text


def test_who_repeats_a_training_image() -> None:
    """By FER2013's own Training part, to which the study's 2,867 belong; copies among the held-out ones are none."""
    images = faces(6)
    images[3], images[4], images[5] = images[0][:, ::-1], images[1], images[2]
    usage = np.array(["Training", "Training", "PublicTest", "PublicTest", "PrivateTest", "PrivateTest"], "U11")
    part = np.array(["train", "validate", "test", "test", "test", "test"], "U8")
    given = FerImages(tuple("abcdef"), images, np.zeros(6, np.int8), usage, part)
    assert repeats_of_training(given).tolist() == [False, False, False, True, True, False]
    assert not repeats_of_training(given.where(usage != "Training")).any()


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_audit_needs_both_sides(part: str) -> None:
    with pytest.raises(DataError, match="expected both"):
        audit(make(faces(2), [0, 0], [part] * 2))


@pytest.mark.slow
def test_exact_copies_in_the_real_data(shared: Path) -> None:
    """The known facts, counted in another way: by sets of bytes."""
    images = load_fer(shared / "data")
    in_train = images.part == "train"
    keys = [image.tobytes() for image in images.images]
    held = {key for key, train in zip(keys, in_train, strict=True) if not train}
    train = [key for key, train in zip(keys, in_train, strict=True) if train]
    assert sum(key in held for key in train) == 881
    assert len(train) - len(set(train)) == 1001

    # a part of the training images: all that leak exactly, and as many others
    leaks = np.array([key in held for key in keys]) & in_train
    others = np.flatnonzero(in_train & ~leaks)[:600]
    asked = np.concatenate([np.flatnonzero(leaks)[:300], others])
    pairs = find_repeats(images.images[asked], images.images[~in_train])
    of_kind = {kind: set(asked[pairs.first[pairs.kind == kind]].tolist()) for kind in KINDS}
    assert of_kind["exact"] == set(np.flatnonzero(leaks)[:300].tolist())
    near = (of_kind["near"] | of_kind["mirrored"]) & set(others.tolist())
    assert 0.05 < len(near) / len(others) < 0.13
    assert (pairs.similarity >= NEAR).all()

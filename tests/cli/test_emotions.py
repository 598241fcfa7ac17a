"""`facebench emotions` and `facebench detect --emotions` as a person or a script meets them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from facebench.datasets import decode, load
from facebench.emotions import EMOTIONS
from facebench.emotions.pipeline.crops import SWEEP
from facebench.emotions.pipeline.video_copy import VideoWriter
from facebench.emotions.pipeline.video_io import VideoReader
from facebench.tests.support.command import facebench
from facebench.tests.support.small_classifier import model
from facebench.tests.support.small_fer import some_images, write_folder
from PIL import Image

DEMO = "expression-scenes:demo?count=4"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that always answers surprise."""
    path = tmp_path_factory.mktemp("models") / "always.onnx"
    path.write_bytes(model())
    return path


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "r"
    done = facebench("run", "--dataset", DEMO, "--detectors", "hostile_detectors:Good,haar", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def scored(run_folder: Path, classifier: Path) -> str:
    done = facebench("emotions", "score", run_folder, "--classifier", classifier)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two images, one of which lies a folder deeper under the same name."""
    folder = tmp_path_factory.mktemp("scenes")
    for path, sample in zip(("a.png", "deeper/a.png"), load("expression-scenes:demo?count=2").samples, strict=True):
        image = decode(sample.source).image
        assert image is not None
        (folder / path).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / path)
    return folder


def test_a_run_is_scored_and_shown(run_folder: Path, scored: str, classifier: Path, tmp_path: Path) -> None:
    assert "always names the emotion of .000" in scored, "nobody is surprised in these images"
    table = json.loads((run_folder / "emotions.json").read_text())["tables"][0]
    assert {row["label"] for row in table["rows"]} == {"hostile_detectors:Good", "haar"}
    again = facebench("emotions", "score", run_folder, "--classifier", classifier, "--json")
    assert json.loads(again.stdout)["tables"] == [table]
    report = facebench("report", run_folder, "-o", tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert report.returncode == 0 and "What a better detector buys the emotion stage" in html
    assert "facebench emotions score RUN" in html


def test_a_report_shows_the_emotions_of_another_run(run_folder: Path, scored: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    assert facebench("run", "--dataset", "scenes?count=2", "--detectors", "haar", "--out", plain).returncode == 0
    refused = facebench("report", plain, "--emotions", plain, "-o", tmp_path / "r.html")
    assert refused.returncode == 2 and "holds no emotion scores" in refused.stderr
    assert facebench("report", plain, "-o", tmp_path / "none.html").returncode == 0
    assert "emotion stage" not in (tmp_path / "none.html").read_text()
    assert facebench("report", plain, "--emotions", run_folder, "-o", tmp_path / "r.html").returncode == 0
    html = (tmp_path / "r.html").read_text()
    assert "What a better detector buys the emotion stage" in html
    for command in (f"{DEMO}", "--out EMOTIONS", "facebench report RUN --emotions EMOTIONS -o report.html"):
        assert command in html.replace("&#39;", "'")


def test_several_crops_and_one_detector(run_folder: Path, scored: str, classifier: Path) -> None:
    options = ("--crop", "margin=0.1", "--crop", "margin=0.2,square", "--detectors", "haar")
    done = facebench("emotions", "score", run_folder, "--classifier", classifier, *options)
    assert done.returncode == 0, done.stderr
    document = json.loads((run_folder / "emotions.json").read_text())
    labels = {table["policy"]: {row["label"] for row in table["rows"]} for table in document["tables"]}
    assert labels["margin=0.1"] == labels["margin=0.2,square"] == {"haar"}
    assert all(f"crop {policy};" in done.stdout for policy in labels if policy in ("margin=0.1", "margin=0.2,square"))


def test_alignment_without_landmarks_is_said(run_folder: Path, classifier: Path) -> None:
    done = facebench("emotions", "score", run_folder, "--classifier", classifier, "--crop", "align")
    assert done.returncode == 0, done.stderr
    assert "no landmarks: " in done.stderr and "haar" in done.stderr and "not aligned" in done.stderr


def test_a_sweep_prints_every_crop(run_folder: Path, scored: str, classifier: Path) -> None:
    options = ("--classifier", classifier, "--detectors", "haar", "--sweep")
    done = facebench("emotions", "score", run_folder, *options)
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    rows = [line[:2] for line in words if line[:1] == ["haar"] and line[1].startswith("margin=")]
    assert rows == [["haar", str(policy)] for policy in SWEEP]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["emotions", "score", "nowhere"], "holds no run"),
        (["emotions", "evaluate", "--data", "nowhere"], "there is no FER2013"),
        (["emotions", "evaluate", "--data", "nowhere", "--ckplus", "none.zip"], "there is no CK+"),
        (["emotions", "train", "--data", "nowhere"], "there is no FER2013"),
        (["detect", "none.mp4", "--detector", "haar"], "cannot read the video none.mp4: No such file"),
        (["detect", "0", "photo.jpg"], "got 2 sources with the camera 0 among them, expected it alone"),
        (["detect", "clip.mp4", "photo.jpg", "-o", "out.mp4"], "got -o out.mp4 for 2 files, expected a folder"),
        (["detect", "0", "-o", "out"], "got -o out for a camera, expected a file that ends in .mp4"),
        (["detect", "rtsp://camera/1"], "got the address rtsp://camera/1, expected a file"),
        (["detect", "http://host/a.mp4", "--emotions"], "got the address http://host/a.mp4, expected a file"),
        (["detect", "photo.jpg", "-o", "out.mp4"], "expected a folder"),
        (["detect", "clip.mp4", "--emotions", "-o", "out.avi"], "ends in .mp4, or a folder"),
        (["detect", "none.mp4", "--emotions", "--detector", "haar", "--classifier", "CLASSIFIER"], "cannot read the"),
        (["detect", "97", "--emotions", "--detector", "haar", "--classifier", "CLASSIFIER"], "camera 97 cannot be"),
        (["detect", ".", "--detector", "haar"], "without an image or video"),
        (["detect", "p.jpg", "--emotions", "--detector", "haar", "--classifier", "facebnch"], "Did you mean facebench"),
        (["detect", "p.jpg", "--emotions", "--detector", "haar", "--classifier", "no.onnx"], "cannot be read"),
    ],
)
def test_bad_use_is_a_clear_error(arguments: list[str], words: str, classifier: Path, tmp_path: Path) -> None:
    given = [str(classifier) if one == "CLASSIFIER" else one for one in arguments]
    done = facebench(*given, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_images_of_a_folder(scenes: Path, classifier: Path, tmp_path: Path) -> None:
    """Each gets a line and a copy, those of one name in two folders too."""
    options = ("--detector", "haar", "--emotions", "--classifier", classifier, "-o", "copies", "--lines", "l.jsonl")
    done = facebench("detect", scenes, *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    lines = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert [line["overlay"] for line in lines] == ["copies/a.faces.jpg", "copies/a.2.faces.jpg"]
    assert {face["emotion"] for line in lines for face in line["faces"]} == {"surprise"}
    assert list(lines[0]["faces"][0]["probabilities"]) == list(EMOTIONS)
    for line in lines:
        with Image.open(tmp_path / line["overlay"]) as copy, Image.open(line["picture"]) as image:
            assert copy.size == image.size


def test_a_video(scenes: Path, classifier: Path, tmp_path: Path) -> None:
    image = np.array(Image.open(scenes / "a.png"))
    image = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    writer = VideoWriter(tmp_path / "clip.mp4", 10)
    for frame in range(6):
        writer.write(image, frame / 10)
    writer.close()
    options = ("--detector", "haar", "--emotions", "--classifier", classifier, "--every", "2")
    places = ("-o", "out.mp4", "--lines", "out.jsonl")
    done = facebench("detect", "clip.mp4", *options, *places, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["frames_read"], report["frames_processed"], report["output"]) == (6, 3, "out.mp4")
    assert [json.loads(line)["frame"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [0, 2, 4]
    reader = VideoReader(tmp_path / "out.mp4")
    assert len(list(reader.frames(1))) == 3
    reader.close()


def test_classifiers_are_evaluated(classifier: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "fer", some_images(each=2))
    options = ("--data", tmp_path / "fer", "--classifiers", classifier, "-o", tmp_path / "scores.json")
    done = facebench("emotions", "evaluate", *options)
    assert done.returncode == 0, done.stderr
    assert "FER2013 PrivateTest" in done.stdout
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [one["name"] for one in scores["classifiers"]] == ["always"]
    assert facebench("emotions", "evaluate", *options, "--json").stdout.strip() == json.dumps(scores, indent=1)

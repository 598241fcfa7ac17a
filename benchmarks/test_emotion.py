"""The emotion stage, `pytest benchmarks/test_emotion.py`: what a face costs, frames a second, and end to end.

On two people; with `--expressions DIR`, the folder of FER2013, on composed scenes of its test part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from facebench.benchmarks.choose.default import default_setting, load_default
from facebench.benchmarks.measure.plan import Plan
from facebench.benchmarks.measure.runner import run
from facebench.datasets import decode, load
from facebench.detectors import resolve, resolve_all, split_list
from facebench.detectors.models import store as model_store
from facebench.emotions import EmotionClassifier, EmotionPipeline, create_classifier, process_video
from facebench.emotions.pipeline.video_copy import VideoWriter
from facebench.emotions.scoring.score_run import score_run
from facebench.errors import ModelStoreError, UnavailableError

FRAMES = 60


@pytest.fixture(scope="module")
def shipped() -> EmotionClassifier:
    return create_classifier("facebench", threads=1)


@pytest.mark.benchmark(group="emotions: calls of the classifier, one core")
@pytest.mark.parametrize("name", ["facebench", "mini-xception"])
@pytest.mark.parametrize("faces", [1, 64])
def test_classifier(name: str, faces: int, benchmark: Any, say: list[str]) -> None:
    """One face, as a video has it, and many, as a folder of images has them; aims: 3 ms and 1 ms a face."""
    try:
        classifier = create_classifier(name, threads=1)
    except (ModelStoreError, UnavailableError) as error:
        pytest.skip(str(error))
    crops = np.random.default_rng(0).integers(0, 256, (faces, 48, 48), np.uint8)
    classifier.classify_grey(crops)
    answers = benchmark(classifier.classify_grey, crops)
    assert answers.shape == (faces, 7)
    if benchmark.disabled:
        return
    median, p90 = (1000 * float(np.quantile(benchmark.stats.stats.data, q)) / faces for q in (0.5, 0.9))
    benchmark.extra_info |= {"ms_per_face": median, "ms_per_face_p90": p90, "threads": classifier.threads}
    say.append(f"{name}, {faces} a call: {median:.2f} ms a face (p90 {p90:.2f})")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with faces over which the camera pans."""
    samples = load("expression-scenes:demo?count=10").samples
    sample = max(samples, key=lambda sample: len(sample.faces))
    image = decode(sample.source).image
    assert image is not None
    height, width = image.shape[:2]
    wide = cv2.copyMakeBorder(image, 0, 0, FRAMES, FRAMES, cv2.BORDER_REPLICATE)
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    writer = VideoWriter(path, 25)
    for frame in range(FRAMES):
        writer.write(np.ascontiguousarray(wide[:height, 2 * frame : 2 * frame + width]), frame / 25)
    writer.close()
    return path


@pytest.mark.benchmark(group="emotions: video")
def test_video(clip: Path, shipped: EmotionClassifier, tmp_path: Path, benchmark: Any, say: list[str]) -> None:
    """The picked detector: a video goes in and comes out with overlays."""
    picked = default_setting().spec
    for model in resolve(picked).models():
        model_store.fetch(model)
    pipeline = EmotionPipeline(load_default(), classifier=shipped)
    output, lines = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    report = benchmark.pedantic(process_video, (clip, pipeline), {"output": output, "jsonl": lines}, rounds=1)
    pipeline.close()
    assert (report.frames_processed, report.faces > 0) == (FRAMES, True)
    assert len(lines.read_text(encoding="utf-8").splitlines()) == FRAMES
    if benchmark.disabled:
        return
    benchmark.extra_info |= {"detector": picked} | report.to_json()
    say.append(
        f"{picked}, video of {report.width}×{report.height} with {report.faces / FRAMES:.1f} faces a frame: "
        f"{report.pipeline_fps:.1f} frames/s in the pipeline, {report.total_fps:.1f} with reading, drawing and writing "
        f"(detector {report.detector_ms:.1f}, crops {report.crop_ms:.2f}, classifier {report.classifier_ms:.2f} ms)"
    )


@pytest.mark.benchmark(group="emotions: end to end")
def test_end_to_end(
    shipped: EmotionClassifier, tmp_path: Path, benchmark: Any, say: list[str], pytestconfig: pytest.Config
) -> None:
    """Find and name: the score that compares detectors; by default the picked one and haar."""
    fer = pytestconfig.getoption("--expressions")
    dataset = load("expression-scenes", root=fer) if fer else load("expression-scenes:demo")
    named = split_list(pytestconfig.getoption("--detectors"))
    settings = [] if named else [default_setting()]
    specs = resolve_all(named or ["haar"])
    for model in {model for spec in [*specs, *(one.resolve() for one in settings)] for model in spec.models()}:
        model_store.fetch(model)
    plan = Plan(dataset, specs, device=pytestconfig.getoption("--device"), settings=settings)
    folder = run(plan, tmp_path / "run")
    [table] = benchmark.pedantic(score_run, (folder, dataset, shipped), rounds=1)
    for row in table.rows:
        of, rates = row.score.totals, row.score.rates
        lost = (of.crop_lost - of.crop_gained) + of.missed_right
        assert of.oracle_right - of.right == lost, "oracle less e2e is lost by misses and by crops, face for face"
        shown = {
            name: [rates[name].value, rates[name].low, rates[name].high]
            for name in ("oracle_accuracy", "detected_rate", "e2e_accuracy", "miss_loss", "crop_loss")
        }
        benchmark.extra_info[f"{row.label}, {row.variant}"] = shown
        say.append(
            f"{dataset.name}, {row.label} ({row.variant.replace('_', ' ')}): "
            + ", ".join(
                f"{name.replace('_', ' ')} {v:.3f} ({low:.3f} to {high:.3f})" for name, (v, low, high) in shown.items()
            )
        )

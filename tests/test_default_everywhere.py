"""What was picked is what runs, by whatever door it is reached: for every built-in detector with scores."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.detectors import default_specs, resolve
from facebench.detectors.probe_images import FACE, small_portrait
from facebench.detectors.setting import Setting
from PIL import Image

SCORED = [name for name in default_specs() if resolve(name).adapter.info.score_kind != "none"]
SIZE = "original+long=200"
BELOW_THEIR_OWN = {"haar": 2.0, "hog": -0.3, "dlib-cnn": -0.2}
"""Haar's own is that of any window: its margin is above. The others are probabilities."""

EVERY_DOOR = """
import contextlib, io, json, sys
from pathlib import Path
import facebench
from facebench import cli
from facebench.datasets import decode

def command(*arguments):
    sys.argv = ["facebench", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        cli.main()
    return printed.getvalue()

data = ["--dataset", "folder:set", "--detectors", "default"]
command("run", *data, "--out", "run")
command("stress", *data, "--kinds", "jpeg", "--severities", "1", "--out", "stress")
image = decode(Path("set/face.png")).image
with facebench.load_default() as detector, contextlib.closing(facebench.EmotionPipeline.default()) as pipeline:
    answers = {"load_default": detector.detect(image).records(), "pipeline": pipeline.find(image).detections.records()}
answers["detect"] = json.loads(command("detect", "set/face.png"))["faces"]
print(json.dumps(answers))
"""


def kept(folder: RunFolder, threshold: float) -> pd.DataFrame:
    [cell] = folder.cells
    assert (cell.status, cell.threshold, cell.protocol.size) == ("done", threshold, SIZE)
    found = folder.detections(cell)
    return found[found["score"] >= found["score"].dtype.type(threshold)].reset_index(drop=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORED)
def test_every_door_gives_the_boxes_of_the_cell(tmp_path, name):
    spec = resolve(name)
    if (missing := spec.missing()) is not None and spec.adapter.requires and not spec.unfetched():
        pytest.skip(str(missing))
    threshold = BELOW_THEIR_OWN.get(spec.name, 0.3)
    if spec.name != "haar":
        assert threshold < spec.adapter.info.operating_threshold
    file = tmp_path / "default.json"
    setting = Setting(str(spec), threshold, SIZE).to_json()
    file.write_text(json.dumps({"schema": "facebench.default", "schema_version": 3, "setting": setting}))
    (tmp_path / "set").mkdir()
    Image.fromarray(small_portrait()).save(tmp_path / "set" / "face.png")
    left, top, right, bottom = FACE
    (tmp_path / "set" / "faces.csv").write_text(
        f"image,x1,y1,x2,y2\nface.png,{left - 64},{top},{right - 64},{bottom}\n"
    )
    environment = {**os.environ, "FACEBENCH_DEFAULT": str(file)}
    done = subprocess.run(
        [sys.executable, "-c", EVERY_DOOR], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    run = RunFolder.open(tmp_path / "run")
    expected = kept(run, threshold)
    assert run.timings(run.cells[0])["detections"].tolist() == [len(expected)]
    assert len(expected) > 0 and run.cells[0].detections_differ == 0
    pd.testing.assert_frame_equal(kept(RunFolder.open(tmp_path / "stress"), threshold), expected)
    boxes = expected[["x1", "y1", "x2", "y2"]].to_numpy()
    answers = json.loads(done.stdout.splitlines()[-1])
    assert list(answers) == ["load_default", "pipeline", "detect"]
    for faces in answers.values():
        # printed with two digits; PyTorch's boxes move by less than a thousandth of a pixel with its threads
        np.testing.assert_allclose([face["box"] for face in faces], boxes, rtol=0, atol=0.0065)

"""The command where OpenCV's package is installed and cannot be imported: in any slim container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from facebench.detectors import default_specs, resolve
from facebench.importable import HEADLESS, OPENCV, requirement
from facebench.tests.support.missing_libraries import LIBRARY, fake_package, hidden_library
from PIL import Image

APT = "apt-get update && apt-get install --yes libgl1 libglib2.0-0"
INSTALL = f"pip install {requirement(HEADLESS)}  # or, as root on Debian: {APT}"

Place = tuple[list[str], dict[str, str], Path]


@pytest.fixture(scope="module", params=["a package that fails", "a library that is hidden"])
def place(request, tmp_path_factory) -> Place:
    """The beginning of a command line, the environment, and a folder with an annotated image and a face."""
    folder = tmp_path_factory.mktemp("slim")
    Image.fromarray(np.full((60, 80, 3), 128, np.uint8)).save(folder / "grey.png")
    shutil.copy(str(files("skimage") / "data" / "astronaut.png"), folder / "face.png")
    annotation = {
        "images": [{"id": 1, "file_name": "grey.png", "width": 80, "height": 60}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}],
        "categories": [{"id": 1, "name": "face"}],
    }
    (folder / "coco.json").write_text(json.dumps(annotation))
    if request.param == "a package that fails":
        return [], fake_package(folder / "packages"), folder
    return hidden_library(), {}, folder


def run(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    begin, environment, folder = place
    command = [*begin, sys.executable, *arguments]
    settings = {**os.environ, "COLUMNS": "200", "FACEBENCH_OFFLINE": "1", "FACEBENCH_DEFAULT": "", **environment}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=settings, check=False)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def facebench(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(place, "-m", "facebench.cli", *arguments)


ENDING = {
    "detect": (("detect", "grey.png"), "yunet needs cv2, which cannot be loaded"),
    "detect a sample": (("detect", "--sample", "-o", "out"), "scenes?count=1 needs OpenCV, which cannot be loaded"),
    "faces found, emotions not": (("detect", "face.png", "--detector", "hog", "--emotions"), LIBRARY),
    "check": (("detectors", "check", "yunet"), "the checks need OpenCV, which cannot be loaded"),
    "run on scenes": (("run", "--dataset", "scenes?count=2"), "scenes?count=2 needs OpenCV"),
    "run on degraded images": (("run", "--dataset", "folder:.?degrade=blur:3", "--detectors", "hog"), LIBRARY),
    "stress": (("stress", "--dataset", "scenes?count=2", "--detectors", "hog"), "scenes?count=2 needs OpenCV"),
}


@pytest.mark.parametrize(("arguments", "words"), ENDING.values(), ids=ENDING)
def test_what_cannot_be_done_is_one_message_with_the_right_remedy(place, arguments, words):
    done = facebench(place, *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and LIBRARY in done.stderr and INSTALL in done.stderr
    assert "facebench[" not in done.stderr, "to install again what is there changes nothing"


def test_detectors_list(place):
    done = facebench(place, "detectors", "list")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if HEADLESS in line]
    whom, _, command = line.partition(": ")
    needing = [spec for spec in default_specs() if "cv2" in resolve(spec).adapter.must_load]
    assert {"haar", "mediapipe", "yunet"} < set(needing) and "hog" not in needing
    assert whom == f"To fix {', '.join(needing)}" and command.endswith(INSTALL)
    rows = {row["detector"]: row for row in json.loads(facebench(place, "detectors", "list", "--json").stdout)}
    assert rows["yunet"]["state"].startswith("unavailable: yunet needs cv2, which cannot be loaded: ImportError: ")
    assert rows["yunet"]["remedy"] == command and rows["hog"]["state"] == "available"


def test_models_list(place):
    done = facebench(place, "models", "list", "--json")
    assert done.returncode == 0 and {"yunet"} <= {row["model"] for row in json.loads(done.stdout)}


@pytest.mark.slow
def test_doctor(place):
    done = facebench(place, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    found = {(one["subject"], one["check"]): one for one in json.loads(done.stdout)["findings"]}
    opencv = found["packages", "opencv"]
    assert opencv["level"] == "problem" and LIBRARY in opencv["found"] and opencv["remedy"].endswith(INSTALL)
    assert found["detectors", "haar"]["remedy"] == opencv["remedy"] == found["default", "load"]["remedy"]
    assert found["default", "load"]["level"] == "problem"


def test_a_run_on_photographs_measures_those_that_do_without(place):
    data = ("--dataset", "folder:.?annotations=coco.json")
    done = facebench(place, "run", *data, "--detectors", "yunet,hog", "--out", "named", "--json")
    assert done.returncode == 1, "one that was named is unavailable"
    rows = {row["spec"]: row["status"] for row in json.loads(done.stdout)["rows"]}
    assert rows == {"yunet": "unavailable", "hog": "done"}
    assert INSTALL in done.stderr


def test_in_a_program_of_ones_own(place):
    """The second try in a process must say the same: OpenCV's own loader speaks of a recursion then."""
    code = (
        "import facebench\n"
        "tries = [facebench.load_default, lambda: facebench.load_dataset('scenes?count=1'),\n"
        "         lambda: facebench.create_detector('centerface'), lambda: facebench.check_detector('hog')]\n"
        "for one in tries * 2:\n"
        "    try: one()\n"
        "    except facebench.FacebenchError as error: print(error, '|', error.remedy)\n"
    )
    done = run(place, "-c", code)
    lines = done.stdout.splitlines()
    assert len(lines) == 8, done.stderr
    assert all(LIBRARY in line and line.endswith(INSTALL) and OPENCV in line for line in lines), lines

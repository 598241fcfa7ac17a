"""What `pip install` installs: the product and its data, and nothing that only a clone needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from facebench.tests.support.paths import ROOT

FOR_A_CLONE = ("tests/", "tools/", "docs/", "setup.py")
UNTRACKED = ("__pycache__", "build", "dist", "runs", "out")
DATA = {
    *("py.typed", "default_detector.json", "datasets/fetch/catalog.toml", "detectors/models/models.toml"),
    *("emotions/models/emotions.onnx", "emotions/models/scores.json", "emotions/models/README.md"),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "datasets/sets/subsets").iterdir()),
    *(str(path.relative_to(ROOT)) for path in (ROOT / "reports/templates").iterdir()),
}


def left_out(folder: str, names: list[str]) -> list[str]:
    """What is in no clone: hidden and built files, virtual environments."""
    return [one for one in names if one.startswith(".") or one in UNTRACKED or Path(folder, one, "pyvenv.cfg").exists()]


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_the_data_and_nothing_else(tmp_path):
    """Built from a copy, for a build leaves files beside its sources."""
    pytest.importorskip("setuptools")
    source = Path(shutil.copytree(ROOT, tmp_path / "source", ignore=left_out))
    product = [path for path in source.rglob("*.py") if not path.name.startswith(("test_", "conftest"))]
    modules = {str(path.relative_to(source)) for path in product}
    modules = {path for path in modules if not path.startswith(FOR_A_CLONE)}
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", tmp_path, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {f"facebench/{path}" for path in modules | DATA}

"""`facebench doctor` in this environment, and with broken ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from facebench.benchmarks.choose.default import SCHEMA, SCHEMA_VERSION
from facebench.detectors.registry import default_specs
from facebench.detectors.setting import Setting


def doctor(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "facebench.cli", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=settings, check=False)


def findings(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(finding["subject"], finding["check"]): finding for finding in document["findings"]}


@pytest.mark.slow
def test_this_environment(shared):
    done = doctor("--json", "--data", str(shared / "data"), PYTHONIOENCODING="utf-8")
    document = json.loads(done.stdout)
    assert done.returncode == (document["worst"] == "problem") and done.stderr == ""
    found = findings(document)
    assert found["system", "python"]["found"].startswith(f"CPython {sys.version.split()[0]}")
    assert ("system", "encoding") not in found
    assert found["packages", "requirements"]["level"] == "ok"
    built_in = sum(":" not in spec for spec in default_specs())
    assert found["detectors", "packages"]["found"].endswith(f"{built_in} built-in detectors are there")
    assert "3,096 of 3,226 annotated images have no file" in found["data", "wider-face:val"]["meaning"]
    assert found["data", "fer2013:public"]["found"] == "fer2013:public can be read, 3,589 images are annotated"
    assert found["data", "ckplus"]["level"] == "ok"
    assert ("GPU", "driver") in found or ("GPU", "gpu-0") in found
    assert ("GPU", "onnxruntime") in found
    assert {("timing", "cores"), ("timing", "load"), ("timing", "memory")} <= set(found)


@pytest.mark.slow
def test_a_default_that_cannot_be_loaded_is_a_problem(tmp_path):
    """Its class lies in the working folder and ends the process: the command lives on, and says so."""
    (tmp_path / "deadly.py").write_text(
        "import os\nfrom facebench import Detector\n"
        "class Deadly(Detector):\n"
        "    info = None\n"
        "    def __init__(self, **rest): os.abort()\n"
        "    def detect(self, image): ...\n"
    )
    choice = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "setting": Setting("deadly:Deadly", 0.5).to_json()}
    (tmp_path / "default_detector.json").write_text(json.dumps(choice))
    done = doctor(
        cwd=tmp_path,
        FACEBENCH_DEFAULT="",
        FACEBENCH_ALLOW_LOCAL_CODE="1",
        PYTHONIOENCODING="ascii",
        FACEBENCH_DATA="",
        COLUMNS="200",
    )
    assert done.returncode == 1, done.stderr
    assert "deadly:Deadly cannot be loaded: was killed: Aborted" in done.stdout
    assert "working" in done.stdout and "folder)" in done.stdout, "where it comes from, wherever the line is broken"
    assert "standard output is written as ascii" in done.stdout
    assert "  warning, system, encoding: export PYTHONIOENCODING=utf-8\n" in done.stdout
    assert done.stdout.rstrip().rpartition("\n")[2].partition(" findings: ")[2].startswith("1 problem, ")

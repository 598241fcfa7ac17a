"""Code in the working folder runs where somebody typed its name, and not because a file names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from facebench.benchmarks.choose.default import SCHEMA, SCHEMA_VERSION
from facebench.detectors import Setting
from facebench.importable import ALLOW_LOCAL_CODE, forbidden_local
from facebench.tests.support.command import facebench_process

CODE = """
from pathlib import Path
Path("ran").touch()
from facebench.detectors.adapters.haar import Haar as Mine
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a module, and with a default that names it."""
    (tmp_path / "mine_here.py").write_text(CODE)
    setting = Setting("mine_here:Mine").to_json()
    document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "setting": setting}
    (tmp_path / "default_detector.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(ALLOW_LOCAL_CODE, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "ran"),
    [
        (("detect", "--device", "cpu", "none.jpg"), False),
        (("--allow-local-code", "detect", "--device", "cpu", "none.jpg"), True),
        (("detectors", "check", "mine_here:NoSuchClass"), True),
    ],
)
def test_a_command(here, arguments, ran):
    done = facebench_process(*arguments, cwd=here)
    assert (here / "ran").exists() is ran, done.stderr
    if not ran:
        assert done.returncode == 2 and "--allow-local-code" in done.stderr and ALLOW_LOCAL_CODE in done.stderr


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_a_program(here, value):
    environment = {**os.environ, ALLOW_LOCAL_CODE: value}
    code = "from facebench.benchmarks.choose.default import default_setting; default_setting().resolve()"
    done = subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True)
    assert (here / "ran").exists() is (value == "1"), done.stderr


@pytest.mark.parametrize(
    ("make", "module", "expected"),
    [
        (lambda here: None, "mine_here", True),
        (lambda here: None, "json", False),
        (lambda here: None, "nowhere_at_all", False),
        (lambda here: (here / "a_package").mkdir(), "a_package.inner", True),
        (lambda here: (here / "alias.py").symlink_to(here / "mine_here.py"), "alias", True),
    ],
)
def test_what_lies_in_the_working_folder(here, make, module, expected):
    make(here)
    assert forbidden_local(module) is expected
    assert not (here / "ran").exists()


def test_what_is_installed_elsewhere_may_be_named(here, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("site")
    (elsewhere / "installed_there.py").touch()
    (here / "installed_there.py").touch()
    monkeypatch.syspath_prepend(elsewhere)
    assert not forbidden_local("installed_there")
    monkeypatch.syspath_prepend(Path.cwd())
    assert forbidden_local("installed_there")


def test_a_module_that_crashes_while_it_is_imported_does_not_end_the_command(tmp_path, monkeypatch):
    (tmp_path / "crashes.py").write_text("import os\nos.abort()\n")
    monkeypatch.chdir(tmp_path)
    done = facebench_process("run", "--detectors", "crashes:Mine", "--dataset", "scenes?count=1", "--out", "run")
    assert done.returncode == 2
    assert "cannot load the detector 'crashes:Mine': the process was killed: Aborted" in done.stderr

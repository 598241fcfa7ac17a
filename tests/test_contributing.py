"""What docs/contributing.md says of a change is all that it takes."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from facebench.detectors import default_specs, resolve
from facebench.tests.support import runs
from facebench.tests.support.contributed import changed_copy, python
from facebench.tests.support.page import Page
from facebench.tests.support.paths import ROOT

KEYS = """
import json, sys
from pathlib import Path
import facebench
from facebench.benchmarks.measure.cell import Protocol, make_cell
from facebench.detectors import resolve

assert str(Path(facebench.__file__).parent) == sys.argv[1]
print(json.dumps({name: make_cell(resolve(name), "", Protocol(), "cpu", 1).key for name in ("lbp", "haar")}))
"""


@pytest.fixture(scope="module")
def with_lbp(tmp_path_factory: pytest.TempPathFactory, monkeypatch_module: pytest.MonkeyPatch) -> Path:
    """A copy with the detector of the page, whose model comes from the wheel of scikit-image that is installed."""
    monkeypatch_module.setenv("FACEBENCH_MODELS", str(files("skimage") / "data"))
    monkeypatch_module.setenv("FACEBENCH_OFFLINE", "1")
    return changed_copy(tmp_path_factory.mktemp("detector"), "Add a detector")


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_a_detector_is_listed_with_its_model(with_lbp):
    rows = json.loads(python(with_lbp, "-m", "facebench.cli", "detectors", "list", "--json"))
    (row,) = [row for row in rows if row["detector"] == "lbp"]
    assert (row["state"], row["weights_licence"], row["parameters"]) == (
        "available", "BSD-3-Clause", {"scale_factor": "1.2"},
    )  # fmt: skip
    models = json.loads(python(with_lbp, "-m", "facebench.cli", "models", "list", "--json"))
    assert "lbp" in {row["model"] for row in models}


def test_a_detector_is_in_the_table_and_the_readme(with_lbp):
    python(with_lbp, "-m", "facebench.tools.detector_lists")
    table, readme = (with_lbp / "docs/detectors/index.md", with_lbp / "README.md")
    row = "| [lbp](lbp.md) | boosted cascade | windows of 24 pixels over a pyramid | no |"
    assert row in table.read_text(encoding="utf-8").splitlines()
    assert "`lbp`" in readme.read_text(encoding="utf-8")


def test_a_detector_without_a_page_is_named(with_lbp):
    (with_lbp / "docs/detectors/lbp.md").rename(with_lbp / "docs/lbp.md")
    try:
        with pytest.raises(AssertionError, match=r"lbp has no page docs/detectors/lbp\.md"):
            python(with_lbp, "-m", "facebench.tools.detector_lists")
    finally:
        (with_lbp / "docs/lbp.md").rename(with_lbp / "docs/detectors/lbp.md")


@pytest.mark.slow
def test_a_detector_keeps_the_contract_and_is_measured(with_lbp):
    python(with_lbp, "-m", "facebench.cli", "detectors", "check", "lbp")
    run = ("run", "--detectors", "lbp", "--dataset", "scenes?count=1", "--rounds", "1", "--out", "run")
    python(with_lbp, "-m", "facebench.cli", *run)
    document = json.loads((with_lbp.parent / "run" / "run.json").read_text(encoding="utf-8"))
    (cell,) = document["cells"]
    assert (cell["detector"], cell["status"], cell["info"]["weights_licence"]) == ("lbp", "done", "BSD-3-Clause")


@pytest.mark.slow
def test_a_detector_is_looked_for_by_the_doctor(with_lbp):
    said = json.loads(python(with_lbp, "-m", "facebench.cli", "doctor", "--json", codes=(0, 1)))
    (summary,) = [one for one in said["findings"] if (one["subject"], one["check"]) == ("detectors", "packages")]
    built_in = {resolve(spec).name for spec in default_specs()}
    assert f" of {len(built_in) + 1} built-in detectors" in summary["found"]


def test_a_detectors_key_changes_with_its_file_and_no_other(with_lbp):
    def keys() -> dict[str, str]:
        found: dict[str, str] = json.loads(python(with_lbp, "-c", KEYS, str(with_lbp)))
        return found

    file, before = with_lbp / "detectors/adapters/lbp.py", keys()
    code = file.read_text(encoding="utf-8")
    file.write_text(f"{code}\nEDITED = 1\n", encoding="utf-8")
    after = keys()
    file.write_text(code, encoding="utf-8")
    assert (before["lbp"] != after["lbp"], before["haar"] == after["haar"]) == (True, True)
    assert not (ROOT / "detectors/adapters/lbp.py").exists()


def report_of_a_copy(folder: Path, heading: str) -> Page:
    """Return the report of a small run, as a copy with the page's change writes it."""
    copy = changed_copy(folder, heading)
    run = runs.make_run(folder / "run")
    runs.add_cell(run, "exact", runs.EXACT)
    python(copy, "-m", "facebench.cli", "report", str(run.path), "-o", str(folder / "report.html"))
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_a_section_is_one_file_and_its_template(tmp_path):
    page = report_of_a_copy(tmp_path, "Add a report section")
    assert "At most 3 faces in an image" in page.sections["crowds"]
    anchors = [value for value in page.values("href") if value.startswith("#")]
    assert anchors.index("#table") < anchors.index("#crowds") < anchors.index("#reading")


def test_a_metric_is_one_file_and_the_section_that_shows_it(tmp_path):
    page = report_of_a_copy(tmp_path, "Add a metric with an interval")
    assert re.search(r"exact: \.\d+ \(\.\d+.\d?\.\d+\)", page.sections["empty"]), page.sections["empty"]

"""`pytest benchmarks` ends as users of pytest-benchmark expect: exit codes and words, option by option."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.store.sealed_tables import table_bytes
from facebench.tests.support.paths import ROOT
from pytest_benchmark.utils import get_machine_id

NOTHING = "facebench.benchmarks.measure.floor:Nothing"
HERE, ELSEWHERE = get_machine_id(), "Amiga-CPython-3.11-16bit"
ACCURACY, LATENCY = "benchmarks/test_accuracy.py", "benchmarks/test_latency.py"
FLOOR = f"{LATENCY}::test_harness_floor"

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def run_pytest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Call `pytest` with a storage and further arguments -> exit code, all that it printed."""
    # else it takes itself for a part of the session, or of the worker, that runs this test
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with subprocess.Popen(
        [sys.executable, ROOT / "tests/support/forked_pytest.py"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:

        def call(storage: Path, *arguments: str) -> tuple[int, str]:
            folder = tmp_path_factory.mktemp("session")
            whole = ["-p", "no:cacheprovider", "--color=no", f"--basetemp={folder / 'base'}"]
            whole += ["--detectors", NOTHING, f"--benchmark-storage=file://{storage}", *arguments]
            driver.stdin.write(json.dumps([whole, str(folder / "output")]) + "\n")
            driver.stdin.flush()
            code = int(driver.stdout.readline())
            printed = (folder / "output").read_text(encoding="utf-8")
            assert "INTERNALERROR" not in printed and "AttributeError" not in printed, printed
            return code, printed

        yield call


@pytest.fixture(scope="module")
def saved(run_pytest: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with one session; measured under a limit for tests that its first benchmark alone exceeds."""
    storage = tmp_path_factory.mktemp("storage")
    code, printed = run_pytest(storage, ACCURACY, FLOOR, "--benchmark-save=first", "-o", "timeout=1")
    assert (code, "2 passed" in printed) == (0, True), printed
    return storage


def rewrite(source: Path, target: Path, **changes: object) -> None:
    """Copy a saved session with other values: `median` and `run` of its benchmarks, `node` of its machine."""
    document = json.loads(source.read_text(encoding="utf-8"))
    document["machine_info"]["node"] = changes.get("node", document["machine_info"]["node"])
    for bench in document["benchmarks"]:
        bench["stats"]["median"] = changes.get("median", bench["stats"]["median"])
        if "run" in bench["extra_info"]:
            bench["extra_info"]["run"] = changes.get("run", bench["extra_info"]["run"])
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(scope="module")
def several(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sessions: one of this machine, one whose run is lost, one of another machine that found every face."""
    storage = tmp_path_factory.mktemp("several") / "storage"
    shutil.copytree(saved, storage)
    [own_run] = (storage / "facebench-runs").iterdir()
    first = storage / HERE / "0001_first.json"
    rewrite(first, storage / HERE / "0002_times.json", run="lost")
    rewrite(first, storage / ELSEWHERE / "0001_first.json", run="amiga", node="amiga")
    shutil.copytree(own_run, storage / "facebench-runs" / "amiga")
    run = RunFolder.open(storage / "facebench-runs" / "amiga")
    run.save(environment=replace(run.document.environment, boot="another start"))
    found = run.faces()[["image_id", "x1", "y1", "x2", "y2"]].assign(score=0.9)
    found = found.astype(dict.fromkeys(("x1", "y1", "x2", "y2", "score"), "float32"))
    (run.path / "cells" / run.cells[0].folder / "detections.parquet").write_bytes(table_bytes(found))
    return storage


@pytest.mark.slow
def test_a_run_is_kept_with_its_session_and_compared_without_timings_too(run_pytest: Run, saved: Path) -> None:
    document = json.loads((saved / HERE / "0001_first.json").read_text(encoding="utf-8"))
    runs = {bench["extra_info"]["run"] for bench in document["benchmarks"] if "run" in bench["extra_info"]}
    assert runs == {folder.name for folder in (saved / "facebench-runs").iterdir()}

    code, printed = run_pytest(saved, ACCURACY, "--benchmark-disable", f"--benchmark-compare={HERE}/0001")
    assert code == 0, printed
    assert f"{NOTHING} against {HERE}/0001_first.json: pass: identical detections" in printed
    assert "elsewhere" not in printed


@pytest.mark.slow
def test_all_that_match_are_compared_and_a_lower_accuracy_fails(run_pytest: Run, several: Path) -> None:
    code, printed = run_pytest(several, ACCURACY, "--benchmark-compare=*/*")
    assert code == 1, printed
    before, after = printed.split("collected 1 item")
    lost = f"accuracy is not compared with {HERE}/0002_times.json: its run folder is not beside it"
    assert "PytestBenchmarkWarning: Benchmark machine_info is different" in before
    assert f"facebench: {lost}" in before and lost in after
    assert f"{NOTHING} against {HERE}/0001_first.json: pass: identical detections" in after
    assert f"{NOTHING} against {ELSEWHERE}/0001_first.json: fail: AP (overall) 1.0000 → 0.0000" in after
    assert f"{ELSEWHERE}/0001_first.json was measured elsewhere (start of the machine: another start and" in after
    assert f"{HERE}/0001_first.json was measured elsewhere" not in after


@pytest.mark.slow
def test_workers_share_one_run_and_nothing_of_it_is_saved(run_pytest: Run, tmp_path: Path) -> None:
    options = ["-n", "2", "--benchmark-compare", "--benchmark-save=parallel", f"--basetemp={tmp_path / 'base'}"]
    code, printed = run_pytest(tmp_path / "storage", ACCURACY, LATENCY, *options)
    assert code == 0, printed
    assert "created: 2/2 workers" in printed
    assert "accuracy is not compared with a saved session: --benchmark-compare found none" in printed
    assert "each benchmark ran once and without timings, because pytest-xdist is on" in printed
    assert len(list((tmp_path / "base").rglob("run.json"))) == 1
    assert not list((tmp_path / "storage").rglob("*.json"))


ENDS = {
    "no baseline": (["--benchmark-compare"], 0, "PytestBenchmarkWarning: Can't compare. No benchmark files in"),
    "no such number": (["--benchmark-compare=0099"], 0, "match '0099'"),
    "disabled": (["--benchmark-disable", "--benchmark-save=off"], 0, "1 passed"),
    "enabled again": (["--benchmark-disable", "--benchmark-enable"], 0, "harness floor, 1024x768 image: p50"),
    "one worker": (["-n", "1"], 0, "each benchmark ran once and without timings"),
    "skipped": (["--benchmark-skip"], 0, "1 skipped"),
    "profiled": (["--benchmark-cprofile=tottime"], 0, "1 passed"),
    "saved": (["--benchmark-only", "--benchmark-autosave"], 0, "Saved benchmark data in"),
    "written": (["--benchmark-json={tmp}/written.json"], 0, "Wrote benchmark data in"),
    "collected": (["--collect-only", "--benchmark-compare-fail=median:50%"], 0, "1 test collected"),
    "as fast": (["--benchmark-compare={tmp}/slow.json", "--benchmark-compare-fail=median:50%"], 0, "accuracy is not"),
    "slower": (["--benchmark-compare={tmp}/fast.json", "--benchmark-compare-fail=median:50%"], 1, "has regressed"),
    "nothing to be slower than": (["--benchmark-compare", "--benchmark-compare-fail=min:5%"], 4, "--benchmark-save="),
    "no such file": (["--benchmark-compare=a/b/c.json"], 4, "expected a file, NUM or PLATFORM/NUM"),
    "no such folder": (["--benchmark-json={tmp}/absent/one.json"], 4, "create {tmp}/absent first"),
    "no such detector": (["--detectors", "haaar"], 4, "ERROR: --detectors: unknown detector 'haaar'. Did you mean"),
    "no pygal": (["--benchmark-histogram"], 4, "pip install 'pytest-benchmark[histogram]'"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_ends_as_expected(name: str, run_pytest: Run, saved: Path, tmp_path: Path) -> None:
    if name == "no pygal" and importlib.util.find_spec("pygal"):
        pytest.skip("pygal is installed")
    for speed, median in (("slow", 1e3), ("fast", 1e-9)):
        rewrite(saved / HERE / "0001_first.json", tmp_path / f"{speed}.json", median=median)
    arguments, expected, words = ENDS[name]
    code, printed = run_pytest(tmp_path / "storage", FLOOR, *(one.replace("{tmp}", str(tmp_path)) for one in arguments))
    assert code == expected, printed
    assert words.replace("{tmp}", str(tmp_path)) in printed, printed
    if expected == 4:
        assert LATENCY not in printed, "wrong use is said before anything is measured"
    if name == "disabled":
        assert "p50" not in printed and not list((tmp_path / "storage").rglob("*.json"))

"""README.md and docs/: what they tell a reader to type works, and what can be checked in their words is true."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import Any

import numpy as np
import pytest
import typer
from facebench import cli
from facebench.benchmarks.choose.rule import PRESETS
from facebench.benchmarks.measure.timed_rounds import WARM_UP_CALLS
from facebench.benchmarks.timing.latency import IMAGES_FOR_P99
from facebench.datasets import known, load
from facebench.datasets.faces.fer import EMOTIONS
from facebench.datasets.images import upright_size
from facebench.datasets.manage.statistics import HEIGHTS_PX, shares
from facebench.datasets.registry import folder_name
from facebench.detectors import create, resolve
from facebench.detectors.conformance_answers import BrokenContractError, check_portrait
from facebench.detectors.probe_images import portrait
from facebench.emotions.scoring.losses import RATES
from facebench.reports.sections.reading import READING
from facebench.tests.support.pages import blocks, commands, parse
from facebench.tests.support.paths import ROOT
from facebench.tools.detector_lists import written

DOCS = ROOT / "docs"
EXAMPLE = DOCS / "example-detector"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
}
LINES = [(name, line) for name, page in PAGES.items() for block in blocks(page, "sh") for line in commands(block)]
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\n```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def python_blocks(*, run: bool) -> list[Any]:
    """The blocks that are run, or those that only compile: README's, and those marked by a comment."""
    found = []
    for name, page in PAGES.items():
        marked = [code for _, code in NOT_RUN.findall(page)]
        for number, code in enumerate(blocks(page, "python"), start=1):
            if run == (name != "README.md" and code not in marked):
                found.append(pytest.param(code, id=f"{name} {number}"))
    return found


def words_of(name: str) -> str:
    return " ".join(PAGES[name].split())


def column(name: str, heading: str) -> list[str]:
    """The first cells of the table whose first heading this is."""
    rows = PAGES[name].partition(f"\n| {heading} |")[2].splitlines()[2:]
    inside = [row.split("|")[1].strip() for row in rows[: rows.index("")]]
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell) for cell in inside]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def all_options() -> set[str]:
    def walk(group: Any) -> set[str]:
        own = {name for option in group.params for name in option.opts}
        return own.union(*(walk(one) for one in getattr(group, "commands", {}).values()))

    return walk(typer.main.get_command(cli.app))


def test_the_lines_are_found():
    verbs = {line[0] for _, line in LINES}
    assert len(LINES) >= 40
    assert verbs >= {"run", "report", "pick", "detect", "score", "gate", "compare", "data", "detectors", "emotions"}
    with_lines = {name for name, _ in LINES}
    without = set(PAGES) - with_lines
    assert without == {
        "docs/index.md",
        "docs/method.md",
        "docs/limits-and-ethics.md",
        "docs/in-your-own-program.md",
    }


@pytest.mark.parametrize(("name", "line"), LINES, ids=[f"{name}: {' '.join(line)}" for name, line in LINES])
def test_every_line_is_one_that_the_command_takes(name, line):
    parse(line)


@pytest.mark.parametrize(("name", "line"), LINES, ids=[f"{name}: {' '.join(line)}" for name, line in LINES])
def test_every_line_names_detectors_and_data_sets_that_exist(name, line):
    """As far as they come with facebench; a reader's own are recognised by their module."""
    options = dict(zip(line, [*line[1:], ""], strict=True))
    for spec in filter(None, re.split(r",(?![a-z_]+=)", options.get("--detectors", ""))):
        if not re.match(r"my|lbp|default$", spec):
            resolve(spec)
    base = folder_name(options.get("--dataset", "scenes").partition("?")[0])
    assert base in dict(known()) or base.startswith("folder:my/")


def test_every_option_in_the_running_text_exists():
    known_options = all_options() | {"--interleave"}
    for name, page in PAGES.items():
        if name == "README.md":
            continue
        text = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
        named = {option for code in re.findall(r"`([^`]+)`", text) for option in re.findall(r"--[a-z][a-z0-9-]+", code)}
        named = {option for option in named if not option.startswith("--benchmark-")}  # of pytest-benchmark
        assert named <= known_options, (name, named - known_options)


@pytest.mark.slow
@pytest.mark.parametrize("code", python_blocks(run=True))
def test_python_runs(code, tmp_path):
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", python_blocks(run=False))
def test_python_that_needs_data_compiles(code):
    compile(code, "<page>", "exec")


def test_every_mark_stands_before_python():
    marks = {name: page.count("<!-- not run:") for name, page in PAGES.items()}
    assert marks == {name: len(NOT_RUN.findall(page)) for name, page in PAGES.items()}
    assert sum(marks.values()) == 1, "each one is a promise less; add them one by one"


@pytest.mark.parametrize("name", PAGES)
def test_every_link_and_image_leads_somewhere(name):
    text = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    for target in LINK.findall(text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_page_is_reached_from_the_index_and_every_image_is_shown():
    reached, todo = set(), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        found = LINK.findall(page.read_text(encoding="utf-8"))
        targets = [(page.parent / target.partition("#")[0]).resolve() for target in found]
        todo += [target for target in targets if target.suffix == ".md" and target.is_file()]
    assert {ROOT / name for name in PAGES} <= reached
    linked = [(ROOT / name).parent / target for name, page in PAGES.items() for target in LINK.findall(page)]
    shown = {path.resolve() for path in linked}
    assert set((DOCS / "images").iterdir()) <= shown


def test_the_sentences_of_the_reports_are_those_of_the_page():
    words = words_of("docs/reading-the-numbers.md")
    for lead, rest in READING:
        assert f"**{lead}** {rest}" in words


def test_the_lists_of_detectors_are_those_of_the_cards():
    for path, text in written().items():
        assert path.read_text(encoding="utf-8") == text, "run python -m facebench.tools.detector_lists"
    bullet = words_of("docs/choosing-a-detector.md").partition("- **Landmarks**")[2].partition("- **")[0]
    assert "`yes` in the [table of detectors](detectors/index.md)" in bullet


def test_the_thresholds_beside_recall_are_those_of_the_detectors():
    page = PAGES["docs/choosing-a-detector.md"]
    rows = [row.split("|")[1:3] for row in page.splitlines() if re.match(r"\| [a-z].*\(\.", row)]
    assert len(rows) == 11
    for name, threshold in rows:
        own = resolve(name.strip()).adapter.info.operating_threshold
        assert threshold.strip() == ("any" if own < -1e9 else f"{own:g}"), name


def test_what_else_the_pages_name_exists():
    method = words_of("docs/method.md")
    assert WARM_UP_CALLS == 3 and "Three calls of warm-up" in method
    assert f"p99 from {IMAGES_FOR_P99:,} images on" in method
    choosing = words_of("docs/choosing-a-detector.md")
    assert all(preset in choosing for preset in PRESETS)
    assert list(HEIGHTS_PX)[:3] == ["below 16", "16–32", "32–96"], "the columns of the table of recall by height"
    sets = {name.strip("`…") for cell in column("docs/data-sets.md", "name") for name in cell.split(", ")}
    assert {name.partition(":")[0] for name in sets} == {name.partition(":")[0] for name, _ in known()}
    emotions = words_of("docs/emotions.md")
    assert sorted(name.strip("`") for name in column("docs/emotions.md", "number")) == sorted(RATES)
    assert all(emotion in emotions for emotion in EMOTIONS)


@pytest.mark.slow
def test_what_the_130_images_are(shared, facebench):
    """The numbers of docs/method.md and docs/reading-the-numbers.md, counted again."""
    samples = load("wider-face:val?subset=facebench-130", root=shared / "data").samples
    faces = [sample.faces for sample in samples]
    hard = np.concatenate([some.attributes["hard"] for some in faces]) > 0
    heights = np.concatenate([some.boxes[:, 3] - some.boxes[:, 1] for some in faces])[hard]
    sides = np.concatenate([np.tile(upright_size(one.source), (len(one.faces), 1)) for one in samples])
    share = shares(np.concatenate([some.boxes for some in faces]), sides)[hard]
    invalid = sum(int(some.ignore.sum()) for some in faces)
    events, number = len({sample.image_id.partition("/")[0] for sample in samples}), len(hard)
    method = words_of("docs/method.md")
    assert f"of {events} of its 61 events; of their {number} faces {number - invalid} count over all" in method
    assert f"({invalid} are labelled invalid) and {hard.sum()} on the hard list" in method
    reading = words_of("docs/reading-the-numbers.md")
    assert f"of the {hard.sum()} faces that count as hard in the README's 130 images" in reading
    assert f"{(heights >= 400).sum()} are 400 pixels high or more, none is 1,000" in reading and heights.max() < 1000
    assert "none covers a quarter of its image" in reading and share.max() < 0.25
    predictions = shared / "data" / "wider_predictions" / "retinaface_mobilenet025_original_size.zip"
    subset = ("--dataset", "wider-face:val?subset=facebench-130", "--data", shared / "data")
    code, out, err = facebench("score", predictions, *subset, "--json")
    assert code == 0, err
    (row,) = json.loads(out)["rows"]
    assert f"exact hard AP of .{row['AP_hard'] * 1000:.0f} on them" in method
    assert f"{100 * (row['AP_hard'] - 0.739):.0f} points more than on all 3,226 images" in method


def tutorial() -> str:
    """The code that docs/adding-a-detector.md tells to save as my_detector.py."""
    return blocks(PAGES["docs/adding-a-detector.md"], "python")[0]


@pytest.mark.slow
def test_the_detector_of_the_tutorial_keeps_the_contract_and_is_measured(facebench, tmp_path, monkeypatch):
    (tmp_path / "my_detector.py").write_text(tutorial(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code, out, err = facebench("detectors", "check", "my_detector:MyDetector")
    assert code == 0 and "FAIL" not in out, out + err
    (line,) = (
        line for name, line in LINES if name == "docs/adding-a-detector.md" and line[-2:] == ["--out", "runs/mine"]
    )
    code, out, err = facebench(*line, "--json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert {row["spec"] for row in rows} == {"my_detector:MyDetector", "haar"}
    assert all(row["AP_overall"] > 0 for row in rows)


@pytest.mark.slow
def test_the_detector_of_the_tutorial_takes_parameters_as_it_says(facebench, tmp_path, monkeypatch):
    with_parameters = blocks(PAGES["docs/adding-a-detector.md"], "python")[1]
    init = with_parameters.partition("    def __init__")
    start, _, detect = tutorial().partition("    def detect")
    detect = detect.replace(" 1.2,", " self._scale_factor,").replace("(24, 24)", "self._sizes")
    imports = "from facebench.errors import UsageError\n"
    code = imports + start.partition("    def __init__")[0] + "".join(init[1:]) + "\n    def detect" + detect
    (tmp_path / "my_detector.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_detector", raising=False)
    (line,) = (line for name, line in LINES if name == "docs/adding-a-detector.md" and "sizes=" in " ".join(line))
    status, out, err = facebench(*line)
    assert status == 0 and "FAIL" not in out, out + err
    status, _, err = facebench("detectors", "check", "my_detector:MyDetector:scale_factor=0.9")
    assert status == 2 and "got scale_factor=0.9, expected more than 1" in err
    status, _, err = facebench("detectors", "check", "my_detector:MyDetector:sizes=30")
    assert status == 2 and "expected 2 values separated by '/', got 1" in err


@pytest.mark.slow
def test_without_its_sorting_the_kit_says_what_the_tutorial_says(tmp_path, monkeypatch):
    code = tutorial()
    without = re.sub(r"^.*found\.sort.*\n", "", code, flags=re.MULTILINE)
    assert without != code
    (tmp_path / "my_unsorted.py").write_text(without, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BrokenContractError, match="best box"):  # of the check "finds the face"
        check_portrait(create("my_unsorted:MyDetector").detect(portrait()))


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment of a process in which the example package is installed."""
    folder = tmp_path_factory.mktemp("example")
    # setuptools writes into the folder that it builds from
    source = shutil.copytree(EXAMPLE, folder / "source")
    target = folder / "target"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", target]
    done = subprocess.run([sys.executable, "-m", "pip", "install", *options, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(target)}


def in_process(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facebench.cli", *arguments]
    return subprocess.run(command, env=environment, cwd=environment["PYTHONPATH"], capture_output=True, text=True)


@pytest.mark.slow
def test_the_example_package_is_found_by_its_entry_point(installed):
    done = in_process(installed, "detectors", "list", "--json")
    rows = {row["detector"]: row for row in json.loads(done.stdout)}
    assert rows["lbp"]["state"] == "available"
    assert rows["lbp"]["parameters"] == {"scale_factor": "1.2", "step_ratio": "1.0", "min_size": "24"}


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["lbp", "lbp:step_ratio=1.5"])
def test_the_example_package_keeps_the_contract(installed, spec):
    done = in_process(installed, "detectors", "check", spec)
    assert done.returncode == 0 and "FAIL" not in done.stdout and "finds the face" in done.stdout, done.stdout


@pytest.mark.slow
def test_the_example_package_refuses_what_is_out_of_range(installed):
    done = in_process(installed, "detectors", "check", "lbp:step_ratio=0.5")
    assert done.returncode == 2 and "expected at least 1.0" in done.stderr


def test_the_page_shows_the_entry_point_of_the_example():
    (shown,) = blocks(PAGES["docs/adding-a-detector.md"], "toml")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert tomllib.loads(shown)["project"]["entry-points"] == project["entry-points"]


def test_the_readme_and_the_shipped_default_say_the_same():
    """One run gave both: the rows of the winner and of everything on the Pareto front, to the digits shown."""
    choice = json.loads((ROOT / "default_detector.json").read_text(encoding="utf-8"))
    rows = {}
    for line in PAGES["README.md"].splitlines():
        if line.startswith("| "):
            label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            rows[label.removesuffix(" †")] = cells
    assert not choice["unfinished"] and len(choice["pareto"]) > 2
    for one in [choice["winner"], *choice["pareto"]]:
        _, _, hard, _, _, p50, p90, _ = (cell.partition(" ")[0] for cell in rows[one["detector"]])
        assert hard == f"{one['exact_ap_hard']:.3f}".removeprefix("0"), one
        assert (p50, p90) == (f"{one['p50_ms']:,.1f}", f"{one['p90_ms']:,.1f}"), one
    setting = choice["setting"]
    assert (
        f"`{setting['spec']}` at a score from {setting['threshold']:.3f} and the size `{setting['size']}`"
        in PAGES["README.md"]
    )

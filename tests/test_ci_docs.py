"""docs/ci.md and the workflow file: what they tell a reader to type is what the command takes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import typer
from facebench import cli
from facebench.benchmarks.compare.gate import GateResult
from facebench.benchmarks.compare.limits import DetectorLimits, read_limits
from facebench.detectors import resolve
from facebench.tests.support.pages import blocks, commands, parse
from facebench.tests.support.paths import ROOT
from ruamel.yaml import YAML

WORKFLOW = ROOT / ".github" / "workflows" / "facebench.yml"
DOCS = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
SCHEMA_TOOL = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(WORKFLOW)
    return loaded


def steps() -> list[dict[str, Any]]:
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


IN_WORKFLOW = [line for step in steps() for line in commands(step.get("run", ""))]
IN_DOCS = [line for block in blocks(DOCS, "sh") for line in commands(block)]


def test_the_lines_are_found():
    assert [line[0] for line in IN_WORKFLOW] == ["models", "run", "gate", "report"]
    assert len(IN_DOCS) >= 7 and {"run", "gate", "compare"} <= {line[0] for line in IN_DOCS}


@pytest.mark.parametrize("line", [*IN_WORKFLOW, *IN_DOCS], ids=" ".join)
def test_every_line_is_one_that_the_command_takes(line):
    parse(line)


@pytest.mark.parametrize("line", ["gate a b --no-such-option", "gate a", "run --rounds many", "gate a b --junit"])
def test_the_check_refuses_a_wrong_line(line):
    with pytest.raises(Exception, match=r"No such option|Missing|valid integer|requires an argument"):
        parse(line.split())


def test_every_option_that_the_text_names_exists(pytestconfig):
    group: Any = typer.main.get_command(cli.app)
    known = {name for verb in ("run", "compare", "gate") for one in group.commands[verb].params for name in one.opts}
    named = set(re.findall(r"--[a-z][a-z-]+", re.sub(r"```.*?```", "", DOCS, flags=re.DOTALL)))
    absent = object()
    of_pytest = {name for name in named if pytestconfig.getoption(name, absent) is not absent}
    assert {"--indicative", "--benchmark-compare"} <= named <= known | of_pytest


def test_the_workflow_fits_the_schema_of_workflows():
    done = subprocess.run([*SCHEMA_TOOL, WORKFLOW], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_check_refuses_a_wrong_workflow(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOW.read_text(encoding="utf-8").replace("runs-on:", "runs_on:"))
    done = subprocess.run([*SCHEMA_TOOL, wrong], capture_output=True, text=True)
    assert done.returncode == 1


@pytest.mark.parametrize("script", [step["run"] for step in steps() if "run" in step])
def test_every_script_is_shell_and_takes_nothing_from_the_event(script):
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "${{" not in script, "an expression in a script lets a branch name run as a command"


def test_the_workflow_has_few_rights_and_an_end():
    content = workflow()
    assert content["permissions"] == {"contents": "read"}
    assert set(content["on"]) == {"pull_request", "workflow_dispatch"}
    assert content["concurrency"]["cancel-in-progress"] is True
    for job in content["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 60 and "permissions" not in job
    actions = [step["uses"] for step in steps() if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions), actions
    for step in steps():
        if str(step.get("uses", "")).startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_summary_and_the_files_are_kept_when_the_gate_fails():
    names = [step.get("name") for step in steps()]
    after = steps()[names.index("Judge") + 1 :]
    assert all("!cancelled()" in step["if"] for step in after)
    (judge,) = [line for line in IN_WORKFLOW if line[0] == "gate"]
    written = {judge[judge.index(option) + 1] for option in ("--markdown", "--junit")}
    assert written <= set(after[-1]["with"]["path"].split())
    assert any('>> "$GITHUB_STEP_SUMMARY"' in step.get("run", "") for step in after)


def test_the_detectors_of_the_workflow_exist_and_their_models_are_fetched():
    (job,) = workflow()["jobs"].values()
    specs = [resolve(name) for name in job["env"]["DETECTORS"].split(",")]
    (fetch,) = [line for line in IN_WORKFLOW if line[0] == "models"]
    assert {model for spec in specs for model in spec.models()} <= set(fetch[2:])


def test_the_limits_of_the_text_are_read_and_its_defaults_are_true(tmp_path):
    (text,) = blocks(DOCS, "toml")
    (tmp_path / "limits.toml").write_text(text)
    limits = read_limits(tmp_path / "limits.toml")
    assert tomllib.loads(text)["default"].keys() == set(DetectorLimits.__slots__)
    assert (limits.default.max_slowdown, limits.detectors["haar"].max_slowdown) == (0.05, 0.10)
    assert "Without a file: 5 % of time, 0.005 of AP" in DOCS and DetectorLimits() == DetectorLimits(0.05, 0.005, None)


@pytest.mark.parametrize(
    ("outcome", "accepted", "code"),
    [("pass", False, 0), ("fail", False, 1), ("inconclusive", False, 3), ("inconclusive", True, 0)],
)
def test_the_exit_codes_of_the_text_are_those_of_the_gate(monkeypatch, outcome, accepted, code):
    monkeypatch.setattr(GateResult, "outcome", outcome)
    assert GateResult.exit_code(object.__new__(GateResult), inconclusive_ok=accepted) == code
    row = next(line for line in DOCS.splitlines() if line.startswith(f"| {code} |"))
    assert outcome in row


def test_evidence_is_what_the_text_rests_on():
    assert "0.3 % within a job" in " ".join(DOCS.split()) and "26 % between jobs" in " ".join(DOCS.split())

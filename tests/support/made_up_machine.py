"""A machine of made-up facts: each test names those that matter to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facebench.benchmarks.doctor.facts import NO_SUCH_PROGRAM, Finding, Machine, Reply


def says(**document: Any) -> Reply:
    """The answer of a probe; libraries may have printed something before it."""
    return Reply(0, f"a library says hello\n{json.dumps(document)}\n")


@dataclass
class Programs:
    """Runs nothing: gives the answer listed for "pip", "nvidia-smi" or the name of a probe."""

    answers: Mapping[str, Reply]
    asked: list[tuple[str, ...]] = field(default_factory=list)
    variables: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(
        self, command: Sequence[str], *, timeout_s: float = 0.0, variables: Mapping[str, str] | None = None
    ) -> Reply:
        assert timeout_s > 0
        self.asked.append(tuple(command))
        self.variables.append(variables or {})
        if "facebench.benchmarks.doctor.probes" in command:
            return self.answers[command[4]]
        name = "pip" if "pip" in command else command[0]
        return self.answers.get(name, Reply(NO_SUCH_PROGRAM, errors=f"No such file or directory: {name!r}"))


def made_up(
    root: Path, files: Mapping[str, str] | None = None, answers: Mapping[str, Reply] | None = None, **facts: Any
) -> Machine:
    """A Linux machine with two cores on which all is well that is not among the facts."""
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n", encoding="utf-8")
    usual: dict[str, Any] = {
        "environment": {},
        "cores": (0, 1),
        "system": "Linux",
        "encoding": "utf-8",
        "packages": (),
        "module": lambda name: None,
        "load_fault": lambda name: "",
        "run": Programs(answers or {}),
        "free_bytes": lambda folder: 10**12,
    }
    return Machine(root=root, **usual | facts)


def only(findings: Sequence[Finding], check: str) -> Finding | None:
    """The finding of a check, which comes once at most."""
    found = [finding for finding in findings if finding.check == check]
    assert len(found) < 2, found
    return found[0] if found else None


def assert_says(findings: Sequence[Finding], check: str, level: str | None, *words: str) -> None:
    """The check has this level, or comes not at all where that is None, and all the words."""
    finding = only(findings, check)
    assert (finding and finding.level) == level, finding
    if finding is None:
        return
    text = f"{finding.found} | {finding.meaning} | {finding.remedy}"
    for word in words:
        assert word in text
    assert finding.found and (finding.level == "ok" or finding.meaning), "what is not well has a meaning"

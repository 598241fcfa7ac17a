"""The verb that looks at the machine: doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .console import Data, Json, json_text, say, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..benchmarks.doctor.facts import Finding

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


def doctor_command(data: Data = None, as_json: Json = False) -> None:
    """Say whether this machine is fit to measure and what is missing; exit code 1 where something cannot work."""
    from ..benchmarks.doctor import examine, to_json, worst
    from ..benchmarks.doctor.facts import Machine

    # before a progress line stands in for standard output
    machine = Machine()
    with stderr().status("looking at packages, models, data, GPU and what would spoil timings"):
        findings = examine(machine, data)
    if as_json:
        typer.echo(json_text(to_json(findings), indent=2))
    else:
        _print(findings)
    if worst(findings) == "problem":
        raise typer.Exit(1)


def _print(findings: Sequence[Finding]) -> None:
    """Print a table by subject, then the commands that fix, each on a line that can be copied."""
    from rich.table import Table
    from rich.text import Text

    from ..benchmarks.doctor.facts import LEVELS

    table = Table("subject", "level")
    for title in ("found", "what it means"):
        table.add_column(title, overflow="fold")
    before = None
    for finding in findings:
        if before not in (None, finding.subject):
            table.add_section()
        table.add_row(
            "" if finding.subject == before else finding.subject,
            Text(finding.level, _STYLES[finding.level]),
            finding.found,
            finding.meaning,
        )
        before = finding.subject
    stdout().print(table)
    # a command that helps against several things stands with the worst of them
    commands: dict[str, Finding] = {}
    for level in reversed(LEVELS):
        for finding in findings:
            if finding.level == level and finding.remedy:
                commands.setdefault(finding.remedy, finding)
    if commands:
        say("To fix:")
    for command, finding in commands.items():
        say(f"  {finding.level}, {finding.subject}, {finding.check}: {command}")
    counts = [f"{sum(one.level == level for one in findings)} {level}" for level in reversed(LEVELS)]
    say(f"{len(findings)} findings: {', '.join(counts)}")

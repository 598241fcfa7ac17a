"""What tests of the documentation share: code blocks of a page, and command lines that are parsed but not run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer
from facebench import cli


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a Markdown page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def commands(script: str) -> list[list[str]]:
    """Return the arguments of each call of facebench in a shell script."""
    lines = script.replace("\\\n", " ").splitlines()
    words = [shlex.split(line.partition("||")[0].replace('"$round"', "1"), comments=True) for line in lines]
    # NAME=value in front of a command sets a variable for it
    words = [line[next((i for i, word in enumerate(line) if not _is_setting(word)), len(line)) :] for line in words]
    return [line[1:] for line in words if line and Path(line[0]).name == "facebench"]


def _is_setting(word: str) -> bool:
    return re.match(r"[A-Z_]+=", word) is not None


def parse(arguments: list[str]) -> None:
    """Parse a command line as the command would, without running it."""
    group: Any = typer.main.get_command(cli.app)
    while arguments and hasattr(group, "commands"):
        group, arguments = group.commands[arguments[0]], arguments[1:]
    group.make_context("facebench", list(arguments))

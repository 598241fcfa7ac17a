"""The `facebench` command: thin, one function a verb.

Exit codes: 0 done, 1 a check failed (a detector of the run failed, one that was named is unavailable, one breaks the
contract, or the gate fails), 2 wrong use or an error, 3 the gate or the pick is inconclusive, 130 interrupted. Tables
and JSON go to standard output, progress and errors to standard error. See `ending` for what nobody foresaw.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated

import typer

from .. import importable
from ..errors import FacebenchError, InconclusiveError
from ..safe_text import bounded
from .app import App
from .catalogue import detectors_app, models_app
from .compare import compare_command, gate_command
from .console import say
from .data import data_app
from .detect import detect_command
from .doctor import doctor_command
from .emotions import emotions_app
from .ending import ReaderGoneError, let_go_of_output, unexpected, write_what_can_be_written
from .measure import export_command, run_command, score_command
from .show import pick_command, report_command, table_command
from .stress import stress_command

app = App("Benchmark face detectors: accuracy and latency, measured honestly.")
for _name, _verb in (
    ("run", run_command),
    ("score", score_command),
    ("export", export_command),
    ("stress", stress_command),
    ("report", report_command),
    ("table", table_command),
    ("compare", compare_command),
    ("gate", gate_command),
    ("pick", pick_command),
    ("detect", detect_command),
    ("doctor", doctor_command),
):
    app.command(_name)(_verb)
app.add_typer(detectors_app, name="detectors")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")
app.add_typer(emotions_app, name="emotions")


def main(command: typer.Typer = app) -> None:
    """Run the command; whatever ends it is at most one message and an exit code."""
    importable.search_working_folder()
    write_what_can_be_written()
    try:
        code = _code_of(command)
        if sys.stdout is not None:
            sys.stdout.flush()
    except FacebenchError as error:
        remedy = getattr(error, "remedy", "")
        _tell(f"facebench: {error}", f"To fix: {remedy}" if remedy else "")
        code = 3 if isinstance(error, InconclusiveError) else 2
    except KeyboardInterrupt:
        _tell("facebench: interrupted")
        code = 130
    except (ReaderGoneError, BrokenPipeError):
        verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        code = 2 if verb == "gate" else 0
    except Exception as error:  # noqa: BLE001  1 would say that a check failed
        explained = importable.explain(error) if isinstance(error, ImportError | OSError) else None
        if explained is None:
            _tell(unexpected(error))
        else:
            _tell(f"facebench: {explained}", f"To fix: {explained.remedy}")
        code = 2
    let_go_of_output()
    raise SystemExit(code)


def _code_of(command: typer.Typer) -> int:
    try:
        command()
    except SystemExit as end:
        if isinstance(end.code, str):  # a library's sys.exit("message")
            _tell(f"facebench: {end.code}")
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 2
    return 0


def _tell(message: str, remedy: str = "") -> None:
    """Print an error; the lines below its first are indented, so that none passes for a message of its own."""
    first, *others = message.split("\n")
    with contextlib.suppress(OSError, ValueError):  # there may be no standard error to write to
        say(*map(bounded, [first, *(line if line.startswith(" ") else f"  {line}" for line in others)]), err=True)
        say(*filter(None, [remedy]), err=True)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    allow_local_code: Annotated[
        bool,
        typer.Option(
            "--allow-local-code",
            help="Import code from this folder where default_detector.json names it as a detector.",
        ),
    ] = False,
) -> None:
    if allow_local_code:
        os.environ[importable.ALLOW_LOCAL_CODE] = "1"
    if version:
        from .. import __version__

        say(f"facebench {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

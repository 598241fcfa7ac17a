"""The `facebench` command: thin, one function a verb.

Exit codes: 0 done, 1 a check failed (a detector of the run failed, one that was named is unavailable, one breaks the
contract, or the gate fails), 2 wrong use or an error, 3 the gate or the pick is inconclusive, 130 interrupted. Tables
and JSON go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .. import importable
from ..errors import FacebenchError, InconclusiveError
from .app import App
from .catalogue import detectors_app, models_app
from .compare import compare_command, gate_command
from .data import data_app
from .detect import detect_command
from .doctor import doctor_command
from .emotions import emotions_app
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
    """Run the command; turn facebench's own errors into one line and an exit code."""
    importable.search_working_folder()
    try:
        command()
    except FacebenchError as error:
        remedy = getattr(error, "remedy", "")
        typer.echo(f"facebench: {error}" + (f"\nTo fix: {remedy}" if remedy else ""), err=True)
        raise SystemExit(3 if isinstance(error, InconclusiveError) else 2) from None
    except KeyboardInterrupt:
        typer.echo("facebench: interrupted", err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # the reader of our output has gone (`facebench … | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except (ImportError, OSError) as error:
        explained = importable.explain(error)
        if explained is None:
            raise
        typer.echo(f"facebench: {explained}\nTo fix: {explained.remedy}", err=True)
        raise SystemExit(2) from None


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

        typer.echo(f"facebench {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

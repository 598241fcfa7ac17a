"""`python -m facebench.tools.faults`: does faults to facebench and prints what came of them.

Exit code 1 where a promise of docs/reliability.md was broken, each with a line on standard error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import families
from .table import Row, markdown, problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the families asked for; return the exit code."""
    given = parser().parse_args(arguments)
    chosen = families.FAMILIES if given.name == "all" else {given.name: families.FAMILIES[given.name]}
    tables, rows = [], []
    for name, family in chosen.items():
        done = _run(family.run, given.times or family.times, given.seed)
        tables.append(markdown(title(name, given.times or family.times, given.seed), done))
        print(tables[-1] + "\n", flush=True)
        rows += done
    if given.output:
        given.output.write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    for problem in problems(rows):
        print(problem, file=sys.stderr)
    return int(bool(problems(rows)))


def title(name: str, times: int, seed: int) -> str:
    """Return the line above a table.

    >>> title("writes", 0, 1)
    '`writes`, seed 1, at every place:'
    """
    return f"`{name}`, seed {seed}, {f'{times} times' if times else 'at every place'}:"


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m facebench.tools.faults", description=__doc__)
    parser.add_argument("name", choices=[*families.FAMILIES, "all"], help="which faults")
    parser.add_argument("--times", type=int, default=0, help="how often; 0 for as often as docs/reliability.md has it")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument("-o", "--output", type=Path, help="also write the tables there")
    return parser


def _run(family: Callable[..., list[Row]], times: int, seed: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        return family(Path(scratch), times=times, seed=seed)


if __name__ == "__main__":
    sys.exit(main())

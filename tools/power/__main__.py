"""`python -m facebench.tools.power`: prints how often the gate fails, passes and lets losses through, as Markdown.

Latency: nine kinds of noise, three numbers of rounds, two ways of measuring, four changes of head; then the same code
measured at once, with one round of each in turn after it. Accuracy: losses of known size on samples of any number of
images. Limits are the defaults of the gate.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ...benchmarks.compare.gate import Outcome
from . import accuracy, latency

ROUNDS = (2, 3, 6)
IMAGES = (6, 20, 60, 130, 300, 500, 1000)
ORDERS = ("BBBBBHHHHHBH", "BBHHBH", "BHBBBBBHHHHHBH")
WAYS = {"--interleave": latency.interleaved, "two runs in turn": latency.two_runs}


def latency_rows(times: int, seed: int, rounds: Sequence[int] = ROUNDS) -> list[list[str]]:
    """Return a row per noise and way: shares of verdicts in per cent, in every cell one per number of rounds."""
    rows = []
    for name, way in itertools.product(latency.NOISES, WAYS):
        cells = []
        for place, (change, slow) in enumerate(latency.CHANGES.items()):
            found = []
            for count in rounds:
                random = np.random.default_rng([seed, count, place])
                found.append(
                    Counter(WAYS[way](random, latency.NOISES[name], slow, count).outcome for _ in range(times))
                )
            outcomes: Sequence[Outcome] = ("fail", "pass") if change == "same code" else ("fail",)
            cells += [" / ".join(_share(one[outcome], times) for one in found) for outcome in outcomes]
        rows.append([name, way, *cells])
    return rows


def order_rows(times: int, seed: int) -> list[list[str]]:
    """Return a row per order of rounds: how often the same code fails on a machine that is slower from head on."""
    rows = []
    for order, slower in itertools.product(ORDERS, (1.1, 1.3, 1.46)):
        random = np.random.default_rng(seed)
        found = Counter(latency.at_once(random, slower, order).outcome for _ in range(times))
        rows.append([" ".join(order), f"× {slower:g}", _share(found["fail"], times), _share(found["pass"], times)])
    return rows


def accuracy_rows(times: int, seed: int, images: Sequence[int] = IMAGES) -> list[list[str]]:
    """Return a row per loss and kind of images: how often it passes, by number of images."""
    rows = []
    for crowd, loss in itertools.product(accuracy.CROWDS, accuracy.LOSSES):
        cells = []
        for count in images:
            random = np.random.default_rng([seed, count])
            outcomes = Counter(
                accuracy.judge(random, accuracy.CROWDS[crowd](random, count), accuracy.LOSSES[loss])
                for _ in range(times)
            )
            cells.append(_share(outcomes["pass"], times))
        rows.append([crowd, loss, f"{accuracy.true_loss(crowd, loss):.4f}", *cells])
    return rows


def _share(count: int, times: int) -> str:
    return f"{100 * count / times:.3g}"


def _table(headings: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(headings), *rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(
    times: Annotated[int, typer.Option(help="Gates for each number.")] = 300,
    seed: Annotated[int, typer.Option()] = 1,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the tables there too.")] = None,
) -> None:
    """Print the power of the gate."""
    slower = [f"{name}: fail" for name in list(latency.CHANGES)[1:]]
    tables = [
        _table(["noise", "measured", "same code: fail", "pass", *slower], latency_rows(times, seed)),
        _table(
            ["rounds, in the order measured", "machine from H on", "same code: fail", "pass"], order_rows(times, seed)
        ),
        _table(["images hold", "head loses", "of AP", *map(str, IMAGES)], accuracy_rows(times, seed)),
    ]
    text = (
        "\n\n".join(tables)
        + f"\n\nPer cent of {times} gates each; of latency with {', '.join(map(str, ROUNDS))} rounds."
    )
    typer.echo(text)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)

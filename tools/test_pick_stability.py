"""Does the pick hold what it claims: the whole rule on random halves of the images, beside its own forecast."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pandas as pd
import pytest
from facebench.benchmarks.analysis.table import Resampling, Summary
from facebench.benchmarks.choose.pick import pick
from facebench.benchmarks.choose.rule import PRESETS, Rule, halves
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.store.truth import RunReader
from facebench.errors import UsageError

HALVES = 60
RULES = {"default": Rule(), "p90 of 60 ms": Rule(max_p90_ms=60), **PRESETS}


class _Part(RunFolder):
    """A run of which only some images are used."""

    kept: frozenset[str]

    def images(self) -> pd.DataFrame:
        table: pd.DataFrame = super().images().copy()
        table.loc[~table["image_id"].isin(self.kept), "verdict"] = "left out"
        return table


@pytest.mark.benchmark(group="the pick on halves")
@pytest.mark.parametrize("name", RULES)
def test_the_pick_on_halves(name: str, summary: Summary, benchmark: Any, say: list[str]) -> None:
    """With `--wider`; on the few scenes it shows that it runs. The halves are others than those of the forecast."""
    rule = RULES[name]
    try:
        whole = pick(summary, rule, demo=True, accept_noise=True, accept_unfinished=True)
    except UsageError as error:
        pytest.skip(str(error))
    # on the draws of a half, not on those of the whole that the rows hold
    rows = [dataclasses.replace(row, exact_draws={}) for row in summary.rows]
    names = summary.run.images().query("verdict == 'ok'")["image_id"].to_numpy()

    def on_halves() -> Counter[str]:
        chosen: Counter[str] = Counter()
        for half in halves(len(names), draws=HALVES, seed=99):
            part: Any = _Part.open(summary.run.path)
            part.kept = frozenset(names[half > 0])
            try:
                found = pick(
                    dataclasses.replace(summary, reader=RunReader(part), rows=rows, resampled=Resampling(1, draws=300)),
                    rule,
                    demo=True,
                    accept_noise=True,
                    accept_unfinished=True,
                )
                chosen[found["setting"]["spec"]] += 1
            except UsageError:
                chosen["nobody"] += 1
        return chosen

    chosen = benchmark.pedantic(on_halves, rounds=1)
    assert chosen.total() == HALVES
    got, claimed = chosen[whole["setting"]["spec"]] / HALVES, whole["stability"]["same_on_halves"]
    benchmark.extra_info |= {"claimed": claimed, "got": got, "chosen": dict(chosen)}
    picked = whole["setting"]["spec"]
    say.append(f"pick ({name}): {picked}, claimed on {claimed:.0%} of halves, chosen on {got:.0%} of {HALVES}")

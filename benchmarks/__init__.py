"""How detectors are measured: the door to its rooms. A name is loaded when it is first asked for.

`Plan` -> `run` -> a `RunFolder` -> `summarise_run` -> a `Summary` -> `pick`, `compare_runs` -> `gate`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis.table import Resampling as Resampling
    from .analysis.table import Summary as Summary
    from .analysis.table import summarise_run as summarise_run
    from .choose.default import load_default as load_default
    from .choose.pick import pick as pick
    from .choose.rule import Rule as Rule
    from .compare.gate import gate as gate
    from .compare.limits import GateLimits as GateLimits
    from .compare.runs import Comparison as Comparison
    from .compare.runs import compare_runs as compare_runs
    from .measure.plan import Plan as Plan
    from .measure.runner import run as run
    from .store.run_folder import RunFolder as RunFolder

_HOME = {
    "Comparison": "compare.runs",
    "GateLimits": "compare.limits",
    "Plan": "measure.plan",
    "Resampling": "analysis.table",
    "Rule": "choose.rule",
    "RunFolder": "store.run_folder",
    "Summary": "analysis.table",
    "compare_runs": "compare.runs",
    "gate": "compare.gate",
    "load_default": "choose.default",
    "pick": "choose.pick",
    "run": "measure.runner",
    "summarise_run": "analysis.table",
}

__all__ = [
    "Comparison",
    "GateLimits",
    "Plan",
    "Resampling",
    "Rule",
    "RunFolder",
    "Summary",
    "compare_runs",
    "gate",
    "load_default",
    "pick",
    "run",
    "summarise_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

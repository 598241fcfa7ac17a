"""Choose a detector by a declared rule, write the choice down, and load it again."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..detectors import Detections, Detector, Device, RGBImage, create
from ..detectors.resized import ResizedDetector
from ..errors import ResultsError, UsageError, did_you_mean
from .cell import cell_label
from .results import write_atomically
from .summary import Row, Summary

SCHEMA = "facebench.default"
SCHEMA_VERSION = 2
"""2: the size at which pictures are given, and the threads. Version 1 is read: the original size, one thread."""
FILE_NAME = "default_detector.json"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a default is chosen: the fastest detector among those within `tie` of the best AP.

    Attributes:
        metric: "ap_easy", "ap_medium", "ap_hard" or "ap_overall": exact AP on that list; None for the run's hardest.
        tie: exact AP below the best that still counts as equal.
        max_p90_ms: leave out detectors slower than this at the 90th percentile, milliseconds.
        device: leave out cells measured on another device.
    """

    metric: str | None = None
    tie: float = 0.01
    max_p90_ms: float | None = None
    device: Device = "cpu"


def pick(summary: Summary, rule: Rule, *, demo: bool = False) -> dict[str, Any]:
    """Choose by the rule.

    Args:
        summary: a scored run.
        rule: how to choose.
        demo: accept a run on a demonstration data set.

    Returns:
        The content of default_detector.json.

    Raises:
        UsageError: the run is a demonstration and `demo` is false, the metric is unknown, or nothing fits the rule.
    """
    dataset = summary.run.document["dataset"]
    if dataset["demo"] and not demo:
        raise UsageError(
            f"{summary.run.path} was measured on {summary.scope}: its winner is no default. "
            "Run on annotated pictures of your kind (facebench run --dataset wider-face:val --data DIR), or add --demo"
        )
    metric = rule.metric or f"ap_{summary.primary}"
    known = {f"ap_{name}": name for name in (*summary.lists, "overall")}
    if metric not in known:
        raise UsageError(f"unknown metric {metric!r}. {did_you_mean(metric, known)}")
    name = known[metric]
    left_out: dict[str, str] = {}
    candidates = []
    for row in summary.rows:
        why = _why_not(row, rule, name)
        if why:
            left_out[cell_label(row.cell)] = why
        else:
            candidates.append(row)
    if not candidates:
        reasons = "; ".join(f"{spec}: {why}" for spec, why in left_out.items())
        raise UsageError(f"no detector fits the rule. {reasons or 'The run has no finished cell.'}")
    best = max(row.exact_ap(name) for row in candidates)
    equal = [row for row in candidates if row.exact_ap(name) >= best - rule.tie]
    order = sorted(equal, key=_p50) + sorted(
        (row for row in candidates if row not in equal), key=lambda row: -row.exact_ap(name)
    )
    winner = order[0]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "detector": winner.cell["spec"],
        "threshold": winner.cell["start"]["operating_threshold"],
        "size": winner.cell["protocol"]["size"],
        "device": winner.cell["device"],
        "threads": winner.cell["threads"],
        "demo": bool(dataset["demo"]),
        "rule": {
            "metric": f"exact {metric}",
            "tie": rule.tie,
            "max_p90_ms": rule.max_p90_ms,
            "device": rule.device,
            "text": _rule_text(rule, metric),
        },
        "winner": _figures(winner, name),
        "runner_up": _figures(order[1], name) if len(order) > 1 else None,
        "reasons": _reasons(winner, equal, best, name, rule),
        "left_out": left_out,
        "measured_on": summary.scope,
        "run": {
            "created": summary.run.document["created"],
            "cell": winner.cell["key"],
            "dataset_fingerprint": dataset["fingerprint"],
            "machine": winner.cell["machine"],
        },
    }


def write_pick(choice: dict[str, Any], path: Path) -> None:
    """Write default_detector.json, whole or not at all."""
    write_atomically(path, (json.dumps(choice, indent=2) + "\n").encode())


class ThresholdedDetector(Detector):
    """A detector that returns only what reaches its operating threshold."""

    def __init__(self, detector: Detector, threshold: float) -> None:
        # wraps a detector that is built already: there is nothing to load or to check
        self.info = detector.info  # type: ignore[misc]
        self.device = detector.device
        self.threads = detector.threads
        self.operating_threshold = threshold
        self.score_floor = max(threshold, detector.score_floor)
        self.clock = detector.clock
        self._detector = detector

    def detect(self, image: RGBImage) -> Detections:
        """Find the faces in one picture."""
        return self._detector.detect(image).above(self.operating_threshold)

    def device_used(self) -> Device:
        """Ask the wrapped detector."""
        return self._detector.device_used()

    def threads_used(self) -> int | None:
        """Ask the wrapped detector."""
        return self._detector.threads_used()

    def device_memory_mb(self) -> float | None:
        """Ask the wrapped detector."""
        return self._detector.device_memory_mb()

    def close(self) -> None:
        """Close the wrapped detector."""
        self._detector.close()


def default_file() -> Path:
    """Return the file that holds the default: FACEBENCH_DEFAULT, else the working folder's, else the built-in one."""
    named = os.environ.get("FACEBENCH_DEFAULT")
    if named:
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.is_file() else Path(__file__).parents[1] / FILE_NAME


def load_default(path: Path | None = None, *, threads: int | None = None) -> Detector:
    """Build the picked detector in this process.

    Args:
        path: a file written by `facebench pick`; by default as `default_file` finds it.
        threads: CPU threads; None for as many as it was measured with.

    Raises:
        ResultsError: the file cannot be read, or is no such file.
        UnavailableError: the detector's package or model is missing.
        DeviceError: its device cannot be used here.
    """
    choice = read_pick(path or default_file())
    detector = create(choice["detector"], device=choice["device"], threads=threads or choice["threads"])
    if choice["size"] != "original":
        detector = ResizedDetector(detector, choice["size"])
    return ThresholdedDetector(detector, float(choice["threshold"]))


def read_pick(path: Path) -> dict[str, Any]:
    """Read and check a default_detector.json.

    Raises:
        ResultsError: it cannot be read, or is no such file.
    """
    try:
        choice = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"cannot read the default detector from {path}: {error}. Write one with: facebench pick RUN"
        ) from error
    if isinstance(choice, dict) and (choice.get("schema"), choice.get("schema_version")) == (SCHEMA, 1):
        choice |= {"schema_version": SCHEMA_VERSION, "size": "original", "threads": 1}
    if not isinstance(choice, dict) or (choice.get("schema"), choice.get("schema_version")) != (SCHEMA, SCHEMA_VERSION):
        raise ResultsError(
            f"{path} is not a default detector of schema version {SCHEMA_VERSION}; write one with: facebench pick RUN"
        )
    return choice


def _why_not(row: Row, rule: Rule, name: str) -> str:
    if not row.done or row.latency is None:
        return f"{row.cell['status']}: {row.cell['reason']}"
    if not math.isfinite(row.exact_ap(name)):
        return "no AP: no face counts"
    if row.cell["failed_pictures"]:
        return f"failed on {len(row.cell['failed_pictures'])} pictures"
    if row.cell["device"] != rule.device:
        return f"measured on {row.cell['device']}"
    if rule.max_p90_ms is not None and row.latency.p90_ms > rule.max_p90_ms:
        return f"p90 {row.latency.p90_ms:.1f} ms is over {rule.max_p90_ms:g} ms"
    return ""


def _p50(row: Row) -> float:
    return row.latency.p50_ms if row.latency else math.inf


def _rule_text(rule: Rule, metric: str) -> str:
    limit = f" among those with p90 of at most {rule.max_p90_ms:g} ms" if rule.max_p90_ms is not None else ""
    return f"the fastest (p50, {rule.device}) of all detectors within {rule.tie:g} of the best exact {metric}{limit}"


def _figures(row: Row, name: str) -> dict[str, Any]:
    assert row.latency is not None
    return {
        "detector": cell_label(row.cell),
        f"exact_ap_{name}": round(row.exact_ap(name), 4),
        "p50_ms": round(row.latency.p50_ms, 2),
        "p90_ms": round(row.latency.p90_ms, 2),
        "threads": row.cell["threads"],
    }


def _reasons(winner: Row, equal: Sequence[Row], best: float, name: str, rule: Rule) -> list[str]:
    reasons = [f"exact AP ({name}) {winner.exact_ap(name):.3f}; the best is {best:.3f}"]
    others = [cell_label(row.cell) for row in equal if row is not winner]
    if others:
        reasons.append(f"p50 {_p50(winner):.1f} ms is the lowest among those within {rule.tie:g}: {', '.join(others)}")
    else:
        reasons.append(f"no other detector is within {rule.tie:g}; its p50 is {_p50(winner):.1f} ms")
    trained = winner.cell["info"]["trained_on"]
    if any("WIDER" in item for item in trained):
        reasons.append("it was trained on WIDER FACE train: expect less on pictures of another kind")
    return reasons

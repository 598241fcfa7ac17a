"""Whom the pick rule does not consider, and why: by what a cell is, not by how accurate or fast it is."""

from __future__ import annotations

from collections.abc import Sequence

from ...detectors import UNKNOWN
from ..analysis.table import Row
from ..store.records import StoredCell
from .rule import Rule

UNFINISHED = "unfinished: it has no result yet"
_NOT_KNOWN = (UNKNOWN, "unpublished")
"""The second is of older cards of third parties."""


def why_not(row: Row, rule: Rule) -> str:
    """Say why a row is not a candidate, whatever its numbers; empty where it is one.

    `UNFINISHED` is said of a cell that was interrupted or is still being measured, and that the rule could choose then.
    """
    cell = row.cell
    if cell.status == "running":
        return _by_its_card(cell, rule) or UNFINISHED
    if not row.done:
        return f"{cell.status}: {cell.reason}"
    if row.latency is None:
        return "its latency was not measured"
    if cell.failed_images:
        count = len(cell.failed_images)
        return f"failed on {count} image{'s' * (count > 1)}"
    memory = cell.peak_rss_mb
    if rule.max_memory_mb is not None and (memory is None or memory > rule.max_memory_mb):
        took = "its memory is not known" if memory is None else f"took {memory:,.0f} MB"
        return f"{took}; allowed are {rule.max_memory_mb:,g} MB"
    return _by_its_card(cell, rule)


def _by_its_card(cell: StoredCell, rule: Rule) -> str:
    if cell.device != rule.device:
        return f"measured on {cell.device}"
    info = cell.info
    allowed = {one.lower() for one in rule.licences}
    for what, licence in (("code", info.licence), ("weights", info.weights_licence)):
        if allowed and not _all_allowed(licence, allowed):
            kind = "unknown" if licence.lower() in _NOT_KNOWN else licence
            return f"the licence of its {what} is {kind}; allowed: {', '.join(rule.licences)}"
    return _by_training(info.trained_on, rule) if rule.not_trained_on else ""


def _all_allowed(licence: str, allowed: set[str]) -> bool:
    """Whether each of the licences that hold together is allowed, compared whole: MIT does not allow MIT-0."""
    return all(one.strip().lower() in allowed for one in licence.split(" AND "))


def _by_training(trained_on: Sequence[str], rule: Rule) -> str:
    seen = [name for name in trained_on if any(one.lower() in name.lower() for one in rule.not_trained_on)]
    if seen:
        return f"trained on {', '.join(seen)}"
    if not rule.unknown_training and not_published(trained_on):
        return "its training data are unknown"
    return ""


def not_published(trained_on: Sequence[str]) -> bool:
    """Whether some or all of the training data are unknown."""
    return any(name.lower() in _NOT_KNOWN for name in trained_on)

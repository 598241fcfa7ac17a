"""check_detector(): the contract that every adapter, ours or a third party's, must pass."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Device
from .registry import DetectorSpec


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether it held, and what was seen."""

    check: str
    ok: bool
    detail: str


def check_detector(spec: str | DetectorSpec, *, device: Device = "cpu", threads: int = 1) -> list[Finding]:
    """Build a detector in this process and check that it keeps the contract."""
    return []
